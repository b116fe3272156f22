use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::support::{answer, ask, field, head, hello, model, rest, send, soon, stand};

const GET: &str = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 3\r\n\r\nabc";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Nobody listens there.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_model_that_is_not_up_yet_is_told_from_one_that_went_away() {
    let model = nowhere().await;
    let stand = stand(model, |_| {}).await;
    let (got, body) = ask(&stand, GET).await;
    assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
    assert_eq!(field(&got, "x-modelship-exporter"), Some("model-not-up"));
    assert_eq!((field(&got, "retry-after"), field(&got, "content-type")), (Some("1"), Some("application/json")));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(body["advice"].as_str().unwrap().contains("log"), "{body}");
    let listener = TcpListener::bind(model).await.unwrap();
    let mut client = stand.connect().await;
    send(&mut client, GET).await;
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    drop(listener);
    head(&mut stream).await;
    send(&mut stream, OK).await;
    assert_eq!(answer(&mut client).await.1, b"ok");
    drop(stream);
    send(&mut client, GET).await;
    let (got, _) = answer(&mut client).await;
    assert!(got.starts_with("HTTP/1.1 502 "), "{got}");
    assert_eq!((stand.requests("GET", 503), stand.requests("GET", 502)), (1.0, 1.0));
    assert_eq!(stand.errors("unreachable"), 2.0);
}

