//! The functions and structures of Windows that the backend uses, as its headers declare them.
//!
//! Written by hand, because they are few. What is not in every Windows is looked up at run time, not here.

use core::ffi::c_void;

/// A HANDLE or a SOCKET. As numbers: they are compared, kept in atomics, and given to us as idents.
pub type Handle = usize;
pub type Bool = i32;
pub type Ntstatus = i32;

pub const INVALID: Handle = usize::MAX;
pub const INFINITE: u32 = u32::MAX;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Overlapped {
    /// An NTSTATUS, while the operation is pending `STATUS_PENDING`.
    pub internal: usize,
    pub internal_high: usize,
    pub offset: u64,
    pub event: Handle,
}

impl Overlapped {
    pub const NONE: Overlapped = Overlapped { internal: 0, internal_high: 0, offset: 0, event: 0 };
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct OverlappedEntry {
    pub key: usize,
    pub overlapped: usize,
    pub internal: usize,
    pub bytes: u32,
}

impl OverlappedEntry {
    pub const NONE: OverlappedEntry = OverlappedEntry { key: 0, overlapped: 0, internal: 0, bytes: 0 };
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct IoStatusBlock {
    pub status: usize,
    pub information: usize,
}

#[repr(C)]
pub struct UnicodeString {
    /// In bytes.
    pub length: u16,
    pub maximum_length: u16,
    pub buffer: *const u16,
}

#[repr(C)]
pub struct ObjectAttributes {
    pub length: u32,
    pub root: Handle,
    pub name: *const UnicodeString,
    pub attributes: u32,
    pub security: *const c_void,
    pub quality: *const c_void,
}

/// `AFD_POLL_INFO` for one socket, as wepoll and libuv use it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PollInfo {
    /// `i64::MAX`: never; 0: at once.
    pub timeout: i64,
    pub handles: u32,
    pub exclusive: u32,
    pub socket: Handle,
    pub events: u32,
    pub status: Ntstatus,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FileInformation {
    pub attributes: u32,
    pub times: [u32; 6],
    pub volume: u32,
    pub size_high: u32,
    pub size_low: u32,
    pub links: u32,
    pub index_high: u32,
    pub index_low: u32,
}

/// `WSABUF`.
#[repr(C)]
pub struct SocketBuffer {
    pub length: u32,
    pub bytes: *const u8,
}

/// `FILE_BASIC_INFO`: times in 100 ns since 1601.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FileBasicInformation {
    pub creation: i64,
    pub access: i64,
    pub write: i64,
    pub change: i64,
    pub attributes: u32,
}

/// `FILE_STANDARD_INFO`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FileStandardInformation {
    pub allocated: i64,
    pub size: i64,
    pub links: u32,
    pub delete_pending: u8,
    pub directory: u8,
}

/// `FILE_PIPE_LOCAL_INFORMATION`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct PipeInformation {
    pub kind: u32,
    pub configuration: u32,
    pub most_instances: u32,
    pub instances: u32,
    pub inbound_quota: u32,
    pub read_data: u32,
    pub outbound_quota: u32,
    pub write_quota: u32,
    pub state: u32,
    pub end: u32,
}

pub const STATUS_PENDING: Ntstatus = 0x103;

pub const ERROR_ACCESS_DENIED: u32 = 5;
pub const ERROR_BROKEN_PIPE: u32 = 109;

pub const GENERIC_WRITE: u32 = 0x4000_0000;
pub const FILE_APPEND_DATA: u32 = 4;
pub const SYNCHRONIZE: u32 = 0x0010_0000;
pub const FILE_SHARE_READ: u32 = 1;
pub const FILE_SHARE_WRITE: u32 = 2;
pub const FILE_SHARE_DELETE: u32 = 4;
pub const OPEN_EXISTING: u32 = 3;
pub const OPEN_ALWAYS: u32 = 4;
pub const FILE_OPEN: u32 = 1;
pub const FILE_FLAG_OVERLAPPED: u32 = 0x4000_0000;
pub const FILE_FLAG_FIRST_PIPE_INSTANCE: u32 = 0x0008_0000;
pub const PIPE_ACCESS_INBOUND: u32 = 1;
pub const PIPE_REJECT_REMOTE_CLIENTS: u32 = 8;

pub const FILE_TYPE_DISK: u32 = 1;
pub const FILE_TYPE_CHAR: u32 = 2;
pub const FILE_TYPE_PIPE: u32 = 3;

pub const FILE_ATTRIBUTE_DIRECTORY: u32 = 0x10;

