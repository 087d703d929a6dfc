//! Nobody tells of forks and executions: there are none. (A job object would tell of children, but puts a stranger's
//! process into a job for good.)

use super::poller::Poller;
use crate::errno::{Errno, Result};

/// What another system would tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(dead_code)]
pub enum News {
    Fork { parent: i32, child: i32 },
    Exec { pid: i32 },
    Exit { pid: i32, status: i32 },
    Lost,
}

/// Of which processes somebody wants to hear.
#[allow(dead_code)]
pub enum Hearing<'a> {
    Nobody,
    Of(&'a [i32]),
    Everybody,
}

pub const MOST_NAMED: usize = 1;

impl Poller {
    /// `ENOTSUP`.
    pub fn prepare_connector(&self, _: u32) -> Result<()> {
        Err(Errno::ENOTSUP)
    }

    pub fn hear(&self, _: &Hearing) {}

    pub fn leave_connector(&self) {}

    pub fn read_connector(&self, _: impl FnMut(News)) {}
}
