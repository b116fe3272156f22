//! The answer's body on its way to the client.

use std::{
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    pool::Lease,
    tally::{Ending, Tally},
    told,
};

/// Why an answer's body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the model's connection broke in the middle of its answer: {0}")]
    Model(#[source] hyper::Error),
    #[error("the model stopped in the middle of its answer")]
    Stalled,
}

pub struct Download {
    body: Source,
    tally: Tally,
    /// The connection that the answer comes by, to be used again after it.
    lease: Option<Lease>,
}

enum Source {
    Model(Incoming),
    Own(Option<Bytes>),
}

impl Download {
    pub fn of_model(inner: Incoming, tally: Tally, lease: Option<Lease>) -> Self {
        Self { body: Source::Model(inner), tally, lease }
    }

    pub fn own(data: Bytes, tally: Tally) -> Self {
        Self { body: Source::Own(Some(data)), tally, lease: None }
    }

    fn whole(&mut self) {
        let now = Instant::now();
        self.tally.end(Ending::Whole, now);
        let lease = self.lease.take();
        if !self.tally.sent_all() {
            // With a part of the request still to be sent the connection is of no use for another.
            self.tally.watch().linger.store(true, Relaxed);
        } else if let Some(lease) = lease {
            self.tally.connection().shared.pool.put(lease, now);
        }
    }

    fn broken(&mut self, ending: Ending) {
        self.tally.watch().reset.store(true, Relaxed);
        self.tally.end(ending, Instant::now());
        self.lease = None;
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // A body that was whole from the start is never polled, nor is ours where the client asked for the head only.
        if self.is_end_stream() || matches!(self.body, Source::Own(_)) {
            self.whole();
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let inner = match &mut this.body {
            Source::Model(inner) => inner,
            Source::Own(data) => {
                let Some(data) = data.take() else { return Poll::Ready(None) };
                this.tally.passed(&data);
                this.whole();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        };
        match Pin::new(&mut *inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let last = inner.is_end_stream();
                if let Some(data) = frame.data_ref() {
                    this.tally.passed(data);
                }
                if let Some(cause) = frame.trailers_ref().and_then(told::by_grpc) {
                    this.tally.blames(cause);
                }
                if last {
                    this.whole();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.whole();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.broken(Ending::ModelBroke);
                Poll::Ready(Some(Err(Broken::Model(error))))
            }
            Poll::Pending if this.tally.watch().expired() => {
                this.broken(Ending::ModelStalled);
                Poll::Ready(Some(Err(Broken::Stalled)))
            }
            Poll::Pending => {
                this.tally.watch().wake_by(context);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Source::Model(inner) => inner.is_end_stream(),
            Source::Own(data) => data.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Model(inner) => inner.size_hint(),
            Source::Own(data) => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}
