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
        if request.uri().path() == "/large" {
            // Shared by all who ask.
            static LARGE: [u8; 8 << 20] = [b'x'; 8 << 20];
            return with_type(StatusCode::OK, "text/plain", &LARGE[..]);
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

/// More than any limit of a server like this.
const MANY: usize = 300;
/// What the kubelet may take a probe to take.
const AT_ONCE: std::time::Duration = std::time::Duration::from_secs(1);

async fn asks(address: SocketAddr) -> Vec<u8> {
    let path = PathAndQuery::from_static("/");
    let answer = fetch::get(&address.to_string(), &path, &[], Some(99), AT_ONCE).await;
    answer.expect("answered within a second").body.to_vec()
}

async fn hanging(address: SocketAddr, says: &[u8]) -> Vec<TcpStream> {
    let mut hanging = Vec::new();
    for _ in 0..MANY {
        // Small, so that an answer that is not read fills it.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = tokio::time::timeout(LONG, socket.connect(address)).await.unwrap().unwrap();
        stream.write_all(says).await.unwrap();
        hanging.push(stream);
    }
    hanging
}

#[tokio::test]
async fn whoever_hangs_on_the_port_keeps_nobody_out() {
    let large = "GET /large HTTP/1.1\r\n\r\n".repeat(3);
    let endless = "GET /slow HTTP/1.1\r\n\r\n";
    for says in
        ["", "G", "GET / HTTP/1.1\r\nhost: a\r\n", &large, "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n", endless]
    {
        let server = server().await;
        let hanging = hanging(server.address, says.as_bytes()).await;
        for _ in 0..3 {
            assert_eq!(asks(server.address).await, b"answered\n", "{says:?}");
        }
        drop(hanging);
    }
}

#[tokio::test]
async fn heads_that_come_byte_by_byte_keep_nobody_out() {
    let server = server().await;
    let mut slow = hanging(server.address, b"GET / HTTP/1.1\r\n").await;
    for byte in b"host: model" {
        for stream in &mut slow {
            // Some are closed already.
            drop(stream.write_all(&[*byte]).await);
        }
        assert_eq!(asks(server.address).await, b"answered\n");
    }
}

#[tokio::test]
async fn the_longest_idle_connection_goes_first_and_none_that_is_being_answered() {
    let Server { address, go, waits, stop, task } = server().await;
    let served = tokio::spawn(async move { say(address, "GET /slow HTTP/1.1\r\nconnection: close\r\n\r\n").await });
    waits.notified().await;
    let mut idle = Vec::new();
    for _ in 1..MOST_CONNECTIONS {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    // The first of them asks, so the second has been idle for longest.
    let mut answer = [0; 15];
    idle[0].write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    idle[0].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(asks(address).await, b"answered\n");
    let ended = tokio::time::timeout(LONG, idle[1].read(&mut answer)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    for at in [0, 2, MOST_CONNECTIONS - 2] {
        idle[at].write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut rest = String::new();
        idle[at].read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("answered\n"), "{at}: {rest}");
    }
    go.notify_one();
    assert!(served.await.unwrap().ends_with("answered\n"));
    stop.send_replace(true);
    tokio::time::timeout(LONG, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_listens_at_all_addresses_answers_both_families_and_who_names_one_that_alone() {
    let asked = async |listener: std::net::TcpListener, host: &str| {
        TcpStream::connect((host, listener.local_addr().unwrap().port())).await.is_ok()
    };
    let all = || listen("[::]:0".parse().unwrap()).unwrap();
    assert!(asked(all(), "127.0.0.1").await, "IPv4, whether the node has IPv6 or not");
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(asked(all(), "::1").await, has_ipv6);
    assert!(!asked(listen("127.0.0.1:0".parse().unwrap()).unwrap(), "::1").await);
}
