//! The model and the world side by side: every operation is done to both, and what kevent() says is compared.

use super::constants::*;
use super::files::{Kind, What};
use super::model::Model;
use super::operation::{Operation, PLACES, QUEUES};
use super::things::{Child, Disposition, Life, Signal};
use super::world;
use kqueue::event::kevent;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;

pub struct Pair {
    pub model: Model,
    pub places: [Option<i32>; PLACES],
    pub queues: [Option<i32>; QUEUES],
    /// Numbers that were closed.
    pub closed: Vec<i32>,
    pub fifos: Vec<(usize, PathBuf)>,
    pub paths: Vec<PathBuf>,
    pub folder: PathBuf,
    /// Says what happens.
    pub told: bool,
}

pub fn describe(event: &kevent) -> String {
    let kevent { ident, filter, flags, fflags, data, udata } = *event;
    let (filter, flags) = (filter_name(filter), flag_names(flags));
    format!("{{{ident:#x}, {filter}, {flags}, {fflags:#x}, {data}, {}}}", udata as usize)
}

pub fn describe_all(events: &[kevent]) -> String {
    let all: Vec<String> = events.iter().map(describe).collect();
    format!("[{}]", all.join(", "))
}

impl Pair {
    pub fn new(folder: &Path, verify: bool) -> Pair {
        let signals = vec![
            Signal::new(libc::SIGUSR1, false),
            Signal::new(libc::SIGRTMIN() + 3, true),
            Signal::new(libc::SIGWINCH, false),
        ];
        for signal in &signals {
            world::dispose(signal.number, Disposition::Ignored);
        }
        let mut pair = Pair {
            model: Model { signals, verify, ..Model::default() },
            places: [None; PLACES],
            queues: [None; QUEUES],
            closed: Vec::new(),
            fifos: Vec::new(),
            paths: Vec::new(),
            folder: folder.to_path_buf(),
            told: false,
        };
        pair.open_queue(0);
        pair
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.told {
            println!("    {}", what());
        }
    }

    pub fn open_queue(&mut self, queue: usize) {
        if self.queues[queue].is_none() {
            let fd = world::kqueue();
            self.tell(|| format!("kqueue() = {fd}"));
            self.queues[queue] = Some(fd);
            self.model.opened_queue(fd);
        }
    }

    /// The first descriptor from `place` on that fits.
    pub fn find(&self, place: u8, fits: impl Fn(What) -> bool) -> Option<(usize, i32, What)> {
        let places = (0..PLACES).map(|step| (usize::from(place) + step) % PLACES);
        places.filter_map(|at| Some((at, self.places[at]?))).find_map(|(at, fd)| {
            let what = self.model.what(fd).filter(|&what| fits(what))?;
            Some((at, fd, what))
        })
    }

    /// An empty place from `place` on.
    pub fn room(&self, place: u8) -> Option<usize> {
        (0..PLACES).map(|step| (usize::from(place) + step) % PLACES).find(|&at| self.places[at].is_none())
    }

    pub fn put(&mut self, place: u8, fd: i32) {
        if let Some(at) = self.room(place) {
            self.places[at] = Some(fd);
        }
    }

    pub fn queue(&self, queue: u8) -> Option<(usize, i32)> {
        let places = (0..QUEUES).map(|step| (usize::from(queue) + step) % QUEUES);
        places.filter_map(|at| Some((at, self.queues[at]?))).next()
    }

    // ---- one operation

    /// Does it to both. `Err`: how they differ.
    pub fn run(&mut self, operation: &Operation) -> Result<(), String> {
        match *operation {
            Operation::Kevent(ref call) => self.call(call)?,
            Operation::Round { queue, room } => self.round(queue, usize::from(room))?,
            Operation::Fork => {
                let queues: Vec<i32> = self.queues.iter().flatten().copied().collect();
                self.tell(|| "fork()".into());
                world::fork_and_look(&queues)?;
            }
            _ => {
                self.model.stir();
                self.happen(operation)?;
            }
        }
        self.model.look();
        Ok(())
    }

