//! sigaction(2) as the program sees it.

use super::action::{is_function, Action};
use super::disposition::{program_form, watched_form};
use super::exchange::exchange;
use super::queues::is_libcs;
use super::watching::{is_watched, note_handled, settle_again};
use crate::errno::{Errno, Result};
use libc::c_int;

/// What sigaction(2) is to the program: `new` goes where the kernel takes it, in its watched form if the signal
/// is watched, and what the program had set before comes back. Async-signal-safe.
pub fn change(signo: c_int, new: Option<&Action>) -> Result<Action> {
    if is_libcs(signo) {
        return Err(Errno::EINVAL);
    }
    let Some(new) = new else { return Ok(program_form(signo, &exchange(signo, None)?)) };
    // An entry of ours comes back, from somebody who saved it round us: what it stands for is meant.
    let new = program_form(signo, new);
    let watched = is_watched(signo);
    let form = if watched { watched_form(signo, &new) } else { None };
    let old = exchange(signo, Some(&form.unwrap_or(new)))?;
    note_handled(signo, is_function(new.handler));
    if watched != is_watched(signo) {
        // The first EV_ADD or the last EV_DELETE came in between.
        settle_again(signo);
    }
    Ok(program_form(signo, &old))
}
