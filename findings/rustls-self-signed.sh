#!/usr/bin/env bash
# rustls 0.23.46 beside OpenSSL (Python 3.11's ssl): a certificate as `openssl req -x509` makes it, with which most guides to a private
# registry begin. It may sign others (CA:TRUE), and is shown by the server itself. A client that trusts this very certificate connects
# with OpenSSL; rustls refuses it, whatever is trusted, so that a registry which docker and curl reach is out of a Rust client's reach.
#
# Seen:
#   OpenSSL: connected
#   rustls: refused (invalid peer certificate: Other(OtherError(CaUsedAsEndEntity)))
set -euo pipefail

folder=$(mktemp -d)
clean_up() { rm -rf "$folder"; }
trap clean_up EXIT
cd "$folder"

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout key.pem -out cert.pem -subj /CN=registry.example.org \
    -addext subjectAltName=DNS:registry.example.org 2>log

cat >connect.py <<'PYTHON'
import ssl

server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("cert.pem", "key.pem")
client = ssl.create_default_context(cafile="cert.pem")
up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
ends = [
    client.wrap_bio(down, up, server_hostname="registry.example.org"),
    server.wrap_bio(up, down, server_side=True),
]
while ends:
    for end in list(ends):
        try:
            end.do_handshake()
            ends.remove(end)
        except ssl.SSLWantReadError:
            pass
print("OpenSSL: connected")
PYTHON

mkdir src
cat >Cargo.toml <<'RUST'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
rustls = { version = "=0.23.46", default-features = false, features = ["ring", "std"] }

[workspace]
RUST
cat >src/main.rs <<'RUST'
use std::sync::Arc;

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let certificate = CertificateDer::from_pem_file("cert.pem").unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate.clone()).unwrap();
    let verifier = WebPkiServerVerifier::builder(Arc::new(trusted)).build().unwrap();
    let name = ServerName::try_from("registry.example.org").unwrap();
    match verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now()) {
        Ok(_) => println!("rustls: connected"),
        Err(error) => println!("rustls: refused ({error})"),
    }
}
RUST

seen=$(python3 connect.py && cargo run --quiet)
echo "$seen"
[ "$seen" = 'OpenSSL: connected
rustls: refused (invalid peer certificate: Other(OtherError(CaUsedAsEndEntity)))' ]
