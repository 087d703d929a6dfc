//! Nobody tells of forks and executions here. (On Windows there are none; a job object would tell of children, but puts
//! a stranger's process into a job for good.)

use super::poller::Poller;
use crate::errno::{Errno, Result};

pub use crate::platform::events::{Hearing, News};

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
