//! The C runtimes of the process, and which of them is the caller's.
//!
//! A descriptor is a number in the table of one C runtime, and so is errno a variable of one; a process may hold
//! several (msvcrt.dll, ucrtbase.dll), which know nothing of each other. So kqueue()'s descriptor is made by the
//! runtime that the calling module imports, idents are looked up in it, and errno is set in it.
//!
//! The caller is found on the stack: the first return address outside this module. Its import table names its runtime.
//! A call on a kqueue needs no such search: the runtime that made its descriptor is remembered, and is the thread's
//! *current* one until the call is over.

use super::api::*;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

/// How many runtimes, and modules that use them, are told apart.
const MOST: usize = 8;
const MODULES: usize = 64;
const FRAMES: usize = 16;

/// The functions of one runtime, as addresses; `module` is stored last.
struct Functions {
    module: AtomicUsize,
    open_osfhandle: AtomicUsize,
    get_osfhandle: AtomicUsize,
    close: AtomicUsize,
    errno: AtomicUsize,
    signal: AtomicUsize,
    /// The UCRT's `_set_thread_local_invalid_parameter_handler`, else 0.
    quiet: AtomicUsize,
}

static RUNTIMES: [Functions; MOST] = [const {
    Functions {
        module: AtomicUsize::new(0),
        open_osfhandle: AtomicUsize::new(0),
        get_osfhandle: AtomicUsize::new(0),
        close: AtomicUsize::new(0),
        errno: AtomicUsize::new(0),
        signal: AtomicUsize::new(0),
        quiet: AtomicUsize::new(0),
    }
}; MOST];

/// Modules whose runtime is known: the module, and the runtime's index and 1.
static KNOWN: [(AtomicUsize, AtomicU32); MODULES] = [const { (AtomicUsize::new(0), AtomicU32::new(0)) }; MODULES];

/// The thread's slot for its current runtime: its number and 1, 0 before there is one. In it is the runtime's index
/// and 1. (Where no slot can be had the caller is looked for each time.)
static CURRENT: AtomicU32 = AtomicU32::new(0);

/// One of the process's C runtimes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crt(u8);

type OpenHandle = unsafe extern "C" fn(isize, c_int) -> c_int;
type GetHandle = unsafe extern "C" fn(c_int) -> isize;
type Close = unsafe extern "C" fn(c_int) -> c_int;
type ErrnoPlace = unsafe extern "C" fn() -> *mut c_int;
type SignalHandler = unsafe extern "C" fn(c_int);
type Signal = unsafe extern "C" fn(c_int, usize) -> usize;
type InvalidParameter = unsafe extern "C" fn(*const u16, *const u16, *const u16, u32, usize);
type SetInvalidParameter = unsafe extern "C" fn(Option<InvalidParameter>) -> Option<InvalidParameter>;

const O_NOINHERIT: c_int = 0x80;
const O_BINARY: c_int = 0x8000;

/// The UCRT's answer to a number that is no descriptor would be to end the process.
unsafe extern "C" fn ignore_invalid_parameter(_: *const u16, _: *const u16, _: *const u16, _: u32, _: usize) {}

impl Crt {
    pub fn index(self) -> i32 {
        i32::from(self.0)
    }

    pub fn of_index(index: i32) -> Option<Crt> {
        let functions = RUNTIMES.get(usize::try_from(index).ok()?)?;
        (functions.module.load(Acquire) != 0).then_some(Crt(index as u8))
    }

    /// All that are known.
    pub fn all() -> impl Iterator<Item = Crt> {
        (0..MOST as i32).map_while(Crt::of_index)
    }

