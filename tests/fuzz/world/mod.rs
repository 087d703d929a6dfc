//! What the bytes of an input mean: calls of kqueue() and kevent() with anything in them, over a few descriptors of all
//! kinds, with close(), dup2(), fork() and signals in between; and what has to be true whatever they are.
//!
//! Descriptors that the input did not open are named, but never closed: they are the test's own.

mod bytes;
mod call;
mod descriptors;

use bytes::Bytes;
use descriptors::Descriptors;
use std::io::Error;

/// Of an input: the rest says nothing that fewer do not.
const MOST: usize = 200;

pub struct World {
    pub descriptors: Descriptors,
    /// A child that has exited and that nobody has waited for, or 0.
    pub zombie: libc::pid_t,
}

/// # Panics
/// When something comes out that no input may bring about. A fault, or not returning, is the caller's to see.
pub fn run(input: &[u8]) {
    hear_signals();
    let before = open_descriptors();
    let mut world = World { descriptors: Descriptors::default(), zombie: 0 };
    let mut bytes = Bytes::new(input);
    for _ in 0..MOST {
        if bytes.is_empty() {
            break;
        }
        world.step(&mut bytes);
    }
    world.descriptors.close_all();
    if world.zombie != 0 {
        // SAFETY: it takes no pointer that is not null.
        unsafe { libc::waitpid(world.zombie, core::ptr::null_mut(), 0) };
    }
    assert_eq!(open_descriptors(), before, "descriptors were left behind, or closed");
    call::still_works();
}

impl World {
    fn step(&mut self, bytes: &mut Bytes) {
        match bytes.byte() % 24 {
            0 => self.descriptors.open_queue(),
            1..=3 => self.descriptors.open(bytes.byte()),
            4 => self.descriptors.close(bytes.byte()),
            5 => self.descriptors.replace(bytes.byte(), bytes.byte()),
            6 => self.descriptors.write(bytes.byte(), bytes.byte()),
            7 => self.descriptors.read(bytes.byte(), bytes.byte()),
            8 => self.descriptors.poll(),
            9 => raise(bytes.byte()),
            10 => self.have_a_child(bytes),
            11 => self.leave_a_zombie(),
            _ => call::kevent(self, bytes),
        }
    }

    /// The child goes on for some steps, with the descriptors of its parent and with queues of its own.
    fn have_a_child(&mut self, bytes: &mut Bytes) {
        let length = bytes.byte() % 64;
        let mut its = bytes.split(length.into());
        // SAFETY: the child runs on in this function, and ends in it.
        match unsafe { libc::fork() } {
            -1 => {}
            0 => {
                // SAFETY: `alarm` ends a child that hangs.
                unsafe { libc::alarm(20) };
                self.descriptors.forked();
                while !its.is_empty() {
                    self.step(&mut its);
                }
                self.descriptors.close_all();
                call::still_works();
                // SAFETY: nothing of the parent's is flushed or dropped.
                unsafe { libc::_exit(0) };
            }
            child => {
                let mut status = 0;
                // SAFETY: `status` is an integer of ours.
                while unsafe { libc::waitpid(child, &mut status, 0) } == -1 && interrupted() {}
                assert_eq!(status, 0, "the child's wait status");
            }
        }
    }

    fn leave_a_zombie(&mut self) {
        if self.zombie == 0 {
            // SAFETY: the child does nothing but exit.
            match unsafe { libc::fork() } {
                -1 => {}
                0 => unsafe { libc::_exit(3) },
                child => self.zombie = child,
            }
        }
    }
}

pub fn interrupted() -> bool {
    Error::last_os_error().raw_os_error() == Some(libc::EINTR)
}

const SIGNALS: [libc::c_int; 3] = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

extern "C" fn nothing(_signal: libc::c_int) {}

fn hear_signals() {
    for signal in SIGNALS {
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(signal, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    }
    // SAFETY: as Rust's own start has it; the fuzzer's main() is not Rust's.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

fn raise(which: u8) {
    // SAFETY: there is a handler for each.
    unsafe { libc::raise(SIGNALS[usize::from(which) % SIGNALS.len()]) };
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
