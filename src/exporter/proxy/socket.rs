//! The bytes of a client's connection, with what hyper does not tell us.

use std::{
    future::Future as _,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{
    answers::Reason,
    patience::{Phase, Watch},
    target::RequestLine,
};

/// How long a connection lingers that is closed while its client still sends.
const LINGER: Duration = Duration::from_secs(2);

/// A client's connection. It notes when the head of a request begins, hides from hyper what it would refuse in a target, and
/// puts our own words in place of hyper's where hyper refuses a head that it cannot read.
pub struct Socket {
    stream: TcpStream,
    /// What was read to see which HTTP is spoken.
    first: Bytes,
    watch: Arc<Watch>,
    line: RequestLine,
    own: Option<Own>,
    /// How long what the client still sends is taken and thrown away.
    lingering: Option<Pin<Box<Sleep>>>,
}

struct Own {
    wire: Vec<u8>,
    written: usize,
}

impl Socket {
    pub fn new(stream: TcpStream, first: Bytes, watch: Arc<Watch>) -> Self {
        if !first.is_empty() && watch.phase() == Phase::Idle {
            watch.head_began();
        }
        let mut line = RequestLine::default();
        if watch.phase() == Phase::Head {
            line.begin();
        }
        Self { stream, first, watch, line, own: None, lingering: None }
    }

    /// Nobody else sees what passes when no HTTP is spoken.
    fn passes(&self) {
        if self.watch.phase() == Phase::Tunnel {
            self.watch.moved();
        }
    }

    /// hyper's answer to a head that it cannot read: the status, when this is one.
    fn refusal(&self, wire: &[u8]) -> Option<u16> {
        if self.watch.unflushed.load(Relaxed) || !matches!(self.watch.phase(), Phase::Idle | Phase::Head) {
            return None;
        }
        let status = wire.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
        std::str::from_utf8(status).ok()?.parse().ok().filter(|status| (400..500).contains(status))
    }

    /// Writes our answer instead of `length` bytes of hyper's.
    fn poll_own(&mut self, context: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while let Some(own) = &mut self.own {
            let rest = &own.wire[own.written..];
            if rest.is_empty() {
                self.own = None;
                break;
            }
            own.written += ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
        }
        Poll::Ready(Ok(length))
    }

    /// Until the client has closed its side too, or the time is up.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lingering = self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if lingering.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        // A client that sends without end must not keep the thread.
        for _ in 0..16 {
            let mut scratch = [0; 8 * 1024];
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn refuse(&mut self, status: u16) {
        self.watch.refused.store(status, Relaxed);
        self.watch.linger.store(true, Relaxed);
        self.own = Some(Own { wire: Reason::of_refused_head(status).wire(), written: 0 });
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.watch.reset.load(Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.first.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            match this.watch.phase() {
                Phase::Idle if buffer.filled().len() > before => {
                    this.watch.head_began();
                    this.line.begin();
                }
                Phase::Tunnel => this.watch.moved(),
                _ => {}
            }
        } else {
            let length = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first[..length]);
            this.first.advance(length);
            if this.first.is_empty() {
                // Even an empty slice would keep its buffer.
                this.first = Bytes::new();
            }
        }
        if let Some(raw) = this.line.pass(&mut buffer.filled_mut()[before..]) {
            this.watch.masked(raw);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.passes();
        if this.own.is_none() {
            match this.refusal(data) {
                Some(status) => this.refuse(status),
                None => return Pin::new(&mut this.stream).poll_write(context, data),
            }
        }
        this.poll_own(context, data.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.passes();
        if this.own.is_none() {
            match this.refusal(slices.first().map_or(&[], |slice| slice)) {
                Some(status) => this.refuse(status),
                None => return Pin::new(&mut this.stream).poll_write_vectored(context, slices),
            }
        }
        this.poll_own(context, slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.watch.phase().busy() {
            self.watch.unflushed.store(false, Relaxed);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if self.watch.linger.load(Relaxed) {
            return self.poll_linger(context);
        }
        Poll::Ready(Ok(()))
    }
}
