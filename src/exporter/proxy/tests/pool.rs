use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{sleep, timeout},
};

use super::support::{Stand, answer, ask, field, head, model, send, soon, stand};

const GET: &str = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers by turns, and closes each connection that was idle for so long.
async fn patient(answers: &'static [&'static str], patience: Duration) -> Stand {
    let asked = Arc::new(AtomicUsize::new(0));
    let model = model(move |_, mut stream| {
        let asked = asked.clone();
        async move {
            while head(&mut stream).await.starts_with("GET") {
                send(&mut stream, answers[asked.fetch_add(1, SeqCst) % answers.len()]).await;
                if timeout(patience, stream.peek(&mut [0])).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    stand(model, |_| {}).await
}

fn opened(stand: &Stand) -> f64 {
    stand.value("modelship_exporter_model_connections_total")
}

#[tokio::test]
async fn no_other_request_goes_where_an_answer_says_that_the_model_may_close() {
    for (answer, last) in [
        (OK, false),
        ("HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 700 No\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: keep-alive, close\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", true),
    ] {
        let stand = patient(vec![answer].leak(), Duration::from_secs(30)).await;
        for _ in 0..3 {
            assert_eq!(field(&ask(&stand, GET).await.0, "x-modelship-exporter"), None);
        }
        assert_eq!(opened(&stand), if last { 3.0 } else { 1.0 }, "{answer}");
    }
}

#[tokio::test]
async fn no_other_request_follows_one_that_was_answered_before_it_was_sent() {
    let model = model(|_, mut stream| async move {
        while head(&mut stream).await.starts_with("POST") {
            send(&mut stream, OK).await;
            stream.read_exact(&mut [0; 100_000]).await.unwrap();
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    for _ in 0..3 {
        let mut stream = stand.connect().await;
        send(&mut stream, "POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 100000\r\n\r\n").await;
        stream.write_all(&[7; 70_000]).await.unwrap();
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let _ = stream.write_all(&[7; 30_000]).await;
        let _ = soon(stream.read_exact(&mut [0; 2])).await;
    }
    assert_eq!(opened(&stand), 3.0);
}

#[tokio::test]
async fn a_connection_is_used_for_half_as_long_as_the_model_leaves_them_open() {
    let stand = patient(&[OK], Duration::from_millis(300)).await;
    ask(&stand, GET).await;
    // What is idle meanwhile is closed, and tells how soon.
    sleep(Duration::from_millis(600)).await;
    ask(&stand, GET).await;
    assert_eq!(opened(&stand), 2.0);
    sleep(Duration::from_millis(200)).await;
    ask(&stand, GET).await;
    assert_eq!(opened(&stand), 3.0, "more than half of its time is over");
}

#[tokio::test]
async fn a_model_that_never_waits_for_a_second_request_costs_few() {
    let stand = patient(&[OK], Duration::ZERO).await;
    let mut lost = 0;
    for _ in 0..50 {
        lost += usize::from(!ask(&stand, GET).await.0.starts_with("HTTP/1.1 200 "));
    }
    // Each one that is lost came after half of the pause before the last at most, and on the loopback few can come that soon.
    assert!(lost <= 5, "{lost} requests were lost");
}

#[tokio::test]
async fn after_a_restart_connections_are_used_again() {
    let first = Arc::new(AtomicUsize::new(0));
    let count = first.clone();
    let model = model(move |number, mut stream| {
        let count = count.clone();
        async move {
            while head(&mut stream).await.starts_with("GET") {
                count.fetch_add(1, SeqCst);
                send(&mut stream, OK).await;
                if number == 0 {
                    return;
                }
            }
        }
    })
    .await;
    let stand = stand(model, |options| options.pool_idle_timeout = Duration::from_millis(400)).await;
    let mut client = stand.connect().await;
    send(&mut client, GET).await;
    answer(&mut client).await;
    // The one that is left open meanwhile disproves what the first one's end taught.
    sleep(Duration::from_millis(100)).await;
    ask(&stand, GET).await;
    sleep(Duration::from_millis(1200)).await;
    let before = opened(&stand);
    for _ in 0..5 {
        ask(&stand, GET).await;
    }
    assert_eq!(opened(&stand), before + 1.0);
    assert_eq!(first.load(SeqCst), 7);
}
