//! What the model knows of signals and of children (rules 7 and 8).

use super::constants::*;
use super::files::{Ready, Report};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    Ignored,
    Handled,
}

pub struct Signal {
    pub number: i32,
    /// The kernel counts each of them; of another one while it is pending it keeps one.
    pub counted: bool,
    pub disposition: Disposition,
    pub blocked: bool,
    /// Waiting to be unblocked or collected: at least, at most.
    pub pending: (u64, u64),
    /// Caught or collected since the beginning.
    pub recorded: u64,
    /// It is not known any more how many there were.
    vague: bool,
}

impl Signal {
    pub fn new(number: i32, counted: bool) -> Signal {
        let disposition = Disposition::Ignored;
        Signal { number, counted, disposition, blocked: false, pending: (0, 0), recorded: 0, vague: false }
    }

    pub fn is(&self, ident: usize) -> bool {
        self.number as usize == ident
    }

    pub fn raise(&mut self) {
        if !self.blocked {
            self.recorded += 1;
        } else if self.counted {
            self.pending = (self.pending.0 + 1, self.pending.1 + 1);
        } else {
            self.pending = (1, 1);
        }
    }

    /// Pending ones are taken, by the handler or by a collection.
    pub fn drain(&mut self) {
        self.vague |= self.pending.0 != self.pending.1;
        self.recorded += self.pending.1;
        self.pending = (0, 0);
    }

    /// The eventlist was full before it is known whether the signal was looked at.
    pub fn may_be_drained(&mut self) {
        self.vague |= self.pending != (0, 0);
    }

    /// The last knote is gone: to set a signal to be ignored again makes the kernel drop what is pending.
    pub fn unwatched(&mut self) {
        if self.disposition == Disposition::Ignored {
            self.pending.0 = 0;
        }
    }

    /// 7.1
    pub fn since(&self, told: u64) -> Ready {
        let before = self.recorded - told;
        let (least, most) = ((before + self.pending.0) as i64, (before + self.pending.1) as i64);
        if self.vague {
            Ready::Maybe(Report { data: (1, i64::MAX), ..Report::data(0) })
        } else if least > 0 {
            Ready::Yes(Report { data: (least, most), ..Report::data(0) })
        } else if most > 0 {
            Ready::Maybe(Report { data: (1, most), ..Report::data(0) })
        } else {
            Ready::No
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    Runs,
    /// Exited with this status, and not reaped.
    Zombie(i32),
    Reaped(i32),
}

pub struct Child {
    pub pid: usize,
    pub life: Life,
}

impl Child {
    pub fn is_there(&self) -> bool {
        !matches!(self.life, Life::Reaped(_))
    }

    /// 8.2
    pub fn ended(&self) -> Ready {
        let exit = |least: i32, most: i32| {
            let data = (i64::from(least), i64::from(most));
            Ready::Yes(Report { flags: Some(EOF | ONESHOT), fflags: Some(EXIT), data })
        };
        match self.life {
            Life::Runs => Ready::No,
            Life::Zombie(status) => exit(status, status),
            // 8.3: older systems do not tell of what was reaped before they were asked.
            Life::Reaped(status) => exit(0, status),
        }
    }
}
