//! The descriptors of a world, and what a program does with them.

use libc::c_int;

extern "C" {
    fn kqueue() -> c_int;
}

const PLACES: usize = 12;
const QUEUES: usize = 3;

/// Closed places are -1.
pub struct Descriptors {
    places: [c_int; PLACES],
    queues: [c_int; QUEUES],
    next: usize,
}

impl Default for Descriptors {
    fn default() -> Descriptors {
        Descriptors { places: [-1; PLACES], queues: [-1; QUEUES], next: 0 }
    }
}

impl Descriptors {
    pub fn get(&self, place: u8) -> c_int {
        self.places[usize::from(place) % PLACES]
    }

    pub fn queue(&self, place: u8) -> c_int {
        self.queues[usize::from(place) % QUEUES]
    }

    pub fn open_queue(&mut self) {
        if let Some(free) = self.queues.iter_mut().find(|queue| **queue == -1) {
            // SAFETY: it takes no argument.
            *free = unsafe { kqueue() };
        }
    }

    fn put(&mut self, fd: c_int) {
        let place = &mut self.places[self.next % PLACES];
        self.next += 1;
        if let Some(old) = (*place != -1).then(|| core::mem::replace(place, fd)) {
            close(old);
        }
        *place = fd;
    }

    pub fn open(&mut self, kind: u8) {
        let mut fds = [-1; 2];
        let both = fds.as_mut_ptr();
        let socket = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: pointers to arrays of the length that the call fills, and strings that end in NUL.
        let one = unsafe {
            match kind % 12 {
                0 | 1 => libc::pipe2(both, libc::O_CLOEXEC | libc::O_NONBLOCK),
                2 => libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | socket, 0, both),
                3 => libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM | socket, 0, both),
                4 => libc::memfd_create(c"file".as_ptr(), libc::MFD_CLOEXEC),
                5 => libc::open(c"/tmp".as_ptr(), libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC, 0o600),
                6 => libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC),
                7 => libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC),
                8 => libc::eventfd(kind.into(), libc::EFD_NONBLOCK | libc::EFD_CLOEXEC),
                9 => libc::epoll_create1(libc::EPOLL_CLOEXEC),
                10 => {
                    let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | socket, 0);
                    libc::listen(fd, 5);
                    fd
                }
                _ => libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) as c_int,
            }
        };
        if fds == [-1; 2] {
            fds[0] = one;
        }
        fds.into_iter().filter(|&fd| fd != -1).for_each(|fd| self.put(fd));
    }

    /// A place, or one of the queues.
    fn at(&mut self, place: u8) -> &mut c_int {
        match usize::from(place) % (PLACES + QUEUES) {
            place @ ..PLACES => &mut self.places[place],
            place => &mut self.queues[place - PLACES],
        }
    }

    pub fn close(&mut self, place: u8) {
        close(core::mem::replace(self.at(place), -1));
    }

    /// dup2() of one over another, or dup().
    pub fn replace(&mut self, from: u8, over: u8) {
        let (from, over) = (*self.at(from), *self.at(over));
        // SAFETY: numbers that are the world's own, or -1.
        unsafe {
            if over == -1 {
                self.put(libc::fcntl(from, libc::F_DUPFD_CLOEXEC, 0));
            } else {
                libc::dup2(from, over);
            }
        }
    }

    pub fn write(&mut self, place: u8, length: u8) {
        let (fd, bytes) = (self.get(place), [0; 256]);
        let length = if length < 4 { 65536 } else { usize::from(length) };
        for _ in 0..length.div_ceil(bytes.len()) {
            // SAFETY: `bytes` is as long as said; SIGPIPE is ignored.
            unsafe { libc::write(fd, bytes.as_ptr().cast(), length.min(bytes.len())) };
        }
    }

    pub fn read(&mut self, place: u8, length: u8) {
        let (fd, mut bytes) = (self.get(place), [0; 256]);
        // SAFETY: `bytes` is as long as said.
        unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), length.into()) };
    }

    /// In a child the queues of its parent are closed.
    pub fn forked(&mut self) {
        self.queues = [-1; QUEUES];
    }

    /// All of them, by poll(): the queues are descriptors as others.
    pub fn poll(&mut self) {
        let mut fds = self.queues.map(|fd| libc::pollfd { fd, events: libc::POLLIN | libc::POLLOUT, revents: 0 });
        // SAFETY: as many as there are.
        unsafe { libc::poll(fds.as_mut_ptr(), QUEUES as libc::nfds_t, 0) };
        assert!(fds.iter().all(|fd| fd.revents & libc::POLLNVAL == 0), "a kqueue has been closed");
    }

    pub fn close_all(&mut self) {
        self.places.iter_mut().chain(&mut self.queues).for_each(|fd| close(core::mem::replace(fd, -1)));
    }
}

fn close(fd: c_int) {
    if fd != -1 {
        // SAFETY: the world's own.
        unsafe { libc::close(fd) };
    }
}
