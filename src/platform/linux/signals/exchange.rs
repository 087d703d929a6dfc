//! What the system is told of an action, and says, with nothing of ours in between.

use super::action::{Action, SA_RESTORER};
use super::entries;
use super::sys;
use crate::errno::Result;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use libc::c_int;

type Sigaction = unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;

/// The sigaction() behind ours: libc's, or another interposer's. Null before `find_next` and in a static program.
static NEXT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Finds the sigaction() behind ours.
pub(super) fn find_next() {
    // SAFETY: a literal name; RTLD_NEXT is the object after ours in the search order.
    NEXT.store(unsafe { libc::dlsym(libc::RTLD_NEXT, c"sigaction".as_ptr()) }, SeqCst);
}

/// Sets `new` if there is one, and returns what was before.
pub(super) fn exchange(signo: c_int, new: Option<&Action>) -> Result<Action> {
    let next = NEXT.load(SeqCst);
    if next.is_null() {
        return exchange_raw(signo, new);
    }
    // SAFETY: `find_next` stored the address of a function of this type.
    let next = unsafe { core::mem::transmute::<*mut c_void, Sigaction>(next) };
    let new = new.map(|action| action.to_libc());
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both structs are locals that live through the call; a zeroed one is valid if it is not filled.
    unsafe {
        if next(signo, new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref), old.as_mut_ptr()) != 0 {
            return Err(sys::last_errno());
        }
        Ok(Action::from_libc(&old.assume_init()))
    }
}

/// `struct sigaction` as the kernel has it (asm-generic; x86, arm, powerpc, s390 have the same members).
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
    restorer: usize,
    mask: [u32; 2],
}

/// The bare system call. The restorer that came with an action goes back with it; an action that never had one
/// gets ours, where the kernel needs one.
pub(super) fn exchange_raw(signo: c_int, new: Option<&Action>) -> Result<Action> {
    let new = new.map(|action| {
        let restorer = if action.flags & SA_RESTORER != 0 { action.restorer } else { entries::restorer() };
        let flags = action.flags & !SA_RESTORER | if restorer != 0 { SA_RESTORER } else { 0 };
        KernelAction {
            handler: action.handler,
            flags: flags as u32 as libc::c_ulong,
            #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
            restorer,
            // SAFETY: two integers for one of the same size.
            mask: unsafe { core::mem::transmute::<u64, [u32; 2]>(action.mask) },
        }
    });
    let mut old = MaybeUninit::<KernelAction>::zeroed();
    // SAFETY: both structs are the kernel's layout and live through the call; 8 is the size of its set.
    let old = unsafe {
        let new = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        if libc::syscall(libc::SYS_rt_sigaction, signo, new, old.as_mut_ptr(), 8usize) != 0 {
            return Err(sys::last_errno());
        }
        old.assume_init()
    };
    Ok(Action {
        handler: old.handler,
        flags: old.flags as u32 as c_int,
        // SAFETY: as above.
        mask: unsafe { core::mem::transmute::<[u32; 2], u64>(old.mask) },
        #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
        restorer: old.restorer,
        #[cfg(any(target_arch = "riscv64", target_arch = "loongarch64"))]
        restorer: 0,
    })
}
