//! What can be set.

use std::time::Duration;

/// How to proxy. [`Options::to`] is right for production but for the model's own time limit.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` of the model server.
    pub upstream: String,
    /// From the last piece of the request to the head of the answer; also what all of an HTTP/1 request may take to come. A bit more than the model's own limit, or the
    /// client gets our 504 where the model would have said what is wrong.
    pub timeout: Duration,
    /// Between two pieces of an answer, and for a client that does not take them.
    pub body_timeout: Duration,
    /// From the first byte of a request's head to its last.
    pub head_timeout: Duration,
    /// How long a client's connection may be idle. Longer than what clients' pools use (Go 90 s, nginx 75 s), so that
    /// it is they who close: a connection closed by its server may just be carrying the next request.
    pub client_idle_timeout: Duration,
    /// How long a connection to the model may be idle and still be used, at most; less where the model closes them sooner.
    /// Below what model servers use (uvicorn 5 s), for the same reason.
    pub pool_idle_timeout: Duration,
    /// Idle connections to the model that are kept.
    pub pool_size: usize,
    /// Bytes of a request's head, beyond which it is answered with 431.
    pub header_limit: usize,
    /// Client connections at a time; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Drains last at least this long: endpoints are taken out of service only after the pod was told to end.
    pub drain_least: Duration,
    /// The drain goes on until no request came for so long.
    pub drain_quiet: Duration,
    /// Drains end after this, whatever is under way.
    pub drain_most: Duration,
}

impl Options {
    /// Client connections at a time, where there are files enough.
    pub const MOST_CONNECTIONS: usize = 8192;

    /// Defaults for a model server with a time limit of 60 s.
    pub fn to(upstream: impl Into<String>) -> Self {
        Self {
            upstream: upstream.into(),
            timeout: Duration::from_secs(65),
            body_timeout: Duration::from_secs(65),
            head_timeout: Duration::from_secs(15),
            client_idle_timeout: Duration::from_secs(300),
            pool_idle_timeout: Duration::from_secs(2),
            pool_size: 512,
            header_limit: 64 * 1024,
            max_connections: Self::MOST_CONNECTIONS,
            drain_least: Duration::from_secs(5),
            drain_quiet: Duration::from_secs(1),
            drain_most: Duration::from_secs(75),
        }
    }
}
