//! The hot path: forwards every request to the model server and counts it, streaming both ways.
//!
//! * [`options`]: what can be set. * [`serve`]: accepts connections, and the end of it all.
//! * [`connection`]: one client connection. * [`socket`]: its bytes. * [`forward`]: one request.
//! * [`tunnel`]: what follows a 101. * [`headers`]: which of them end here. * [`target`]: what hyper cannot be shown.
//! * [`upload`], [`download`]: bodies. * [`hold`]: those that wait.
//! * [`pool`]: connections to the model. * [`wire`]: their bytes. * [`trust`]: how long they may be idle.
//! * [`session`]: one client connection that speaks HTTP/2. * [`call`]: one request on it. * [`streams`]: its connections to the
//!   model. * [`pump`], [`received`], [`again`]: bodies in HTTP/2.
//! * [`tally`]: what is counted when an exchange ends. * [`told`]: whom answers blame themselves. * [`metrics`]: where.
//! * [`capture`]: copies for the reading room.
//! * [`patience`]: who waits for whom, and for how long. * [`answers`]: what the exporter says itself.
//!
//! What it does with HTTP:
//!
//! * HTTP/1.0, HTTP/1.1 and h2c by prior knowledge. HTTP/1 goes on as HTTP/1.1, HTTP/2 as HTTP/2 with its trailers.
//! * Hop-by-hop headers end here in both directions; no `Via`. `X-Forwarded-For` gains the client's address, since
//!   the model sees every connection come from the exporter. `Host` is kept; the target goes on without scheme and
//!   host, and byte for byte as the client wrote it, percent-encoded or not.
//! * `Transfer-Encoding` goes on as far as it names more than chunks.
//! * `Upgrade` goes on (WebSocket), but for `h2c` and with HTTP/1.0. After the model's 101 bytes pass both ways unread, until
//!   both sides have ended, or one broke off, or nothing passed for as long as a client may be idle. The 101 is counted like any
//!   answer, when it comes; the drain waits for the end of what follows, until the time is over that it may take at most.
//!   `CONNECT` is 501.
//! * An HTTP/1 body of up to 64 KiB is passed on once it is whole; of a longer one, or one whose length is not said, the first
//!   64 KiB or what has come after 1 s. What waits takes 8 MiB at most, beyond which short ones are answered with 503, and longer
//!   ones do not wait. All of a body has the server's time-out. HTTP/2 streams never wait.
//! * `Expect: 100-continue` is answered here as soon as the body is waited for.
//! * A client that closes its sending side before it has the answer counts as gone, and the model's connection is
//!   closed, so that nobody computes for nobody. nginx does the same.
//! * A request goes out a second time only when its connection was closed before any byte of it was taken: nothing proves
//!   of what was written that the model did not read it. Of HTTP/2 the model may say it: `REFUSED_STREAM`, or above the last stream
//!   of a GOAWAY (RFC 9113, 8.7).
//! * So a connection is used again only when the model will not close it meanwhile: never after a status from 500 on, after
//!   `Connection: close`, or after an answer that came before the whole request was sent; and while it was idle for less than
//!   half the time after which the model was seen to close one, 2 s at most. One loss remains possible: a model that closes
//!   connections of any age without a word (it is stopped, say) in the very moment in which a request is sent.

mod again;
mod answers;
mod call;
mod capture;
mod connection;
mod download;
mod forward;
mod headers;
mod hold;
mod metrics;
mod options;
mod patience;
mod pool;
mod pump;
mod received;
mod serve;
mod session;
mod socket;
mod streams;
mod tally;
mod target;
mod told;
mod trust;
mod tunnel;
mod upload;
mod wire;

pub use self::{
    answers::{HEADER, Reason},
    capture::Taker,
    metrics::Metrics,
    options::Options,
    serve::{Proxy, Rooms, SetupError},
};

#[cfg(test)]
mod tests;
