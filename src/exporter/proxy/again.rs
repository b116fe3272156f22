//! A request's body that can be sent a second time.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};

/// Bytes kept of a body until its answer begins. Rows of a table are shorter; and it is the memory that each waiting stream may take.
const KEPT: usize = 16 * 1024;

/// Keeps what passes, up to [`KEPT`] bytes.
pub struct Again<B> {
    body: B,
    kept: Vec<Bytes>,
    /// Pieces of `kept` that have passed since the last rewind.
    passed: usize,
    /// Room left; `None` when something has passed that is not kept.
    room: Option<usize>,
}

impl<B> Again<B> {
    pub fn new(body: B) -> Self {
        Self { body, kept: Vec::new(), passed: 0, room: Some(KEPT) }
    }

    /// Begins anew. False when that is impossible.
    pub fn rewind(&mut self) -> bool {
        self.passed = 0;
        self.room.is_some()
    }

    /// Keeps nothing any more.
    pub fn forget(&mut self) {
        self.room = None;
        self.kept.drain(..self.passed);
        self.passed = 0;
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Again<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(piece) = this.kept.get(this.passed) {
            this.passed += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if let (Some(Ok(frame)), Some(room)) = (&frame, this.room) {
            match frame.data_ref().and_then(|data| Some((data, room.checked_sub(data.len())?))) {
                Some((data, left)) => {
                    this.kept.push(data.clone());
                    this.passed += 1;
                    this.room = Some(left);
                }
                // Too much, or trailers.
                None => this.forget(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.passed == self.kept.len() && self.body.is_end_stream()
    }
}
