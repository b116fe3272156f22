//! A connection to one of the small servers: how long it may take for what it does, and since when it does nothing.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Between two requests on one connection. Longer than the usual scrape interval of 30 s.
const LONGEST_IDLE: Duration = Duration::from_secs(40);
/// For the head of a request, from its first byte on; and for a new connection's first head as a whole.
pub(super) const LONGEST_HEAD: Duration = Duration::from_secs(5);
/// For a client to take an answer: as long as Prometheus lets a scrape take by default.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// What a connection is doing, known to the connection and to who looks for the longest idle one.
pub(super) struct Seat(Mutex<State>);

#[derive(Clone, Copy)]
struct State {
    phase: Phase,
    /// Since when it is in this phase.
    since: Instant,
    /// When it was accepted, or its last answer was taken. A head that trickles in does not change it.
    rested: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Answering,
    Writing,
}

impl Seat {
    pub fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self(Mutex::new(State { phase: Phase::Head, since: now, rested: now })))
    }

    /// A request has come whole: its answer is being made.
    pub fn answering(&self) {
        self.enter(Phase::Answering);
    }

    /// The answer is made: the client is to take it.
    pub fn answered(&self) {
        self.enter(Phase::Writing);
    }

    /// Which connection to give up first, the least one: one whose answer is being made is the last.
    pub fn worth(&self) -> (bool, Instant) {
        let State { phase, since, rested } = *self.state();
        match phase {
            Phase::Idle | Phase::Head => (false, rested),
            Phase::Writing => (false, since),
            Phase::Answering => (true, since),
        }
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
    }

    fn began_to_read(&self) {
        if self.state().phase == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn flushed(&self) {
        let mut state = self.state();
        if state.phase == Phase::Writing {
            let now = Instant::now();
            *state = State { phase: Phase::Idle, since: now, rested: now };
        }
    }

    /// When what it does must be over. The making of an answer is bounded by who makes it.
    fn deadline(&self) -> Option<Instant> {
        let State { phase, since, .. } = *self.state();
        let limit = match phase {
            Phase::Idle => LONGEST_IDLE,
            Phase::Head => LONGEST_HEAD,
            Phase::Writing => LONGEST_ANSWER,
            Phase::Answering => return None,
        };
        Some(since + limit)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of the connection. Reading and writing fail when the time is up.
pub(super) struct Timed<S> {
    stream: S,
    seat: Arc<Seat>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    pub fn new(stream: S, seat: Arc<Seat>) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + LONGEST_HEAD));
        Self { stream, seat, timer }
    }

    /// Whoever waits for the other side waits no longer than this.
    fn poll_time_out<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(deadline) = self.seat.deadline() else { return Poll::Pending };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer)? {
            Poll::Ready(()) => {
                self.seat.began_to_read();
                // A head that comes byte by byte is late, too.
                match self.poll_time_out(context) {
                    Poll::Ready(late) => Poll::Ready(late),
                    Poll::Pending => Poll::Ready(Ok(())),
                }
            }
            Poll::Pending => self.poll_time_out(context),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes)? {
            Poll::Ready(written) => Poll::Ready(Ok(written)),
            Poll::Pending => self.poll_time_out(context),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.seat.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "tests/seat.rs"]
mod tests;
