//! The request's body on its way to the model.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{capture::Pieces, patience::Watch, tally::Sent};

pub struct Upload {
    inner: Incoming,
    counts: Option<Counts>,
}

struct Counts {
    sent: Arc<Sent>,
    watch: Arc<Watch>,
    pieces: Pieces,
}

impl Upload {
    /// The second half is `None` for a request without a body. At most `limit` bytes are kept.
    pub fn new(inner: Incoming, watch: &Arc<Watch>, limit: usize) -> (Self, Option<Arc<Sent>>) {
        if inner.is_end_stream() {
            return (Self { inner, counts: None }, None);
        }
        let sent = Arc::new(Sent::default());
        let counts = Counts { sent: sent.clone(), watch: watch.clone(), pieces: Pieces::up_to(limit) };
        (Self { inner, counts: Some(counts) }, Some(sent))
    }
}

impl Counts {
    fn passed(&mut self, data: &Bytes) {
        self.sent.bytes.fetch_add(data.len() as u64, Relaxed);
        self.pieces.add(data);
    }

    fn publish(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        *self.sent.pieces.lock().unwrap_or_else(PoisonError::into_inner) = pieces;
    }

    fn done(&mut self) {
        if !self.sent.done.swap(true, Relaxed) {
            self.publish();
        }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        if !self.sent.done.load(Relaxed) {
            self.publish();
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.inner).poll_frame(context);
        let Some(counts) = &mut this.counts else { return frame };
        counts.sent.waits.store(frame.is_pending(), Relaxed);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                counts.watch.moved();
                if let Some(data) = frame.data_ref() {
                    counts.passed(data);
                }
                if this.inner.is_end_stream() {
                    counts.done();
                }
            }
            Poll::Ready(None) => counts.done(),
            Poll::Ready(Some(Err(_))) => counts.sent.broke.store(true, Relaxed),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