    fn functions(self) -> &'static Functions {
        &RUNTIMES[usize::from(self.0)]
    }

    /// Runs `body` with the runtime's checks of its arguments made harmless.
    fn quietly<T>(self, body: impl FnOnce() -> T) -> T {
        let address = self.functions().quiet.load(Relaxed);
        if address == 0 {
            return body();
        }
        // SAFETY: `add` found the address under that function's name.
        let set = unsafe { core::mem::transmute::<usize, SetInvalidParameter>(address) };
        // SAFETY: the handler is a function of this module, which stays loaded, and is taken back at once.
        let before = unsafe { set(Some(ignore_invalid_parameter)) };
        let result = body();
        // SAFETY: what was there before.
        unsafe { set(before) };
        result
    }

    /// Makes a descriptor of a handle, which is the runtime's from then on. `None`: there is no number left.
    pub fn adopt(self, handle: Handle) -> Option<c_int> {
        // SAFETY: `add` found the address under that function's name.
        let open = unsafe { core::mem::transmute::<usize, OpenHandle>(self.functions().open_osfhandle.load(Relaxed)) };
        // SAFETY: the handle is ours to give.
        let fd = self.quietly(|| unsafe { open(handle as isize, O_NOINHERIT | O_BINARY) });
        (fd >= 0).then_some(fd)
    }

    /// The handle under a descriptor. errno stays.
    pub fn handle_of(self, fd: c_int) -> Option<Handle> {
        // SAFETY: `add` found the address under that function's name.
        let get = unsafe { core::mem::transmute::<usize, GetHandle>(self.functions().get_osfhandle.load(Relaxed)) };
        let errno = self.errno();
        // SAFETY: any number may be asked about.
        let handle = self.quietly(|| unsafe { get(fd) });
        self.set_errno(errno);
        // -2: a standard descriptor of a program without a console.
        (handle != -1 && handle != -2).then_some(handle as Handle)
    }

    pub fn close(self, fd: c_int) {
        // SAFETY: `add` found the address under that function's name.
        let close = unsafe { core::mem::transmute::<usize, Close>(self.functions().close.load(Relaxed)) };
        // SAFETY: the caller owns the descriptor.
        self.quietly(|| unsafe { close(fd) });
    }

    fn errno_place(self) -> *mut c_int {
        // SAFETY: `add` found the address under that function's name; it has no preconditions.
        unsafe { core::mem::transmute::<usize, ErrnoPlace>(self.functions().errno.load(Relaxed))() }
    }

    pub fn errno(self) -> c_int {
        // SAFETY: the runtime's errno of the calling thread.
        unsafe { *self.errno_place() }
    }

    pub fn set_errno(self, errno: c_int) {
        // SAFETY: the runtime's errno of the calling thread.
        unsafe { *self.errno_place() = errno }
    }

    /// The runtime's signal(): installs a handler and returns what was there; `None`: it takes no such signal.
    pub fn signal(self, signo: c_int, handler: usize) -> Option<usize> {
        let address = self.functions().signal.load(Relaxed);
        if address == 0 {
            return None;
        }
        // SAFETY: `add` found the address under that function's name.
        let signal = unsafe { core::mem::transmute::<usize, Signal>(address) };
        let errno = self.errno();
        // SAFETY: the handler is 0, 1 or a function that stays loaded.
        let before = self.quietly(|| unsafe { signal(signo, handler) });
        self.set_errno(errno);
        (before != usize::MAX).then_some(before)
    }
}

/// Calls a handler that `Crt::signal` returned.
pub fn call_handler(handler: usize, signo: c_int) {
    // SAFETY: the program installed it with signal(), so it is a function of this type.
    unsafe { core::mem::transmute::<usize, SignalHandler>(handler)(signo) }
}

/// The runtime of the thread's call that is under way, or of the caller.
pub fn current() -> Option<Crt> {
    let index = CURRENT.load(Acquire);
    if index != 0 {
        // SAFETY: the slot was given by TlsAlloc.
        let value = unsafe { TlsGetValue(index - 1) } as usize;
        if value != 0 {
            return Some(Crt((value - 1) as u8));
        }
    }
    of_caller()
}

/// A call on a kqueue of that runtime begins, or (`None`) is over.
pub fn set_current(crt: Option<Crt>) {
    if CURRENT.load(Acquire) == 0 {
        // SAFETY: no preconditions.
        let index = unsafe { TlsAlloc() };
        if index != u32::MAX {
            // Of two threads at once one is the first; the other's slot is not used.
            let _ = CURRENT.compare_exchange(0, index + 1, AcqRel, Acquire);
        }
    }
    let index = CURRENT.load(Acquire);
    if index != 0 {
        let value = crt.map_or(0, |crt| usize::from(crt.0) + 1);
        // SAFETY: the slot was given by TlsAlloc; the value is a number.
        unsafe { TlsSetValue(index - 1, value as *mut c_void) };
    }
}

/// The runtime that the caller of the library uses.
pub fn of_caller() -> Option<Crt> {
    let own = module_at(of_caller as fn() -> Option<Crt> as usize);
    // SAFETY: no name: the program itself.
    let main = unsafe { GetModuleHandleW(core::ptr::null()) };
    let mut frames = [0usize; FRAMES];
    // SAFETY: room for that many.
    let count = unsafe { RtlCaptureStackBackTrace(0, FRAMES as u32, frames.as_mut_ptr(), core::ptr::null_mut()) };
    let mut last = 0;
    for &frame in &frames[..usize::from(count)] {
        let module = module_at(frame);
        // In an archive we are part of the program.
        if module == 0 || module == last || (module == own && own != main) {
            continue;
        }
        last = module;
        if let Some(crt) = of_module(module) {
            return Some(crt);
        }
    }
    of_module(main).or_else(|| add(c"msvcrt.dll".to_bytes_with_nul())).or_else(|| add(b"ucrtbase.dll\0"))
}

