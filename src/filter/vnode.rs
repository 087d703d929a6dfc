//! EVFILT_VNODE: not yet.

use super::Report;
use crate::errno::{Errno, Result};
use crate::event::*;
use crate::kqueue::knote::KnoteId;
use crate::kqueue::Queue;

pub fn check(_change: &kevent) -> Result<()> {
    Err(Errno::EINVAL)
}

pub fn check_touch(_change: &kevent, _flags: u16) -> Result<()> {
    Ok(())
}

pub fn attach(_queue: &mut Queue, _id: KnoteId) -> Result<()> {
    Ok(())
}

pub fn touch(_queue: &mut Queue, _id: KnoteId, _change: &kevent, _flags: u16) -> Result<()> {
    Ok(())
}

pub fn detach(_queue: &mut Queue, _id: KnoteId) {}

/// The descriptor is gone.
pub fn release(_queue: &mut Queue, _id: KnoteId) {}

pub fn event(_queue: &mut Queue, _id: KnoteId) -> Option<Report> {
    None
}

pub fn reported(_queue: &mut Queue, _id: KnoteId) {}
