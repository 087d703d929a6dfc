//! The AFD requests of one queue: who each is for, and its memory, which is kept until its packet has come.

use super::afd::Request;
use super::api::Handle;
use crate::errno::{Errno, Result};

pub type RequestId = u32;
/// No request, and no item.
pub const NONE: u32 = u32::MAX;

/// What a request of an item is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It asks for what the item is armed for.
    Interest,
    /// It asks for nothing, and hears that the socket is closed.
    Guard,
}

#[derive(Clone, Copy)]
struct Owner {
    /// `NONE`: its answer is for nobody any more.
    item: u32,
    role: Role,
}

const CHUNK: usize = 64;

pub struct Requests {
    /// Chunks never move: the kernel writes into them.
    memory: Vec<Vec<Request>>,
    owners: Vec<Owner>,
    free: Vec<RequestId>,
}

impl Requests {
    pub const fn new() -> Requests {
        Requests { memory: Vec::new(), owners: Vec::new(), free: Vec::new() }
    }

    fn get(&self, id: RequestId) -> &Request {
        &self.memory[id as usize / CHUNK][id as usize % CHUNK]
    }

    /// How many packets are still to come.
    pub fn pending(&self) -> usize {
        self.owners.len() - self.free.len()
    }

    /// Asks about a socket on behalf of an item. `EBADF`: it is closed; `ENOMEM`.
    pub fn submit(&mut self, afd: Handle, socket: Handle, events: u32, item: u32, role: Role) -> Result<RequestId> {
        let id = self.take(Owner { item, role })?;
        // The context must not be 0: then no packet would come.
        let submitted = self.get(id).submit(afd, socket, events, id as usize + 1);
        if submitted.is_err() {
            self.free.push(id);
        }
        submitted.map(|()| id)
    }

    fn take(&mut self, owner: Owner) -> Result<RequestId> {
        if let Some(id) = self.free.pop() {
            self.owners[id as usize] = owner;
            return Ok(id);
        }
        if self.memory.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.memory.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(CHUNK).map_err(|_| Errno::ENOMEM)?;
            self.memory.push(chunk);
        }
        self.owners.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let most = self.owners.len() + 1 - self.free.len();
        self.free.try_reserve(most).map_err(|_| Errno::ENOMEM)?;
        let Some(chunk) = self.memory.last_mut() else { return Err(Errno::ENOMEM) };
        chunk.push(Request::new());
        self.owners.push(owner);
        Ok((self.owners.len() - 1) as RequestId)
    }

    /// Its answer is not wanted any more.
    pub fn abandon(&mut self, afd: Handle, id: RequestId) {
        if id != NONE {
            self.owners[id as usize].item = NONE;
            self.get(id).cancel(afd);
        }
    }

    /// The packet with that context has come: whose it is, and what it says. Its memory is free again.
    pub fn completed(&mut self, context: usize) -> Option<(u32, Role, u32, i32)> {
        let id = u32::try_from(context.wrapping_sub(1)).ok()?;
        let Owner { item, role } = *self.owners.get(id as usize)?;
        let (events, status) = self.get(id).answer();
        self.free.push(id);
        (item != NONE).then_some((item, role, events, status))
    }
}
