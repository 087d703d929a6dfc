//! The second half of kevent(): waits, and fills the eventlist.
//!
//! Events come from two sides: the ready list holds the knotes whose condition came about in user space, or that
//! did not fit an earlier eventlist; the kernel's epoll has the rest. They are asked in turns, so that neither
//! starves the other when more is ready than fits (1.12). A knote is reported once in a collection, whichever
//! side tells of it.
//!
//! What processes have to say comes last: a program reads what a child wrote, then hears of its end. Where more
//! is ready than fits, up to half of the room is kept for that.
//!
//! The lock is taken to look at the ready list, if it has anything, and to make events of what the kernel said;
//! never while waiting.

use super::arming::place_of;
use super::change::Eventlist;
use super::knote::{Knote, KnoteId, State, Sticky, NIL};
use super::{Queue, TICK};
use crate::errno::{guarded, Errno, Result};
use crate::filter::Report;
use crate::filter::{self, proc, Filter, POLLED_LANES};
use crate::platform::descriptors;
use crate::platform::signals::{self, Sleep};
use crate::platform::sys::{self, Cancellation};
use crate::platform::{self, Arm, Buffer, Clock, Event, Mask, Place, Source, PLACES};
use crate::registry::Slot;

/// How many events one call of the kernel's brings at most.
const BATCH: usize = 1024;
/// For shorter eventlists, so that a kevent() fits into the smallest stack of a thread's.
const MIDDLE_BATCH: usize = 128;
/// For short ones, so that a kevent() in a handler on a small stack needs little of it.
const SMALL_BATCH: usize = 32;

/// How long a thread rests, in nanoseconds, that meets a stale item again and again which cannot be got rid of.
const STUCK: u64 = 1_000_000;

/// How long to wait.
#[derive(Clone, Copy)]
pub enum Wait {
    No,
    Forever,
    /// Nanoseconds from now.
    For(u64),
}

/// Waits until something is ready or the time is over, and reports it. Returns when `out` has an event, or on
/// time-out with none. `cancelable`: pthread_cancel may end the wait. `sleep` is dropped by the caller, as the last
/// thing: signals come in then.
///
/// `EBADF` the queue was closed meanwhile; `EINTR` a signal of the program's was caught.
pub fn collect(
    slot: &'static Slot,
    out: &mut impl Eventlist,
    wait: Wait,
    cancellation: &Cancellation,
    cancelable: bool,
    sleep: &mut Sleep,
) -> Result<()> {
    if out.room() <= SMALL_BATCH {
        collect_by::<SMALL_BATCH>(slot, out, wait, cancellation, cancelable, sleep)
    } else if out.room() <= MIDDLE_BATCH {
        collect_by::<MIDDLE_BATCH>(slot, out, wait, cancellation, cancelable, sleep)
    } else {
        collect_by::<BATCH>(slot, out, wait, cancellation, cancelable, sleep)
    }
}