    fn happen(&mut self, operation: &Operation) -> Result<(), String> {
        match *operation {
            Operation::Write { place, bytes } => self.write(place, i64::from(bytes), false),
            Operation::Fill { place } => self.write(place, 0, true),
            Operation::Read { place, bytes } => self.read(place, i64::from(bytes)),
            Operation::Empty { place } => {
                for _ in 0..64 {
                    self.read(place, 65536)?;
                }
                Ok(())
            }
            Operation::Shutdown { place } => {
                // A datagram socket has no end to tell of.
                let stream = |what| matches!(what, What::Socket { .. });
                let Some((_, fd, What::Socket { pair, side })) = self.find(place, stream) else { return Ok(()) };
                let state = &self.model.files.pairs[pair];
                if state.kind == Kind::Datagram || state.sides[side].wild {
                    return Ok(());
                }
                self.tell(|| format!("shutdown({fd}, SHUT_WR)"));
                self.model.shut(fd, world::shutdown(fd) == 0);
                self.settle(pair);
                Ok(())
            }
            Operation::Seek { place, to } => {
                if let Some((_, fd, _)) = self.find(place, |what| matches!(what, What::Regular { .. })) {
                    self.tell(|| format!("lseek({fd}, {to})"));
                    world::seek(fd, i64::from(to));
                    self.model.moved(fd, i64::from(to));
                }
                Ok(())
            }
            Operation::Truncate { place } => {
                if let Some((_, fd, _)) = self.find(place, |what| matches!(what, What::Regular { .. })) {
                    self.tell(|| format!("ftruncate({fd}, 0)"));
                    world::truncate(fd);
                    self.model.truncated(fd);
                }
                Ok(())
            }
            Operation::Raise { .. } | Operation::Block { .. } | Operation::Dispose { .. } => self.signal(operation),
            Operation::Spawn | Operation::Exit { .. } | Operation::Reap { .. } => self.child(operation),
            _ => self.descriptors(operation),
        }
    }

    fn write(&mut self, place: u8, bytes: i64, fill: bool) -> Result<(), String> {
        let writable = |what| !matches!(what, What::PipeReader { .. } | What::Directory | What::Queue { .. });
        let Some((_, fd, what)) = self.find(place, writable) else { return Ok(()) };
        match what {
            What::Regular { inode, .. } => {
                if !fill && bytes > 0 {
                    self.tell(|| format!("append {bytes} bytes to {fd}"));
                    world::grow(fd, self.model.files.inodes[inode], bytes as usize);
                    self.model.wrote(fd, bytes);
                }
                return Ok(());
            }
            What::Counter { .. } => {
                self.tell(|| format!("add 1 to eventfd {fd}"));
                world::add_one(fd);
                self.model.wrote(fd, 1);
                return Ok(());
            }
            What::PipeWriter { pipe } if self.model.files.pipes[pipe].readers == 0 => return Ok(()),
            What::PipeWriter { .. } if bytes == 0 && !fill => return Ok(()),
            What::Socket { pair, side } => {
                let state = &self.model.files.pairs[pair];
                let empty = bytes == 0 && state.kind != Kind::Datagram;
                if state.sides[side].shut || state.sides[side].wild || state.sides[1 - side].closed {
                    return Ok(());
                }
                if (fill && state.kind == Kind::Tcp) || (empty && !fill) {
                    return Ok(());
                }
            }
            _ => {}
        }
        let socket = matches!(what, What::Socket { .. });
        let size = if fill { 4096 } else { bytes as usize };
        for _ in 0..2000 {
            let (full, written) = match world::write(fd, size, socket) {
                Ok(count) => (count < size as i64, count),
                Err(libc::EAGAIN) => (true, 0),
                Err(errno) => return Err(format!("write({fd}): errno {errno}")),
            };
            if !fill || full {
                self.tell(|| format!("write({fd}, {size}) = {written}{}", if full { ", full" } else { "" }));
            }
            if written > 0 || !full {
                self.model.wrote(fd, written);
            }
            if full {
                self.model.filled(fd);
            }
            if !fill || full {
                break;
            }
        }
        if let What::Socket { pair, .. } = what {
            self.settle(pair);
        }
        Ok(())
    }

    fn read(&mut self, place: u8, bytes: i64) -> Result<(), String> {
        let readable = |what| !matches!(what, What::PipeWriter { .. } | What::Directory | What::Queue { .. });
        let Some((_, fd, what)) = self.find(place, readable) else { return Ok(()) };
        let wish = if matches!(what, What::Counter { .. }) { 8 } else { bytes };
        if wish == 0 {
            return Ok(());
        }
        if let What::Socket { pair, side } = what {
            if self.model.files.pairs[pair].sides[side].wild {
                return Ok(());
            }
        }
        let (expected, seen) = (self.model.took(fd, wish), world::read(fd, wish as usize));
        self.tell(|| format!("read({fd}, {wish}) = {seen:?}"));
        if expected != seen {
            return Err(format!("read({fd}) = {seen:?}, and the model says {expected:?}"));
        }
        Ok(())
    }

