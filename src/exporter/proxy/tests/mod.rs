//! Real sockets on loopback: a client, the proxy, and a model server that each test writes for itself.

mod drain;
mod failures;
mod forwarding;
mod hold;
mod http2;
mod isolation;
mod lenient;
mod life;
mod load;
mod numbers;
mod pool;
mod raw;
mod resent;
mod support;
mod upgrade;
