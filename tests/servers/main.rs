//! The exporter as a whole, on loopback: beside real model servers, with nothing to do, and with what a version brings along.
//! `tests/run unit` installs the servers and runs these.

mod exporter;
mod files;
mod http2;
mod idle;
mod keep_alive;
mod profile;
mod raising;
mod slow;
mod talking;
mod uvicorn;

/// A client as any user of the model has one.
fn client() -> reqwest::Client {
    // An error means that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}
