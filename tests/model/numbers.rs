//! Descriptors come and go on both sides: open, close, dup, dup2.

use super::files::{Kind, What};
use super::operation::{Opening, Operation};
use super::pair::Pair;
use super::world;
use std::path::PathBuf;

impl Pair {
    pub fn descriptors(&mut self, operation: &Operation) -> Result<(), String> {
        match *operation {
            Operation::Open { kind, place } => self.open(kind, place),
            Operation::Close { place } => {
                if let Some((at, fd, _)) = self.find(place, |_| true) {
                    self.places[at] = None;
                    self.close(fd);
                }
            }
            Operation::Duplicate { place, to } if !self.model.verify => {
                if let (Some((_, fd, _)), Some(_)) = (self.find(place, |_| true), self.room(to)) {
                    let new = world::duplicate(fd);
                    self.tell(|| format!("dup({fd}) = {new}"));
                    self.model.duplicated(fd, new);
                    self.put(to, new);
                }
            }
            Operation::Replace { place, over, queue } if !self.model.verify => {
                let Some((_, fd, _)) = self.find(place, |_| true) else { return Ok(()) };
                let number = if queue {
                    let Some((at, number)) = self.queue(over) else { return Ok(()) };
                    if self.room(0).is_none() {
                        return Ok(());
                    }
                    self.queues[at] = None;
                    self.put(0, number);
                    number
                } else {
                    let Some((_, number, _)) = self.find(over, |_| true) else { return Ok(()) };
                    number
                };
                self.tell(|| format!("dup2({fd}, {number})"));
                world::replace(fd, number);
                if fd != number {
                    let what = self.model.what(number);
                    // The new handle is there before the old one goes.
                    let file = self.model.fds[&fd];
                    self.model.files.files[file].handles += 1;
                    self.model.closed(number);
                    self.model.fds.insert(number, file);
                    if let Some(What::Socket { pair, .. }) = what {
                        self.settle(pair);
                    }
                }
            }
            Operation::OpenQueue { queue } => self.open_queue(usize::from(queue)),
            Operation::CloseQueue { queue } => {
                if let Some((at, fd)) = self.queue(queue) {
                    self.queues[at] = None;
                    self.close(fd);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, fd: i32) {
        let what = self.model.what(fd);
        self.tell(|| format!("close({fd})"));
        world::close(fd);
        self.model.closed(fd);
        self.closed.push(fd);
        if let Some(What::Socket { pair, .. }) = what {
            self.settle(pair);
        }
    }

    fn path(&mut self) -> PathBuf {
        let path = self.folder.join(self.paths.len().to_string());
        self.paths.push(path.clone());
        path
    }

    fn open(&mut self, kind: Opening, place: u8) {
        if self.places.iter().filter(|place| place.is_none()).count() < 2 {
            return;
        }
        let opened = match kind {
            Opening::Pipe => {
                let [reader, writer] = world::pipe();
                self.model.opened_pipe(reader, Some(writer));
                vec![reader, writer]
            }
            Opening::Stream => self.open_pair(Kind::Stream),
            Opening::Datagram => self.open_pair(Kind::Datagram),
            Opening::Packet => self.open_pair(Kind::Packet),
            Opening::Tcp => self.open_pair(Kind::Tcp),
            Opening::Regular => {
                let fd = world::open(&self.path(), libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC);
                self.model.opened_regular(fd);
                vec![fd]
            }
            Opening::Fifo => {
                let path = self.path();
                world::make_fifo(&path);
                let fd = world::open(&path, libc::O_RDONLY);
                let pipe = self.model.opened_pipe(fd, None);
                self.fifos.push((pipe, path));
                vec![fd]
            }
            Opening::FifoWriter => {
                let readable = |(pipe, _): &&(usize, PathBuf)| self.model.files.pipes[*pipe].readers > 0;
                let Some((pipe, path)) = self.fifos.iter().find(readable) else { return };
                let (pipe, fd) = (*pipe, world::open(path, libc::O_WRONLY));
                self.model.opened(fd, What::PipeWriter { pipe });
                vec![fd]
            }
            Opening::Counter => {
                let fd = world::eventfd();
                self.model.opened(fd, What::Counter { count: 0 });
                vec![fd]
            }
            Opening::Directory => {
                let fd = world::open(&self.folder, libc::O_RDONLY | libc::O_DIRECTORY);
                self.model.opened(fd, What::Directory);
                vec![fd]
            }
        };
        self.tell(|| format!("open {kind:?} = {opened:?}"));
        for fd in opened {
            self.put(place, fd);
        }
    }

    fn open_pair(&mut self, kind: Kind) -> Vec<i32> {
        let ends = world::pair(kind);
        self.model.opened_pair(kind, ends);
        ends.to_vec()
    }
}
