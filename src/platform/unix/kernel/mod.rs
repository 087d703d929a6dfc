//! What POSIX does not say and the kernel at hand tells all the same, or names in its own way.
//!
//! `linux` is for every system on that kernel, whichever backend asks; `solaris` for illumos and Oracle Solaris, `other` for
//! the kernels of which no more is used than what POSIX promises. A kernel that tells more gets a file of its own here.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux_tcp;
#[cfg(any(target_os = "linux", target_os = "android"))]
use {linux as host, linux_tcp as host_tcp};

#[cfg_attr(any(target_os = "solaris", target_os = "illumos"), allow(dead_code))]
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod other;

#[allow(dead_code)] // not every backend's
pub mod missing;

#[cfg(any(target_os = "solaris", target_os = "illumos"))]
mod solaris;
#[cfg(any(target_os = "solaris", target_os = "illumos"))]
use {solaris as host, solaris as host_tcp};

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "solaris", target_os = "illumos")))]
use {other as host, other as host_tcp};

pub use host::{
    completed, libc_signals, pipe_size, restorer, send_space, set_restorer, sigtimedwait, socket_error, EXTRA_FLAGS,
    POLLRDHUP, SA_RESTORER, SO_PROTOCOL,
};
pub use host_tcp::tcp_info;
