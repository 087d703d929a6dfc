//! Linux: epoll, eventfd, timerfd, signalfd, inotify.

pub mod births;
pub mod files;
pub mod inspect;
pub mod next;
pub mod poller;
pub mod signals;
pub mod start;
pub mod sys;
