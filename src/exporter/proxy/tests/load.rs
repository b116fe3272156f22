use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
};

use super::support::{answer, field, head, hello, model, send, soon, stand};

const BODY: u64 = 100_000_000;
/// What may be on its way between two ends that do not read: the kernel's buffers of two connections (up to 6 MB for
/// each end) and ours.
const ON_ITS_WAY: u64 = 30_000_000;
const GET: &str = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";

/// Waits until the count stands still.
async fn still(count: &AtomicU64) -> u64 {
    let mut before = (count.load(SeqCst), 0);
    while before.1 < 10 || before.0 == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = count.load(SeqCst);
        before = if now == before.0 { (now, before.1 + 1) } else { (now, 0) };
    }
    before.0
}

#[tokio::test]
async fn a_large_request_waits_for_a_model_that_does_not_read() {
    let (go, gate) = watch::channel(false);
    let model = model(move |_, mut stream| {
        let mut gate = gate.clone();
        async move {
            head(&mut stream).await;
            let _ = gate.wait_for(|open| *open).await;
            let mut buffer = vec![0; 1 << 20];
            let mut read = 0;
            while read < BODY {
                read += stream.read(&mut buffer).await.unwrap() as u64;
            }
            send(&mut stream, &format!("HTTP/1.1 200 OK\r\nx-read: {read}\r\ncontent-length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, &format!("POST / HTTP/1.1\r\nhost: m\r\ncontent-length: {BODY}\r\n\r\n")).await;
    let written = Arc::new(AtomicU64::new(0));
    let count = written.clone();
    let (reader, mut writer) = stream.into_split();
    let sender = tokio::spawn(async move {
        let piece = vec![7; 100_000];
        while count.load(SeqCst) < BODY {
            writer.write_all(&piece).await.unwrap();
            count.fetch_add(100_000, SeqCst);
        }
        writer
    });
    let on_its_way = still(&written).await;
    assert!(on_its_way < ON_ITS_WAY, "{on_its_way} bytes were taken though nobody reads");
    go.send(true).unwrap();
    let mut stream = soon(sender).await.unwrap().reunite(reader).unwrap();
    let (got, _) = answer(&mut stream).await;
    assert_eq!(field(&got, "x-read"), Some(&*BODY.to_string()));
    assert_eq!(stand.value("http_request_size_bytes_sum"), BODY as f64);
    let kept = stand.kept.all();
    assert_eq!((kept[0].request.held(), kept[0].request.length, kept[0].request.whole), (1000, BODY, false));
}

#[tokio::test]
async fn a_large_answer_waits_for_a_client_that_does_not_read() {
    let written = Arc::new(AtomicU64::new(0));
    let count = written.clone();
    let model = model(move |_, mut stream| {
        let count = count.clone();
        async move {
            head(&mut stream).await;
            send(&mut stream, &format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n")).await;
            let piece = vec![7; 100_000];
            while count.load(SeqCst) < BODY {
                stream.write_all(&piece).await.unwrap();
                count.fetch_add(100_000, SeqCst);
            }
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    let on_its_way = still(&written).await;
    assert!(on_its_way < ON_ITS_WAY, "{on_its_way} bytes were sent though nobody reads");
    assert_eq!(answer(&mut stream).await.1.len() as u64, BODY);
    assert_eq!(stand.value("http_response_size_bytes_sum"), BODY as f64);
}

#[tokio::test]
async fn two_thousand_idle_connections_leave_room_for_others() {
    let stand = stand(hello().await, |_| {}).await;
    let mut idle = Vec::new();
    for i in 0..2000 {
        let mut stream = stand.connect().await;
        if i % 2 == 0 {
            send(&mut stream, GET).await;
            assert_eq!(answer(&mut stream).await.1, b"hello");
        }
        idle.push(stream);
    }
    stand.until("modelship_exporter_client_connections", 2000.0).await;
    for stream in &mut idle {
        send(stream, GET).await;
    }
    for stream in &mut idle {
        assert_eq!(answer(stream).await.1, b"hello");
    }
    assert_eq!(stand.requests("GET", 200), 3000.0);
    drop(idle);
    stand.until("modelship_exporter_client_connections", 0.0).await;
    assert!(!stand.served.is_finished());
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let stand = stand(hello().await, |options| options.max_connections = 2).await;
    let mut first = stand.connect().await;
    let _second = stand.connect().await;
    send(&mut first, GET).await;
    assert_eq!(answer(&mut first).await.1, b"hello");
    let mut third = stand.connect().await;
    send(&mut third, GET).await;
    let early = tokio::time::timeout(Duration::from_millis(100), third.read_u8()).await;
    assert!(early.is_err(), "there is no place for a third");
    drop(first);
    assert_eq!(answer(&mut third).await.1, b"hello");
}
