//! Why a mutant survives: tests/mutants/survivors.
//!
//!     = The result is the same, the way is longer.
//!     src/filter/timer.rs start: deadline > now: > is >=
//!     src/kqueue/heap.rs Timers::*
//!
//! A line with `=` is the reason for those that follow: keys of mutants, `*` standing for anything. `#` is a comment. A
//! key that no survivor has is reported, as is a survivor without a reason.

use crate::library::{read, Places};

pub struct Reason {
    pub key: String,
    pub line: usize,
}

pub fn all(places: &Places) -> Result<Vec<Reason>, String> {
    let name = "tests/mutants/survivors";
    let text = read(&places.root.join(name))?;
    let mut reasons = Vec::new();
    let mut has_reason = false;
    for (number, line) in text.lines().enumerate() {
        match line.chars().next() {
            None | Some('#') => {}
            Some('=') => has_reason = true,
            Some(_) if !has_reason => return Err(format!("{name}:{}: a mutant without a reason", number + 1)),
            Some(_) => reasons.push(Reason { key: line.to_string(), line: number + 1 }),
        }
    }
    Ok(reasons)
}

impl Reason {
    pub fn is_for(&self, key: &str) -> bool {
        matches(self.key.as_bytes(), key.as_bytes())
    }
}

/// Does `pattern`, in which `*` stands for anything, say `text`? (Operators have stars of their own: they match, too.)
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        Some((byte, rest)) => text.split_first().is_some_and(|(first, text)| first == byte && matches(rest, text)),
    }
}
