//! The request's body on its way to the model.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{patience::Watch, tally::Sent};

/// Small on purpose: each connection to the model keeps room for 64 requests, bodies included, in the queue that hyper
/// hands them over by.
pub struct Upload {
    inner: Incoming,
    sent: Option<Arc<Sent>>,
}

impl Upload {
    /// The second half is `None` for a request without a body. At most `limit` bytes are kept.
    pub fn new(inner: Incoming, watch: &Arc<Watch>, limit: usize) -> (Self, Option<Arc<Sent>>) {
        let sent = (!inner.is_end_stream()).then(|| Arc::new(Sent::new(watch.clone(), limit)));
        (Self { inner, sent: sent.clone() }, sent)
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
        let Some(sent) = &this.sent else { return frame };
        sent.waits.store(frame.is_pending(), Relaxed);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    sent.passed(data);
                }
                sent.watch.moved();
                if this.inner.is_end_stream() {
                    sent.done.store(true, Relaxed);
                }
            }
            Poll::Ready(None) => sent.done.store(true, Relaxed),
            Poll::Ready(Some(Err(_))) => sent.broke.store(true, Relaxed),
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
