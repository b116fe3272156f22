//! uvicorn closes a connection that was idle for its keep-alive, 5 s unless it is told otherwise. A request that is sent in that
//! very moment would be lost, and cannot be sent again: it may have been seen.

use std::{net::SocketAddr, time::Duration};

use modelship_exporter::proxy::Options;

use super::uvicorn::{Server, proxy};

/// Each with a proxy and so a pool of connections of its own: one pool would hand its newest connection to all.
const CLIENTS: u64 = 240;
const ROUNDS: u64 = 6;
const BODY: &str = r#"{"inputs": [[1]]}"#;

/// How long a client waits, in microseconds: 0.1 s less to 0.1 s more than the keep-alive, for most of them within milliseconds
/// of it.
fn pause(place: u64, keep_alive: Duration) -> Duration {
    let (span, before) = if place.is_multiple_of(4) { (200_000, 100_000) } else { (12_000, 8_000) };
    keep_alive + Duration::from_micros(place * span / CLIENTS) - Duration::from_micros(before)
}

/// Sends requests with such pauses between them. What went wrong.
async fn client(number: u64, model: SocketAddr, keep_alive: Duration) -> Vec<String> {
    let stand = proxy(Options::to(model.to_string()));
    let client = crate::client();
    let url = format!("http://{}/invocations", stand.address);
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
            tokio::time::sleep(pause(place, keep_alive)).await;
        }
    }
    if !stand.counted("POST", 200, 1 + ROUNDS as usize) {
        wrong.push(format!("client {number}: the proxy has not counted what it answered"));
    }
    wrong
}

async fn all_are_answered(uvicorn: Server, keep_alive: Duration) {
    let clients = (0..CLIENTS).map(|number| tokio::spawn(client(number, uvicorn.1, keep_alive)));
    let mut wrong = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        wrong.extend(client.await.expect("a client"));
    }
    let requests = CLIENTS * ROUNDS;
    assert!(wrong.is_empty(), "{} of {requests} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn requests_as_far_apart_as_uvicorns_patience_are_all_answered() {
    all_are_answered(Server::uvicorn("answering:app", &[]), Duration::from_secs(5)).await;
}

#[tokio::test]
async fn requests_as_far_apart_as_a_keep_alive_of_a_second_are_all_answered() {
    let uvicorn = Server::uvicorn("answering:app", &["--timeout-keep-alive", "1"]);
    all_are_answered(uvicorn, Duration::from_secs(1)).await;
}
