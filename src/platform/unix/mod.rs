//! What the systems of the Unix family share.

pub mod events;
pub mod file_state;
pub mod kernel;
pub mod next;
pub mod sys;
