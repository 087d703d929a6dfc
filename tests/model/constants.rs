//! The numbers of `<sys/event.h>`, written down a second time, and their names.

pub const READ: i16 = -1;
pub const WRITE: i16 = -2;
pub const AIO: i16 = -3;
pub const PROC: i16 = -5;
pub const SIGNAL: i16 = -6;
pub const TIMER: i16 = -7;
pub const USER: i16 = -11;
pub const EMPTY: i16 = -13;
pub const EXCEPT: i16 = -17;

pub const ADD: u16 = 0x1;
pub const DELETE: u16 = 0x2;
pub const ENABLE: u16 = 0x4;
pub const DISABLE: u16 = 0x8;
pub const ONESHOT: u16 = 0x10;
pub const CLEAR: u16 = 0x20;
pub const RECEIPT: u16 = 0x40;
pub const DISPATCH: u16 = 0x80;
pub const FORCEONESHOT: u16 = 0x100;
pub const KEEPUDATA: u16 = 0x200;
pub const ERROR: u16 = 0x4000;
pub const EOF: u16 = 0x8000;
pub const SYSFLAGS: u16 = 0xf000;

pub const LOWAT: u32 = 1;
pub const FILE_POLL: u32 = 2;
pub const OOB: u32 = 2;
pub const EXIT: u32 = 0x8000_0000;
pub const FFAND: u32 = 0x4000_0000;
pub const FFOR: u32 = 0x8000_0000;
pub const FFCOPY: u32 = 0xc000_0000;
pub const FFLAGSMASK: u32 = 0xff_ffff;
pub const TRIGGER: u32 = 0x100_0000;
pub const SECONDS: u32 = 1;
pub const USECONDS: u32 = 2;
pub const ABSOLUTE: u32 = 8;

pub const FLAGS: [(u16, &str); 12] = [
    (ADD, "ADD"),
    (DELETE, "DELETE"),
    (ENABLE, "ENABLE"),
    (DISABLE, "DISABLE"),
    (ONESHOT, "ONESHOT"),
    (CLEAR, "CLEAR"),
    (RECEIPT, "RECEIPT"),
    (DISPATCH, "DISPATCH"),
    (FORCEONESHOT, "FORCEONESHOT"),
    (KEEPUDATA, "KEEPUDATA"),
    (ERROR, "ERROR"),
    (EOF, "EOF"),
];

pub fn filter_name(filter: i16) -> &'static str {
    match filter {
        READ => "READ",
        WRITE => "WRITE",
        PROC => "PROC",
        SIGNAL => "SIGNAL",
        TIMER => "TIMER",
        USER => "USER",
        EMPTY => "EMPTY",
        EXCEPT => "EXCEPT",
        _ => "other",
    }
}

pub fn flag_names(flags: u16) -> String {
    let names: Vec<&str> = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() {
        "0".into()
    } else {
        names.join("|")
    }
}
