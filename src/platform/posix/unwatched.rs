//! What a watch on files would be: none can be had, so the clock looks (`State::TICK`).

use super::files::FileState;
use super::poller::Poller;
use crate::errno::{Errno, Result};
use bitflags::bitflags;
use core::ffi::c_int;

bitflags! {
    /// What a watch on a file would tell of.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Watched: u32 {
        const MODIFIED = 1;
        const ATTRIBUTES = 2;
        const RENAMED = 4;
        const OPENED = 8;
        const CLOSED = 0x10;
        const CLOSED_WRITTEN = 0x20;
        const ACCESSED = 0x40;
        const ENTRY_MADE = 0x80;
        const ENTRY_REMOVED = 0x100;
        const ENTRY_LEFT = 0x200;
        const ENTRY_CAME = 0x400;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Own,
    Parent,
}

/// What a watch would tell; none ever comes.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)]
pub enum FileEvent {
    Happened { watch: i32, what: Watched, named: bool, directory: bool, cookie: u32 },
    Gone { watch: i32 },
    Lost,
}

pub fn directory_state(_: c_int, state: FileState) -> FileState {
    state
}

impl Poller {
    /// `ENOTSUP`.
    pub fn watch_file(&self, _: u32, _: c_int, _: Whose, _: Watched, _: bool) -> Result<i32> {
        Err(Errno::ENOTSUP)
    }

    pub fn unwatch_file(&self, _: i32) {}

    pub fn has_lost_files(&self) -> bool {
        false
    }

    pub fn file_events(&self, _: impl FnMut(FileEvent)) -> bool {
        false
    }
}