/// The module that has code at the address; 0: none.
fn module_at(address: usize) -> Handle {
    const FROM_ADDRESS_UNCHANGED: u32 = 4 | 2;
    let mut module = 0;
    // SAFETY: with these flags the second argument is an address that is only looked up.
    unsafe { GetModuleHandleExW(FROM_ADDRESS_UNCHANGED, address as *const u16, &mut module) };
    module
}

fn of_module(module: Handle) -> Option<Crt> {
    for (known, index) in &KNOWN {
        match known.load(Acquire) {
            0 => break,
            other if other == module => {
                let index = index.load(Acquire);
                return (index != 0).then(|| Crt((index - 1) as u8));
            }
            _ => {}
        }
    }
    let crt = import_of(module)?;
    if let Some((place, index)) = KNOWN.iter().find(|(known, _)| known.load(Acquire) == 0) {
        // Two threads may enter two modules at one place: the loser's is looked up again next time. The index goes
        // in first, for who finds the module there.
        if index.compare_exchange(0, u32::from(crt.0) + 1, AcqRel, Acquire).is_ok() {
            place.store(module, Release);
        }
    }
    Some(crt)
}

/// Looks for a C runtime among what a module imports.
fn import_of(module: Handle) -> Option<Crt> {
    const PE_OFFSET: usize = 0x3c;
    const IMPORTS: usize = 24 + 120;
    const DESCRIPTOR: usize = 20;
    const NAME: usize = 12;
    // SAFETY: a loaded module of 64 bits begins with its headers, at these offsets of the PE format, and the loader has
    // checked them.
    let word = |offset: usize| unsafe { ((module + offset) as *const u32).read_unaligned() as usize };
    let imports = word(word(PE_OFFSET) + IMPORTS);
    if imports == 0 {
        return None;
    }
    (0..).map(|at| word(imports + at * DESCRIPTOR + NAME)).take_while(|&name| name != 0).find_map(|name| {
        // SAFETY: the name of an imported module is a C string in the image.
        let name = unsafe { core::ffi::CStr::from_ptr((module + name) as *const core::ffi::c_char) };
        let begins = |prefix: &str| {
            name.to_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        if begins("api-ms-win-crt-") {
            add(b"ucrtbase.dll\0")
        } else if begins("msvcr") || begins("ucrtbase") {
            add(name.to_bytes_with_nul())
        } else {
            None
        }
    })
}

/// The runtime in the loaded module of that name, which ends in a NUL.
fn add(name: &[u8]) -> Option<Crt> {
    let mut wide = [0u16; 64];
    for (to, &from) in wide.iter_mut().take(63).zip(name) {
        *to = u16::from(from);
    }
    // SAFETY: the name ends in a zero.
    let module = unsafe { GetModuleHandleW(wide.as_ptr()) };
    if module == 0 {
        return None;
    }
    if let Some(known) = Crt::all().find(|crt| crt.functions().module.load(Acquire) == module) {
        return Some(known);
    }
    // SAFETY: the names end in a NUL.
    let find = |name: &core::ffi::CStr| unsafe { GetProcAddress(module, name.as_ptr().cast()) } as usize;
    let (open, get, close, errno) =
        (find(c"_open_osfhandle"), find(c"_get_osfhandle"), find(c"_close"), find(c"_errno"));
    if open == 0 || get == 0 || close == 0 || errno == 0 {
        return None;
    }
    const BUSY: usize = 1;
    static LOCK: AtomicUsize = AtomicUsize::new(0);
    while LOCK.compare_exchange(0, BUSY, Acquire, Relaxed).is_err() {
        core::hint::spin_loop();
    }
    let place = RUNTIMES
        .iter()
        .position(|functions| matches!(functions.module.load(Acquire), other if other == 0 || other == module));
    if let Some(functions) = place.map(|place| &RUNTIMES[place]) {
        functions.open_osfhandle.store(open, Relaxed);
        functions.get_osfhandle.store(get, Relaxed);
        functions.close.store(close, Relaxed);
        functions.errno.store(errno, Relaxed);
        functions.signal.store(find(c"signal"), Relaxed);
        functions.quiet.store(find(c"_set_thread_local_invalid_parameter_handler"), Relaxed);
        functions.module.store(module, Release);
    }
    LOCK.store(0, Release);
    place.map(|place| Crt(place as u8))
}