/// Not inlined: the large buffer would be on the stack of every call.
#[inline(never)]
fn collect_by<const N: usize>(
    slot: &'static Slot,
    out: &mut impl Eventlist,
    wait: Wait,
    cancellation: &Cancellation,
    cancelable: bool,
    sleep: &mut Sleep,
) -> Result<()> {
    let mut buffer = Buffer::<N>::new();
    let deadline = match wait {
        Wait::For(time) => Clock::Monotonic.now().saturating_add(time),
        Wait::No => 0,
        Wait::Forever => u64::MAX,
    };
    let mut timeout = match wait {
        Wait::For(time) => Some(sys::timespec_of(time)),
        Wait::No => Some(sys::timespec_of(0)),
        Wait::Forever => None,
    };
    let mut collection = Collection { slot, turn: None, repeated: 0, told: 0, kept: 0, half: out.room() / 2 };
    loop {
        let mut look = Look::default();
        let late = slot.kernel().late_timer();
        if late.is_some() || slot.has_attention() {
            cancellation.hold();
            look = guarded(|| collection.look(late, &timeout, out, &mut buffer))?;
            if look.is_over {
                return Ok(());
            }
        }
        let at_once = Some(sys::timespec_of(0));
        let patience = match &look.short {
            _ if look.kernel_first || out.len() > 0 => &at_once,
            None => &timeout,
            short => short,
        };
        // What has been taken in is the program's: who is cancelled now would take it along.
        let cancelable = cancelable && out.len() == 0;
        if !cancelable {
            cancellation.hold();
        }
        let room = out.room().saturating_sub(collection.kept).clamp(1, N);
        let events = wait_for_events(slot, sleep, &mut buffer, room, patience, cancelable.then_some(cancellation));
        if slot.is_closed() {
            return Err(Errno::EBADF);
        }
        let mut again = false;
        match events {
            Ok([]) if !look.kernel_first => {}
            Ok(events) => {
                let taken = guarded(|| collection.take_in(events, room, sleep, out, cancellation))?;
                if taken.stuck {
                    sys::nap(STUCK);
                }
                if taken.goes_on {
                    continue;
                }
                again = taken.again;
            }
            Err(Errno::EINTR) if out.len() > 0 => {}
            Err(errno @ (Errno::EINTR | Errno::EDEADLK | Errno::ENOMEM)) => return Err(errno),
            Err(_) => return Err(Errno::EBADF),
        }
        if out.len() > 0 {
            return Ok(());
        }
        match wait {
            // The ready list has not been looked at yet.
            _ if look.kernel_first => {}
            // 10.5: a kevent() that returns 0 leaves nothing that polls readable.
            Wait::No if again => {}
            Wait::No => return Ok(()),
            Wait::Forever => {}
            Wait::For(_) => {
                let now = Clock::Monotonic.now();
                if now >= deadline && !again {
                    return Ok(());
                }
                timeout = Some(sys::timespec_of(deadline.saturating_sub(now)));
            }
        }
    }
}

/// What a call of kevent() remembers between its looks under the lock.
struct Collection {
    slot: &'static Slot,
    /// Its turn, once it has looked.
    turn: Option<u32>,
    /// How many events of the kernel's told nothing new.
    repeated: usize,
    /// How many events were told without it: it may say all of them again before it comes to the rest.
    told: usize,
    /// How much of the room is kept for what processes have to say; at most half.
    kept: usize,
    half: usize,
}

/// What a look at the ready list came to.
#[derive(Default)]
struct Look {
    /// The kernel is to be asked before it is reported, or before what is left of it.
    kernel_first: bool,
    /// The wait is to be shorter than the program's.
    short: sys::Timeout,
    /// There is no more to report, or no room.
    is_over: bool,
}

/// What a batch of the kernel's came to.
struct Taken {
    /// There may be more to take in at once.
    again: bool,
    goes_on: bool,
    /// An item is in the way that cannot be got rid of.
    stuck: bool,
}

impl Collection {
    fn look<const N: usize>(
        &mut self,
        late: Option<Clock>,
        timeout: &sys::Timeout,
        out: &mut impl Eventlist,
        buffer: &mut Buffer<N>,
    ) -> Result<Look> {
        let mut contents = self.slot.lock()?;
        let mut queue = self.slot.queue(&mut contents);
        queue.take_turn(&mut self.turn);
        if let Some(clock) = late {
            queue.expire(clock);
        }
        let kernel_can_tell = queue.kernel_can_tell() || self.slot.awaits_signals();
        let drained = queue.contents.watches.drain;
        let mut look =
            Look { kernel_first: queue.begin(self.slot, out, kernel_can_tell, self.half), ..Look::default() };
        look.kernel_first |= out.len() > 0 && queue.has_more_of_files(drained);
        self.kept = queue.contents.departures.len().min(self.half);
        if queue.contents.without_clock && !queue.contents.lookouts.is_empty() {
            look.short = timeout.is_none_or(is_long).then(|| sys::timespec_of(TICK));
        }
        if out.len() > 0 && !kernel_can_tell {
            queue.take_wake(buffer);
        }
        self.told = out.len();
        queue.finish(self.slot);
        look.is_over = out.room() == 0 || (out.len() > 0 && !kernel_can_tell);
        Ok(look)
    }

