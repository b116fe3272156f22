//! A body on its way into an HTTP/2 stream.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

use super::upload::Cut;

/// How a stream is reset whose body broke off.
pub trait Breaks {
    fn reason(&self) -> Reason;
}

impl Breaks for h2::Error {
    /// The other side's own code, but for those that say more than we know: that nothing was done, or that all was.
    fn reason(&self) -> Reason {
        match h2::Error::reason(self) {
            Some(reason) if self.is_reset() && !matches!(reason, Reason::NO_ERROR | Reason::REFUSED_STREAM) => reason,
            _ => Reason::INTERNAL_ERROR,
        }
    }
}

impl Breaks for Cut<h2::Error> {
    fn reason(&self) -> Reason {
        match self {
            Self::Client(error) => Breaks::reason(error),
            Self::Late => Reason::CANCEL,
        }
    }
}

/// Sends a body no faster than windows are granted for it. Nothing waits in h2's own queue, where no reset would reach it and no
/// time limit; so it is ready only when the last byte has left its stream's window.
pub struct Pump<B> {
    body: B,
    to: SendStream<Bytes>,
    piece: Bytes,
    /// Nothing comes after the piece.
    last: bool,
}

impl<B> Pump<B> {
    pub fn new(body: B, to: SendStream<Bytes>) -> Self {
        Self { body, to, piece: Bytes::new(), last: false }
    }

    pub fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    pub fn into_body(self) -> B {
        self.body
    }

    pub fn reset(&mut self, reason: Reason) {
        self.to.send_reset(reason);
    }
}

impl<B> Pump<B>
where
    B: Body<Data = Bytes, Error: Breaks> + Unpin,
{
    /// Ready when all was sent, or the stream is over for another reason.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.to.poll_reset(context).is_ready() {
            return Poll::Ready(());
        }
        loop {
            while !self.piece.is_empty() {
                if !ready!(self.poll_granted(context)) {
                    return Poll::Ready(());
                }
                let part = self.piece.split_to(self.to.capacity().min(self.piece.len()));
                let end = self.last && self.piece.is_empty();
                if self.to.send_data(part, end).is_err() || end {
                    return Poll::Ready(());
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.last = self.body.is_end_stream();
                        self.piece = data;
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            let _ = self.to.send_trailers(trailers);
                        }
                        return Poll::Ready(());
                    }
                },
                Some(Err(error)) => {
                    self.to.send_reset(error.reason());
                    return Poll::Ready(());
                }
                None => {
                    let _ = self.to.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Waits for room in the window; false when the stream is over.
    fn poll_granted(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        self.to.reserve_capacity(self.piece.len());
        while self.to.capacity() == 0 {
            if !matches!(ready!(self.to.poll_capacity(context)), Some(Ok(_))) {
                return Poll::Ready(false);
            }
        }
        Poll::Ready(true)
    }
}
