//! "Why does my event not come?": every kqueue and every event in it, and where it stands.
//!
//! An event is shown as the program would be told of it, with what the library knows: whether it is disabled, in one
//! of the lists, what the kernel is armed for, and what poll(2) says of the descriptor now.

use super::line::Line;
use super::names::{Entry, Side};
use crate::event::{kevent, EV_ADD};
use crate::kqueue::knote::{Knote, State};
use crate::kqueue::Queue;
use crate::platform::{self, outlet, sys, Arm, Mask};
use crate::registry;
use bitflags::parser::to_writer;
use core::fmt::Write;

/// Writes it all to `fd`. A queue that another thread is busy with, or that this one was interrupted in, is only named.
pub fn dump(fd: i32) {
    registry::each_queue(|number, queue| {
        let mut line = Line::new();
        match queue {
            None => {
                let _ = write!(line, "kqueue {number}: busy");
                outlet::write_to_program(fd, line.finish().to_bytes());
            }
            Some(queue) => {
                let contents = &queue.contents;
                let (ready, looked_at) = (contents.ready.len() + contents.departures.len(), contents.lookouts.len());
                let _ = write!(line, "kqueue {number}: {ready} ready, {looked_at} looked at");
                outlet::write_to_program(fd, line.finish().to_bytes());
                knotes(fd, queue);
            }
        }
    });
}

fn knotes(fd: i32, queue: &mut Queue) {
    queue.each_knote(|knote, armed| {
        let mut line = Line::new();
        let _ = write!(line, "    {}", Entry { kevent: shown(knote), side: Side::Change });
        let state = knote.state - State::PLACE;
        if !state.is_empty() {
            let _ = line.write_str("; ");
            let _ = to_writer(&state, &mut line);
        }
        if let Some(armed) = armed {
            let _ = line.write_str("; armed for ");
            let _ = to_writer(&(armed - Arm::PRESENT), &mut line);
        }
        if knote.filter.is_descriptor() {
            put_poll(&mut line, knote.fd());
        }
        outlet::write_to_program(fd, line.finish().to_bytes());
    });
}

fn shown(knote: &Knote) -> kevent {
    kevent {
        ident: knote.ident,
        filter: knote.filter.number(),
        flags: EV_ADD | u16::from(knote.sticky.bits()),
        fflags: knote.fflags,
        data: knote.data as isize,
        udata: knote.udata as *mut core::ffi::c_void,
    }
}

fn put_poll(line: &mut Line, fd: i32) {
    const NAMES: [(u32, &str); 6] = [
        (Mask::IN, " IN"),
        (Mask::OUT, " OUT"),
        (Mask::RDHUP, " RDHUP"),
        (Mask::HUP, " HUP"),
        (Mask::PRI, " PRI"),
        (Mask::ERR, " ERR"),
    ];
    if !sys::is_open(fd) {
        let _ = line.write_str("; not open");
        return;
    }
    let _ = line.write_str("; poll() says");
    let mask = platform::ask(fd);
    for (bit, name) in NAMES {
        if mask.has(bit) {
            let _ = line.write_str(name);
        }
    }
    if mask.0 == 0 {
        let _ = line.write_str(" nothing");
    }
}
