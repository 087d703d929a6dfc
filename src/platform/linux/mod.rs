//! Linux: epoll, eventfd, timerfd, signalfd, inotify, pidfd, the process connector.

pub mod births;
pub mod connector;
pub mod copies;
pub mod files;
pub mod inspect;
pub mod next;
pub mod outlet;
mod pidfd;
pub mod poller;
pub mod processes;
mod procfs;
pub mod renewal;
pub mod signals;
pub mod start;
pub mod sys;
