//! Nodes: what a queue knows of one descriptor, for all knotes on it together.
//!
//! A sparse array of pages, so that a descriptor's number does not matter: 19,999 costs what 5 does.

use super::knote::{boxed, KnoteId, NIL};
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
    pages: Vec<Option<Box<[Node; PAGE]>>>,
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
        let node = &mut self.pages.get_mut(index >> PAGE_BITS)?.as_mut()?[index % PAGE];
        (node.epoch != 0).then_some(node)
    }

    /// The first descriptor from `fd` on that has a node, and its knotes.
    pub fn from(&self, fd: i32) -> Option<(i32, [KnoteId; LANES])> {
        let pages = self.pages.iter().enumerate().skip(fd as usize >> PAGE_BITS);
        pages
            .filter_map(|(page, nodes)| Some((page << PAGE_BITS, nodes.as_ref()?)))
            .flat_map(|(first, nodes)| nodes.iter().enumerate().map(move |(at, node)| (first + at, node)))
            .find(|&(index, node)| index >= fd as usize && node.epoch != 0)
            .map(|(index, node)| (index as i32, node.knotes))
    }

    /// `ENOMEM`.
    pub fn insert(&mut self, fd: i32, node: Node) -> Result<()> {
        let index = fd as usize;
        let wanted = (index >> PAGE_BITS) + 1;
        if self.pages.len() < wanted {
            self.pages.try_reserve(wanted - self.pages.len()).map_err(|_| Errno::ENOMEM)?;
            self.pages.resize_with(wanted, || None);
        }
        let page = match &mut self.pages[index >> PAGE_BITS] {
            Some(page) => page,
            page => page.insert(boxed(Node::NONE)?),
        };
        let place = &mut page[index % PAGE];
        if place.epoch == 0 {
            self.len += 1;
        }
        *place = node;
        Ok(())
    }

    pub fn remove(&mut self, fd: i32) {
        if let Some(node) = self.get(fd) {
            *node = Node::NONE;
            self.len -= 1;
        }
    }
}
