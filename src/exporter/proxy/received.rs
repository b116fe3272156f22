//! The body of an HTTP/2 message as it comes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};

/// The sender may send as much again as was taken. Unlike hyper's `Incoming`, a reset is never a good end, whatever its code: half an
/// answer must not pass for a whole one.
pub struct Received(RecvStream);

impl Received {
    pub fn new(stream: RecvStream) -> Self {
        Self(stream)
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let stream = &mut self.0;
        match ready!(stream.poll_data(context)) {
            Some(Ok(data)) => {
                // Fails only for more than was received.
                let _ = stream.flow_control().release_capacity(data.len());
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                stream.poll_trailers(context).map(|trailers| trailers.transpose().map(|end| end.map(Frame::trailers)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
