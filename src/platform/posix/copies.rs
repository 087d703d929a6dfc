//! Is this process a copy of the one that the library knows? Here only its number tells.

pub fn is_copy() -> bool {
    false
}

pub fn are_told() -> bool {
    false
}

pub fn settle() {}
