//! How often each (filter, flag, fate) was met. A fate is what became of a change (added, changed, deleted,
//! refused), of a knote when events were collected (reported, at EOF, silent; withheld: ready, but disabled), or of
//! one whose descriptor or kqueue was closed.

use super::constants::*;
use std::collections::BTreeMap;

pub const FATES: [&str; 9] =
    ["added", "changed", "deleted", "refused", "reported", "at EOF", "silent", "withheld", "closed"];

#[derive(Default)]
pub struct Coverage {
    met: BTreeMap<(&'static str, &'static str), [u64; FATES.len()]>,
}

impl Coverage {
    pub fn add(&mut self, fates: &[(i16, u16, &'static str)]) {
        for &(filter, flags, fate) in fates {
            let Some(column) = FATES.iter().position(|&name| name == fate) else { continue };
            let none = (flags & (ONESHOT | CLEAR | DISPATCH) == 0).then_some("(level)");
            let names = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).chain(none);
            for name in names {
                self.met.entry((filter_name(filter), name)).or_default()[column] += 1;
            }
        }
    }

    pub fn print(&self) {
        print!("{:<9}{:<13}", "filter", "flag");
        FATES.iter().for_each(|fate| print!("{fate:>10}"));
        println!();
        for ((filter, flag), counts) in &self.met {
            print!("{filter:<9}{flag:<13}");
            counts.iter().for_each(|count| print!("{count:>10}"));
            println!();
        }
    }

    /// What the grammar has to have reached: every filter that reports, in every mode, was added, reported, silent and
    /// closed. Returns what was not.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for filter in ["READ", "WRITE", "USER", "TIMER", "SIGNAL", "PROC", "EMPTY"] {
            for flag in ["ADD", "ONESHOT", "CLEAR", "DISPATCH"] {
                for fate in ["added", "reported", "silent", "withheld", "closed"] {
                    let counts = self.met.get(&(filter, flag));
                    // An exit is always the end.
                    let fits = |name: &str| name == fate || (fate == "reported" && name == "at EOF");
                    let met =
                        counts.is_some_and(|row| FATES.iter().zip(row).any(|(name, &count)| fits(name) && count > 0));
                    if !met {
                        missing.push(format!("{filter} {flag} {fate}"));
                    }
                }
            }
        }
        missing
    }
}
