//! A value that every thread may read at any time without a lock.
//!
//! A lock would not do: a child of fork(2) inherits it locked if another
//! thread of its parent held it, and waits for ever. Here readers copy one of
//! two slots and look whether it was replaced meanwhile; writers exclude each
//! other by their process id, so that a child sees that the holder is gone,
//! and write the slot that nobody reads. A fork in the middle of a write
//! leaves the other slot, whole.

use core::slice;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering, fence};

use crate::sys;

/// Up to `WORDS` words, replaced as a whole.
pub(crate) struct Published<const WORDS: usize> {
    /// Number of writes; its lowest bit names the slot that is read. 0: nothing
    /// has been published.
    version: AtomicUsize,
    /// Process id of the writer, 0 while there is none.
    writer: AtomicI32,
    slots: [Slot<WORDS>; 2],
}

struct Slot<const WORDS: usize> {
    len: AtomicUsize,
    words: [AtomicUsize; WORDS],
}

impl<const WORDS: usize> Slot<WORDS> {
    const fn new() -> Self {
        Self { len: AtomicUsize::new(0), words: [const { AtomicUsize::new(0) }; WORDS] }
    }
}

impl<const WORDS: usize> Published<WORDS> {
    pub(crate) const fn new() -> Self {
        Self { version: AtomicUsize::new(0), writer: AtomicI32::new(0), slots: [const { Slot::new() }; 2] }
    }

    fn slot(&self, version: usize) -> &Slot<WORDS> {
        let [even, odd] = &self.slots;
        if version & 1 == 0 { even } else { odd }
    }

    /// Whether there is a value.
    pub(crate) fn is_published(&self) -> bool {
        self.version.load(Ordering::Relaxed) != 0
    }

    /// Copies the value to the start of `target`; false if there is none yet.
    pub(crate) fn read(&self, target: &mut [usize]) -> bool {
        loop {
            let version = self.version.load(Ordering::Acquire);
            if version == 0 {
                return false;
            }
            let slot = self.slot(version);
            for (copy, word) in target.iter_mut().zip(&slot.words).take(slot.len.load(Ordering::Relaxed)) {
                *copy = word.load(Ordering::Relaxed);
            }
            // Pairs with the fence in `replace`: whoever saw a word of a later
            // write sees its version, too.
            fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed) == version {
                return true;
            }
        }
    }

    /// Publishes `value`, cut to what fits, after other writers are done.
    pub(crate) fn write(&self, value: &[usize]) {
        // A writer holds its place for microseconds. Who still waits after a
        // second waits for a thread that will never run again.
        for _ in 0..1000 {
            if self.begin() {
                break;
            }
            sys::pause();
        }
        self.replace(value);
    }

    /// Publishes `value`, unless another thread is publishing one right now.
    pub(crate) fn try_write(&self, value: &[usize]) {
        if self.begin() {
            self.replace(value);
        }
    }

    fn begin(&self) -> bool {
        let me = sys::process_id();
        let free_or_stale = |writer| (writer != me).then_some(me);
        self.writer.fetch_update(Ordering::Acquire, Ordering::Relaxed, free_or_stale).is_ok()
    }

    fn replace(&self, value: &[usize]) {
        let version = self.version.load(Ordering::Relaxed).wrapping_add(1);
        let slot = self.slot(version);
        fence(Ordering::Release);
        slot.len.store(value.len(), Ordering::Relaxed);
        for (word, &copy) in slot.words.iter().zip(value) {
            word.store(copy, Ordering::Relaxed);
        }
        self.version.store(version, Ordering::Release);
        self.writer.store(0, Ordering::Release);
    }
}

/// Words as the bytes they are made of.
pub(crate) fn bytes_of(words: &[usize]) -> &[u8] {
    // SAFETY: every byte of a word is initialized, and a byte may stand
    // anywhere.
    unsafe { slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// Words as the bytes they are made of.
pub(crate) fn bytes_of_mut(words: &mut [usize]) -> &mut [u8] {
    // SAFETY: as in `bytes_of`, and any bytes make a word.
    unsafe { slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