    /// Cancellation is held back from the first event on that is not plain: to report those calls nothing that is a
    /// cancellation point.
    fn take_in(
        &mut self,
        events: &[Event],
        room: usize,
        sleep: &Sleep,
        out: &mut impl Eventlist,
        cancellation: &Cancellation,
    ) -> Result<Taken> {
        let slot = self.slot;
        let mut contents = slot.lock()?;
        let mut queue = slot.queue(&mut contents);
        queue.take_turn(&mut self.turn);
        let drained = queue.contents.watches.drain;
        let plain = queue.report_plain_events(events, out);
        if plain < events.len() || queue.contents.has_ready() {
            cancellation.hold();
        }
        let news = queue.process_all(slot, &events[plain..], sleep, out, self.half) || plain > 0;
        self.kept = queue.contents.departures.len().min(self.half);
        // What was armed anew reports once more. Behind a full batch there may be more; the kernel takes what is ready in
        // turns, so it has none when it begins to say again what it has told of in this collection.
        self.repeated += if news { 0 } else { events.len() };
        let full = events.len() >= room;
        let again = core::mem::take(&mut queue.contents.rearmed)
            || (full && self.repeated <= self.told + PLACES)
            || (out.len() > 0 && queue.has_more_of_files(drained));
        let stuck = queue.check_staleness(full);
        let goes_on = again && out.room() > self.kept && (out.len() > 0 || self.kept > 0);
        if !goes_on {
            queue.report_departures(out);
        }
        queue.finish(slot);
        let renewed = core::mem::take(&mut queue.contents.staleness.renewed);
        drop(contents);
        if renewed {
            slot.renewed();
        }
        Ok(Taken { again, goes_on, stuck })
    }
}

fn is_long(timeout: libc::timespec) -> bool {
    timeout.tv_sec > 0 || timeout.tv_nsec as u64 > TICK
}

/// Waits in the kernel. If the thread is cancelled there, what the kernel may have handed out already is put
/// back: the guard runs while the thread unwinds.
#[inline]
fn wait_for_events<'a, const N: usize>(
    slot: &'static Slot,
    sleep: &mut Sleep,
    buffer: &'a mut Buffer<N>,
    room: usize,
    timeout: &sys::Timeout,
    cancellation: Option<&Cancellation>,
) -> Result<&'a [Event]> {
    struct Cancelled(&'static Slot);
    impl Drop for Cancelled {
        fn drop(&mut self) {
            self.0.after_cancellation();
        }
    }
    let guard = Cancelled(slot);
    let events = signals::wait(sleep, slot.index(), slot.kernel(), buffer, room, timeout, cancellation);
    core::mem::forget(guard);
    events
}

