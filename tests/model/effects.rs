//! What the program does to its descriptors, as the model sees it: what changes, and for which EV_CLEAR knotes that
//! is news (rules 2.9, 2.15).

use super::constants::*;
use super::files::{Kind, Pair, Pipe, Side, What};
use super::model::{Model, News, Queue};

impl Model {
    pub fn opened(&mut self, fd: i32, what: What) {
        let file = self.files.open(what);
        self.fds.insert(fd, file);
    }

    pub fn opened_pipe(&mut self, reader: i32, writer: Option<i32>) -> usize {
        self.files.pipes.push(Pipe::default());
        let pipe = self.files.pipes.len() - 1;
        self.opened(reader, What::PipeReader { pipe, before: 0 });
        if let Some(writer) = writer {
            self.opened(writer, What::PipeWriter { pipe });
        }
        pipe
    }

    pub fn opened_pair(&mut self, kind: Kind, ends: [i32; 2]) {
        self.files.pairs.push(Pair { kind, sides: [Side::default(), Side::default()] });
        let pair = self.files.pairs.len() - 1;
        self.opened(ends[0], What::Socket { pair, side: 0 });
        self.opened(ends[1], What::Socket { pair, side: 1 });
    }

    pub fn opened_regular(&mut self, fd: i32) {
        self.files.inodes.push(0);
        self.opened(fd, What::Regular { inode: self.files.inodes.len() - 1, offset: 0, moved: false });
    }

    pub fn opened_queue(&mut self, fd: i32) {
        self.queues.push(Queue::default());
        self.opened(fd, What::Queue { queue: self.queues.len() - 1 });
    }

    pub fn duplicated(&mut self, fd: i32, new: i32) {
        let file = self.fds[&fd];
        self.files.files[file].handles += 1;
        self.fds.insert(new, file);
    }

    /// `bytes` were taken by write().
    pub fn wrote(&mut self, fd: i32, bytes: i64) {
        let what = self.files.files[self.fds[&fd]].what;
        match what {
            What::PipeWriter { pipe } => {
                let state = &mut self.files.pipes[pipe];
                state.bytes += bytes;
                state.pages = (state.pages + (bytes + 4095) / 4096 + 1).min(16);
                let read = |what| matches!(what, What::PipeReader { pipe: other, .. } if other == pipe);
                self.news(READ, if bytes > 0 { News::Must } else { News::May }, read);
                self.news(WRITE, News::May, |other| other == what);
            }
            What::Socket { pair, side } => {
                let peer = What::Socket { pair, side: 1 - side };
                let sides = &mut self.files.pairs[pair].sides;
                sides[1 - side].receive(bytes);
                self.news(READ, News::Must, |other| other == peer);
                self.news(WRITE, News::May, |other| other == what);
                self.news(EMPTY, News::May, |other| other == what);
            }
            What::Regular { inode, .. } => {
                self.files.inodes[inode] += bytes;
                let same = |what| matches!(what, What::Regular { inode: other, .. } if other == inode);
                self.news(READ, if bytes > 0 { News::Must } else { News::May }, same);
            }
            What::Counter { count } => {
                let now = What::Counter { count: count + 1 };
                self.news_of_file(fd, now, READ, News::Must);
                self.news_of_file(fd, now, WRITE, News::May);
            }
            _ => {}
        }
    }

    /// write() takes no more.
    pub fn filled(&mut self, fd: i32) {
        match self.files.files[self.fds[&fd]].what {
            What::PipeWriter { pipe } => {
                self.files.pipes[pipe].full = true;
                // Linux wakes the reader of a full pipe when a write fails.
                self.news(
                    READ,
                    News::May,
                    |what| matches!(what, What::PipeReader { pipe: other, .. } if other == pipe),
                );
            }
            What::Socket { pair, side } => self.files.pairs[pair].sides[side].full = true,
            _ => {}
        }
    }

    fn news_of_file(&mut self, fd: i32, now: What, filter: i16, news: News) {
        // Two counters may look alike.
        let file = self.fds[&fd];
        self.files.files[file].what = now;
        for knote in self.queues.iter_mut().flat_map(|queue| &mut queue.knotes) {
            if knote.filter == filter && knote.is_about(file) {
                knote.hear(news);
            }
        }
    }

