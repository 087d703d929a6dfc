//! /proc: what it says of processes and of the system, read without an allocation.

use super::sys::close_raw;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use libc::c_int;

/// A path in /proc that ends in a NUL, without an allocation.
pub(super) struct Path {
    bytes: [u8; 64],
    len: usize,
}

impl Path {
    /// `/proc/self/fd/N`
    pub(super) fn of_descriptor(fd: c_int) -> Path {
        Path { bytes: [0; 64], len: 0 }.with(b"/proc/self/fd/").with_number(fd)
    }

    /// `/proc/PID/`; the numbers and names that follow leave room for the NUL.
    fn of_process(pid: c_int) -> Path {
        Path { bytes: [0; 64], len: 0 }.with(b"/proc/").with_number(pid).with(b"/")
    }

    pub(super) fn with(mut self, part: &[u8]) -> Path {
        for &byte in part {
            if self.len + 1 < self.bytes.len() {
                self.bytes[self.len] = byte;
                self.len += 1;
            }
        }
        self
    }

    fn with_number(self, number: c_int) -> Path {
        let mut digits = [0u8; 10];
        let (mut rest, mut first) = (number.max(0), digits.len());
        while rest > 0 || first == digits.len() {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.with(&digits[first..])
    }

    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// The beginning of a file, as much as `buffer` takes. The caller keeps other threads from forking meanwhile.
fn read<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: the path ends in a NUL, the buffer's length is given, and the descriptor is closed where it was
    // opened.
    let n = unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd == -1 {
            return None;
        }
        let n = libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len());
        close_raw(fd);
        n
    };
    buffer.get(..usize::try_from(n).ok()?)
}

fn number_of(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, &byte| number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
}

/// The number in a small file. The caller keeps other threads from forking meanwhile.
pub fn read_number(path: &CStr) -> Option<u64> {
    read(path, &mut [0; 24]).filter(|text| text.first().is_some_and(u8::is_ascii_digit)).map(number_of)
}

/// The fields of `/proc/PID/stat` that tell one process of a number from the next, and how it ended.
pub struct ProcessStat {
    state: u8,
    pub started: u64,
    pub exit_status: i32,
}

impl ProcessStat {
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The caller keeps other threads from forking meanwhile.
pub fn process_stat(pid: c_int) -> Option<ProcessStat> {
    let mut text = [0u8; 1024];
    let text = read(Path::of_process(pid).with(b"stat").as_c_str(), &mut text)?;
    // The name of the program comes before, in parentheses, and may contain some.
    let rest = &text[text.iter().rposition(|&byte| byte == b')')?..];
    let mut fields = rest.split(|&byte| byte == b' ').skip(1);
    // proc_pid_stat(5): state is field 3, the start time field 22, the exit status field 52.
    Some(ProcessStat {
        state: *fields.next()?.first()?,
        started: number_of(fields.nth(18)?),
        exit_status: number_of(fields.nth(29)?) as i32,
    })
}

/// May we look into the process as a debugger would? Then /proc tells the truth of it.
pub fn may_look_into(pid: c_int) -> bool {
    let mut target = [0u8; 32];
    let path = Path::of_process(pid).with(b"ns/user");
    // SAFETY: the path ends in a NUL; the buffer's length is given.
    unsafe { libc::readlink(path.as_c_str().as_ptr(), target.as_mut_ptr().cast(), target.len()) != -1 }
}

/// Calls `each` with the children of the process, whichever of its threads had them. The caller keeps other threads
/// from forking.
pub fn children_of(pid: c_int, each: &mut impl FnMut(c_int)) {
    let tasks = Path::of_process(pid).with(b"task");
    // SAFETY: the path ends in a NUL.
    let directory =
        unsafe { libc::open(tasks.as_c_str().as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    if directory == -1 {
        return;
    }
    let mut buffer = [0u8; 1024];
    loop {
        // SAFETY: the buffer's length is given.
        let n = unsafe { libc::syscall(libc::SYS_getdents64, directory, buffer.as_mut_ptr(), buffer.len()) };
        let Some(mut entries) = usize::try_from(n).ok().and_then(|n| buffer.get(..n)).filter(|all| !all.is_empty())
        else {
            break;
        };
        // struct linux_dirent64 (getdents(2)): the length of the entry is at 16, its name at 19.
        while let Some(&[low, high]) = entries.get(16..18) {
            let length = usize::from(u16::from_ne_bytes([low, high])).max(19);
            let (entry, rest) = entries.split_at(length.min(entries.len()));
            entries = rest;
            if let Some(name) = entry.get(19..).filter(|name| name.first().is_some_and(u8::is_ascii_digit)) {
                children_of_thread(pid, number_of(name) as c_int, each);
            }
        }
    }
    close_raw(directory);
}

fn children_of_thread(pid: c_int, thread: c_int, each: &mut impl FnMut(c_int)) {
    let path = Path::of_process(pid).with(b"task/").with_number(thread).with(b"/children");
    // SAFETY: the path ends in a NUL.
    let file = unsafe { libc::open(path.as_c_str().as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file == -1 {
        return;
    }
    let mut buffer = [0u8; 1024];
    // A number may lie across two reads.
    let mut number = 0;
    loop {
        // SAFETY: the buffer's length is given.
        let n = unsafe { libc::read(file, buffer.as_mut_ptr().cast(), buffer.len()) };
        let Some(text) = usize::try_from(n).ok().and_then(|n| buffer.get(..n)).filter(|text| !text.is_empty()) else {
            break;
        };
        for &byte in text {
            if byte.is_ascii_digit() {
                number = number * 10 + c_int::from(byte - b'0');
            } else if number != 0 {
                each(core::mem::take(&mut number));
            }
        }
    }
    close_raw(file);
}

/// Is the process in the system's first PID namespace, whose numbers the kernel uses when it tells of others'?
pub fn is_in_first_pid_namespace() -> bool {
    const FIRST: u64 = 0xEFFF_FFFC;
    let mut buffer = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: stat fills the buffer where it succeeds.
    unsafe {
        libc::stat(c"/proc/self/ns/pid".as_ptr(), buffer.as_mut_ptr()) == 0 && buffer.assume_init().st_ino == FIRST
    }
}