impl Queue<'_> {
    /// Gives a collection its turn, or goes on with the one it has.
    fn take_turn(&mut self, turn: &mut Option<u32>) {
        self.contents.turn = *turn.get_or_insert_with(|| {
            self.contents.turns = self.contents.turns.wrapping_add(1);
            self.contents.turns
        });
    }

    /// Begins a collection: what only a look can tell, and the ready list, unless it is the kernel's turn to
    /// be asked first (true). With nothing ready nobody has to wait for his turn. `half` of the room may be
    /// processes'.
    fn begin(&mut self, slot: &'static Slot, out: &mut impl Eventlist, kernel_can_tell: bool, half: usize) -> bool {
        slot.take_triggers(self);
        self.signals_caught(slot.take_signals());
        filter::proc::heed_mask(self);
        self.check_lookouts();
        let contents = &mut *self.contents;
        // Processes wait for the kernel every time, where they cannot be crowded out.
        let turn = !contents.kernel_first || (half > 0 && !contents.departures.is_empty());
        contents.kernel_first = turn && kernel_can_tell && contents.has_ready();
        if contents.kernel_first {
            return true;
        }
        if half == 0 && !contents.departures.is_empty() {
            contents.departures_first = !contents.departures_first;
            if contents.departures_first {
                self.report_departures(out);
            }
        }
        self.report_ready(out, half);
        if half == 0 || !kernel_can_tell {
            self.report_departures(out);
        }
        false
    }

    /// Takes the wake-up for what has just been reported, where the kernel can have nothing else.
    fn take_wake<const N: usize>(&mut self, buffer: &mut Buffer<N>) {
        if self.contents.woken && !self.contents.has_ready() {
            self.contents.woken = false;
            // A time-out of 0 does not block under the lock.
            let _ = self.kernel.wait(buffer, 1, &Some(sys::timespec_of(0)), None, None);
        }
    }

    /// Did what was told of one file bring in news of others, since they were `drained` last?
    fn has_more_of_files(&self, drained: u32) -> bool {
        self.contents.watches.drain != drained && self.contents.has_ready()
    }

    /// Ends it: who comes next must see what is left.
    fn finish(&mut self, slot: &'static Slot) {
        slot.set_attention(self.contents);
    }

    /// Makes events of a batch of the kernel's, and adds what became ready with it. False: it held nothing but
    /// what this collection has reported already.
    fn process_all(
        &mut self,
        slot: &'static Slot,
        events: &[Event],
        sleep: &Sleep,
        out: &mut impl Eventlist,
        half: usize,
    ) -> bool {
        let mut news = false;
        // The nested epolls and the descriptors take turns as well.
        let nested = self.kernel.has_sides();
        let sides_first = nested && self.contents.sides_first;
        self.contents.sides_first = nested && !sides_first;
        if sides_first {
            news |= self.process_sides(events, out);
        }
        for event in events {
            match event.source() {
                Source::Descriptor { place, fd, epoch, mask } => {
                    news |= self.report_plainly(fd, epoch, mask, out) || self.process(place, fd, epoch, mask, out);
                }
                Source::Wake => {
                    news = true;
                    self.contents.woken = false;
                    slot.take_triggers(self);
                    self.signals_caught(slot.take_signals());
                }
                Source::Timer(clock) => {
                    news = true;
                    self.expire(clock);
                }
                Source::Files => {
                    news = true;
                    self.files_changed();
                }
                Source::Signals => {
                    let blocked = signals::take_blocked(self.slot, self.kernel, sleep);
                    news |= blocked != 0;
                    self.signals_caught(blocked | slot.take_signals());
                }
                Source::Process(index) => {
                    news = true;
                    proc::has_news(self, index);
                }
                Source::Connector => {
                    news = true;
                    proc::listen(self);
                }
                Source::Side(_) | Source::Tombstone => {}
            }
        }
        if nested && !sides_first {
            news |= self.process_sides(events, out);
        }
        self.report_ready(out, half);
        news
    }

    /// What the nested epolls have, of which `events` tell.
    fn process_sides(&mut self, events: &[Event], out: &mut impl Eventlist) -> bool {
        let mut news = false;
        for event in events {
            if let Source::Side(place) = event.source() {
                news |= self.process_side(place, out);
            }
        }
        news
    }

    /// The same for a nested epoll.
    fn process_side(&mut self, place: Place, out: &mut impl Eventlist) -> bool {
        let mut buffer = Buffer::<SMALL_BATCH>::new();
        let mut any_news = false;
        while out.room() > 0 {
            let room = out.room().min(SMALL_BATCH);
            let events = self.kernel.side_events(place, &mut buffer, room);
            let mut news = false;
            for event in events {
                if let Source::Descriptor { fd, epoch, mask, .. } = event.source() {
                    news |= self.process(place, fd, epoch, mask, out);
                }
            }
            any_news |= news;
            if events.len() < room || !news {
                break;
            }
        }
        any_news
    }

    /// Reports the plain events that a batch begins with. How many those are.
    fn report_plain_events(&mut self, events: &[Event], out: &mut impl Eventlist) -> usize {
        // Nested epolls have their turn first, perhaps.
        if self.kernel.has_sides() {
            return 0;
        }
        let mut plain = |event: &Event| match event.source() {
            Source::Descriptor { fd, epoch, mask, .. } => self.report_plainly(fd, epoch, mask, out),
            _ => false,
        };
        events.iter().take_while(|event| plain(event)).count()
    }

    /// The event that there are most of, without the general way's questions: there is something to read, and one
    /// knote wants to know, as long as there is (or each time more comes), whatever the amount. False: it is not that
    /// event, and nothing has been done.
    #[inline]
    fn report_plainly(&mut self, fd: i32, epoch: u32, mask: Mask, out: &mut impl Eventlist) -> bool {
        if cfg!(feature = "seeded-bugs") {
            // They are on the general way.
            return false;
        }
        let contents = &mut *self.contents;
        let Some(node) = contents.nodes.get(fd) else { return false };
        let alone = node.armed(Place::MAIN) - Arm::EDGE == Arm::PRESENT | Arm::IN;
        if mask != Mask(Mask::IN) || node.epoch != epoch || !alone || !descriptors::trusted(fd, node.generation) {
            return false;
        }
        let id = node.knotes[Filter::Read.lane()];
        if id == NIL {
            return false;
        }
        let knote = &mut contents.knotes[id];
        let plain = knote.state.is_empty()
            && knote.fflags == 0
            && !knote.sticky.intersects(Sticky::ONESHOT | Sticky::DISPATCH)
            && (contents.turn.wrapping_sub(knote.turn) as i32) > 0;
        if !plain || out.room() == 0 {
            return false;
        }
        let Some(bytes) = platform::bytes_to_read(fd) else { return false };
        knote.turn = contents.turn;
        out.push(knote.event(Report { data: bytes, ..Report::default() }));
        true
    }

    /// What the kernel says of one item becomes events of its knotes. False: they have been reported already.
    #[inline]
    fn process(&mut self, place: Place, fd: i32, epoch: u32, mask: Mask, out: &mut impl Eventlist) -> bool {
        self.refresh(fd);
        // An event from before the number became another's.
        let Some(node) = self.contents.nodes.get(fd).filter(|node| node.epoch == epoch) else {
            self.contents.staleness.met(place);
            return false;
        };
        let (knotes, armed) = (node.knotes, node.armed(place));
        if armed.contains(Arm::ONCE) {
            // Silent now.
            node.set_armed(place, Arm::PRESENT);
        }
        // What is not level does not come again by itself.
        let mut news = !armed.is_level();
        let mut came_to_nothing = [NIL; POLLED_LANES];
        for lane in 0..POLLED_LANES {
            let id = knotes[lane];
            if id == NIL || !concerns(mask, lane) {
                continue;
            }
            let knote = &self.contents.knotes[id];
            if place_of(knote) != place {
                continue;
            }
            if knote.is(State::DISABLED | State::NEVER) {
                came_to_nothing[lane] = id;
                continue;
            }
            let told = self.is_told(knote, out);
            if told || out.room() == 0 {
                // Kept for the next collection; the kernel itself only keeps what is level.
                if !told || !armed.is_level() {
                    self.activate(id);
                }
                continue;
            }
            news = true;
            match self.evaluate(id, Some(mask)) {
                Some(report) => self.deliver(id, report, out),
                None => came_to_nothing[lane] = id,
            }
        }
        if came_to_nothing != [NIL; POLLED_LANES] {
            news |= self.came_to_nothing(place, fd, came_to_nothing);
        }
        news
    }

    /// The kernel called an item ready and some of its knotes did not: sees to it that it does not go on like
    /// that. Disabled knotes are disarmed. Where the kernel insists (it may be that another thread has read the
    /// data), or the item was armed for once, it is armed for edges until the knote has something to report. True: the
    /// item has been changed.
    #[cold]
    fn came_to_nothing(&mut self, place: Place, fd: i32, knotes: [KnoteId; POLLED_LANES]) -> bool {
        let Some(node) = self.contents.nodes.get(fd) else { return false };
        let armed = node.armed(place);
        let mut mover = NIL;
        for id in knotes.into_iter().filter(|&id| id != NIL) {
            let knote = &mut self.contents.knotes[id];
            if knote.is(State::DISABLED | State::NEVER) {
                mover = id;
                continue;
            }
            let write = matches!(knote.filter, Filter::Write | Filter::Empty);
            if !filter::insists(knote.filter, fd) && armed != Arm::PRESENT {
                // Somebody was faster, unless that happens again and again: then the item is not about what the
                // number is now.
                let suspected = knote.is(State::SUSPECT);
                knote.state.set(State::SUSPECT, !suspected);
                if suspected && !self.confirm(fd) {
                    self.forget(fd);
                    return true;
                }
                continue;
            }
            if !knote.is(State::QUIET) && !armed.contains(Arm::EDGE) {
                knote.state.insert(State::QUIET);
                mover = id;
            }
            if write {
                // No edge will tell when there is more room, or a connection.
                knote.state.insert(State::TICK);
            }
            if knote.is(State::QUIET | State::TICK) {
                self.look_out(id);
            }
        }
        if mover == NIL {
            return false;
        }
        let _ = self.settle(mover, false);
        // What is armed for other events than before reports once more.
        let changed = self.contents.nodes.get(fd).is_some_and(|node| node.armed(place) != armed);
        self.contents.rearmed |= changed;
        changed
    }

    /// Has this collection reported the knote already? Another thread's, later, may have written its turn over
    /// ours; then the eventlist tells.
    #[inline]
    fn is_told(&self, knote: &Knote, out: &impl Eventlist) -> bool {
        let after = knote.turn.wrapping_sub(self.contents.turn) as i32;
        after == 0 || (after > 0 && out.contains(knote.ident, knote.filter.number()))
    }

    /// Reports what is in the ready list and still holds, at most as much as fits beside the departures, which may
    /// have `half` of the room; each knote once.
    fn report_ready(&mut self, out: &mut impl Eventlist, half: usize) {
        let kept = self.contents.departures.len().min(half);
        let mut left = self.contents.ready.len();
        while left > 0 && out.room() > kept {
            left -= 1;
            let contents = &mut *self.contents;
            let Some(id) = contents.ready.pop(&mut contents.knotes) else { return };
            self.report(id, out);
        }
    }

    /// The same for what processes have to say.
    fn report_departures(&mut self, out: &mut impl Eventlist) {
        let mut left = self.contents.departures.len();
        while left > 0 && out.room() > 0 {
            left -= 1;
            let contents = &mut *self.contents;
            let Some(id) = contents.departures.pop(&mut contents.knotes) else { return };
            self.report(id, out);
        }
    }

    /// Reports a knote that was ready, if it still is and this collection has not done so already.
    fn report(&mut self, id: KnoteId, out: &mut impl Eventlist) {
        let knote = self.contents.knotes[id];
        if self.is_told(&knote, out) {
            self.activate(id);
            return;
        }
        if filter::is_gone(self, id) {
            return;
        }
        match self.evaluate(id, None) {
            Some(report) => self.deliver(id, report, out),
            None if self.knote(id).is(State::QUIET | State::TICK) => self.look_out(id),
            // Its item may have fired for this, and be silent since.
            None if self.knote(id).filter.is_polled() => {
                let _ = self.settle(id, false);
            }
            None => {}
        }
    }

    /// Writes the event and does to the knote what its flags say.
    fn deliver(&mut self, id: KnoteId, report: Report, out: &mut impl Eventlist) {
        self.deactivate(id);
        let turn = self.contents.turn;
        let knote = &mut self.contents.knotes[id];
        knote.state.remove(State::SUSPECT);
        // A later collection, in another thread, may have been faster.
        if (turn.wrapping_sub(knote.turn) as i32) > 0 {
            knote.turn = turn;
        }
        let knote = *knote;
        out.push(knote.event(report));
        // 2.7
        if knote.sticky.contains(Sticky::ONESHOT) {
            self.delete(id);
            return;
        }
        if knote.sticky.contains(Sticky::CLEAR) {
            filter::reported(self, id);
        }
        if knote.sticky.contains(Sticky::DISPATCH) {
            // 2.8
            self.deactivate(id);
            self.contents.knotes[id].state.insert(State::DISABLED);
            return;
        }
        if matches!(knote.filter, Filter::Write | Filter::Empty) {
            self.contents.knotes[id].state.remove(State::TICK);
        }
        if knote.is(State::QUIET) {
            self.contents.knotes[id].state.remove(State::QUIET);
            let _ = self.settle(id, false);
        } else if filter::stays_ready(self, id) && !self.contents.knotes[id].is(State::TOLD) {
            self.activate(id);
        }
    }
}

/// Do these events of the kernel's concern the knote of that filter?
#[inline]
fn concerns(mask: Mask, lane: usize) -> bool {
    if lane == Filter::Read.lane() {
        mask.concerns_reading()
    } else if lane == Filter::Except.lane() {
        mask.concerns_exceptions()
    } else {
        mask.concerns_writing()
    }
}
