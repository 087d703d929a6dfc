//! What the model knows of open files: how much is in them, who has closed what, and what that means to READ, WRITE,
//! EXCEPT and EMPTY (rules 3 and 4).
//!
//! Where the rules leave the amount or the moment to the system (how many bytes a half-full buffer still takes) the
//! answer is `Maybe` or a range; everywhere else there is one right answer.

use super::constants::*;
use std::collections::VecDeque;

/// What an event has to look like, but for what the knote itself says.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// EOF, ONESHOT: what the filter adds. `None`: either.
    pub flags: Option<u16>,
    pub fflags: Option<u32>,
    pub data: (i64, i64),
}

impl Report {
    pub const ANY: Report = Report { flags: None, fflags: None, data: (i64::MIN, i64::MAX) };

    pub fn data(data: i64) -> Report {
        Report { flags: Some(0), fflags: Some(0), data: (data, data) }
    }

    fn end(data: (i64, i64), error: i32) -> Report {
        Report { flags: Some(EOF), fflags: Some(error as u32), data }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Ready {
    No,
    /// The rules allow both.
    Maybe(Report),
    Yes(Report),
}

impl Ready {
    pub fn maybe(self) -> Ready {
        match self {
            Ready::Yes(report) => Ready::Maybe(report),
            other => other,
        }
    }

    pub fn report(self) -> Option<Report> {
        match self {
            Ready::No => None,
            Ready::Maybe(report) | Ready::Yes(report) => Some(report),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Stream,
    Datagram,
    Packet,
    Tcp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// `before`: how many writers had come when it was opened (3.5).
    PipeReader {
        pipe: usize,
        before: u64,
    },
    PipeWriter {
        pipe: usize,
    },
    Socket {
        pair: usize,
        side: usize,
    },
    /// `moved`: by lseek, which nothing tells of (3.6).
    Regular {
        inode: usize,
        offset: i64,
        moved: bool,
    },
    Counter {
        count: i64,
    },
    Directory,
    Queue {
        queue: usize,
    },
}

/// An open file, shared by the descriptors that are duplicates of each other.
pub struct File {
    pub what: What,
    pub handles: u32,
}

#[derive(Default)]
pub struct Pipe {
    pub bytes: i64,
    /// How many of the system's sixteen pages may be in use.
    pub pages: i64,
    pub full: bool,
    pub readers: u32,
    pub writers: u32,
    pub writers_ever: u64,
}

pub struct Message {
    pub left: i64,
    /// What the sender may be charged for it.
    charge: i64,
}

#[derive(Default)]
pub struct Side {
    /// Sent by the other side, and not read yet.
    pub inbox: VecDeque<Message>,
    /// Its own write side is shut.
    pub shut: bool,
    pub closed: bool,
    pub error: i32,
    /// The other side's inbox takes no more.
    pub full: bool,
    /// The system's business: anything may be reported.
    pub wild: bool,
}

impl Side {
    pub fn unread(&self) -> i64 {
        self.inbox.iter().map(|message| message.left).sum()
    }

    pub fn receive(&mut self, bytes: i64) {
        self.inbox.push_back(Message { left: bytes, charge: 2 * bytes + 2048 });
    }

    /// Takes at most `wish` bytes as recv() does; says how many.
    pub fn take(&mut self, kind: Kind, wish: i64) -> i64 {
        if matches!(kind, Kind::Datagram | Kind::Packet) {
            return self.inbox.pop_front().map_or(0, |message| message.left.min(wish));
        }
        let mut taken = 0;
        while let Some(first) = self.inbox.front_mut() {
            let part = first.left.min(wish - taken);
            first.left -= part;
            taken += part;
            if first.left > 0 {
                break;
            }
            self.inbox.pop_front();
        }
        taken
    }
}

pub struct Pair {
    pub kind: Kind,
    pub sides: [Side; 2],
}

pub const PIPE_SIZE: i64 = 65536;
/// A mark that no buffer has room for.
pub const HUGE: i64 = 1 << 30;

/// All open files, by the number that the model gave them.
#[derive(Default)]
pub struct Files {
    pub files: Vec<File>,
    pub pipes: Vec<Pipe>,
    pub pairs: Vec<Pair>,
    /// The sizes of regular files.
    pub inodes: Vec<i64>,
}

impl Files {
    pub fn open(&mut self, what: What) -> usize {
        match what {
            What::PipeReader { pipe, .. } => self.pipes[pipe].readers += 1,
            What::PipeWriter { pipe } => {
                self.pipes[pipe].writers += 1;
                self.pipes[pipe].writers_ever += 1;
            }
            _ => {}
        }
        self.files.push(File { what, handles: 1 });
        self.files.len() - 1
    }

    pub fn read(&self, what: What, fflags: u32, mark: i64) -> Ready {
        let mark = if fflags & LOWAT != 0 { mark } else { 0 };
        match what {
            What::PipeReader { pipe, before } => {
                let pipe = &self.pipes[pipe];
                if pipe.writers == 0 && pipe.writers_ever > before {
                    Ready::Yes(Report::end((pipe.bytes, pipe.bytes), 0))
                } else if pipe.bytes > 0 && pipe.bytes >= mark {
                    Ready::Yes(Report::data(pipe.bytes))
                } else {
                    Ready::No
                }
            }
            What::Socket { pair, side } => {
                let Pair { kind, sides } = &self.pairs[pair];
                let (me, peer) = (&sides[side], &sides[1 - side]);
                let unread = me.unread();
                let next = me.inbox.front().map(|message| message.left);
                match (kind, next) {
                    _ if me.wild => Ready::Maybe(Report::ANY),
                    (Kind::Datagram, Some(next)) if next >= mark => Ready::Yes(Report::data(next)),
                    (Kind::Datagram, _) => Ready::No,
                    _ if peer.shut || peer.closed => Ready::Yes(Report::end((unread, unread), me.error)),
                    (_, Some(_)) if unread >= mark => Ready::Yes(Report::data(unread)),
                    _ => Ready::No,
                }
            }
            What::Regular { inode, offset, .. } => match self.inodes[inode] - offset {
                0 if fflags & FILE_POLL == 0 => Ready::No,
                unread => Ready::Yes(Report::data(unread)),
            },
            What::Counter { count } if count > 0 => Ready::Yes(Report { data: (1, count), ..Report::data(0) }),
            What::PipeWriter { pipe } if self.pipes[pipe].readers == 0 => Ready::Yes(Report::end((0, 0), 0)),
            What::PipeWriter { .. } | What::Counter { .. } | What::Directory | What::Queue { .. } => Ready::No,
        }
    }

    pub fn write(&self, what: What, fflags: u32, mark: i64) -> Ready {
        let mark = if fflags & LOWAT != 0 { mark } else { 0 };
        match what {
            What::PipeWriter { pipe } => {
                let pipe = &self.pipes[pipe];
                let room = Report { data: (PIPE_SIZE - pipe.pages * 4096, PIPE_SIZE), ..Report::data(0) };
                if pipe.readers == 0 {
                    Ready::Yes(Report::end((0, 0), 0))
                } else if pipe.full || mark >= HUGE {
                    Ready::No
                } else if pipe.pages < 15 {
                    Ready::Yes(room)
                } else {
                    Ready::Maybe(room)
                }
            }
            What::Socket { pair, side } => {
                let Pair { kind, sides } = &self.pairs[pair];
                let (me, peer) = (&sides[side], &sides[1 - side]);
                let room = Report { data: (1, i64::MAX), ..Report::data(0) };
                let end = Report::end((0, i64::MAX), me.error);
                let unix = *kind != Kind::Tcp;
                let charged: i64 = peer.inbox.iter().map(|message| message.charge).sum();
                if me.wild {
                    Ready::Maybe(Report::ANY)
                } else if *kind != Kind::Datagram && ((unix && peer.closed) || me.error != 0) {
                    Ready::Yes(end)
                } else if me.shut {
                    // BUGS.md: no call tells of it on packet sockets, nor on a full stream.
                    let told = *kind == Kind::Tcp || (*kind == Kind::Stream && charged < 50_000);
                    if told {
                        Ready::Yes(end)
                    } else {
                        Ready::Maybe(Report::ANY)
                    }
                } else if me.full || mark >= HUGE {
                    Ready::No
                } else if charged < 50_000 {
                    Ready::Yes(room)
                } else {
                    Ready::Maybe(room)
                }
            }
            What::Regular { .. } => Ready::Yes(Report::data(0)),
            What::Counter { .. } => Ready::Yes(Report { data: (1, i64::MAX), ..Report::data(0) }),
            What::PipeReader { .. } | What::Directory | What::Queue { .. } => Ready::No,
        }
    }

    /// 4.4, on UNIX stream sockets; the others are not asked.
    pub fn empty(&self, what: What) -> Ready {
        let What::Socket { pair, side } = what else { return Ready::Maybe(Report::ANY) };
        let sides = &self.pairs[pair].sides;
        if sides[side].shut || sides[1 - side].closed {
            Ready::Maybe(Report::ANY)
        } else if sides[1 - side].inbox.is_empty() {
            Ready::Yes(Report { data: (0, i64::MAX), ..Report::data(0) })
        } else {
            Ready::No
        }
    }
}
