//! HTTP/2 before hypercorn, which takes 100 streams on a connection.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use h2::client::SendRequest;
use http::Request;
use modelship_exporter::proxy::Options;
use tokio::{net::TcpStream, time::sleep};

use super::uvicorn::{Server, proxy};

const ANSWER: &str = r#"{"predictions": [1]}"#;

/// It closes connections that were idle for a second, the least that it can be told, and without a word.
fn hypercorn() -> Server {
    let arguments = ["-m", "hypercorn", "--keep-alive", "1", "--bind", "127.0.0.1:0", "answering:app"];
    Server::start(&arguments, "unning on http://")
}

async fn connect(proxy: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(proxy).await.expect("a connection");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// One call. What went wrong.
async fn call(sender: &SendRequest<Bytes>) -> Result<(), String> {
    let told = |error: h2::Error| error.to_string();
    let request = Request::post("http://model/invocations").header("content-type", "application/json");
    let request = request.body(()).expect("a request");
    let (answer, mut upload) =
        sender.clone().ready().await.map_err(told)?.send_request(request, false).map_err(told)?;
    upload.send_data(Bytes::from_static(br#"{"inputs": [[1]]}"#), true).map_err(told)?;
    let answer = answer.await.map_err(told)?;
    let status = answer.status();
    let (mut body, mut all) = (answer.into_body(), Vec::new());
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(told)?;
        body.flow_control().release_capacity(piece.len()).map_err(told)?;
        all.extend_from_slice(&piece);
    }
    if status == 200 && all == ANSWER.as_bytes() { Ok(()) } else { Err(format!("{status}: {}", all.escape_ascii())) }
}

fn all_well(results: &[Result<(), String>]) {
    let wrong: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} of {} went wrong, the first with {}", wrong.len(), results.len(), wrong[0]);
}

#[tokio::test]
async fn more_calls_at_a_time_than_a_connection_takes_are_all_answered() {
    let hypercorn = hypercorn();
    let stand = proxy(Options::to(hypercorn.1.to_string()));
    let clients = join_all((0..3).map(|_| connect(stand.address))).await;
    for _ in 0..3 {
        let calls = clients.iter().flat_map(|sender| (0..150).map(move |_| call(sender)));
        all_well(&join_all(calls).await);
    }
}

#[tokio::test]
async fn calls_as_far_apart_as_both_sides_patience_are_all_answered() {
    let hypercorn = hypercorn();
    let model = &hypercorn.1.to_string();
    let clients = (0..120_u64).map(|number| async move {
        // One each, as one client's call would keep another's connection from being idle.
        let stand = proxy(Options::to(model));
        let sender = connect(stand.address).await;
        let mut results = Vec::new();
        // About when the proxy closes a connection that is idle, and about when hypercorn would.
        for pause in [470_000, 970_000, 0] {
            results.push(call(&sender).await);
            sleep(Duration::from_micros(pause + number * 500)).await;
        }
        results
    });
    all_well(&join_all(clients).await.concat());
}
