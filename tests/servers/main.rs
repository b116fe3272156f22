//! The exporter as a whole, on loopback: beside a real model server, and with nothing to do. `tests/run unit` installs the
//! server and runs these.

mod idle;
mod keep_alive;

/// A client as any user of the model has one.
fn client() -> reqwest::Client {
    // An error means that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}
