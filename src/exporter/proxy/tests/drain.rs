use std::time::Duration;

use super::support::{Stand, answer, field, head, hello, model, rest, send, soon, stand, until};
use crate::proxy::Options;

const GET: &str = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn short(options: &mut Options) {
    options.drain_least = Duration::from_millis(300);
    options.drain_quiet = Duration::from_millis(100);
}

async fn over(stand: Stand) {
    soon(stand.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn while_it_drains_it_accepts_and_answers_and_asks_to_close() {
    // The least is far more than connecting and asking take on a busy machine.
    let least = Duration::from_secs(2);
    let stand = stand(hello().await, |options| {
        short(options);
        options.drain_least = least;
    })
    .await;
    let (mut old, mut idle) = (stand.connect().await, stand.connect().await);
    for stream in [&mut old, &mut idle] {
        send(stream, GET).await;
        assert_eq!(field(&answer(stream).await.0, "connection"), None);
    }
    let begun = std::time::Instant::now();
    stand.drain.begin();
    for stream in [&mut old, &mut stand.connect().await] {
        send(stream, GET).await;
        let (got, body) = answer(stream).await;
        assert_eq!((field(&got, "connection"), &*body), (Some("close"), &b"hello"[..]));
        assert!(rest(stream).await.0.is_empty());
    }
    // The idle one is left alone until the end: it may just be sending a request.
    assert!(rest(&mut idle).await.1.is_ok());
    over(stand).await;
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_drain_waits_for_the_request_under_way() {
    let (go, gate) = tokio::sync::watch::channel(false);
    let model = model(move |_, mut stream| {
        let mut gate = gate.clone();
        async move {
            head(&mut stream).await;
            let _ = gate.wait_for(|open| *open).await;
            send(&mut stream, OK).await;
        }
    })
    .await;
    let stand = stand(model, short).await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    until(|| stand.drain.in_flight() == 1).await.unwrap();
    stand.drain.begin();
    // Longer than the least, the quiet and the closing of idle connections together.
    tokio::time::sleep(Duration::from_millis(1800)).await;
    assert!(!stand.served.is_finished());
    go.send(true).unwrap();
    let (got, body) = answer(&mut stream).await;
    assert_eq!((field(&got, "connection"), &*body), (Some("close"), &b"ok"[..]));
    over(stand).await;
}

#[tokio::test]
async fn the_drain_ends_at_its_limit_whatever_is_under_way() {
    let model = model(|_, mut stream| async move {
        head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let stand = stand(model, |options| {
        short(options);
        options.drain_most = Duration::from_millis(500);
    })
    .await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    until(|| stand.drain.in_flight() == 1).await.unwrap();
    stand.drain.begin();
    over(stand).await;
}

#[tokio::test]
async fn the_drain_goes_on_while_requests_still_come() {
    // Requests come for longer than the least and the quiet, and with gaps far below the quiet even on a busy machine.
    let quiet = Duration::from_secs(2);
    let stand = stand(hello().await, |options| {
        short(options);
        options.drain_quiet = quiet;
    })
    .await;
    stand.drain.begin();
    let begun = std::time::Instant::now();
    while begun.elapsed() < quiet + Duration::from_secs(1) {
        let mut stream = stand.connect().await;
        send(&mut stream, GET).await;
        assert_eq!(answer(&mut stream).await.1, b"hello");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    over(stand).await;
}
