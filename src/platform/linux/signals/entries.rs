//! Entries in assembly: alike but for their addresses, in one row, so that an address is a number. They hand the
//! stack pointer on, which tells for certain whether the kernel entered, and leave no frame of their own.

use super::handler::{entered, Arrival};
use core::ffi::{c_int, c_void};
use libc::siginfo_t;

pub(super) const ENTRIES: usize = 256;
/// Bytes from one entry to the next.
const STEP: usize = 32;
/// From the stack pointer at entry to the context: the return address; a siginfo_t.
const TO_CONTEXT: usize = if cfg!(target_arch = "x86_64") { 8 } else { size_of::<siginfo_t>() };

macro_rules! row {
    ($($entry:literal),+) => {
        core::arch::global_asm!(
            ".pushsection .text.kqueue_signal_entries, \"ax\", @progbits",
            ".balign 32",
            ".hidden kqueue_signal_entries",
            ".globl kqueue_signal_entries",
            ".type kqueue_signal_entries, @function",
            "kqueue_signal_entries:",
            ".rept {entries}",
            ".balign 32",
            $($entry,)+
            ".endr",
            ".balign 32",
            ".size kqueue_signal_entries, . - kqueue_signal_entries",
            ".popsection",
            entries = const ENTRIES,
            from_entry = sym from_entry,
        );
    };
}

#[cfg(target_arch = "x86_64")]
row!("77: endbr64", "lea r8, [rip + 77b]", "mov rcx, rsp", "jmp {from_entry}");

#[cfg(target_arch = "aarch64")]
row!("77: hint #34", "adr x4, 77b", "mov x3, sp", "b {from_entry}");

// Debuggers and unwinders know a signal frame by the very bytes that return from it; so there is no CFI. An
// unwinder looks at the byte before a return address: the nop.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".pushsection .text.kqueue_signal_entries, \"ax\", @progbits",
    ".hidden kqueue_signal_restorer",
    ".globl kqueue_signal_restorer",
    ".type kqueue_signal_restorer, @function",
    "nop",
    "kqueue_signal_restorer:",
    ".byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05",
    ".size kqueue_signal_restorer, . - kqueue_signal_restorer",
    ".popsection",
);

extern "C" {
    #[link_name = "kqueue_signal_entries"]
    static FIRST: [[u8; STEP]; ENTRIES];
    #[cfg(target_arch = "x86_64")]
    #[link_name = "kqueue_signal_restorer"]
    static RESTORER: [u8; 9];
}

/// # Safety
/// Called by the entries only.
unsafe extern "C-unwind" fn from_entry(
    signo: c_int,
    info: *mut siginfo_t,
    context: *mut c_void,
    sp: usize,
    entry: usize,
) {
    let direct = context as usize == sp.wrapping_add(TO_CONTEXT);
    // SAFETY: the arguments are those of a signal handler.
    unsafe { entered(entry.wrapping_sub(address(0)) / STEP, &Arrival { signo, info, context, sp, direct }) }
}

pub(super) fn address(index: usize) -> usize {
    // The address alone is taken.
    (&raw const FIRST) as usize + index * STEP
}

pub(super) fn index(address: usize) -> Option<usize> {
    let distance = address.wrapping_sub(self::address(0));
    (distance < ENTRIES * STEP && distance % STEP == 0).then_some(distance / STEP)
}

pub(super) fn restorer() -> usize {
    #[cfg(target_arch = "x86_64")]
    return (&raw const RESTORER) as usize;
    #[cfg(not(target_arch = "x86_64"))]
    return 0;
}
