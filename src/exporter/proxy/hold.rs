//! Bodies that wait until they are whole, or long enough, before the model is asked.
//!
//! A server with sync workers (gunicorn's default) reads a body by the worker that is to answer: one client with a slow
//! line would keep it from all others. So short bodies are passed on whole, and of longer ones the beginning.

use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use tokio::time::{Sleep, sleep};

use super::{tally::Sent, upload::Upload};

/// A body up to this length is passed on whole, and of a longer one, or one whose length is not said, so much waits.
const ENOUGH: usize = 64 * 1024;
/// How long such a beginning waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of all bodies that wait.
const ROOM: usize = 8 * 1024 * 1024;
/// Pieces up to this size are copied: a larger one pins at most four times what it holds.
const COPY_BELOW: usize = 16 * 1024;

/// Why the model is not asked.
pub enum Refusal {
    /// Too much waits already.
    Full,
    /// The body did not come in time.
    Late,
    /// The client broke off.
    Broken,
}

/// The room for bodies that wait.
#[derive(Default)]
pub struct Room(AtomicUsize);

/// What one body has of it.
struct Share<'a> {
    room: &'a Room,
    taken: usize,
}

impl Share<'_> {
    fn grows(&mut self, more: usize) -> bool {
        let fits = self.room.0.load(Relaxed) + more <= ROOM;
        if fits {
            self.room.0.fetch_add(more, Relaxed);
            self.taken += more;
        }
        fits
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.taken, Relaxed);
    }
}

/// What has come of one body.
#[derive(Default)]
struct Pieces {
    all: Vec<Bytes>,
    small: BytesMut,
    length: usize,
}

impl Pieces {
    fn add(&mut self, data: Bytes) {
        self.length += data.len();
        if data.len() < COPY_BELOW {
            self.small.extend_from_slice(&data);
        } else {
            self.close_small();
            self.all.push(data);
        }
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.all.push(std::mem::take(&mut self.small).freeze());
        }
    }
}

/// Waits for the body as far as it should. One that has come with its head waits for nothing, and costs nothing.
pub async fn hold(room: &Room, upload: &mut Upload) -> Result<(), Refusal> {
    let Some(sent) = upload.sent.clone() else { return Ok(()) };
    let short = upload.inner.size_hint().exact().is_some_and(|length| length <= ENOUGH as u64);
    let (mut share, mut pieces) = (Share { room, taken: 0 }, Pieces::default());
    let mut patience = None;
    while let Some(frame) = next(&sent, upload, (!short).then_some(&mut patience)).await? {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                upload.ahead.trailers = frame.into_trailers().ok().map(Box::new);
                upload.ahead.whole = true;
                break;
            }
        };
        let whole = upload.inner.is_end_stream();
        if pieces.length == 0 && (whole || (!short && data.len() >= ENOUGH)) {
            upload.ahead.first = data;
            return Ok(());
        }
        if !whole && sent.late() {
            return Err(Refusal::Late);
        }
        let fits = share.grows(data.len());
        if short && !fits {
            return Err(Refusal::Full);
        }
        pieces.add(data);
        // A longer one would not have waited for much longer anyway.
        if whole || (!short && (pieces.length >= ENOUGH || !fits)) {
            break;
        }
    }
    pieces.close_small();
    pieces.all.reverse();
    upload.ahead.first = pieces.all.pop().unwrap_or_default();
    upload.ahead.more = pieces.all;
    Ok(())
}

/// The next frame. `None` at the end, which is noted, or when the `patience` that there is for it is over.
async fn next(
    sent: &Sent,
    upload: &mut Upload,
    mut patience: Option<&mut Option<Pin<Box<Sleep>>>>,
) -> Result<Option<Frame<Bytes>>, Refusal> {
    let mut looked = false;
    std::future::poll_fn(|context| {
        let frame = Pin::new(&mut upload.inner).poll_frame(context);
        sent.waits.store(frame.is_pending(), Relaxed);
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                sent.watch.moved();
                return Poll::Ready(Ok(Some(frame)));
            }
            Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Refusal::Broken)),
            Poll::Ready(None) => {
                upload.ahead.whole = true;
                return Poll::Ready(Ok(None));
            }
            Poll::Pending if sent.watch.expired() => return Poll::Ready(Err(Refusal::Late)),
            Poll::Pending => {}
        }
        // hyper reads only once it was asked, and then asks again: before that nobody knows whether there is anything.
        if std::mem::replace(&mut looked, true)
            && let Some(patience) = &mut patience
        {
            let patience = patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            if patience.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(None));
            }
        }
        sent.watch.wake_by(context);
        Poll::Pending
    })
    .await
}
