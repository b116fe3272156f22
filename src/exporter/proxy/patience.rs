//! Who waits for whom, and for how long.
//!
//! No request arms a timer: each connection says what it is doing and that it moves, and one sweep looks at all of
//! them from time to time. So a limit is kept to within one sweep, and a request costs a few stores.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::task::AtomicWaker;
use tokio::sync::Notify;

use super::{options::Options, target::Raw};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing: the next request may come or not.
    Idle,
    /// The head of a request has begun to arrive.
    Head,
    /// The request is on its way to the model, or the model thinks.
    Waiting,
    /// The answer passes.
    Answering,
    /// Another protocol than HTTP is spoken.
    Tunnel,
    /// HTTP/2: the session looks after itself, and each stream has a watch of its own.
    Exempt,
}

impl Phase {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Waiting,
            3 => Self::Answering,
            4 => Self::Tunnel,
            _ => Self::Exempt,
        }
    }

    /// Whether a request is being served.
    pub fn busy(self) -> bool {
        matches!(self, Self::Waiting | Self::Answering)
    }
}

/// The limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired;

/// How far the end has come, as connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub enum Stage {
    Serving,
    /// No new streams, please; HTTP/1 hears it with its next answer.
    Draining,
    /// Idle connections are closed.
    Closing,
}

/// What one connection, or one HTTP/2 stream, is doing.
#[derive(Debug)]
pub struct Watch {
    phase: AtomicU8,
    moves: AtomicU32,
    expired: AtomicBool,
    stage: AtomicU8,
    /// Nanoseconds from `base` to the first byte of the head that is arriving.
    head_at: AtomicU64,
    base: Instant,
    /// The status that hyper answered by itself to a head it could not read; 0 when there was none.
    pub refused: AtomicU16,
    /// A request has come since everything written before was flushed, so that what is written may be its answer.
    pub unflushed: AtomicBool,
    /// The client may still be sending what nobody will read: were the connection closed at once, the kernel would
    /// reset it and the client might lose the answer.
    pub linger: AtomicBool,
    /// Break the connection off instead of ending it: an end would look like the end of the body.
    pub reset: AtomicBool,
    masked: AtomicBool,
    target: Mutex<Option<Raw>>,
    waker: AtomicWaker,
}

impl Watch {
    fn new(phase: Phase, stage: Stage) -> Self {
        Self {
            phase: AtomicU8::new(phase as u8),
            moves: AtomicU32::new(0),
            expired: AtomicBool::new(false),
            stage: AtomicU8::new(stage as u8),
            head_at: AtomicU64::new(0),
            base: Instant::now(),
            refused: AtomicU16::new(0),
            unflushed: AtomicBool::new(false),
            linger: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            masked: AtomicBool::new(false),
            target: Mutex::default(),
            waker: AtomicWaker::new(),
        }
    }

    pub fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Relaxed))
    }

    /// Each phase has a limit of its own.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.expired.store(false, Relaxed);
        self.moved();
    }

    /// The first bytes of a request have come.
    pub fn head_began(&self) {
        let since = self.base.elapsed().as_nanos();
        self.head_at.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
        self.enter(Phase::Head);
    }

    /// A request has been read; it began at the time returned.
    pub fn request(&self) -> Instant {
        let began = self.request_began();
        self.unflushed.store(true, Relaxed);
        self.enter(Phase::Waiting);
        began
    }

    /// The next request's target was masked.
    pub fn masked(&self, raw: Raw) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(raw);
        self.masked.store(true, Relaxed);
    }

    /// What the request's target was before it was masked, if it was.
    pub fn target(&self) -> Option<Raw> {
        // Nearly no request pays for more than this.
        if !self.masked.load(Relaxed) {
            return None;
        }
        self.masked.store(false, Relaxed);
        self.target.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// When the head that has just been read began.
    fn request_began(&self) -> Instant {
        match self.phase() {
            Phase::Head => self.base + Duration::from_nanos(self.head_at.load(Relaxed)),
            _ => Instant::now(),
        }
    }

    /// Something passed: the limit counts from here.
    pub fn moved(&self) {
        self.moves.store(self.moves.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub fn expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    pub fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Closing,
        }
    }

    pub fn wake_by(&self, context: &Context<'_>) {
        self.waker.register(context.waker());
    }

    /// Waits for the future, but not beyond the limit.
    pub async fn limit<F: Future>(&self, mut future: Pin<&mut F>) -> Result<F::Output, Expired> {
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if self.expired() {
                return Poll::Ready(Err(Expired));
            }
            self.wake_by(context);
            Poll::Pending
        })
        .await
    }
}

struct Entry {
    watch: Arc<Watch>,
    moves: u32,
    since: Instant,
}

/// All watches.
#[derive(Default)]
pub struct Watches {
    entries: Mutex<HashMap<u64, Entry>>,
    next: AtomicU64,
    stage: AtomicU8,
    pub come: Notify,
}

/// A watch, for as long as it is held.
pub struct Watched {
    pub watch: Arc<Watch>,
    id: u64,
    all: Arc<Watches>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Watches {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watch(self: &Arc<Self>, phase: Phase) -> Watched {
        let stage = match self.stage.load(Relaxed) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Closing,
        };
        let watch = Arc::new(Watch::new(phase, stage));
        let id = self.next.fetch_add(1, Relaxed);
        let mut entries = self.lock();
        if entries.is_empty() {
            self.come.notify_one();
        }
        entries.insert(id, Entry { watch: watch.clone(), moves: 0, since: Instant::now() });
        drop(entries);
        Watched { watch, id, all: self.clone() }
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Tells all connections, those to come included.
    pub fn tell(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
        for entry in self.lock().values() {
            entry.watch.stage.store(stage as u8, Relaxed);
            entry.watch.waker.wake();
        }
    }

    /// Marks and wakes those that did not move for too long.
    pub fn sweep(&self, now: Instant, limits: &Limits) {
        let mut entries = self.lock();
        for entry in entries.values_mut() {
            let moves = entry.watch.moves.load(Relaxed);
            if moves != entry.moves {
                entry.moves = moves;
                entry.since = now;
                continue;
            }
            let Some(limit) = limits.of(entry.watch.phase()) else { continue };
            if now.saturating_duration_since(entry.since) >= limit {
                entry.since = now;
                entry.watch.expired.store(true, Relaxed);
                entry.watch.waker.wake();
            }
        }
        // A burst of connections must not be paid for ever.
        if entries.capacity() > 1024 && entries.len() < entries.capacity() / 8 {
            entries.shrink_to_fit();
        }
    }
}

/// How long each phase may last without a move.
#[derive(Clone, Debug)]
pub struct Limits {
    idle: Duration,
    head: Duration,
    waiting: Duration,
    answering: Duration,
}

impl Limits {
    pub fn new(options: &Options) -> Self {
        Self {
            idle: options.client_idle_timeout,
            head: options.head_timeout,
            waiting: options.timeout,
            answering: options.body_timeout,
        }
    }

    fn of(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Idle | Phase::Tunnel => Some(self.idle),
            Phase::Head => Some(self.head),
            Phase::Waiting => Some(self.waiting),
            Phase::Answering => Some(self.answering),
            Phase::Exempt => None,
        }
    }

    /// How often to sweep: a quarter of the shortest limit, at most once a second.
    pub fn period(&self, pool_idle: Duration) -> Duration {
        let shortest = self.idle.min(self.head).min(self.waiting).min(self.answering).min(pool_idle);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}
