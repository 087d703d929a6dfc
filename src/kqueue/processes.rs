//! The processes that knotes watch: how each stands, and what of it has not been reported.

use super::knote::{KnoteId, NIL};
use crate::errno::{Errno, Result};
use crate::platform::MOST_NAMED;

/// The index of a process.
pub type ProcessId = u32;

/// Where the news of a process come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    Pidfd(i32),
    /// There are no pidfds: it is looked at by its number, which a later process may get. When it started.
    Number(Option<u64>),
    /// It was gone before it could be watched: the connector tells how.
    Hearsay,
}

#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub knote: KnoteId,
    /// Its number; 0 where only its descriptor is known.
    pub pid: i32,
    pub watch: Watch,
    /// NOTE_* that happened and have not been reported.
    pub pending: u32,
    /// Those that the last report told.
    pub told: u32,
    /// Whose child it is, with NOTE_CHILD.
    pub parent: i32,
    pub exited: bool,
    pub status: Option<i32>,
}

impl Process {
    pub fn new(knote: KnoteId, pid: i32) -> Process {
        let watch = Watch::Hearsay;
        Process { knote, pid, watch, pending: 0, told: 0, parent: 0, exited: false, status: None }
    }
}

/// Of whom the connector is to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    Nobody,
    Named,
    Everybody,
}

pub struct Processes {
    slots: Vec<Process>,
    free: Vec<ProcessId>,
    /// How many want to hear of forks and executions, and how many of those of children, too.
    pub listeners: usize,
    pub trackers: usize,
    /// How many are looked at by their number.
    pub numbered: usize,
    pub audience: Audience,
}

impl Processes {
    pub const fn new() -> Processes {
        Processes {
            slots: Vec::new(),
            free: Vec::new(),
            listeners: 0,
            trackers: 0,
            numbered: 0,
            audience: Audience::Nobody,
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// `ENOMEM`.
    pub fn insert(&mut self, process: Process) -> Result<ProcessId> {
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = process;
            return Ok(id);
        }
        self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.free.try_reserve(self.slots.len() + 1).map_err(|_| Errno::ENOMEM)?;
        self.slots.push(process);
        Ok((self.slots.len() - 1) as ProcessId)
    }

    pub fn remove(&mut self, id: ProcessId) {
        if let Some(process) = self.slots.get_mut(id as usize).filter(|process| process.knote != NIL) {
            process.knote = NIL;
            self.free.push(id);
        }
    }

    pub fn get(&mut self, id: ProcessId) -> Option<&mut Process> {
        self.slots.get_mut(id as usize).filter(|process| process.knote != NIL)
    }

    /// How many indices were ever given; not all of them are processes now.
    pub fn indices(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Who is to be heard of.
    pub fn wanted_audience(&self) -> Audience {
        match self.listeners {
            0 => Audience::Nobody,
            listeners if self.trackers == 0 && listeners <= MOST_NAMED => Audience::Named,
            _ => Audience::Everybody,
        }
    }
}
