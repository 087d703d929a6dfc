//! How a file stands, and what it is called, whatever the system.

/// How a file stands; times in nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileState {
    pub device: u64,
    pub inode: u64,
    pub size: i64,
    pub links: u64,
    /// What kind of file it is, and its permissions: the system's own bits.
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub modified: i64,
    pub changed: i64,
    pub identity: u32,
    /// A change right after it was looked at could have got the stamp that the last one has.
    pub recent: bool,
}

/// What a file is called, and in which directory, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileName {
    pub base: u32,
    /// 0: not known. Not its path: that changes when a directory above is renamed.
    pub directory: u32,
}

impl FileName {
    pub fn is_other(&self, before: &FileName) -> bool {
        self.base != before.base || (self.directory != before.directory && self.directory != 0 && before.directory != 0)
    }
}

impl FileState {
    pub fn is_same_file(&self, other: &FileState) -> bool {
        self.device == other.device && self.inode == other.inode
    }
}

/// Some bits of a number, of all of it; never 0.
pub fn mixed(number: u64) -> u32 {
    ((number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32).max(1)
}
