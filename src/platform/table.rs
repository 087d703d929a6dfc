//! Storage that outlives every reader: filled once, never moved, never freed.
//!
//! The table of descriptors and the table of queues are read without a lock, also by signal handlers and by
//! threads that nobody can stop. So their pages are published by one compare-and-swap and stay until the
//! process ends. What a page holds is reused, the page is not given back.

use crate::errno::{Errno, Result};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};

/// A place for one leaked slice of exactly `len` elements, empty until [`Stable::publish`].
pub struct Stable<T> {
    first: AtomicPtr<T>,
    len: usize,
}

impl<T: Sync + 'static> Stable<T> {
    pub const fn new(len: usize) -> Self {
        Stable { first: AtomicPtr::new(core::ptr::null_mut()), len }
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&'static T> {
        let first = self.first.load(Acquire);
        if first.is_null() || index >= self.len {
            return None;
        }
        // SAFETY: `first` came from `publish`, which leaked `len` initialised elements; `index < len`.
        Some(unsafe { &*first.add(index) })
    }

    pub fn is_empty(&self) -> bool {
        self.first.load(Acquire).is_null()
    }

    /// Fills the place with `len` elements made by `make`, unless somebody was faster. Allocates.
    pub fn publish(&self, make: impl FnMut() -> T) -> Result<()> {
        let mut elements = Vec::new();
        elements.try_reserve_exact(self.len).map_err(|_| Errno::ENOMEM)?;
        elements.resize_with(self.len, make);
        let first = elements.as_mut_ptr();
        if self.first.compare_exchange(core::ptr::null_mut(), first, AcqRel, Acquire).is_ok() {
            core::mem::forget(elements);
        }
        Ok(())
    }
}

const PAGE_BITS: usize = 14;
const PAGE: usize = 1 << PAGE_BITS;
/// `NR_OPEN` of Linux goes up to 2^30.
const PAGES: usize = 1 << (30 - PAGE_BITS);

/// What may lie in a [`DescriptorTable`]: atomics whose bytes may all be zero.
///
/// # Safety
/// All-zero bytes are a valid value, and the type needs no drop.
pub unsafe trait Zeroed: Sync + Sized + 'static {}

/// A sparse array of `T` by descriptor, zero where nothing was written. Making a page is one mmap and no
/// malloc, so it can be done in a signal handler; the kernel gives memory only to what is touched.
pub struct DescriptorTable<T: Zeroed> {
    pages: [AtomicPtr<T>; PAGES],
    /// How many pages have to be looked at: behind them there is none. A child of a fork would pay a page fault for
    /// every 512 that it looked at in vain.
    used: AtomicUsize,
}

impl<T: Zeroed> DescriptorTable<T> {
    pub const fn new() -> Self {
        DescriptorTable { pages: [const { AtomicPtr::new(core::ptr::null_mut()) }; PAGES], used: AtomicUsize::new(0) }
    }

    /// The element of `fd`, if its page exists.
    #[inline]
    pub fn get(&'static self, fd: i32) -> Option<&'static T> {
        let index = usize::try_from(fd).ok()?;
        let first = self.pages.get(index >> PAGE_BITS)?.load(Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: a published page has PAGE zeroed (so valid) elements and is never unmapped.
        Some(unsafe { &*first.add(index & (PAGE - 1)) })
    }

    /// The element of `fd`; makes its page. `EBADF` for a number that no descriptor can have, `ENOMEM`.
    #[inline]
    pub fn get_or_make(&'static self, fd: i32) -> Result<&'static T> {
        match self.get(fd) {
            Some(element) => Ok(element),
            None => self.make(fd),
        }
    }

    /// Calls `each` with the elements from `first` to `last` whose page exists.
    pub fn each_page(&'static self, first: u32, last: u32, mut each: impl FnMut(u32, &'static T)) {
        let (first, last) = (first as usize, (last as usize).min(PAGES * PAGE - 1));
        let used = self.used.load(SeqCst).min((last >> PAGE_BITS) + 1);
        for page in first >> PAGE_BITS..used {
            if self.pages[page].load(Acquire).is_null() {
                continue;
            }
            for index in first.max(page << PAGE_BITS)..=last.min((page << PAGE_BITS) + PAGE - 1) {
                if let Some(element) = self.get(index as i32) {
                    each(index as u32, element);
                }
            }
        }
    }

    #[cold]
    fn make(&'static self, fd: i32) -> Result<&'static T> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let place = self.pages.get(index >> PAGE_BITS).ok_or(Errno::EBADF)?;
        let bytes = PAGE * core::mem::size_of::<T>();
        self.used.fetch_max((index >> PAGE_BITS) + 1, SeqCst);
        let page = super::sys::map_zeroed(bytes).ok_or(Errno::ENOMEM)?.cast::<T>();
        if place.compare_exchange(core::ptr::null_mut(), page, AcqRel, Acquire).is_err() {
            super::sys::unmap(page.cast(), bytes);
        }
        self.get(fd).ok_or(Errno::EBADF)
    }
}
