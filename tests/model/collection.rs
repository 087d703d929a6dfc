//! The model's view of a collection: were these the right events, and what do they leave?

use super::constants::*;
use super::files::Ready;
use super::model::{Knote, Model, News};
use kqueue::event::kevent;

impl Model {
    /// Were these the right events? Takes note of them.
    pub fn collect(&mut self, queue: usize, events: &[kevent], room: usize) -> Result<(), String> {
        let mut seen = Vec::new();
        let mut departed = false;
        for event in events {
            let at = self.position(queue, event.ident, event.filter);
            let at = at.ok_or_else(|| format!("no such knote: {}", super::pair::describe(event)))?;
            let complain = |what: &str| Err(format!("{what}: {}", super::pair::describe(event)));
            if seen.contains(&at) {
                return complain("reported twice in one call");
            }
            // 1.12
            departed |= event.filter == PROC;
            if departed && event.filter != PROC {
                return complain("reported after a process's exit");
            }
            seen.push(at);
            let knote = &self.queues[queue].knotes[at];
            let Some(report) = self.due(knote).report() else { return complain("must not be reported") };
            if event.udata as usize != knote.udata {
                return complain("udata is not that of the last change");
            }
            let added = EOF | if knote.filter == PROC { ONESHOT } else { 0 };
            let flags = knote.flags | report.flags.unwrap_or(event.flags & added);
            if event.flags != flags {
                return complain(&format!("flags are not {}", flag_names(flags)));
            }
            if report.fflags.is_some_and(|fflags| fflags != event.fflags) {
                return complain(&format!("fflags are not {:#x}", report.fflags.unwrap_or(0)));
            }
            let (least, most) = report.data;
            if (event.data as i64) < least || event.data as i64 > most {
                return complain(&format!("data is not in {least}..={most}"));
            }
        }
        let full = events.len() >= room;
        if !full {
            let missing =
                |(at, knote): &(usize, &Knote)| !seen.contains(at) && matches!(self.due(knote), Ready::Yes(_));
            if let Some((_, knote)) = self.queues[queue].knotes.iter().enumerate().find(missing) {
                return Err(format!("not reported: {} of {:#x}", filter_name(knote.filter), knote.ident));
            }
        }
        self.drain_signals(queue, &seen, full);
        self.settle(queue, &seen, events, full);
        self.queues[queue].quiet = events.is_empty() && room > 0;
        Ok(())
    }

    /// 7.2: a blocked signal is taken from the queue when it is reported.
    fn drain_signals(&mut self, queue: usize, seen: &[usize], full: bool) {
        for signal in &mut self.signals {
            let mut knotes = self.queues[queue].knotes.iter().enumerate();
            let at = knotes.position(|(_, knote)| knote.filter == SIGNAL && signal.is(knote.ident) && !knote.disabled);
            match at {
                Some(at) if !full || seen.contains(&at) => signal.drain(),
                Some(_) if full => signal.may_be_drained(),
                _ => {}
            }
        }
    }

    fn settle(&mut self, queue: usize, seen: &[usize], events: &[kevent], full: bool) {
        let mut gone = Vec::new();
        for at in 0..self.queues[queue].knotes.len() {
            let reported = seen.iter().position(|&one| one == at);
            let condition = self.condition(&self.queues[queue].knotes[at]);
            let recorded =
                self.signals.iter().find(|signal| signal.is(self.queues[queue].knotes[at].ident)).map(|s| s.recorded);
            let knote = &mut self.queues[queue].knotes[at];
            let (filter, flags) = (knote.filter, knote.flags);
            let fate = match reported {
                None if knote.disabled && condition.report().is_some() => "withheld",
                None => {
                    if !full && !knote.disabled {
                        // The kernel's edges have all been taken.
                        knote.news = match (knote.news, condition) {
                            (News::No, _) => News::No,
                            (_, Ready::Maybe(_)) => News::May,
                            _ => News::No,
                        };
                    }
                    "silent"
                }
                Some(index) => {
                    if flags & CLEAR != 0 {
                        knote.news = News::No;
                        (knote.active, knote.told) = (false, recorded.unwrap_or(0));
                    }
                    knote.forced = false;
                    if flags & ONESHOT != 0 || filter == PROC {
                        gone.push(at);
                    } else if flags & DISPATCH != 0 {
                        knote.disabled = true;
                    }
                    if events[index].flags & EOF != 0 {
                        "at EOF"
                    } else {
                        "reported"
                    }
                }
            };
            self.fate(filter, flags, fate);
        }
        for at in gone.into_iter().rev() {
            self.remove(queue, at);
        }
    }
}
