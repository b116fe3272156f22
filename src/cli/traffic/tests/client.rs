use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";

fn payload() -> Payload {
    Payload { body: "[1]".into(), content_type: super::super::payload::JSON }
}

/// Answers every request with those bytes, and closes the connection after so many of them. Counts connections.
async fn raw(answer: &'static [u8], requests: usize) -> (Client, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer_with(stream, answer, requests));
        }
    });
    let target = Target::of_url(&format!("http://{address}/invocations"), None).unwrap();
    (Client::new(target, Duration::from_secs(20)), connections)
}

async fn answer_with(mut stream: TcpStream, answer: &[u8], requests: usize) {
    for _ in 0..requests {
        let mut seen = Vec::new();
        while !seen.ends_with(b"[1]") {
            match stream.read_u8().await {
                Ok(byte) => seen.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(seen).unwrap();
        assert!(head.starts_with("POST /invocations HTTP/1.1\r\n") && head.contains("content-type: application/json"));
        stream.write_all(answer).await.unwrap();
    }
}

async fn fails(answer: &'static [u8]) -> Failure {
    raw(answer, 1).await.0.send(&payload()).await.unwrap_err()
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let (mut client, connections) = raw(OK, 10).await;
    for _ in 0..10 {
        let answer = client.send(&payload()).await.unwrap();
        assert_eq!((answer.status, &answer.body[..], answer.size), (StatusCode::OK, &b"[]"[..], 2));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_replaced_without_an_error() {
    let (mut client, connections) = raw(OK, 1).await;
    client.send(&payload()).await.unwrap();
    let closed = async {
        while !client.connection.as_ref().unwrap().sender.is_closed() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), closed).await.unwrap();
    client.send(&payload()).await.unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_connection_that_idled_for_long_is_not_trusted() {
    let (mut client, connections) = raw(OK, 10).await;
    client.send(&payload()).await.unwrap();
    client.connection.as_mut().unwrap().used -= IDLE_MAX;
    client.send(&payload()).await.unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_server_that_ends_or_talks_nonsense_before_the_answer_has_closed() {
    assert!(matches!(fails(b"").await, Failure::Closed(_)));
    assert!(matches!(fails(b"HTTP/1.1 20").await, Failure::Closed(_)));
    assert!(matches!(fails(b"220 mail.test ESMTP\r\n\r\n").await, Failure::Closed(_)));
}

#[tokio::test]
async fn a_server_that_hangs_up_on_everyone_is_not_asked_for_ever() {
    let (mut client, connections) = raw(OK, 0).await;
    assert!(matches!(client.send(&payload()).await, Err(Failure::Closed(_))));
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_ends_early_is_broken() {
    assert!(matches!(fails(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"").await, Failure::Broken(_)));
    assert!(matches!(fails(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await, Failure::Broken(_)));
}

#[tokio::test]
async fn a_connection_that_failed_is_not_used_again() {
    let (mut client, connections) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"", 1).await;
    for _ in 0..2 {
        assert!(client.send(&payload()).await.is_err());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_closed_port_is_a_refusal_that_names_the_address() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = Target::of_url(&format!("http://{address}"), None).unwrap();
    let failure = Client::new(target, Duration::from_secs(20)).send(&payload()).await.unwrap_err();
    assert!(matches!(&failure, Failure::Refused(words) if words.contains(&address.to_string())), "{failure:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::of_url(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
    let failure = Client::new(target, Duration::from_millis(50)).send(&payload()).await.unwrap_err();
    assert_eq!(failure, Failure::Timeout("no whole answer within 50ms".to_owned()));
}

#[tokio::test]
async fn what_a_pod_says_is_told_when_its_stream_ends() {
    let (sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(tokio::io::empty())).await.unwrap();
    drop(connection);
    let mut sender = sender;
    let error = sender.send_request(http::Request::new(Full::default())).await.unwrap_err();
    let failure = closed(&error, Box::pin(async { Some("connection refused\n".to_owned()) })).await;
    assert!(failure.words().ends_with("without an answer: connection refused"), "{failure:?}");
}

#[tokio::test]
async fn without_keep_alive_each_request_takes_a_connection_of_its_own() {
    let (client, connections) = raw(OK, 10).await;
    let mut client = client.manner(HeaderMap::new(), false);
    for _ in 0..3 {
        client.send(&payload()).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[test]
fn a_users_headers_go_along_and_take_the_place_of_ours() {
    let target = Target::of_url("http://127.0.0.1:1/invocations", None).unwrap();
    let headers = [("accept", "text/csv"), ("x-vintage", "2026")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).into_iter().collect();
    let client = Client::new(target, Duration::from_secs(1)).manner(headers, true);
    let request = client.request(&payload()).unwrap();
    assert_eq!(
        (&request.headers()["accept"], &request.headers()["x-vintage"]),
        (&"text/csv".parse().unwrap(), &"2026".parse().unwrap())
    );
    assert_eq!(request.headers().get("connection"), None);
}
