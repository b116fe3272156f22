//! The bytes of a connection to the model, with what hyper does not tell us.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

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
}

impl Line {
    pub fn new() -> Self {
        Self {
            broken: AtomicBool::new(false),
            unwritten: AtomicBool::new(false),
            opened: Instant::now(),
            idle_from: AtomicU64::new(IN_USE),
        }
    }

    pub fn broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Whether all that was to be written was.
    pub fn written(&self) -> bool {
        !self.unwritten.load(Relaxed)
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
