//! What the systems of the Unix family share.

pub mod file_state;
pub mod kernel;
pub mod next;
pub mod sys;

pub use super::events;
