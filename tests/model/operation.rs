//! The grammar of the sequences, and how they shrink.
//!
//! An operation names places (slots), not descriptors: what is in a place is known when the sequence is run. So any
//! part of a sequence is a sequence, and proptest shrinks one by leaving operations out and making numbers smaller.
//! A place that is empty is looked for further on; where nothing fits the operation does nothing.

use super::constants::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
pub enum Operation {
    Kevent(Call),
    /// Calls with so little room that it takes several to hear of all that is ready (1.12).
    Round {
        queue: u8,
        room: u8,
    },
    Write {
        place: u8,
        bytes: u16,
    },
    Read {
        place: u8,
        bytes: u16,
    },
    /// Writes until no more is taken.
    Fill {
        place: u8,
    },
    /// Reads all that is there.
    Empty {
        place: u8,
    },
    /// Of the write side.
    Shutdown {
        place: u8,
    },
    /// Of a regular file.
    Seek {
        place: u8,
        to: u16,
    },
    Truncate {
        place: u8,
    },
    Open {
        kind: Opening,
        place: u8,
    },
    Close {
        place: u8,
    },
    Duplicate {
        place: u8,
        to: u8,
    },
    /// `dup2()` over another one; `queue`: over a kqueue.
    Replace {
        place: u8,
        over: u8,
        queue: bool,
    },
    OpenQueue {
        queue: u8,
    },
    CloseQueue {
        queue: u8,
    },
    Fork,
    Spawn,
    Exit {
        child: u8,
        status: u8,
    },
    Reap {
        child: u8,
    },
    Raise {
        signal: u8,
    },
    Block {
        signal: u8,
        block: bool,
    },
    Dispose {
        signal: u8,
        handle: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    Pipe,
    Stream,
    Datagram,
    Packet,
    Tcp,
    Regular,
    Fifo,
    /// One more writer of a FIFO whose reader is open.
    FifoWriter,
    Counter,
    Directory,
}

/// One kevent().
#[derive(Clone, Debug)]
pub struct Call {
    pub queue: u8,
    pub changes: Vec<Change>,
    pub room: u8,
    pub list: List,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    Apart,
    /// changelist and eventlist are one array (1.8).
    Shared,
    /// Through a duplicate of the kqueue (10.7).
    ByDuplicate,
    /// With time to wait, if something is ready.
    Waiting,
}

#[derive(Clone, Debug)]
pub struct Change {
    pub about: About,
    pub target: u8,
    pub flags: u16,
    pub note: u8,
    pub data: u8,
    pub udata: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    Read,
    Write,
    Except,
    Empty,
    /// EVFILT_READ of another kqueue.
    Queue,
    /// A descriptor's filter on a number that was closed, or never can be one.
    NoDescriptor,
    User,
    Timer,
    Signal,
    Process,
    /// A filter that nobody knows.
    Unknown,
}

/// Some of them are wrong.
const MIXED_ACTIONS: [u16; 6] =
    [ADD | KEEPUDATA, ENABLE | DISABLE, ENABLE | KEEPUDATA, DISABLE | KEEPUDATA, DELETE | DISABLE, ADD | DELETE];
const MIXED_MODES: [u16; 6] =
    [CLEAR | ONESHOT, CLEAR | DISPATCH, ONESHOT | DISPATCH, FORCEONESHOT, EOF | ERROR, FORCEONESHOT | CLEAR];

fn flags() -> impl Strategy<Value = u16> {
    let action = prop_oneof![
        8 => Just(ADD),
        1 => Just(ADD | ENABLE),
        1 => Just(ADD | DISABLE),
        2 => Just(DELETE),
        2 => Just(ENABLE),
        2 => Just(DISABLE),
        1 => Just(0),
        1 => select(MIXED_ACTIONS.to_vec()),
    ];
    let mode = prop_oneof![
        5 => Just(0),
        3 => Just(CLEAR),
        2 => Just(ONESHOT),
        2 => Just(DISPATCH),
        1 => select(MIXED_MODES.to_vec()),
    ];
    let receipt = prop_oneof![9 => Just(0), 1 => Just(RECEIPT)];
    (action, mode, receipt).prop_map(|(action, mode, receipt)| action | mode | receipt)
}

fn change() -> impl Strategy<Value = Change> {
    let about = prop_oneof![
        10 => Just(About::Read),
        7 => Just(About::Write),
        4 => Just(About::User),
        2 => Just(About::Timer),
        2 => Just(About::Signal),
        2 => Just(About::Process),
        2 => Just(About::Queue),
        1 => Just(About::Except),
        1 => Just(About::Empty),
        1 => Just(About::NoDescriptor),
        1 => Just(About::Unknown),
    ];
    (about, 0..PLACES as u8, flags(), 0..64u8, 0..6u8, 0..8u8)
        .prop_map(|(about, target, flags, note, data, udata)| Change { about, target, flags, note, data, udata })
}

fn call() -> impl Strategy<Value = Call> {
    let list = prop_oneof![
        6 => Just(List::Apart),
        1 => Just(List::Shared),
        1 => Just(List::ByDuplicate),
        1 => Just(List::Waiting),
    ];
    let room = prop_oneof![6 => Just(32u8), 2 => Just(0u8), 2 => 1..4u8];
    (0..QUEUES as u8, vec(change(), 0..4), room, list).prop_map(|(queue, changes, room, list)| Call {
        queue,
        changes,
        room,
        list,
    })
}

/// How many places for descriptors and kqueues there are.
pub const PLACES: usize = 8;
pub const QUEUES: usize = 3;

fn opening() -> impl Strategy<Value = Opening> {
    prop_oneof![
        4 => Just(Opening::Pipe),
        4 => Just(Opening::Stream),
        2 => Just(Opening::Datagram),
        1 => Just(Opening::Packet),
        1 => Just(Opening::Tcp),
        2 => Just(Opening::Regular),
        1 => Just(Opening::Fifo),
        1 => Just(Opening::FifoWriter),
        1 => Just(Opening::Counter),
        1 => Just(Opening::Directory),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = || 0..PLACES as u8;
    let queue = || 0..QUEUES as u8;
    let bytes = || prop_oneof![Just(1u16), Just(0), 2..300u16, Just(4096), Just(5000)];
    let signal = || 0..3u8;
    let io = prop_oneof![
        6 => (place(), bytes()).prop_map(|(place, bytes)| Operation::Write { place, bytes }),
        3 => (place(), bytes()).prop_map(|(place, bytes)| Operation::Read { place, bytes }),
        2 => place().prop_map(|place| Operation::Empty { place }),
        1 => place().prop_map(|place| Operation::Fill { place }),
        1 => place().prop_map(|place| Operation::Shutdown { place }),
        1 => (place(), 0..300u16).prop_map(|(place, to)| Operation::Seek { place, to }),
        1 => place().prop_map(|place| Operation::Truncate { place }),
    ];
    let replaces_queue = prop_oneof![15 => Just(false), 1 => Just(true)];
    let descriptors = prop_oneof![
        4 => place().prop_map(|place| Operation::Close { place }),
        3 => (opening(), place()).prop_map(|(kind, place)| Operation::Open { kind, place }),
        2 => (place(), place()).prop_map(|(place, to)| Operation::Duplicate { place, to }),
        2 => (place(), place(), replaces_queue).prop_map(|(place, over, queue)| {
            Operation::Replace { place, over, queue }
        }),
        1 => queue().prop_map(|queue| Operation::OpenQueue { queue }),
        1 => queue().prop_map(|queue| Operation::CloseQueue { queue }),
    ];
    let others = prop_oneof![
        3 => signal().prop_map(|signal| Operation::Raise { signal }),
        2 => (signal(), any::<bool>()).prop_map(|(signal, block)| Operation::Block { signal, block }),
        1 => (signal(), any::<bool>()).prop_map(|(signal, handle)| Operation::Dispose { signal, handle }),
        1 => Just(Operation::Spawn),
        1 => (0..3u8, 0..4u8).prop_map(|(child, status)| Operation::Exit { child, status }),
        1 => (0..3u8).prop_map(|child| Operation::Reap { child }),
    ];
    prop_oneof![
        40 => call().prop_map(Operation::Kevent),
        5 => (queue(), 1..4u8).prop_map(|(queue, room)| Operation::Round { queue, room }),
        25 => io,
        10 => descriptors,
        10 => others,
    ]
}

/// A few open descriptors, then anything.
pub fn sequence() -> impl Strategy<Value = Vec<Operation>> {
    let open = (opening(), 0..PLACES as u8).prop_map(|(kind, place)| Operation::Open { kind, place });
    let fork = prop_oneof![29 => Just(None), 1 => Just(Some(Operation::Fork))];
    (vec(open, 0..5), vec(operation(), 0..24), fork, vec(operation(), 0..20)).prop_map(
        |(mut all, before, fork, after)| {
            all.extend(before);
            all.extend(fork);
            all.extend(after);
            all
        },
    )
}
