//! What POSIX does not say and the kernel at hand tells all the same, or names in its own way.
//!
//! `linux` is for every system on that kernel, whichever backend asks; `other` for the kernels of which no more is
//! used than what POSIX promises. A kernel that tells more gets a file of its own here.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux_tcp;
#[cfg(any(target_os = "linux", target_os = "android"))]
use {linux as host, linux_tcp as host_tcp};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod other;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use {other as host, other as host_tcp};

pub use host::{libc_signals, pipe_size, restorer, send_space, set_restorer, EXTRA_FLAGS, SA_RESTORER};
pub use host_tcp::tcp_info;
