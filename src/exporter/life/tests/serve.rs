use std::net::SocketAddr;

use http::uri::PathAndQuery;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
};

use super::{
    super::{
        fetch,
        fixture::{LONG, until},
    },
    *,
};

/// Answers at once, or when told; says when it begins to wait for that.
struct Slow(Arc<Notify>, Arc<Notify>);

impl Handle for Slow {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        if request.uri().path() == "/slow" {
            self.1.notify_one();
            self.0.notified().await;
        }
        text(StatusCode::OK, "answered")
    }
}

struct Server {
    address: SocketAddr,
    go: Arc<Notify>,
    waits: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), watch::Sender::new(false));
    let (go, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let task = tokio::spawn(serve(listener, Slow(go.clone(), waits.clone()), stop.subscribe()));
    Server { address, go, waits, stop, task }
}

async fn say(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn only_questions_are_answered() {
    let server = server().await;
    let post = say(server.address, "POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab").await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let head = say(server.address, "HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(2 * LARGEST_HEAD));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    // The rest may be refused with a reset.
    drop(tokio::join!(write.write_all(huge.as_bytes()), read.read_to_end(&mut answer)));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn many_slow_clients_do_not_hold_up_the_next() {
    let server = server().await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    let answer = fetch::get(&server.address.to_string(), &PathAndQuery::from_static("/"), &[], Some(99), LONG).await;
    assert_eq!(&answer.unwrap().body[..], b"answered\n");
}

#[tokio::test]
async fn at_the_end_what_is_under_way_is_answered_and_nothing_new_is_taken() {
    let Server { address, go, waits, stop, task } = server().await;
    let slow = tokio::spawn(async move { say(address, "GET /slow HTTP/1.1\r\n\r\n").await });
    let idle = TcpStream::connect(address).await.unwrap();
    waits.notified().await;
    stop.send_replace(true);
    until("the port is closed", async || TcpStream::connect(address).await.is_err()).await;
    go.notify_one();
    assert!(slow.await.unwrap().ends_with("answered\n"));
    tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    drop(idle);
}
