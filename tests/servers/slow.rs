//! gunicorn with its default, one sync worker: whoever sends slowly must not keep it from the others.

use std::time::Duration;

use modelship_exporter::proxy::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::uvicorn::{Server, proxy};

const LENGTH: usize = 1000;

#[tokio::test]
async fn a_slow_upload_keeps_no_worker_from_the_others() {
    let arguments = ["-m", "gunicorn", "--workers", "1", "--bind", "127.0.0.1:0", "sync:app"];
    let gunicorn = Server::start(&arguments, "Listening at: http://");
    let stand = proxy(Options::to(gunicorn.1.to_string()));
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(stand.address).await.expect("a connection");
        let head = format!("POST /invocations HTTP/1.1\r\nhost: m\r\ncontent-length: {LENGTH}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("the head is taken");
        slow.push(stream);
    }
    let (client, url) = (crate::client(), format!("http://{}/invocations", stand.address));
    for byte in 0..LENGTH {
        for stream in &mut slow {
            stream.write_all(b"x").await.expect("a byte is taken");
        }
        if byte % 50 == 0 {
            let fast = client.post(&url).body("fast").send();
            let answer = timeout(Duration::from_secs(20), fast).await.expect("an answer in time").expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "{\"predictions\": [4]}");
        }
    }
    for mut stream in slow {
        let (mut answer, wanted) = (Vec::new(), b"{\"predictions\": [1000]}");
        while !answer.windows(wanted.len()).any(|part| part == wanted) {
            let read = timeout(Duration::from_secs(20), stream.read_buf(&mut answer)).await.expect("an answer in time");
            assert!(read.expect("an answer") > 0, "{}", String::from_utf8_lossy(&answer));
        }
    }
    assert!(stand.counted("POST", 200, 5 + LENGTH / 50), "{}", stand.page());
}
