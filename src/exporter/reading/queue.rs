//! What waits to be read: bounded in number and bytes, and cheap for the one who puts in.
//!
//! Bodies are copied, one behind the other, into one buffer that reader and writers exchange for an empty one: no
//! allocation per exchange, and the buffers of the connections are free at once. A writer wakes the reader only when
//! that sleeps for lack of work, or when half of the room is taken; else the reader comes by itself every
//! [`PAUSE`], so under load there is no system call per request.

use std::{
    ops::Range,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{inflate::Encoding, request::Format, settings::Reading, tracks::LONGEST_PATH};
use crate::exchange::Captured;

/// How long work gathers before it is read. At 50,000 requests a second 250 gather.
const PAUSE: Duration = Duration::from_millis(5);
/// What an entry without any bodies counts for, in bytes.
const ENTRY: usize = 64;
/// Buffers above this are given back when there is no work.
const KEPT: usize = 64 * 1024;

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub entries: usize,
    /// Bytes of all bodies waiting.
    pub bytes: usize,
}

/// Something to be read. The ranges are within [`Batch::bytes`].
#[derive(Debug)]
pub(super) enum Entry {
    /// An answer that says that all went well, to a request with this path.
    Answer { path: Range<usize>, body: Range<usize>, whole: bool, told: Told, request: Option<(Range<usize>, Format)> },
    /// The beginning of an answer that blames someone.
    Blame { beginning: Range<usize>, encoding: Encoding },
    /// Settings for what comes behind them.
    Settings(Box<Reading>),
}

/// What an answer's headers tell of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub encoding: Encoding,
    /// It is a text by its type, and may be JSON.
    pub text: bool,
}

/// What was put in since the last batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub entries: Vec<Entry>,
    pub bytes: Vec<u8>,
}

pub(super) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// Entries put in, ever.
    offered: u64,
    sleeps: bool,
    hurry: bool,
    closed: bool,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Queue {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, state: Mutex::default(), wake: Condvar::new() }
    }

    /// Puts in an answer, and its request if it is needed. Longer paths than any that is looked at are cut.
    pub fn answer(
        &self,
        path: &str,
        answer: &Captured,
        told: Told,
        request: Option<(&Captured, Format)>,
    ) -> Result<(), Full> {
        let path = path.as_bytes();
        let path = path.get(..=LONGEST_PATH).unwrap_or(path);
        let size = path.len() + answer.held() + request.map_or(0, |(request, _)| request.held());
        self.put(size, |batch| {
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(path);
            let path = start..batch.bytes.len();
            let body = copy(&mut batch.bytes, answer, usize::MAX);
            let request = request.map(|(request, format)| (copy(&mut batch.bytes, request, usize::MAX), format));
            batch.entries.push(Entry::Answer { path, body, whole: answer.whole, told, request });
        })
    }

    /// Puts in the beginning of an answer that blames someone.
    pub fn blame(&self, answer: &Captured, encoding: Encoding, limit: usize) -> Result<(), Full> {
        self.put(answer.held().min(limit), |batch| {
            let beginning = copy(&mut batch.bytes, answer, limit);
            batch.entries.push(Entry::Blame { beginning, encoding });
        })
    }

    /// Puts in settings. There is always room for them: they are few.
    pub fn settings(&self, reading: Reading) {
        let mut state = self.lock();
        state.batch.entries.push(Entry::Settings(Box::new(reading)));
        self.added(state);
    }

    fn put(&self, size: usize, put: impl FnOnce(&mut Batch)) -> Result<(), Full> {
        let mut state = self.lock();
        let taken = state.batch.bytes.len() + state.batch.entries.len() * ENTRY;
        if state.batch.entries.len() >= self.bounds.entries || taken + size + ENTRY > self.bounds.bytes {
            return Err(Full);
        }
        put(&mut state.batch);
        self.added(state);
        Ok(())
    }

    fn added(&self, mut state: MutexGuard<'_, State>) {
        state.offered += 1;
        let half = state.batch.entries.len() >= self.bounds.entries / 2
            || state.batch.bytes.len() + state.batch.entries.len() * ENTRY >= self.bounds.bytes / 2;
        // Said once: the reader takes both back when it wakes.
        let wakes = state.sleeps || (half && !state.hurry);
        state.sleeps = false;
        state.hurry |= half;
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
    }

    /// Has what waits read now. Returns how many entries were put in so far.
    pub fn hurry(&self) -> u64 {
        let mut state = self.lock();
        state.hurry = true;
        let offered = state.offered;
        drop(state);
        self.wake.notify_one();
        offered
    }

    /// Whether the reader sleeps until it is woken.
    #[cfg(test)]
    pub fn sleeps(&self) -> bool {
        self.lock().sleeps
    }

    /// Lets the reader end once all is read.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits for work and exchanges it for the `empty` batch. False when there will be no more.
    pub fn take(&self, batch: &mut Batch) -> bool {
        batch.entries.clear();
        batch.bytes.clear();
        let mut state = self.lock();
        // Work that comes under load gathers for a moment first.
        if !state.hurry && !state.closed {
            state = self.pause(state);
        }
        while state.batch.entries.is_empty() {
            if state.closed {
                return false;
            }
            state.sleeps = true;
            state.hurry = false;
            state.batch.bytes.shrink_to(KEPT);
            batch.bytes.shrink_to(KEPT);
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            if !state.batch.entries.is_empty() && !state.hurry && !state.closed {
                state.sleeps = false;
                state = self.pause(state);
            }
        }
        state.sleeps = false;
        state.hurry = false;
        std::mem::swap(&mut state.batch, batch);
        true
    }

    fn pause<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waits = |state: &mut State| !state.hurry && !state.closed;
        self.wake.wait_timeout_while(state, PAUSE, waits).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends at most `limit` bytes of a body.
fn copy(bytes: &mut Vec<u8>, body: &Captured, limit: usize) -> Range<usize> {
    let start = bytes.len();
    for piece in &body.pieces {
        let room = limit - (bytes.len() - start);
        bytes.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
    start..bytes.len()
}
