//! Nodes: what a queue knows of one descriptor, for all knotes on it together.
//!
//! A sparse array of pages, so that a descriptor's number does not matter: 19,999 costs what 5 does.

use super::knote::{KnoteId, NIL};
use crate::errno::{Errno, Result};
use crate::filter::LANES;
use crate::platform::descriptors::Generation;
use crate::platform::{Arm, Kind, Place, PLACES};

#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// By filter.
    pub knotes: [KnoteId; LANES],
    /// Tells this use of the number from earlier ones in events of the kernel that come late; 0: no node.
    pub epoch: u32,
    /// Who the file is (device and inode, mixed), where knotes have no item of the kernel's that would tell; else 0.
    pub identity: u32,
    pub generation: Generation,
    armed: [Arm; PLACES],
    pub kind: Kind,
}

impl Node {
    const NONE: Node = Node {
        knotes: [NIL; LANES],
        epoch: 0,
        identity: 0,
        generation: Generation::NONE,
        armed: [Arm::empty(); PLACES],
        kind: Kind::Unknown,
    };

    pub fn new(epoch: u32, generation: Generation) -> Node {
        Node { epoch, generation, ..Node::NONE }
    }

    #[inline]
    pub fn armed(&self, place: Place) -> Arm {
        self.armed[place.0 as usize]
    }

    #[inline]
    pub fn set_armed(&mut self, place: Place, arm: Arm) {
        self.armed[place.0 as usize] = arm;
    }
}

const PAGE_BITS: usize = 6;
const PAGE: usize = 1 << PAGE_BITS;

pub struct Nodes {
    pages: Vec<Vec<Node>>,
    /// How many descriptors have a node.
    pub len: usize,
}

impl Nodes {
    pub const fn new() -> Nodes {
        Nodes { pages: Vec::new(), len: 0 }
    }

    #[inline]
    pub fn get(&mut self, fd: i32) -> Option<&mut Node> {
        let index = fd as usize;
        let node = self.pages.get_mut(index >> PAGE_BITS)?.get_mut(index & (PAGE - 1))?;
        (node.epoch != 0).then_some(node)
    }

    /// The first descriptor from `fd` on that has a node, and its knotes.
    pub fn from(&self, fd: i32) -> Option<(i32, [KnoteId; LANES])> {
        let pages = self.pages.iter().enumerate().skip(fd as usize >> PAGE_BITS);
        pages
            .flat_map(|(page, nodes)| nodes.iter().enumerate().map(move |(at, node)| ((page << PAGE_BITS) + at, node)))
            .find(|&(index, node)| index >= fd as usize && node.epoch != 0)
            .map(|(index, node)| (index as i32, node.knotes))
    }

    /// `ENOMEM`.
    pub fn insert(&mut self, fd: i32, node: Node) -> Result<()> {
        let index = fd as usize;
        let wanted = (index >> PAGE_BITS) + 1;
        if self.pages.len() < wanted {
            self.pages.try_reserve(wanted - self.pages.len()).map_err(|_| Errno::ENOMEM)?;
            self.pages.resize_with(wanted, Vec::new);
        }
        let page = &mut self.pages[index >> PAGE_BITS];
        if page.is_empty() {
            page.try_reserve_exact(PAGE).map_err(|_| Errno::ENOMEM)?;
            page.resize(PAGE, Node::NONE);
        }
        if page[index & (PAGE - 1)].epoch == 0 {
            self.len += 1;
        }
        page[index & (PAGE - 1)] = node;
        Ok(())
    }

    pub fn remove(&mut self, fd: i32) {
        if let Some(node) = self.get(fd) {
            *node = Node::NONE;
            self.len -= 1;
        }
    }
}