async fn breaks_off(answer: &'static str, request: &'static str) -> (String, std::io::Result<usize>) {
    let model = model(move |_, mut stream| async move {
        head(&mut stream).await;
        send(&mut stream, answer).await;
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, request).await;
    let (bytes, end) = rest(&mut stream).await;
    stand.until(r#"http_request_errors_total{cause="unreachable"}"#, 1.0).await;
    assert_eq!(stand.requests("GET", 200), 1.0, "the code of the head is kept");
    assert_eq!(stand.errors("client"), 0.0);
    (String::from_utf8(bytes).unwrap(), end)
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_ended_well() {
    let (text, _) = breaks_off("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", GET).await;
    assert!(!text.contains("half") || text.ends_with("half"), "{text}");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let (text, _) = breaks_off(chunked, GET).await;
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    // Here the end of the connection is the end of the body: only a reset says that it is not.
    let (text, end) = breaks_off(chunked, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(end.is_err(), "{text}");
}

#[tokio::test]
async fn a_model_that_resets_or_talks_nonsense_is_a_bad_gateway() {
    let model = model(|number, mut stream| async move {
        head(&mut stream).await;
        match number {
            0 => stream.set_zero_linger().unwrap(),
            1 => {}
            _ => send(&mut stream, "SSH-2.0-OpenSSH\r\n\r\n").await,
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    for reason in ["model-closed", "model-closed", "model-unreadable"] {
        let (got, _) = ask(&stand, POST).await;
        assert!(got.starts_with("HTTP/1.1 502 "), "{got}");
        assert_eq!(field(&got, "x-modelship-exporter"), Some(reason));
    }
    assert_eq!((stand.requests("POST", 502), stand.errors("unreachable")), (3.0, 3.0));
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_was_read_reaches_the_client() {
    let model = model(|_, mut stream| async move {
        head(&mut stream).await;
        send(&mut stream, "HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig").await;
    })
    .await;
    let stand = stand(model, |_| {}).await;
    for _ in 0..20 {
        let mut stream = stand.connect().await;
        send(&mut stream, "POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 3000000\r\n\r\n").await;
        let (mut reader, mut writer) = stream.into_split();
        let sender = tokio::spawn(async move {
            for _ in 0..30 {
                if writer.write_all(&[7; 100_000]).await.is_err() {
                    return;
                }
            }
        });
        let mut got = vec![0; 12];
        soon(reader.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, b"HTTP/1.1 413");
        sender.abort();
    }
    stand.until(r#"http_requests_total{code="413",method="POST"}"#, 20.0).await;
    assert_eq!(stand.errors("unreachable"), 0.0);
}

/// Tells how each connection ended, after its first head.
async fn silent(answer: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<&'static str>) {
    let (told, events) = mpsc::unbounded_channel();
    let address = model(move |_, mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            send(&mut stream, answer).await;
            told.send("asked").unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
            told.send("closed").unwrap();
        }
    })
    .await;
    (address, events)
}

async fn next(events: &mut mpsc::UnboundedReceiver<&'static str>) -> &'static str {
    soon(events.recv()).await.unwrap()
}

#[tokio::test]
async fn when_the_client_goes_the_model_is_let_off() {
    for answer in ["", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"] {
        let (model, mut events) = silent(answer).await;
        let stand = stand(model, |_| {}).await;
        let mut stream = stand.connect().await;
        send(&mut stream, GET).await;
        assert_eq!(next(&mut events).await, "asked");
        if !answer.is_empty() {
            head(&mut stream).await;
        }
        drop(stream);
        assert_eq!(next(&mut events).await, "closed");
        stand.until(r#"http_request_errors_total{cause="client"}"#, 1.0).await;
        let (gone, ok) = if answer.is_empty() { (1.0, 0.0) } else { (0.0, 1.0) };
        assert_eq!((stand.requests("GET", 499), stand.requests("GET", 200)), (gone, ok));
        assert_eq!(stand.value("http_requests_in_flight"), 0.0);
        assert_eq!(stand.drain.in_flight(), 0);
    }
}

#[tokio::test]
async fn a_client_that_closes_its_sending_side_before_the_answer_counts_as_gone() {
    let (model, mut events) = silent("").await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    assert_eq!(next(&mut events).await, "asked");
    stream.shutdown().await.unwrap();
    assert_eq!(next(&mut events).await, "closed");
    assert!(rest(&mut stream).await.0.is_empty());
    stand.until(r#"http_requests_total{code="499",method="GET"}"#, 1.0).await;
}

#[tokio::test]
async fn a_client_that_breaks_off_its_request_is_to_blame() {
    let (model, mut events) = silent("").await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 70000\r\n\r\n").await;
    stream.write_all(&[7; 66_000]).await.unwrap();
    assert_eq!(next(&mut events).await, "asked");
    drop(stream);
    assert_eq!(next(&mut events).await, "closed");
    stand.until(r#"http_request_errors_total{cause="client"}"#, 1.0).await;
    assert_eq!(stand.errors("unreachable"), 0.0);
}

#[tokio::test]
async fn a_model_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let (model, mut events) = silent("").await;
    let stand = stand(model, |options| options.timeout = Duration::from_millis(100)).await;
    let (got, _) = ask(&stand, POST).await;
    assert!(got.starts_with("HTTP/1.1 504 "), "{got}");
    assert_eq!(field(&got, "x-modelship-exporter"), Some("model-timeout"));
    assert_eq!((next(&mut events).await, next(&mut events).await), ("asked", "closed"));
    assert_eq!((stand.requests("POST", 504), stand.errors("timeout")), (1.0, 1.0));
}

#[tokio::test]
async fn a_client_that_stops_sending_its_body_is_told_so() {
    let (model, _events) = silent("").await;
    let stand = stand(model, |options| options.timeout = Duration::from_millis(100)).await;
    let mut stream = stand.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 10\r\n\r\nabc").await;
    let (got, _) = answer(&mut stream).await;
    assert!(got.starts_with("HTTP/1.1 408 "), "{got}");
    assert_eq!((stand.requests("POST", 408), stand.errors("client"), stand.errors("timeout")), (1.0, 1.0, 0.0));
}

#[tokio::test]
async fn a_model_that_stops_in_the_middle_of_its_answer_is_broken_off() {
    let (model, mut events) = silent("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
    let stand = stand(model, |options| options.body_timeout = Duration::from_millis(100)).await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    rest(&mut stream).await.1.unwrap_err();
    assert_eq!((next(&mut events).await, next(&mut events).await), ("asked", "closed"));
    assert_eq!((stand.requests("GET", 200), stand.errors("timeout")), (1.0, 1.0));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_broken_off() {
    let (told, mut events) = mpsc::unbounded_channel();
    let model = model(move |_, mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            send(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
            while stream.write_all(&[7; 100_000]).await.is_ok() {}
            told.send("closed").unwrap();
        }
    })
    .await;
    let stand = stand(model, |options| options.body_timeout = Duration::from_millis(200)).await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    assert_eq!(next(&mut events).await, "closed");
    stand.until(r#"http_request_errors_total{cause="client"}"#, 1.0).await;
}

#[tokio::test]
async fn a_head_that_comes_drop_by_drop_is_cut_off_and_counted() {
    let stand = stand(hello().await, |options| options.head_timeout = Duration::from_millis(100)).await;
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..50 {
        slow.push(stand.connect().await);
    }
    let mut open = true;
    while open {
        open = false;
        for stream in &mut slow {
            open |= stream.write_all(b"G").await.is_ok();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stand.until(r#"http_requests_total{code="408",method="other"}"#, 50.0).await;
    stand.until("modelship_exporter_client_connections", 0.0).await;
    assert_eq!(ask(&stand, GET).await.1, b"hello");
}

#[tokio::test]
async fn a_head_that_stops_coming_is_cut_off_on_a_used_connection_too() {
    let stand = stand(hello().await, |options| options.head_timeout = Duration::from_millis(100)).await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    assert_eq!(answer(&mut stream).await.1, b"hello");
    send(&mut stream, "GET / HT").await;
    assert!(rest(&mut stream).await.0.is_empty());
    stand.until(r#"http_requests_total{code="408",method="other"}"#, 1.0).await;
    assert_eq!(stand.errors("client"), 1.0);
}

#[tokio::test]
async fn an_idle_client_is_closed_after_its_time() {
    let stand = stand(hello().await, |options| options.client_idle_timeout = Duration::from_millis(100)).await;
    let (mut fresh, mut used) = (stand.connect().await, stand.connect().await);
    send(&mut used, GET).await;
    assert_eq!(answer(&mut used).await.1, b"hello");
    assert!(rest(&mut used).await.0.is_empty() && rest(&mut fresh).await.0.is_empty());
    assert_eq!((stand.requests("GET", 200), stand.errors("client")), (1.0, 0.0));
}

#[tokio::test]
async fn a_connection_that_the_model_closed_while_idle_is_not_used() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let model = model(move |_, mut stream| {
        count.fetch_add(1, SeqCst);
        async move {
            head(&mut stream).await;
            let mut body = [0; 3];
            stream.read_exact(&mut body).await.unwrap();
            // No word of closing before it closes.
            send(&mut stream, OK).await;
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    for i in 1..=30 {
        send(&mut stream, POST).await;
        let (got, _) = answer(&mut stream).await;
        assert!(got.starts_with("HTTP/1.1 200 "), "{i}: {got}");
        // Longer than the pool trusts a connection without looking.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(connections.load(SeqCst), 30);
    assert_eq!(stand.requests("POST", 200), 30.0);
}

#[tokio::test]
async fn a_request_that_the_model_may_have_seen_is_not_sent_again() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let model = model(move |_, mut stream| {
        let count = count.clone();
        async move {
            let mut first = true;
            while head(&mut stream).await.starts_with("POST") {
                let mut body = [0; 3];
                stream.read_exact(&mut body).await.unwrap();
                count.fetch_add(1, SeqCst);
                if !first {
                    return;
                }
                send(&mut stream, OK).await;
                first = false;
            }
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, POST).await;
    assert_eq!(answer(&mut stream).await.1, b"ok");
    send(&mut stream, POST).await;
    let (got, _) = answer(&mut stream).await;
    assert_eq!(field(&got, "x-modelship-exporter"), Some("model-closed"), "{got}");
    assert_eq!(seen.load(SeqCst), 2);
    assert_eq!(stand.value("modelship_exporter_requests_resent_total"), 0.0);
}

#[tokio::test]
async fn idle_connections_to_the_model_are_closed_after_their_time() {
    let (model, mut events) = silent(OK).await;
    let stand = stand(model, |options| options.pool_idle_timeout = Duration::from_millis(100)).await;
    assert_eq!(ask(&stand, GET).await.1, b"ok");
    assert_eq!((next(&mut events).await, next(&mut events).await), ("asked", "closed"));
}
