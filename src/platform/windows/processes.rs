//! Processes: a handle of the queue's own for each, on which the thread pool waits; its callback posts to the port.

use super::api::*;
use super::poller::{Poller, KEY_PROCESS};
use super::sys;
use crate::errno::{Errno, Result};
use crate::registry;
use core::ffi::c_void;

pub use crate::platform::events::Fate;

/// The thread pool hears of every end.
pub fn is_deaf() -> bool {
    false
}

/// A process that a queue watches.
#[derive(Clone, Copy)]
pub struct Wait {
    index: u32,
    process: Handle,
    wait: Handle,
}

const ACCESS: u32 = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;

fn open(pid: i32) -> Result<Handle> {
    // SAFETY: no pointers.
    let process = unsafe { OpenProcess(ACCESS, 0, pid as u32) };
    if process == 0 {
        // SAFETY: no preconditions.
        return Err(match unsafe { GetLastError() } {
            ERROR_ACCESS_DENIED => Errno::EPERM,
            _ => Errno(libc::ESRCH),
        });
    }
    // A number that is no multiple of 4 opens its neighbour's process.
    // SAFETY: the handle was just opened.
    if unsafe { GetProcessId(process) } != pid as u32 {
        sys::close_handle(process);
        return Err(Errno(libc::ESRCH));
    }
    Ok(process)
}

/// Can there be such a process at all?
pub fn exists(pid: i32) -> bool {
    match open(pid) {
        Ok(process) => {
            sys::close_handle(process);
            true
        }
        Err(errno) => errno == Errno::EPERM,
    }
}

/// Is the number the handle of a process?
pub fn is_process(number: i32) -> bool {
    // SAFETY: any number may be asked about.
    number > 0 && number % 4 == 0 && sys::keeping_last_error(|| unsafe { GetProcessId(number as Handle) } != 0)
}

/// The number of the process behind a handle. `EBADF` not open; `EINVAL` no process.
pub fn number_of(handle: i32) -> Result<i32> {
    if is_process(handle) {
        // SAFETY: as in `is_process`.
        return Ok(unsafe { GetProcessId(handle as Handle) } as i32);
    }
    Err(if sys::is_open(handle) { Errno::EINVAL } else { Errno::EBADF })
}

pub fn children_of(_: i32, _: &mut impl FnMut(i32)) {}

pub fn needs_clock(_: i32) -> bool {
    true
}

pub fn started(_: i32) -> Option<u64> {
    None
}

pub fn close_pidfds(_: impl Fn(u32) -> bool) {}

pub fn fate(process: i32, _: i32) -> Fate {
    fate_of(process as Handle)
}

fn fate_of(process: Handle) -> Fate {
    let mut code = 0;
    // 259 may be a status like any: only the wait tells.
    // SAFETY: a process handle of ours; the code is a local.
    unsafe {
        if WaitForSingleObject(process, 0) != 0 {
            return Fate::Alive;
        }
        if GetExitCodeProcess(process, &mut code) == 0 {
            return Fate::Exited(None);
        }
    }
    // As the C library has it; more than 8 bits have no place in a status of wait(2).
    Fate::Exited(Some(((code & 0xff) << 8) as i32))
}

pub fn fate_by_number(pid: i32, _: Option<u64>) -> Fate {
    match open(pid) {
        Ok(process) => {
            let fate = fate_of(process);
            sys::close_handle(process);
            fate
        }
        Err(Errno::EPERM) => Fate::Alive,
        Err(_) => Fate::Exited(None),
    }
}

/// The thread pool has seen the end of a process. `context`: the queue's slot and the process's index.
unsafe extern "system" fn ended(context: *mut c_void, _: u8) {
    let context = context as usize;
    if let Some(kernel) = registry::kernel((context >> 32) as u32) {
        kernel.post(KEY_PROCESS, context as u32 as usize);
    }
}

impl Poller {
    /// Watches the process with that number. Returns the handle that it is known by. `ESRCH`, `EPERM`, `ENOMEM`.
    pub fn watch_process(&self, slot: u32, index: u32, pid: i32) -> Result<i32> {
        let process = open(pid)?;
        self.wait_for(slot, index, process).inspect_err(|_| sys::close_handle(process))
    }

    /// The same for the process behind a handle of the program's.
    pub fn watch_process_of(&self, slot: u32, index: u32, handle: i32) -> Result<i32> {
        let mut process = 0;
        // SAFETY: the new handle goes into a local.
        let made = unsafe {
            let own = GetCurrentProcess();
            DuplicateHandle(own, handle as Handle, own, &mut process, ACCESS, 0, 0)
        };
        if made == 0 {
            return Err(sys::error());
        }
        self.wait_for(slot, index, process).inspect_err(|_| sys::close_handle(process))
    }

    fn wait_for(&self, slot: u32, index: u32, process: Handle) -> Result<i32> {
        let mut table = self.table()?;
        table.waits.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let number = i32::try_from(process).map_err(|_| Errno::EMFILE)?;
        let context = (slot as usize) << 32 | index as usize;
        let mut wait = 0;
        // SAFETY: the callback looks the queue up by its slot, and slots are never freed.
        let registered = unsafe {
            let flags = WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD;
            RegisterWaitForSingleObject(&mut wait, process, ended, context as *mut c_void, INFINITE, flags)
        };
        if registered == 0 {
            return Err(sys::error());
        }
        table.waits.push(Wait { index, process, wait });
        Ok(number)
    }

    pub fn pidfd_of(&self, _: u32, _: u32, process: i32) -> Option<i32> {
        Some(process)
    }

    pub fn unwatch_process(&self, _: u32, index: u32, process: i32, _: bool) {
        let Ok(mut table) = self.table() else { return };
        let same = |wait: &Wait| wait.index == index && wait.process == process as Handle;
        let Some(at) = table.waits.iter().position(same) else { return };
        let wait = table.waits.swap_remove(at);
        drop(table);
        wait.end();
    }

    pub fn close_processes(&self, _: u32) {
        loop {
            let Ok(mut table) = self.table() else { return };
            let Some(wait) = table.waits.pop() else { return };
            drop(table);
            wait.end();
        }
    }

    pub fn has_processes(&self) -> bool {
        false
    }
}

impl Wait {
    /// The callback is not under way any more. It takes no lock, so holding one is no harm.
    fn end(self) {
        // SAFETY: the wait and the handle are the queue's own, and nobody has them any more.
        unsafe { UnregisterWaitEx(self.wait, INVALID) };
        sys::close_handle(self.process);
    }
}
