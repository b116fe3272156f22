//! The request's body on its way to the model.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{patience::Watch, tally::Sent};

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum Cut<E = hyper::Error> {
    #[error("the client broke off in the middle of its request: {0}")]
    Client(#[source] E),
    #[error("the request's body did not come in time")]
    Late,
}

/// What has come of a body before the model is asked.
#[derive(Default)]
pub struct Ahead {
    pub first: Bytes,
    /// The last one comes first.
    pub more: Vec<Bytes>,
    pub trailers: Option<Box<HeaderMap>>,
    /// Nothing else comes.
    pub whole: bool,
}

/// Small on purpose: each connection to the model keeps room for 64 requests, bodies included, in the queue that hyper
/// hands them over by.
pub struct Upload<B = Incoming> {
    pub inner: B,
    pub ahead: Ahead,
    pub sent: Option<Arc<Sent>>,
}

impl<B: Body<Data = Bytes> + Unpin> Upload<B> {
    /// The second half is `None` for a request without a body. At most `limit` bytes are kept. All of it must have come
    /// before `until`.
    pub fn new(inner: B, watch: &Arc<Watch>, limit: usize, until: Option<Instant>) -> (Self, Option<Arc<Sent>>) {
        let sent = (!inner.is_end_stream()).then(|| Arc::new(Sent::new(watch.clone(), limit, until)));
        (Self { inner, ahead: Ahead::default(), sent: sent.clone() }, sent)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let ahead = &mut self.ahead;
        if !ahead.first.is_empty() {
            let next = ahead.more.pop().unwrap_or_default();
            return Poll::Ready(Some(Ok(Frame::data(std::mem::replace(&mut ahead.first, next)))));
        }
        if let Some(trailers) = ahead.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
        if ahead.whole {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Upload<B> {
    type Data = Bytes;
    type Error = Cut<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = this.poll_next(context);
        let Some(sent) = &this.sent else { return frame.map_err(Cut::Client) };
        sent.waits.store(frame.is_pending(), Relaxed);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    sent.passed(data);
                }
                sent.watch.moved();
                if this.ahead.first.is_empty() && this.inner.is_end_stream() {
                    sent.done.store(true, Relaxed);
                } else if sent.late() {
                    return Poll::Ready(Some(Err(Cut::Late)));
                }
            }
            Poll::Ready(None) => sent.done.store(true, Relaxed),
            Poll::Ready(Some(Err(_))) => sent.broke.store(true, Relaxed),
            Poll::Pending => {}
        }
        frame.map_err(Cut::Client)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.first.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.first.len() + self.ahead.more.iter().map(Bytes::len).sum::<usize>();
        match self.inner.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(rest + ahead as u64),
            None => SizeHint::default(),
        }
    }
}
