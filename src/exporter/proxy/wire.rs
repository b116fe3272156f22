//! The bytes of a connection to the model, with what hyper does not tell us.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use http::Method;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::target::Raw;

/// Not idle: nanoseconds that no connection reaches.
const IN_USE: u64 = u64::MAX;

/// What a connection and those who use it tell each other.
pub struct Line {
    /// A write failed.
    broken: AtomicBool,
    /// The kernel has not taken all of the request yet.
    unwritten: AtomicBool,
    opened: Instant,
    /// Nanoseconds from `opened` to the moment since which the connection is idle.
    idle_from: AtomicU64,
    masked: AtomicBool,
    restore: Mutex<Option<Restore>>,
}

/// A target that hyper writes masked.
struct Restore {
    raw: Raw,
    /// Bytes of the head before it.
    at: usize,
    /// Bytes of the head that are written.
    written: usize,
}

impl Restore {
    /// Puts the target's bytes into what is written next.
    fn into(&self, next: &mut [u8]) {
        for (place, byte) in (self.at..).zip(self.raw.bytes()) {
            if let Some(masked) = place.checked_sub(self.written).and_then(|place| next.get_mut(place)) {
                *masked = *byte;
            }
        }
    }
}

impl Line {
    pub fn new() -> Self {
        Self {
            broken: AtomicBool::new(false),
            unwritten: AtomicBool::new(false),
            opened: Instant::now(),
            idle_from: AtomicU64::new(IN_USE),
            masked: AtomicBool::new(false),
            restore: Mutex::default(),
        }
    }

    pub fn broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Whether all that was to be written was.
    pub fn written(&self) -> bool {
        !self.unwritten.load(Relaxed)
    }

    /// The next request's target is to be written as the client wrote it.
    pub fn restores(&self, method: &Method, raw: Raw) {
        let restore = Restore { raw, at: method.as_str().len() + 1, written: 0 };
        *self.restore.lock().unwrap_or_else(PoisonError::into_inner) = Some(restore);
        self.masked.store(true, Relaxed);
    }

    pub fn idle_from(&self, now: Instant) {
        let from = now.saturating_duration_since(self.opened).as_nanos();
        self.idle_from.store(u64::try_from(from).unwrap_or(IN_USE), Relaxed);
    }

    /// Somebody uses it, or closes it.
    pub fn taken(&self) {
        self.idle_from.store(IN_USE, Relaxed);
    }

    /// How long the connection has been idle, if it is.
    pub fn idle_for(&self, now: Instant) -> Option<Duration> {
        let from = Some(self.idle_from.load(Relaxed)).filter(|from| *from != IN_USE)?;
        Some(now.saturating_duration_since(self.opened + Duration::from_nanos(from)))
    }
}

/// A connection to the model.
///
/// A server may answer before it has read the whole request (413) and close. Our next write then fails before the
/// answer is read, and hyper would drop it; so a failed write only marks the connection, swallows what was to be
/// written, and leaves it to the read to find the answer, or the end.
pub struct Wire {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Wire {
    pub fn new(stream: TcpStream, line: Arc<Line>) -> Self {
        Self { stream, line }
    }

    /// Writes the beginning of a head, or more of it, with its target as the client wrote it.
    fn poll_restored(&mut self, context: &mut Context<'_>, masked: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, line } = self;
        let mut restore = line.restore.lock().unwrap_or_else(PoisonError::into_inner);
        let mut data = masked.to_vec();
        restore.iter().for_each(|restore| restore.into(&mut data));
        let result = ready!(Pin::new(stream).poll_write(context, &data));
        if let Some(restore) = &mut *restore {
            restore.written += *result.as_ref().unwrap_or(&data.len());
            line.masked.store(restore.written < restore.at + restore.raw.bytes().len(), Relaxed);
        }
        drop(restore);
        Poll::Ready(self.swallow(result, data.len()))
    }

    fn swallow(&self, result: io::Result<usize>, length: usize) -> io::Result<usize> {
        result.or_else(|_| {
            self.line.broken.store(true, Relaxed);
            Ok(length)
        })
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.line.broken() {
            return Poll::Ready(Ok(data.len()));
        }
        self.line.unwritten.store(true, Relaxed);
        if self.line.masked.load(Relaxed) {
            return self.poll_restored(context, data);
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write(context, data));
        Poll::Ready(self.swallow(result, data.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = || slices.iter().map(|slice| slice.len()).sum();
        if self.line.broken() {
            return Poll::Ready(Ok(length()));
        }
        self.line.unwritten.store(true, Relaxed);
        if self.line.masked.load(Relaxed)
            && let Some(first) = slices.first()
        {
            return self.poll_restored(context, first);
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        Poll::Ready(self.swallow(result, length()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper asks for it once it has written all that it had.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.unwritten.store(false, Relaxed);
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(context));
        Poll::Ready(Ok(()))
    }
}
