//! The hot path: forwards every request to the model server and counts it, streaming both ways.
//!
//! * [`options`]: what can be set. * [`serve`]: accepts connections, and the end of it all.
//! * [`connection`]: one client connection. * [`socket`]: its bytes. * [`forward`]: one request.
//! * [`headers`]: which of them end here. * [`pool`]: connections to the model. * [`upload`], [`download`]: bodies.
//! * [`tally`]: what is counted when an exchange ends. * [`told`]: whom answers blame themselves. * [`metrics`]: where.
//! * [`capture`]: copies for the reading room.
//! * [`patience`]: who waits for whom, and for how long. * [`answers`]: what the exporter says itself.
//!
//! What it does with HTTP:
//!
//! * HTTP/1.0, HTTP/1.1 and h2c by prior knowledge. HTTP/1 goes on as HTTP/1.1, HTTP/2 as HTTP/2 with its trailers.
//! * Hop-by-hop headers end here in both directions; no `Via`. `X-Forwarded-For` gains the client's address, since
//!   the model sees every connection come from the exporter. `Host` is kept; the target goes on without scheme and
//!   host.
//! * `Upgrade` ends here like any hop-by-hop header: the model sees a plain request, which HTTP allows. `CONNECT` is
//!   501.
//! * `Expect: 100-continue` is answered here as soon as the model's connection takes the body.
//! * A client that closes its sending side before it has the answer counts as gone, and the model's connection is
//!   closed, so that nobody computes for nobody. nginx does the same.
//! * A request goes out a second time only when its connection was closed before any byte of it was taken.

mod answers;
mod capture;
mod connection;
mod download;
mod forward;
mod headers;
mod metrics;
mod options;
mod patience;
mod pool;
mod serve;
mod socket;
mod tally;
mod told;
mod upload;

pub use self::{
    answers::{HEADER, Reason},
    capture::Taker,
    metrics::Metrics,
    options::Options,
    serve::{Proxy, Rooms, SetupError},
};

#[cfg(test)]
mod tests;
