use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::support::{Stand, answer, ask, field, head, model, rest, send, soon, stand};
use crate::proxy::Options;

const ASKS: &str = "GET /ws HTTP/1.1\r\nhost: m\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-key: x\r\n\r\n";
const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-accept: y\r\n\r\n";

/// A model that answers so, and then sends back what it reads.
async fn echoes(answer: &'static str, change: impl FnOnce(&mut Options)) -> (Stand, UnboundedReceiver<String>) {
    let (told, heads) = unbounded_channel();
    let model = model(move |_, mut stream| {
        let told = told.clone();
        async move {
            told.send(head(&mut stream).await).unwrap();
            send(&mut stream, answer).await;
            let (mut reader, mut writer) = stream.split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
            let _ = writer.write_all(b"bye").await;
            told.send("ended".into()).unwrap();
        }
    })
    .await;
    (stand(model, change).await, heads)
}

async fn comes_back(stream: &mut TcpStream, data: &[u8]) {
    stream.write_all(data).await.unwrap();
    let mut back = vec![0; data.len()];
    soon(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, data);
}

#[tokio::test]
async fn after_a_101_bytes_pass_both_ways_until_both_sides_end() {
    let (stand, mut heads) = echoes(SWITCHES, |_| {}).await;
    let mut stream = stand.connect().await;
    // What the client says before it has the answer is not HTTP either.
    send(&mut stream, &format!("{ASKS}early")).await;
    let got = head(&mut stream).await;
    assert!(got.starts_with("HTTP/1.1 101 "), "{got}");
    let named = ["connection", "upgrade", "sec-websocket-accept"].map(|name| field(&got, name));
    assert_eq!(named, [Some("upgrade"), Some("websocket"), Some("y")]);
    let asked = heads.recv().await.unwrap();
    let named = ["connection", "upgrade", "sec-websocket-key"].map(|name| field(&asked, name));
    assert_eq!(named, [Some("upgrade"), Some("websocket"), Some("x")]);
    assert_eq!((stand.requests("GET", 101), stand.value("http_requests_in_flight")), (1.0, 0.0));
    assert_eq!(stand.drain.in_flight(), 1, "the drain waits for it");

    let mut early = [0; 5];
    soon(stream.read_exact(&mut early)).await.unwrap();
    assert_eq!(&early, b"early");
    // Neither of these is read as HTTP.
    comes_back(&mut stream, b"GET /\"\xe9 HTTP/1.1\r\n\r\n").await;
    comes_back(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await.0, b"bye");
    assert_eq!(heads.recv().await.unwrap(), "ended");
    stand.until("modelship_exporter_client_connections", 0.0).await;
    assert_eq!((stand.requests("GET", 101), stand.drain.in_flight()), (1.0, 0));
    assert_eq!((stand.errors("client"), stand.errors("unreachable")), (0.0, 0.0));
}

#[tokio::test]
async fn when_one_side_breaks_off_the_other_is_told() {
    let (stand, mut heads) = echoes(SWITCHES, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, ASKS).await;
    head(&mut stream).await;
    heads.recv().await.unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    assert_eq!(soon(heads.recv()).await.unwrap(), "ended");
    stand.until("modelship_exporter_client_connections", 0.0).await;
}

#[tokio::test]
async fn a_silent_one_is_closed_after_its_time_and_one_that_talks_is_not() {
    let (stand, _heads) = echoes(SWITCHES, |options| options.client_idle_timeout = Duration::from_secs(1)).await;
    let mut stream = stand.connect().await;
    send(&mut stream, ASKS).await;
    head(&mut stream).await;
    for _ in 0..10 {
        comes_back(&mut stream, b"x").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(rest(&mut stream).await.0.is_empty());
    stand.until("modelship_exporter_client_connections", 0.0).await;
}

#[tokio::test]
async fn the_drain_ends_it_when_its_time_is_over() {
    let most = Duration::from_millis(600);
    let (stand, mut heads) = echoes(SWITCHES, |options| {
        (options.drain_least, options.drain_quiet) = (Duration::ZERO, Duration::from_millis(100));
        options.drain_most = most;
    })
    .await;
    let mut stream = stand.connect().await;
    send(&mut stream, ASKS).await;
    head(&mut stream).await;
    heads.recv().await.unwrap();
    let begun = std::time::Instant::now();
    stand.drain.begin();
    comes_back(&mut stream, b"still there").await;
    let _ = rest(&mut stream).await;
    assert!(begun.elapsed() >= most, "{:?}", begun.elapsed());
    soon(stand.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_upgrade_that_the_model_refuses_is_an_answer_like_any_other() {
    let (stand, mut heads) = echoes("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, ASKS).await;
    assert_eq!(answer(&mut stream).await.1, b"no");
    assert_eq!((stand.requests("GET", 403), stand.drain.in_flight()), (1.0, 0));
    assert!(field(&heads.recv().await.unwrap(), "upgrade").is_some());
    send(&mut stream, "GET / HTTP/1.1\r\nhost: m\r\n\r\n").await;
    head(&mut stream).await;
}

#[tokio::test]
async fn nobody_is_switched_who_did_not_ask() {
    for request in [
        "GET / HTTP/1.1\r\nhost: m\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: m\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        "GET / HTTP/1.0\r\nhost: m\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ] {
        let (stand, mut heads) = echoes(SWITCHES, |_| {}).await;
        let (got, _) = ask(&stand, request).await;
        assert_eq!(field(&got, "x-modelship-exporter"), Some("model-unreadable"), "{got}");
        assert_eq!(field(&heads.recv().await.unwrap(), "upgrade"), None);
    }
}
