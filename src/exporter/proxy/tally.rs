//! What is counted when an exchange ends, however it ends: the count is made when the tally is dropped at the latest.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{
    capture::{Capture, Pieces},
    connection::Connection,
    metrics::Ended,
    patience::{Phase, Watch},
};
use crate::{blame::Cause, life::InFlight, reading::is_json};

/// nginx's code for a client that went away before its answer.
const CLIENT_WENT_AWAY: u16 = 499;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last byte of the answer was handed on.
    Whole,
    /// The model's connection broke in the middle of the answer.
    ModelBroke,
    /// The model stopped in the middle of the answer.
    ModelStalled,
    /// The client went away, or took no more.
    ClientGone,
}

/// How far the request's body has come; shared by its two ends.
#[derive(Debug)]
pub struct Sent {
    bytes: AtomicU64,
    pub done: AtomicBool,
    /// The client does not send what it should.
    pub waits: AtomicBool,
    /// The client broke off.
    pub broke: AtomicBool,
    pub watch: Arc<Watch>,
    /// When all of it must have come.
    until: Option<Instant>,
    /// Whether any of it is kept.
    captures: bool,
    pieces: Mutex<Pieces>,
}

impl Sent {
    /// Keeps at most `limit` bytes.
    pub fn new(watch: Arc<Watch>, limit: usize, until: Option<Instant>) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            done: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            broke: AtomicBool::new(false),
            watch,
            until,
            captures: limit > 0,
            pieces: Mutex::new(Pieces::up_to(limit)),
        }
    }

    /// A piece of the request passed.
    pub fn passed(&self, data: &Bytes) {
        self.bytes.fetch_add(data.len() as u64, Relaxed);
        if self.captures {
            self.pieces.lock().unwrap_or_else(PoisonError::into_inner).add(data);
        }
    }

    /// Whether it has taken too long, however steadily it comes.
    pub fn late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Whether all of it has come, and is a text that is no JSON.
    fn is_no_json(&self) -> bool {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = self.captures && self.done.load(Relaxed) && pieces.held() as u64 == self.bytes.load(Relaxed);
        let text = whole.then(|| String::from_utf8(pieces.concat()).ok()).flatten();
        text.is_some_and(|text| !is_json(text.as_bytes()))
    }

    fn take_pieces(&self) -> Pieces {
        std::mem::take(&mut *self.pieces.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The account of one exchange.
pub struct Tally {
    connection: Arc<Connection>,
    watch: Arc<Watch>,
    pub start: Instant,
    method: usize,
    /// The kubelet's probes are not.
    counted: bool,
    status: Option<StatusCode>,
    /// Whom the answer itself blames.
    cause: Option<Cause>,
    received: u64,
    /// `None` for a request without a body.
    sent: Option<Arc<Sent>>,
    capture: Option<Box<Capture>>,
    ended: bool,
    _in_flight: InFlight,
}

impl Tally {
    pub fn begin(connection: &Arc<Connection>, watch: &Arc<Watch>, method: &Method) -> Self {
        let start = watch.request();
        connection.shared.metrics.began();
        Self {
            connection: connection.clone(),
            watch: watch.clone(),
            start,
            method: super::metrics::index(method),
            counted: true,
            status: None,
            cause: None,
            received: 0,
            sent: None,
            capture: None,
            ended: false,
            _in_flight: connection.shared.rooms.drain.enter(),
        }
    }

    pub fn do_not_count(&mut self) {
        if std::mem::replace(&mut self.counted, false) {
            self.connection.shared.metrics.does_not_count();
        }
    }

    pub fn counts(&self) -> bool {
        self.counted
    }

    pub fn sends(&mut self, sent: Arc<Sent>) {
        self.sent = Some(sent);
    }

    pub fn captures(&mut self, capture: Capture) {
        self.capture = Some(Box::new(capture));
    }

    /// The model's answer has begun.
    pub fn answered(&mut self, status: StatusCode, headers: &http::HeaderMap) {
        self.status = Some(status);
        self.watch.enter(Phase::Answering);
        let Some(taker) = &self.connection.shared.rooms.taker else { return };
        let Some(mut capture) = self.capture.take() else { return };
        if capture.answered(status, headers, taker.answer_limit()) {
            self.capture = Some(capture);
        } else {
            let sent = self.sent.clone();
            self.cause = capture.blames(status, sent.map(|sent| move || sent.is_no_json()));
        }
    }

    /// The exporter answers by itself.
    pub fn answers(&mut self, status: StatusCode, cause: Cause) {
        self.status = Some(status);
        self.blames(cause);
        self.watch.enter(Phase::Answering);
    }

    /// The answer says whose fault it is, and is no prediction.
    pub fn blames(&mut self, cause: Cause) {
        self.cause = Some(cause);
        self.capture = None;
    }

    /// A piece of the answer passed.
    pub fn passed(&mut self, data: &Bytes) {
        // The answer's beginning was told already, and most answers have one piece: they pay nothing.
        if self.received > 0 && self.cause.is_none() {
            self.connection.shared.rooms.health.answered();
        }
        self.received += data.len() as u64;
        self.watch.moved();
        if let Some(capture) = &mut self.capture {
            capture.answer.add(data);
        }
    }

    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether the whole request has gone to the model.
    pub fn sent_all(&self) -> bool {
        self.sent.as_ref().is_none_or(|sent| sent.done.load(Relaxed))
    }

    /// Whether it is the client that the request waits for.
    pub fn waits_for_client(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.waits.load(Relaxed))
    }

    /// Whether the client has taken too long to send its request.
    pub fn client_late(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| !sent.done.load(Relaxed) && sent.late())
    }

    /// Whether the client broke off in the middle of its request.
    pub fn client_broke(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.broke.load(Relaxed))
    }

    pub fn end(&mut self, ending: Ending, now: Instant) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.watch.enter(Phase::Idle);
        let request_bytes = self.sent.as_ref().map_or(0, |sent| sent.bytes.load(Relaxed));
        let metrics = &self.connection.shared.metrics;
        let ended = Ended {
            method: self.method,
            code: self.status.map_or(CLIENT_WENT_AWAY, |status| status.as_u16()),
            took: now.saturating_duration_since(self.start),
            request_bytes,
            response_bytes: self.received,
        };
        if !self.counted {
            return;
        }
        metrics.ended(&ended);
        if let Some(cause) = self.blame(ending, request_bytes) {
            self.connection.shared.rooms.errors.count(cause);
        }
    }

    /// Whom the proxy blames; the reading room decides on what it is offered.
    fn blame(&mut self, ending: Ending, request_bytes: u64) -> Option<Cause> {
        match ending {
            Ending::ClientGone => return Some(Cause::Client),
            Ending::ModelBroke => return Some(Cause::Unreachable),
            Ending::ModelStalled => return Some(Cause::Timeout),
            Ending::Whole => {}
        }
        if self.cause.is_some() {
            return self.cause;
        }
        let status = self.status?;
        if let Some(capture) = self.capture.take()
            && let Some(taker) = &self.connection.shared.rooms.taker
        {
            let pieces = self.sent.as_ref().map(|sent| sent.take_pieces()).unwrap_or_default();
            taker.offer(capture.exchange(status, (pieces, request_bytes, self.sent_all()), self.received));
            return None;
        }
        match status.as_u16() {
            400..=499 => Some(Cause::Client),
            500.. => Some(Cause::Model),
            _ => None,
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Ending::ClientGone, Instant::now());
        }
    }
}
