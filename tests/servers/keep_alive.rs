//! uvicorn closes a connection that was idle for 5 s. A request that is sent in that very moment would be lost, and cannot
//! be sent again: it may have been seen.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use modelship_exporter::{
    blame::Errors,
    life::{Clock, Drain, Health, Settings},
    proxy::{Metrics, Options, Proxy, Rooms},
};
use prometheus::{Registry, TextEncoder};
use tokio::sync::watch;

/// Each with a proxy and so a pool of connections of its own: one pool would hand its newest connection to all.
const CLIENTS: u64 = 240;
const ROUNDS: u64 = 6;
const BODY: &str = r#"{"inputs": [[1]]}"#;

/// uvicorn as MLflow runs it, with its default keep-alive.
struct Uvicorn(Child, SocketAddr);

impl Uvicorn {
    fn start() -> Self {
        let python = std::env::var("MODELSHIP_TEST_PYTHON").expect("run these tests by 'make test' or tests/run");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/servers");
        let mut command = Command::new(python);
        command.args(["-m", "uvicorn", "--app-dir", folder, "--port", "0", "--no-access-log", "answering:app"]);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command.stderr(Stdio::piped()).spawn().expect("uvicorn starts");
        let told = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let mut told = told.map_while(Result::ok);
        let address = told.find_map(|line| {
            let (_, address) = line.split_once("running on http://")?;
            address.split_whitespace().next()?.parse().ok()
        });
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || told.for_each(drop));
        Self(child, address.expect("uvicorn says where it listens"))
    }
}

impl Drop for Uvicorn {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A proxy with the options of a model's pod.
fn proxy(model: SocketAddr) -> (SocketAddr, Registry, watch::Sender<Arc<Settings>>) {
    let registry = Registry::new();
    let (sender, settings) = watch::channel(Arc::default());
    let rooms = Rooms {
        errors: Errors::new(&registry).expect("series"),
        health: Health::new(Clock::new()),
        drain: Drain::new(),
        settings,
        taker: None,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let metrics = Metrics::new(&registry).expect("series");
    let proxy = Proxy::new(listener, Options::to(model.to_string()), metrics, rooms).expect("a proxy");
    let address = proxy.address().expect("an address");
    tokio::spawn(proxy.serve());
    (address, registry, sender)
}

/// How long a client waits, in microseconds: 4.9 to 5.1 s, for most of them within milliseconds of 5 s.
fn pause(place: u64) -> u64 {
    let (span, from) = if place.is_multiple_of(4) { (200_000, 4_900_000) } else { (12_000, 4_992_000) };
    from + place * span / CLIENTS
}

/// Sends requests with such pauses between them. What went wrong.
async fn client(number: u64, model: SocketAddr) -> Vec<String> {
    let (proxy, registry, _settings) = proxy(model);
    let client = crate::client();
    let url = format!("http://{proxy}/invocations");
    let mut wrong = Vec::new();
    for round in 0..=ROUNDS {
        let request = client.post(&url).header("content-type", "application/json").body(BODY);
        match request.send().await {
            Ok(answer) if answer.status() == 200 => {
                let body = answer.text().await;
                wrong.extend(body.err().map(|error| format!("client {number}, round {round}: {error}")));
            }
            other => wrong.push(format!("client {number}, round {round}: {other:?}")),
        }
        // Another place of the span in each round.
        let place = (number + round * CLIENTS / ROUNDS) % CLIENTS;
        if round < ROUNDS {
            tokio::time::sleep(Duration::from_micros(pause(place))).await;
        }
    }
    let page = TextEncoder::new().encode_to_string(&registry.gather()).expect("a page");
    let answered = format!("http_requests_total{{code=\"200\",method=\"POST\"}} {}", ROUNDS + 1);
    if !page.contains(&answered) {
        wrong.push(format!("client {number}: the proxy has not counted what it answered"));
    }
    wrong
}

#[tokio::test]
async fn requests_as_far_apart_as_uvicorns_patience_are_all_answered() {
    let uvicorn = Uvicorn::start();
    let clients = (0..CLIENTS).map(|number| tokio::spawn(client(number, uvicorn.1)));
    let mut wrong = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        wrong.extend(client.await.expect("a client"));
    }
    let requests = CLIENTS * ROUNDS;
    assert!(wrong.is_empty(), "{} of {requests} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}
