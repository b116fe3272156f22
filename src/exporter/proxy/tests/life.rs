//! What the proxy tells of the model's health.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, sync::mpsc};

use super::support::{answer, head, health, model, send, soon, stand_with};
use crate::life::{Clock, Health, PATIENCE, Rules};

#[tokio::test]
async fn each_piece_of_an_answer_is_a_sign_of_life_however_long_it_streams() {
    let timeout = Duration::from_secs(60);
    let (more, pieces) = mpsc::channel::<()>(1);
    let pieces = Arc::new(tokio::sync::Mutex::new(pieces));
    let model = model(move |_, mut stream| {
        let pieces = pieces.clone();
        async move {
            head(&mut stream).await;
            send(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while pieces.lock().await.recv().await.is_some() {
                send(&mut stream, "5\r\ntoken\r\n").await;
            }
            send(&mut stream, "0\r\n\r\n").await;
        }
    })
    .await;
    let now = Arc::new(AtomicU64::new(0));
    let told = now.clone();
    let health = Health::new(Clock::by(move || Duration::from_secs(told.load(SeqCst))));
    let stand = stand_with(model, health.clone(), |_| {}).await;
    let mut client = stand.connect().await;
    send(&mut client, "GET / HTTP/1.1\r\nhost: m\r\n\r\n").await;
    head(&mut client).await;
    let rules = Rules { period: Duration::from_secs(5), silent_periods: 6, timeout };
    let piece = b"5\r\ntoken\r\n".len();
    for number in 0..2 * PATIENCE {
        now.store(u64::from(number) * timeout.as_secs(), SeqCst);
        more.send(()).await.unwrap();
        soon(client.read_exact(&mut vec![0; piece])).await.unwrap();
        assert_eq!(health.evidence(true).live(&rules), Ok(()), "after {number} timeouts");
    }
    now.fetch_add(u64::from(PATIENCE) * timeout.as_secs() + 1, SeqCst);
    assert!(health.evidence(true).live(&rules).is_err(), "its silence is told all the same");
}

#[tokio::test]
async fn a_server_in_front_that_answers_for_the_model_is_no_sign_that_it_works() {
    for (status, told) in [("502 Bad Gateway", false), ("504 Gateway Timeout", false), ("500 Oops", true)] {
        let model = model(move |_, mut stream| async move {
            head(&mut stream).await;
            send(&mut stream, &format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        })
        .await;
        let health = health();
        let stand = stand_with(model, health.clone(), |_| {}).await;
        let mut stream = stand.connect().await;
        send(&mut stream, "GET / HTTP/1.1\r\nhost: m\r\n\r\n").await;
        answer(&mut stream).await;
        assert_eq!(health.evidence(false).answered.is_some(), told, "{status}");
    }
}
