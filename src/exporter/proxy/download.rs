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
    call::Answering,
    pool::Lease,
    pump::Breaks,
    tally::{Ending, Tally},
    told,
};

/// Why an answer's body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the model's connection broke in the middle of its answer: {0}")]
    Model(#[source] hyper::Error),
    #[error("the model's stream broke in the middle of its answer: {0}")]
    Stream(#[source] h2::Error),
    #[error("the model stopped in the middle of its answer")]
    Stalled,
}

pub struct Download {
    body: Source,
    tally: Tally,
    /// The connection that the answer comes by, to be used again after it.
    lease: Option<Lease>,
}

/// Where an answer comes from.
pub enum Source {
    Model(Incoming),
    Call(Answering),
    Own(Option<Bytes>),
}

impl Breaks for Broken {
    fn reason(&self) -> h2::Reason {
        match self {
            Self::Stream(error) => Breaks::reason(error),
            Self::Model(_) | Self::Stalled => h2::Reason::INTERNAL_ERROR,
        }
    }
}

impl Download {
    pub fn of_model(body: Source, tally: Tally, lease: Option<Lease>) -> Self {
        Self { body, tally, lease }
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
        let polled = match &mut this.body {
            Source::Model(inner) => Pin::new(inner).poll_frame(context).map_err(Broken::Model),
            Source::Call(inner) => Pin::new(inner).poll_frame(context).map_err(Broken::Stream),
            Source::Own(data) => {
                let Some(data) = data.take() else { return Poll::Ready(None) };
                this.tally.passed(&data);
                this.whole();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let last = this.is_end_stream();
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
                Poll::Ready(Some(Err(error)))
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
            Source::Call(inner) => inner.is_end_stream(),
            Source::Own(data) => data.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Model(inner) => inner.size_hint(),
            Source::Call(inner) => inner.size_hint(),
            Source::Own(data) => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}