    /// Waits until both sides of a TCP connection have what was sent.
    pub fn settle(&mut self, pair: usize) {
        if self.model.files.pairs[pair].kind != Kind::Tcp {
            return;
        }
        for side in 0..2 {
            let here = What::Socket { pair, side };
            let Some(fd) = self.model.fds.keys().copied().find(|&fd| self.model.what(fd) == Some(here)) else {
                continue;
            };
            let sides = &self.model.files.pairs[pair].sides;
            if !sides[side].wild {
                let end = sides[1 - side].shut || sides[1 - side].closed;
                world::settle(fd, sides[side].unread(), end);
            }
        }
    }

    fn signal(&mut self, operation: &Operation) -> Result<(), String> {
        match *operation {
            Operation::Raise { signal } => {
                let state = &mut self.model.signals[usize::from(signal)];
                let before = world::HANDLED.load(SeqCst);
                world::raise(state.number);
                state.raise();
                let runs = state.disposition == Disposition::Handled && !state.blocked;
                let (number, ran) = (state.number, world::HANDLED.load(SeqCst) - before);
                self.tell(|| format!("kill(getpid(), {number}): the handler ran {ran} times"));
                // 7.2
                if ran != u64::from(runs) {
                    return Err(format!("the program's handler of {number} ran {ran} times"));
                }
            }
            Operation::Block { signal, block } => {
                let state = &mut self.model.signals[usize::from(signal)];
                state.blocked = block;
                let number = state.number;
                self.tell(|| format!("{} {number}", if block { "block" } else { "unblock" }));
                world::block(number, block);
                if !block {
                    self.model.signals[usize::from(signal)].drain();
                }
            }
            Operation::Dispose { signal, handle } => {
                let state = &mut self.model.signals[usize::from(signal)];
                // Setting one to be ignored takes it from the pending ones.
                if state.pending == (0, 0) {
                    state.disposition = if handle { Disposition::Handled } else { Disposition::Ignored };
                    world::dispose(state.number, state.disposition);
                    let (number, disposition) = (state.number, state.disposition);
                    self.tell(|| format!("signal {number} is {disposition:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn child(&mut self, operation: &Operation) -> Result<(), String> {
        let count = self.model.children.len();
        match *operation {
            Operation::Spawn if count < 2 => {
                let pid = world::spawn();
                self.tell(|| format!("fork() = {pid}"));
                self.model.children.push(Child { pid: pid as usize, life: Life::Runs });
            }
            Operation::Exit { child, status } if count > 0 => {
                let child = &mut self.model.children[usize::from(child) % count];
                if child.life == Life::Runs {
                    child.life = Life::Zombie(world::end(child.pid as i32, status));
                    let pid = child.pid;
                    self.tell(|| format!("{pid} exits with {status}"));
                }
            }
            Operation::Reap { child } if count > 0 => {
                let child = &mut self.model.children[usize::from(child) % count];
                if let Life::Zombie(status) = child.life {
                    let (pid, seen) = (child.pid, world::reap(child.pid as i32));
                    child.life = Life::Reaped(status);
                    self.tell(|| format!("waitpid({pid}) = {seen:#x}"));
                    if seen != status {
                        return Err(format!("waitpid: the status is {seen:#x}, not {status:#x}"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Pair {
    /// Leaves nothing behind.
    fn drop(&mut self) {
        for fd in self.places.iter().chain(&self.queues).flatten() {
            world::close(*fd);
        }
        for child in &self.model.children {
            match child.life {
                Life::Runs => world::kill(child.pid as i32),
                Life::Zombie(_) => {
                    world::reap(child.pid as i32);
                }
                Life::Reaped(_) => {}
            }
        }
        for signal in &self.model.signals {
            world::dispose(signal.number, Disposition::Ignored);
            if signal.blocked {
                world::block(signal.number, false);
            }
        }
        for path in &self.paths {
            let _ = std::fs::remove_file(path);
        }
    }
}
