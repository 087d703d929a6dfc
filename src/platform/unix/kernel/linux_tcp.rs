//! What Linux tells of a TCP connection: how far it has come, and why it ended.
//!
//! The error of a socket is not taken (3.3), so it is worked out from the counters.

use crate::platform::sys;
use libc::c_int;

const TCP_ESTABLISHED: u8 = 1;
const TCP_SYN_SENT: u8 = 2;
const TCP_SYN_RECV: u8 = 3;
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;
const TCP_LISTEN: u8 = 10;

/// The fields of the kernel's `struct tcp_info` (linux/tcp.h) that tell how a connection stands.
pub struct TcpInfo {
    state: u8,
    options: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    unacked: u32,
    /// Milliseconds since the peer last acknowledged something.
    last_ack: u32,
    rtt: u32,
    total_retransmits: u32,
    segments_in: u32,
    /// How many bytes were ever acknowledged, and received, where the kernel counts them.
    bytes: [Option<u64>; 2],
}

/// `None`: it is none, or a sandbox forbids the question.
pub fn tcp_info(fd: c_int) -> Option<TcpInfo> {
    // Bytes 0 to 7 are small fields, then come 32-bit words; offsets as in linux/tcp.h.
    let (raw, length) = sys::socket_option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, [0u32; 60]).ok()?;
    let word = |offset: usize| if offset + 4 <= length { raw[offset / 4] } else { 0 };
    let byte = |offset: usize| raw[offset / 4].to_ne_bytes()[offset % 4];
    let long = |offset: usize| {
        let halves = [raw[offset / 4], raw[offset / 4 + 1]].map(u64::from);
        let [low, high] = if cfg!(target_endian = "big") { [halves[1], halves[0]] } else { halves };
        (offset + 8 <= length).then_some(high << 32 | low)
    };
    Some(TcpInfo {
        state: byte(0),
        retransmits: byte(2),
        probes: byte(3),
        backoff: byte(4),
        options: byte(5),
        unacked: word(24),
        last_ack: word(56),
        rtt: word(68),
        total_retransmits: word(100),
        segments_in: word(140),
        bytes: [long(120), long(128)],
    })
}

impl TcpInfo {
    pub fn listens(&self) -> bool {
        self.state == TCP_LISTEN
    }

    pub fn cannot_send(&self) -> bool {
        !matches!(self.state, TCP_ESTABLISHED | TCP_CLOSE_WAIT | TCP_SYN_SENT | TCP_SYN_RECV)
    }

    /// How many connections wait to be accepted, where it listens.
    pub fn waiting(&self) -> i64 {
        i64::from(self.unacked)
    }

    /// How many bytes it has ever received, or, asked about writing, got acknowledged.
    #[allow(dead_code)] // not every backend's
    pub fn bytes(&self, writing: bool) -> Option<u64> {
        self.bytes[usize::from(!writing)]
    }

    /// The error that lies on the connection `fd`, which has one. An error that ends nothing (a message in the error
    /// queue) is 0.
    pub fn error(&self, fd: c_int) -> c_int {
        if self.state != TCP_CLOSE {
            0
        } else if self.was_established() && self.gave_up(fd) {
            libc::ETIMEDOUT
        } else if self.was_established() {
            libc::ECONNRESET
        } else if self.segments_in > 0 {
            libc::ECONNREFUSED
        } else if self.total_retransmits > 0 || self.retransmits > 0 {
            libc::ETIMEDOUT
        } else {
            libc::EHOSTUNREACH
        }
    }

    fn was_established(&self) -> bool {
        self.rtt != 0 || self.options != 0
    }

    /// Did the system give the connection up, after it had said everything often enough? A reset may come in the middle
    /// of that, so the counters have to be near their limits; the kernel counts time, which at a long round trip takes
    /// fewer attempts.
    fn gave_up(&self, fd: c_int) -> bool {
        const TCP_USER_TIMEOUT: c_int = 18;
        const DEFAULT_ATTEMPTS: u64 = 15;
        let option = |name, otherwise| {
            sys::socket_option::<u32>(fd, libc::IPPROTO_TCP, name, 0).map_or(otherwise, |(value, _)| value)
        };
        let attempts = u32::from(self.retransmits.max(self.backoff)).max(u32::from(self.probes));
        let patience = option(TCP_USER_TIMEOUT, 0);
        if patience > 0 && attempts > 0 && self.last_ack >= patience {
            return true;
        }
        let limit = sys::connection_attempts().unwrap_or(DEFAULT_ATTEMPTS);
        let keepalives = option(libc::TCP_KEEPCNT, u32::MAX).max(1);
        u64::from(attempts) * 3 >= limit.max(1) * 2 || u32::from(self.probes) >= keepalives
    }
}