    /// read() of at most `wish` bytes: returns what it must say.
    pub fn took(&mut self, fd: i32, wish: i64) -> Result<i64, i32> {
        let file = self.fds[&fd];
        let what = self.files.files[file].what;
        let nothing = |ended: bool| if ended { Ok(0) } else { Err(libc::EAGAIN) };
        match what {
            What::PipeReader { pipe, .. } => {
                let state = &mut self.files.pipes[pipe];
                let taken = state.bytes.min(wish);
                if wish == 0 || state.bytes == 0 {
                    return if wish == 0 { Ok(0) } else { nothing(state.writers == 0) };
                }
                state.bytes -= taken;
                state.full = false;
                if state.bytes == 0 {
                    state.pages = 0;
                }
                self.news(READ, News::May, |other| other == what);
                self.news(WRITE, News::May, |other| matches!(other, What::PipeWriter { pipe: other } if other == pipe));
                Ok(taken)
            }
            What::Socket { pair, side } => {
                let Pair { kind, sides } = &mut self.files.pairs[pair];
                // A packet socket tells of the error first, a stream of what is left.
                if sides[side].inbox.is_empty() || (*kind == Kind::Packet && sides[side].error != 0) {
                    let error = std::mem::take(&mut sides[side].error);
                    let ended = sides[1 - side].shut || sides[1 - side].closed;
                    return if error != 0 { Err(error) } else { nothing(ended) };
                }
                let taken = sides[side].take(*kind, wish);
                sides[1 - side].full = false;
                let peer = What::Socket { pair, side: 1 - side };
                self.news(READ, News::May, |other| other == what);
                self.news(WRITE, News::May, |other| other == peer);
                self.news(EMPTY, News::May, |other| other == peer);
                Ok(taken)
            }
            What::Regular { inode, offset, .. } => {
                let taken = (self.files.inodes[inode] - offset).clamp(0, wish);
                self.moved(fd, offset + taken);
                Ok(taken)
            }
            What::Counter { count: 0 } => Err(libc::EAGAIN),
            What::Counter { .. } => {
                self.news_of_file(fd, What::Counter { count: 0 }, READ, News::May);
                self.news_of_file(fd, What::Counter { count: 0 }, WRITE, News::May);
                Ok(8)
            }
            _ => Ok(0),
        }
    }

    /// The offset of a regular file.
    pub fn moved(&mut self, fd: i32, to: i64) {
        if let What::Regular { inode, .. } = self.files.files[self.fds[&fd]].what {
            let now = What::Regular { inode, offset: to, moved: true };
            self.news_of_file(fd, now, READ, News::May);
        }
    }

    pub fn truncated(&mut self, fd: i32) {
        if let What::Regular { inode, .. } = self.files.files[self.fds[&fd]].what {
            self.files.inodes[inode] = 0;
            let same = |what| matches!(what, What::Regular { inode: other, .. } if other == inode);
            for file in self.files.files.iter_mut().filter(|file| same(file.what)) {
                if let What::Regular { moved, .. } = &mut file.what {
                    *moved = true;
                }
            }
            self.news(READ, News::May, same);
        }
    }

    /// `done`: shutdown() said so. Linux wakes everybody all the same.
    pub fn shut(&mut self, fd: i32, done: bool) {
        let what = self.files.files[self.fds[&fd]].what;
        let What::Socket { pair, side } = what else { return };
        let before = !done || std::mem::replace(&mut self.files.pairs[pair].sides[side].shut, true);
        self.ended(pair, side, before);
    }

    /// The end of what `side` sends.
    fn ended(&mut self, pair: usize, side: usize, before: bool) {
        let (what, peer) = (What::Socket { pair, side }, What::Socket { pair, side: 1 - side });
        let must = if before { News::May } else { News::Must };
        self.news(READ, must, |other| other == peer);
        self.news(WRITE, must, |other| other == what);
        self.news(READ, News::May, |other| other == what);
        self.news(WRITE, News::May, |other| other == peer);
        self.news(EMPTY, News::May, |other| other == what || other == peer);
    }

    /// 10.1, 10.2
    pub fn closed(&mut self, fd: i32) {
        self.forget(fd);
        let Some(file) = self.fds.remove(&fd) else { return };
        let open = &mut self.files.files[file];
        open.handles -= 1;
        if open.handles > 0 {
            return;
        }
        match open.what {
            What::PipeReader { pipe, .. } => {
                self.files.pipes[pipe].readers -= 1;
                if self.files.pipes[pipe].readers == 0 {
                    let write = |what| matches!(what, What::PipeWriter { pipe: other } if other == pipe);
                    self.news(WRITE, News::Must, write);
                    self.news(READ, News::Must, write);
                }
            }
            What::PipeWriter { pipe } => {
                self.files.pipes[pipe].writers -= 1;
                if self.files.pipes[pipe].writers == 0 {
                    let read = |what| matches!(what, What::PipeReader { pipe: other, .. } if other == pipe);
                    self.news(READ, News::Must, read);
                }
            }
            What::Socket { pair, side } => {
                let Pair { kind, sides } = &mut self.files.pairs[pair];
                let (kind, reset) = (*kind, !sides[side].inbox.is_empty());
                sides[side].inbox.clear();
                sides[side].closed = true;
                let before = sides[side].shut;
                let peer = &mut sides[1 - side];
                // What is left unread is a reset for the other side.
                match kind {
                    Kind::Datagram => peer.wild = true,
                    // After a FIN of its own the order of segments decides.
                    Kind::Tcp if reset => peer.wild = true,
                    _ if reset => peer.error = libc::ECONNRESET,
                    _ => {}
                }
                self.ended(pair, side, before);
                let peer = What::Socket { pair, side: 1 - side };
                if matches!(kind, Kind::Stream | Kind::Packet) && !self.files.pairs[pair].sides[1 - side].shut {
                    self.news(WRITE, News::Must, |other| other == peer);
                }
            }
            What::Queue { queue } => self.end_queue(queue),
            _ => {}
        }
    }
}
