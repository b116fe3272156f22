//! The door of this room: takes exchanges from the proxy, and has them read on a thread of its own.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, StatusCode};
use prometheus::Registry;
use tokio::sync::Notify;

use super::{
    blame,
    inflate::{Encoding, gunzip},
    metrics::{Metrics, Skip},
    queue::{Batch, Bounds, Entry, Full, Queue, Told},
    reader::{Answer, Reader, Request},
    request::Format,
    settings::{Decided, Reading},
    sketch::{self, Shape},
    tracks::predicts,
};
use crate::{
    blame::{Cause, Errors},
    exchange::{Captured, Exchange},
};

/// Bytes of a body that are read at most. Answers are longer only for thousands of rows at a time.
const LONGEST: usize = 64 * 1024;
/// 4,096 exchanges are 70 ms of the proxy's full speed. While one batch is read another one gathers, so twice the bytes
/// may be held.
const BOUNDS: Bounds = Bounds { entries: 4_096, bytes: 2 * 1024 * 1024 };

/// Paths that model servers answer with facts about themselves, and never with predictions.
const ABOUT_ITSELF: [&str; 7] = ["/ping", "/health", "/version", "/metrics", "/v2", "/docs", "/openapi.json"];

/// Takes exchanges to be read. Cheap to clone; the thread ends when the last clone is gone.
#[derive(Clone)]
pub struct Intake(Arc<Room>);

struct Room {
    shared: Arc<Shared>,
    metrics: Metrics,
    errors: Errors,
    /// Bounds of the histogram of numbers, for as long as the process lives.
    bins: Option<Vec<f64>>,
}

struct Shared {
    queue: Queue,
    decided: Arc<Mutex<Option<Decided>>>,
    /// The path of requests that the settings name.
    named: Mutex<Option<String>>,
    /// Whether the number of rows asked for may tell what the items of a list are.
    curious: Arc<AtomicBool>,
    /// Entries read, ever.
    done: AtomicU64,
    progress: Notify,
}

impl Shared {
    /// Whether the settings say that predictions are asked for at this path.
    fn names(&self, path: &str) -> bool {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(path)
    }
}

