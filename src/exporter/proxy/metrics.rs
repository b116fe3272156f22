//! Where requests are counted. Every series that a request touches is looked up once, not each time.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Method;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The values of the label `method`, by [`index`].
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other"];
const OTHER: usize = 7;
/// Lowest and number of status codes that HTTP knows. Some servers answer with others, up to 999: they are counted, too, and pay
/// for being looked up.
const FIRST_CODE: u16 = 100;
const CODES: usize = 500;
/// What model servers answer, and what the exporter answers itself: there at 0, since a counter that first appears at
/// 1 has no increase.
const USUAL_CODES: [u16; 13] = [200, 400, 401, 404, 405, 413, 415, 422, 499, 500, 502, 503, 504];

/// Seconds: from a small model's answer to the longest that a server waits by default.
const SECONDS: [f64; 18] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0];
const BYTES: [f64; 7] = [100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

/// What the proxy counts. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    requests: IntCounterVec,
    resolved: Vec<OnceLock<IntCounter>>,
    duration: Histogram,
    request_bytes: Histogram,
    response_bytes: Histogram,
    in_flight: IntGauge,
    begun: AtomicU64,
    connections: IntGauge,
    upstream_connections: IntCounter,
    resent: IntCounter,
}

/// Number of the method among the label's values.
pub fn index(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::DELETE => 4,
        Method::OPTIONS => 5,
        Method::PATCH => 6,
        _ => OTHER,
    }
}

impl Metrics {
    /// # Errors
    /// When a name is taken on this registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = Opts::new(
            "http_requests_total",
            "Requests that ended, by method and status code; 499 where the client went away before the answer.",
        );
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
        };
        let inner = Inner {
            requests: IntCounterVec::new(requests, &["method", "code"])?,
            resolved: (0..METHODS.len() * CODES).map(|_| OnceLock::new()).collect(),
            duration: histogram(
                "http_request_duration_seconds",
                "Seconds from the first byte of a request's head to the last byte of its answer.",
                &SECONDS,
            )?,
            request_bytes: histogram("http_request_size_bytes", "Bytes of request bodies.", &BYTES)?,
            response_bytes: histogram("http_response_size_bytes", "Bytes of answers' bodies.", &BYTES)?,
            in_flight: IntGauge::new("http_requests_in_flight", "Requests that are being served now.")?,
            begun: AtomicU64::new(0),
            connections: IntGauge::new(
                "modelship_exporter_client_connections",
                "Connections that clients hold open to the exporter now.",
            )?,
            upstream_connections: IntCounter::new(
                "modelship_exporter_model_connections_total",
                "Connections that the exporter has opened to the model server.",
            )?,
            resent: IntCounter::new(
                "modelship_exporter_requests_resent_total",
                "Requests that were sent again because their connection was closed before any byte of them was taken.",
            )?,
        };
        registry.register(Box::new(inner.requests.clone()))?;
        for histogram in [&inner.duration, &inner.request_bytes, &inner.response_bytes] {
            registry.register(Box::new(histogram.clone()))?;
        }
        for gauge in [&inner.in_flight, &inner.connections] {
            registry.register(Box::new(gauge.clone()))?;
        }
        for counter in [&inner.upstream_connections, &inner.resent] {
            registry.register(Box::new(counter.clone()))?;
        }
        let metrics = Self(Arc::new(inner));
        for method in [Method::GET, Method::POST] {
            for code in USUAL_CODES {
                metrics.0.usual(index(&method), code);
            }
        }
        Ok(metrics)
    }

    pub(super) fn began(&self) {
        self.0.in_flight.inc();
        self.0.begun.fetch_add(1, Relaxed);
    }

    /// Requests that have begun so far, those that do not count included.
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.load(Relaxed)
    }

    /// One that does not count after all: a probe.
    pub(super) fn does_not_count(&self) {
        self.0.in_flight.dec();
    }

    pub(super) fn ended(&self, ended: &Ended) {
        let inner = &*self.0;
        inner.in_flight.dec();
        inner.count(ended.method, ended.code);
        inner.duration.observe(ended.took.as_secs_f64());
        inner.request_bytes.observe(ended.request_bytes as f64);
        inner.response_bytes.observe(ended.response_bytes as f64);
    }

    /// A head that could not be read, so that there is neither a method nor a body to speak of.
    pub(super) fn refused(&self, code: u16) {
        self.0.count(OTHER, code);
    }

    pub(super) fn connected(&self) {
        self.0.connections.inc();
    }

    pub(super) fn disconnected(&self) {
        self.0.connections.dec();
    }

    pub(super) fn opened_upstream(&self) {
        self.0.upstream_connections.inc();
    }

    pub(super) fn resent(&self) {
        self.0.resent.inc();
    }
}

/// An exchange that is over.
pub struct Ended {
    pub method: usize,
    pub code: u16,
    pub took: Duration,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

impl Inner {
    fn count(&self, method: usize, code: u16) {
        match self.usual(method, code) {
            Some(requests) => requests.inc(),
            None => self.series(method, code).inc(),
        }
    }

    /// `None` for a status code that HTTP does not know.
    fn usual(&self, method: usize, code: u16) -> Option<&IntCounter> {
        let place = usize::from(code.checked_sub(FIRST_CODE)?);
        let counter = self.resolved.get(method * CODES + place).filter(|_| place < CODES)?;
        Some(counter.get_or_init(|| self.series(method, code)))
    }

    fn series(&self, method: usize, code: u16) -> IntCounter {
        self.requests.with_label_values(&[METHODS[method], &code.to_string()])
    }
}