pub const PROCESS_QUERY_LIMITED_INFORMATION: u32 = 0x1000;
pub const WT_EXECUTEINWAITTHREAD: u32 = 4;
pub const WT_EXECUTEONLYONCE: u32 = 8;

pub const SOL_SOCKET: i32 = 0xffff;
pub const SO_TYPE: i32 = 0x1008;
pub const SO_SNDBUF: i32 = 0x1001;
pub const SOCK_STREAM: i32 = 1;
pub const FIONREAD: i32 = 0x4004_667f;
pub const SIO_BASE_HANDLE: u32 = 0x4800_0022;
pub const SIO_BSP_HANDLE_POLL: u32 = 0x4800_001d;
pub const WSA_IO_PENDING: i32 = 997;
pub const WSAESHUTDOWN: i32 = 10058;

pub const AFD_POLL_CODE: u32 = 0x0001_2024;

pub type WaitCallback = unsafe extern "system" fn(*mut c_void, u8);
pub type ConsoleHandler = unsafe extern "system" fn(u32) -> Bool;

#[link(name = "kernel32")]
extern "system" {
    pub fn GetLastError() -> u32;
    pub fn SetLastError(error: u32);
    pub fn CloseHandle(handle: Handle) -> Bool;
    pub fn GetCurrentThreadId() -> u32;
    pub fn GetCurrentProcessId() -> u32;
    pub fn GetCurrentProcess() -> Handle;
    pub fn Sleep(milliseconds: u32);
    pub fn SwitchToThread() -> Bool;
    pub fn QueryPerformanceCounter(count: *mut i64) -> Bool;
    pub fn QueryPerformanceFrequency(frequency: *mut i64) -> Bool;
    pub fn GetSystemTimePreciseAsFileTime(time: *mut u64);
    pub fn VirtualAlloc(address: *mut c_void, bytes: usize, kind: u32, protection: u32) -> *mut c_void;
    pub fn VirtualFree(address: *mut c_void, bytes: usize, kind: u32) -> Bool;
    pub fn TlsAlloc() -> u32;
    pub fn TlsGetValue(index: u32) -> *mut c_void;
    pub fn TlsSetValue(index: u32, value: *mut c_void) -> Bool;

    pub fn GetModuleHandleW(name: *const u16) -> Handle;
    pub fn GetModuleHandleExW(flags: u32, address: *const u16, module: *mut Handle) -> Bool;
    pub fn GetProcAddress(module: Handle, name: *const u8) -> *const c_void;
    pub fn RtlCaptureStackBackTrace(skip: u32, most: u32, frames: *mut usize, hash: *mut u32) -> u16;

    pub fn CreateIoCompletionPort(file: Handle, port: Handle, key: usize, threads: u32) -> Handle;
    pub fn GetQueuedCompletionStatusEx(
        port: Handle,
        entries: *mut OverlappedEntry,
        room: u32,
        removed: *mut u32,
        milliseconds: u32,
        alertable: Bool,
    ) -> Bool;
    pub fn PostQueuedCompletionStatus(port: Handle, bytes: u32, key: usize, overlapped: usize) -> Bool;
    pub fn SetFileCompletionNotificationModes(file: Handle, modes: u8) -> Bool;

    pub fn CreateNamedPipeW(
        name: *const u16,
        access: u32,
        mode: u32,
        instances: u32,
        out_size: u32,
        in_size: u32,
        timeout: u32,
        security: *const c_void,
    ) -> Handle;
    pub fn CreateFileW(
        name: *const u16,
        access: u32,
        share: u32,
        security: *const c_void,
        disposition: u32,
        flags: u32,
        template: Handle,
    ) -> Handle;
    pub fn CreateFileA(
        name: *const u8,
        access: u32,
        share: u32,
        security: *const c_void,
        disposition: u32,
        flags: u32,
        template: Handle,
    ) -> Handle;
    pub fn ReadFile(file: Handle, buffer: *mut u8, bytes: u32, read: *mut u32, overlapped: *mut Overlapped) -> Bool;
    pub fn WriteFile(
        file: Handle,
        buffer: *const u8,
        bytes: u32,
        written: *mut u32,
        overlapped: *mut Overlapped,
    ) -> Bool;
    pub fn PeekNamedPipe(
        pipe: Handle,
        buffer: *mut u8,
        bytes: u32,
        read: *mut u32,
        available: *mut u32,
        left: *mut u32,
    ) -> Bool;
    pub fn CancelIoEx(file: Handle, overlapped: *mut Overlapped) -> Bool;
    pub fn GetFileType(file: Handle) -> u32;
    pub fn GetStdHandle(which: u32) -> Handle;
    pub fn GetConsoleMode(console: Handle, mode: *mut u32) -> Bool;
    pub fn GetNumberOfConsoleInputEvents(console: Handle, events: *mut u32) -> Bool;
    pub fn GetFileInformationByHandle(file: Handle, information: *mut FileInformation) -> Bool;
    pub fn GetFileInformationByHandleEx(file: Handle, class: u32, information: *mut c_void, bytes: u32) -> Bool;
    pub fn GetFinalPathNameByHandleW(file: Handle, path: *mut u16, room: u32, flags: u32) -> u32;
    pub fn GetFileSizeEx(file: Handle, size: *mut i64) -> Bool;
    pub fn SetFilePointerEx(file: Handle, distance: i64, position: *mut i64, from: u32) -> Bool;
    pub fn GetEnvironmentVariableA(name: *const u8, value: *mut u8, room: u32) -> u32;

    pub fn CreateEventW(security: *const c_void, manual: Bool, set: Bool, name: *const u16) -> Handle;
    pub fn OpenEventW(access: u32, inherit: Bool, name: *const u16) -> Handle;
    pub fn SetEvent(event: Handle) -> Bool;
    pub fn WaitForSingleObject(object: Handle, milliseconds: u32) -> u32;
    pub fn RegisterWaitForSingleObject(
        wait: *mut Handle,
        object: Handle,
        callback: WaitCallback,
        context: *mut c_void,
        milliseconds: u32,
        flags: u32,
    ) -> Bool;
    pub fn UnregisterWaitEx(wait: Handle, event: Handle) -> Bool;

    pub fn OpenProcess(access: u32, inherit: Bool, pid: u32) -> Handle;
    pub fn GetProcessId(process: Handle) -> u32;
    pub fn GetExitCodeProcess(process: Handle, code: *mut u32) -> Bool;
    pub fn TerminateProcess(process: Handle, code: u32) -> Bool;
    pub fn DuplicateHandle(
        from_process: Handle,
        from: Handle,
        to_process: Handle,
        to: *mut Handle,
        access: u32,
        inherit: Bool,
        options: u32,
    ) -> Bool;
    pub fn SetConsoleCtrlHandler(handler: ConsoleHandler, add: Bool) -> Bool;
}

