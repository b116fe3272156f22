use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::future::select_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::sleep,
};

use super::support::{Stand, answer, ask, field, head, model, send, soon, stand, until};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const WHOLE: usize = 64 * 1024;

/// A model that tells when it is asked, and answers once it has read so much.
async fn reads(length: usize) -> (SocketAddr, UnboundedReceiver<String>) {
    let (told, heads) = unbounded_channel();
    let address = model(move |_, mut stream| {
        let told = told.clone();
        async move {
            loop {
                let head = head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                told.send(head).unwrap();
                if stream.read_exact(&mut vec![0; length]).await.is_err() {
                    return;
                }
                send(&mut stream, OK).await;
            }
        }
    })
    .await;
    (address, heads)
}

async fn begin(stand: &Stand, framing: &str) -> TcpStream {
    let mut stream = stand.connect().await;
    send(&mut stream, &format!("POST / HTTP/1.1\r\nhost: m\r\n{framing}\r\n\r\n")).await;
    stream
}

#[tokio::test]
async fn the_model_is_asked_once_a_short_body_is_whole() {
    for length in [2, 1000, WHOLE] {
        let (model, mut heads) = reads(length).await;
        let stand = stand(model, |_| {}).await;
        let mut stream = begin(&stand, &format!("expect: 100-continue\r\ncontent-length: {length}")).await;
        assert_eq!(head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n", "we say so");
        for piece in vec![7; length - 1].chunks(1 + length / 5) {
            stream.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(30)).await;
        }
        // Longer than what has no end would wait.
        sleep(Duration::from_millis(1300)).await;
        assert!(heads.try_recv().is_err(), "it is not asked before");
        assert_eq!(stand.value("modelship_exporter_model_connections_total"), 0.0);
        stream.write_all(&[7]).await.unwrap();
        assert_eq!(answer(&mut stream).await.1, b"ok");
        assert_eq!(field(&heads.recv().await.unwrap(), "content-length"), Some(&*length.to_string()));
        assert_eq!(stand.value("http_request_size_bytes_sum"), length as f64);
    }
}

#[tokio::test]
async fn of_a_longer_body_and_one_without_a_length_the_beginning_waits_for_a_second() {
    for (framing, piece) in [("content-length: 65537", "x"), ("transfer-encoding: chunked", "1\r\nx\r\n")] {
        let (model, mut heads) = reads(1).await;
        let stand = stand(model, |_| {}).await;
        let begun = Instant::now();
        let mut stream = begin(&stand, framing).await;
        send(&mut stream, piece).await;
        soon(heads.recv()).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1), "{framing}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_longer_body_is_passed_on_with_its_64th_kilobyte() {
    let (model, mut heads) = reads(200_000).await;
    let stand = stand(model, |_| {}).await;
    let mut stream = begin(&stand, "content-length: 200000").await;
    stream.write_all(&[7; WHOLE]).await.unwrap();
    soon(heads.recv()).await.unwrap();
    stream.write_all(&vec![7; 200_000 - WHOLE]).await.unwrap();
    assert_eq!(answer(&mut stream).await.1, b"ok");
    assert_eq!(stand.value("http_request_size_bytes_sum"), 200_000.0);
}

#[tokio::test]
async fn a_body_in_chunks_stays_one() {
    let (model, mut heads) = reads(5).await;
    let stand = stand(model, |_| {}).await;
    let wire = "POST / HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let mut stream = stand.connect().await;
    let (mut reader, mut writer) = stream.split();
    for byte in wire.bytes() {
        writer.write_all(&[byte]).await.unwrap();
    }
    let mut got = vec![0; OK.len()];
    soon(reader.read(&mut got)).await.unwrap();
    let asked = soon(heads.recv()).await.unwrap();
    assert_eq!((field(&asked, "transfer-encoding"), field(&asked, "content-length")), (Some("chunked"), None));
}

#[tokio::test]
async fn an_upload_has_the_timeout_as_a_whole_however_steadily_it_comes() {
    for (length, first) in [(10, 0), (100_000, WHOLE)] {
        let (model, _heads) = reads(length).await;
        let stand = stand(model, |options| options.timeout = Duration::from_secs(1)).await;
        let mut stream = begin(&stand, &format!("content-length: {length}")).await;
        stream.write_all(&vec![7; first]).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let sender = tokio::spawn(async move {
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(250)).await;
            }
        });
        let mut got = vec![0; 12];
        soon(reader.read_exact(&mut got)).await.unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), "HTTP/1.1 408");
        sender.abort();
        stand.until(r#"http_requests_total{code="408",method="POST"}"#, 1.0).await;
        assert_eq!((stand.errors("client"), stand.errors("unreachable")), (1.0, 0.0));
    }
}

#[tokio::test]
async fn bodies_that_wait_have_room_together_and_give_it_back() {
    let (model, mut heads) = reads(3).await;
    let stand = stand(model, |_| {}).await;
    let mut slow = Vec::new();
    // Three more than there is room for.
    for _ in 0..8 * 1024 / 64 + 3 {
        let mut stream = begin(&stand, &format!("content-length: {WHOLE}")).await;
        stream.write_all(&vec![7; WHOLE - 1]).await.unwrap();
        slow.push(stream);
    }
    until(|| stand.requests("POST", 503) >= 3.0).await.unwrap();
    let (answered, _, waiting) = select_all(slow.iter_mut().map(|stream| Box::pin(answer(stream)))).await;
    drop(waiting);
    let (got, _) = answered;
    assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
    let named = ["x-modelship-exporter", "retry-after", "connection"].map(|name| field(&got, name));
    assert_eq!(named, [Some("too-many-uploads"), Some("1"), Some("close")]);
    let wire = "POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 3\r\n\r\nabc";
    assert_eq!(ask(&stand, wire).await.1, b"ok", "what is whole waits for no room");
    soon(heads.recv()).await.unwrap();
    drop(slow);
    stand.until("http_requests_in_flight", 0.0).await;
    let mut stream = begin(&stand, "content-length: 3").await;
    for _ in 0..3 {
        sleep(Duration::from_millis(20)).await;
        send(&mut stream, "x").await;
    }
    assert_eq!(answer(&mut stream).await.1, b"ok");
}