/// Why reading could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the series of predictions cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the thread that reads predictions cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Intake {
    /// Registers the series and starts the thread.
    ///
    /// # Errors
    /// When a name is taken on this registry, or there can be no thread.
    pub fn start(registry: &Registry, reading: Reading, errors: Errors) -> Result<Self, StartError> {
        Self::bounded(registry, reading, errors, BOUNDS)
    }

    pub(super) fn bounded(
        registry: &Registry,
        reading: Reading,
        errors: Errors,
        bounds: Bounds,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::new(registry, reading.bins.as_deref())?;
        let shared = Arc::new(Shared {
            queue: Queue::new(bounds),
            decided: Arc::default(),
            named: Mutex::new(reading.request_path.clone()),
            curious: Arc::new(AtomicBool::new(true)),
            done: AtomicU64::new(0),
            progress: Notify::new(),
        });
        let bins = reading.bins.clone();
        let reader = Reader::new(metrics.clone(), reading, Arc::clone(&shared.decided), Arc::clone(&shared.curious));
        let room = Room { shared: Arc::clone(&shared), metrics, errors: errors.clone(), bins };
        thread::Builder::new().name("reading".into()).spawn(move || work(&shared, reader, &errors))?;
        Ok(Self(Arc::new(room)))
    }

    /// Whether predictions may be in this exchange, so that its bodies should be copied.
    pub fn wants(&self, method: &Method, path: &str, query: bool) -> bool {
        let asks = *method == Method::POST
            || (*method == Method::GET && query && (predicts(path) || self.0.shared.names(path)));
        asks && !about_itself(path) && !grpc(path)
    }

    /// Bytes of a request to copy.
    pub fn request_limit(&self) -> usize {
        LONGEST
    }

    /// Bytes of an answer to copy.
    pub fn answer_limit(&self) -> usize {
        LONGEST
    }

    /// Takes an exchange, or counts why not. Never blocks. For a status from 400 to 499 it sees to it that the blame is
    /// counted; other statuses than 200 and 201 are left alone.
    pub fn offer(&self, exchange: Exchange) {
        let room = &*self.0;
        let Exchange { status, path, request, answer, .. } = &exchange;
        let encoding = Encoding::of(answer.content_encoding.as_ref());
        if status.is_client_error() {
            let readable = encoding.filter(|_| Format::of(answer.content_type.as_ref()) == Format::Json);
            match readable.map(|encoding| room.shared.queue.blame(answer, encoding, blame::LOOKED_AT)) {
                Some(Ok(())) => {}
                Some(Err(Full)) => room.errors.count(Cause::Unclear),
                None => room.errors.count(Cause::Client),
            }
            return;
        }
        // 201 is what some frameworks answer any POST with.
        if !matches!(*status, StatusCode::OK | StatusCode::CREATED) {
            return;
        }
        let Some(encoding) = encoding else {
            return room.metrics.skipped(Skip::Encoded, || header_shape("encoded: ", answer.content_encoding.as_ref()));
        };
        let text = match Format::of(answer.content_type.as_ref()) {
            Format::Json => false,
            Format::Text => true,
            Format::Csv | Format::Other if is_stream(answer.content_type.as_ref()) => {
                return room.metrics.skipped(Skip::Stream, Shape::default);
            }
            Format::Csv | Format::Other => {
                return room.metrics.skipped(Skip::ContentType, || header_shape("", answer.content_type.as_ref()));
            }
        };
        let format = Format::of(request.content_type.as_ref());
        let curious = room.shared.curious.load(Ordering::Relaxed);
        let needed = (encoding != Encoding::Plain || needs_request(answer) || (curious && nests(answer)))
            && request.whole
            && format != Format::Other
            && Encoding::of(request.content_encoding.as_ref()) == Some(Encoding::Plain);
        let told = Told { encoding, text };
        if room.shared.queue.answer(path, answer, told, needed.then_some((request, format))).is_err() {
            room.metrics.skipped(Skip::QueueFull, Shape::default);
        }
    }

    /// Takes settings for the exchanges offered from now on. No counter falls by it. The histogram of numbers keeps the
    /// bins it was started with.
    ///
    /// # Errors
    /// A sentence that says that other bins need a restart; all else is taken nevertheless.
    pub fn set(&self, reading: Reading) -> Result<(), String> {
        let same = reading.bins == self.0.bins;
        self.0.shared.named.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&reading.request_path);
        self.0.shared.queue.settings(reading);
        if same {
            return Ok(());
        }
        Err("predictions.bins: other bins are taken when the pod is replaced, since counts cannot be moved between \
             bins; until then those from the start are used"
            .into())
    }

    #[cfg(test)]
    pub(super) fn sleeps(&self) -> bool {
        self.0.shared.queue.sleeps()
    }

    /// How predictions are read; none while that is not settled.
    pub fn decided(&self) -> Option<Decided> {
        self.0.shared.decided.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all that was offered before is read, and for no longer than `within`. Whether it is.
    pub async fn flush(&self, within: Duration) -> bool {
        let shared = &self.0.shared;
        let offered = shared.queue.hurry();
        let read = async {
            loop {
                let progress = shared.progress.notified();
                tokio::pin!(progress);
                // From here on no notice is missed.
                progress.as_mut().enable();
                if shared.done.load(Ordering::Acquire) >= offered {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(within, read).await.is_ok()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

/// The thread.
fn work(shared: &Shared, mut reader: Reader, errors: &Errors) {
    let (mut batch, mut plain) = (Batch::default(), Vec::new());
    while shared.queue.take(&mut batch) {
        let bytes = |range: std::ops::Range<usize>| batch.bytes.get(range).unwrap_or_default();
        let (count, now) = (batch.entries.len() as u64, Instant::now());
        for entry in batch.entries.drain(..) {
            match entry {
                Entry::Answer { path, body, whole, told, request } => {
                    let request = request.map(|(body, format)| Request { body: bytes(body), format });
                    let (body, whole) = decoded(bytes(body), whole, told.encoding, &mut plain);
                    let path = std::str::from_utf8(bytes(path)).unwrap_or_default();
                    let skipped = reader.exchange(path, Answer { body, whole, text: told.text }, request, now);
                    if skipped == Some(Skip::Failed) {
                        errors.count(Cause::Unclear);
                    }
                }
                Entry::Blame { beginning, encoding } => {
                    let (beginning, _) = decoded(bytes(beginning), false, encoding, &mut plain);
                    errors.count(blame::of_client_error(beginning));
                }
                Entry::Settings(reading) => reader.set(*reading, now),
            }
        }
        plain.shrink_to(4096);
        shared.done.fetch_add(count, Ordering::Release);
        shared.progress.notify_waiters();
    }
}

/// What a body holds, and whether that is all.
fn decoded<'a>(body: &'a [u8], whole: bool, encoding: Encoding, plain: &'a mut Vec<u8>) -> (&'a [u8], bool) {
    if encoding == Encoding::Plain {
        return (body, whole);
    }
    let ended = gunzip(body, LONGEST, plain);
    (plain, whole && ended)
}

/// Server-sent events: words of a language model one by one, and no rows.
fn is_stream(content_type: Option<&HeaderValue>) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    content_type
        .and_then(|value| value.as_bytes().get(..EVENTS.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

/// The name that a header begins with, without parameters: it is the server's word, and no value of a model.
fn header_shape(before: &str, value: Option<&HeaderValue>) -> Shape {
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = value.split([';', ',']).next().unwrap_or_default().trim();
    let known = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+-._*".contains(&byte));
    sketch::said(format!("{before}{}", if known { name } else { "…" }))
}

fn about_itself(path: &str) -> bool {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    ABOUT_ITSELF.contains(&path)
        || path.starts_with("/v2/health/")
        || path.starts_with("/v2/repository/")
        || (path.starts_with("/v2/models/") && (path.ends_with("/ready") || path.ends_with("/load")))
}

/// gRPC's paths are `/package.Service/Method`.
fn grpc(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    let service = parts.next().unwrap_or_default();
    let method = parts.next();
    service.contains('.') && method.is_some_and(|method| !method.is_empty()) && parts.next().is_none()
}

/// Whether the request may have to tell the number of rows: not if the answer is a list to its end, which its beginning
/// shows. Almost all answers are, and then the request is not even copied.
fn needs_request(answer: &Captured) -> bool {
    if !answer.whole {
        return true;
    }
    let Some(first) = answer.pieces.first() else { return false };
    let first = first.trim_ascii_start();
    let Some(inside) = first.strip_prefix(b"{") else { return !first.starts_with(b"[") };
    let list = inside
        .trim_ascii_start()
        .strip_prefix(b"\"predictions\"")
        .and_then(|rest| rest.trim_ascii_start().strip_prefix(b":"))
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"["));
    !list
}

/// Whether an answer is a list of lists or of objects, as far as its beginning shows.
fn nests(answer: &Captured) -> bool {
    let first = answer.pieces.first().map(|first| first.as_ref()).unwrap_or_default();
    let mut opened = first.iter().filter(|byte| !byte.is_ascii_whitespace()).skip_while(|byte| **byte != b'[');
    opened.next().is_some() && opened.next().is_some_and(|next| matches!(next, b'[' | b'{'))
}