#[link(name = "ntdll")]
extern "system" {
    pub fn NtCreateFile(
        file: *mut Handle,
        access: u32,
        attributes: *const ObjectAttributes,
        status: *mut IoStatusBlock,
        size: *const i64,
        file_attributes: u32,
        share: u32,
        disposition: u32,
        options: u32,
        extended: *const c_void,
        extended_length: u32,
    ) -> Ntstatus;
    pub fn NtDeviceIoControlFile(
        file: Handle,
        event: Handle,
        routine: *const c_void,
        context: usize,
        status: *mut IoStatusBlock,
        code: u32,
        input: *const c_void,
        input_length: u32,
        output: *mut c_void,
        output_length: u32,
    ) -> Ntstatus;
    pub fn NtCancelIoFileEx(file: Handle, request: *const IoStatusBlock, status: *mut IoStatusBlock) -> Ntstatus;
    pub fn NtQueryInformationFile(
        file: Handle,
        status: *mut IoStatusBlock,
        information: *mut c_void,
        length: u32,
        class: u32,
    ) -> Ntstatus;
    pub fn RtlWaitOnAddress(
        address: *const c_void,
        compare: *const c_void,
        size: usize,
        timeout: *const i64,
    ) -> Ntstatus;
    pub fn RtlWakeAddressSingle(address: *const c_void);
}

#[link(name = "ws2_32")]
extern "system" {
    pub fn WSAStartup(version: u16, data: *mut [u64; 64]) -> i32;
    pub fn WSAGetLastError() -> i32;
    pub fn WSASetLastError(error: i32);
    pub fn WSAIoctl(
        socket: Handle,
        code: u32,
        input: *const c_void,
        input_length: u32,
        output: *mut c_void,
        output_length: u32,
        returned: *mut u32,
        overlapped: *mut Overlapped,
        routine: *const c_void,
    ) -> i32;
    pub fn getsockopt(socket: Handle, level: i32, name: i32, value: *mut c_void, length: *mut i32) -> i32;
    pub fn ioctlsocket(socket: Handle, command: i32, value: *mut u32) -> i32;
    pub fn WSASend(
        socket: Handle,
        buffers: *const SocketBuffer,
        count: u32,
        sent: *mut u32,
        flags: u32,
        overlapped: *mut Overlapped,
        routine: *const c_void,
    ) -> i32;
}
