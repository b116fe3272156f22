//! What of HTTP/2 is sent a second time: only what the model says that it has not looked at.

use std::{net::SocketAddr, time::Duration};

use h2::Reason;
use http::{Response, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};

use super::{
    raw::{PREFACE, ask, asked, client, frame, frames, read_to, sized, whole},
    support::{model, soon, stand},
};

const RESENT: &str = "modelship_exporter_requests_resent_total";
const CONNECTIONS: &str = "modelship_exporter_model_connections_total";

#[tokio::test]
async fn a_refused_stream_is_sent_again_with_its_whole_body() {
    let model = frames(100, |number, request, mut respond| async move {
        let mut body = request.into_body();
        if number < 2 {
            let _ = body.data().await;
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        let body = whole(Response::new(body)).await.unwrap();
        respond.send_response(Response::new(()), false).unwrap().send_data(body.into(), true).unwrap();
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    let body: Vec<u8> = (0..15_000).map(|i| i as u8).collect();
    assert_eq!(asked(&sender, "/", body.clone()).await, (StatusCode::OK, body));
    assert_eq!(stand.value(RESENT), 2.0);
    stand.until("http_request_size_bytes_sum", 15_000.0).await;
}

#[tokio::test]
async fn a_refused_stream_that_cannot_be_sent_again_is_for_the_client_to_send_again() {
    let model = frames(100, |_, request, mut respond| async move {
        let mut body = request.into_body();
        let mut came = 0;
        while came < 20_000 && !body.is_end_stream() {
            came += body.data().await.unwrap().unwrap().len();
        }
        respond.send_reset(Reason::REFUSED_STREAM);
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    for (size, resent) in [(30_000, 0.0), (10, 4.0)] {
        let answer = ask(&sender, "/", vec![1; size]).await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["x-modelship-exporter"]),
            (503.try_into().unwrap(), &"model-full".parse().unwrap())
        );
        assert_eq!(stand.value(RESENT), resent, "{size}");
    }
}

/// A model whose first connection says with GOAWAY, after it has read a request, that this is the last stream it has looked at.
async fn leaving(last: u32) -> SocketAddr {
    model(move |number, mut stream: TcpStream| async move {
        if number > 0 {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(sized(0, request, respond));
            }
            return;
        }
        stream.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
        stream.write_all(&[frame(4, 0, 0, b""), frame(4, 1, 0, b"")].concat()).await.unwrap();
        read_to(&mut stream, 1).await;
        let payload = [last.to_be_bytes(), [0; 4]].concat();
        stream.write_all(&frame(7, 0, 0, &payload)).await.unwrap();
        // Until the other side, too, has had enough.
        if last > 0 {
            stream.shutdown().await.unwrap();
        }
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

#[tokio::test]
async fn a_request_above_the_last_stream_of_a_goaway_is_sent_again() {
    let stand = stand(leaving(0).await, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    assert_eq!(asked(&sender, "/10", "x").await, (StatusCode::OK, vec![7; 10]));
    assert_eq!((stand.value(RESENT), stand.value(CONNECTIONS)), (1.0, 2.0));
}

#[tokio::test]
async fn a_request_that_a_goaway_counts_as_looked_at_is_not_sent_again() {
    let stand = stand(leaving(1).await, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    let answer = ask(&sender, "/10", "x").await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["x-modelship-exporter"]),
        (502.try_into().unwrap(), &"model-closed".parse().unwrap())
    );
    assert_eq!(stand.value(RESENT), 0.0);
    assert_eq!(asked(&sender, "/10", "x").await.0, StatusCode::OK, "the next one goes on another connection");
}

#[tokio::test]
async fn a_model_that_leaves_finishes_its_calls_while_others_go_to_its_successor() {
    let (come, mut calls) = mpsc::unbounded_channel();
    let model = model(move |number, stream| {
        let come = come.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                let (go, gate) = tokio::sync::oneshot::channel::<()>();
                come.send((number, go)).unwrap();
                tokio::spawn(async move {
                    let _ = gate.await;
                    sized(0, request, respond).await;
                });
                if number == 0 {
                    connection.graceful_shutdown();
                }
            }
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    let first = tokio::spawn({
        let sender = sender.clone();
        async move { asked(&sender, "/10", "x").await }
    });
    let (number, gate) = soon(calls.recv()).await.unwrap();
    assert_eq!(number, 0);
    // Calls that come before the GOAWAY is read are above its last stream, or wait for the connection to end; all are answered.
    soon(async {
        loop {
            let other = tokio::spawn({
                let sender = sender.clone();
                async move { asked(&sender, "/10", "x").await }
            });
            let (number, gate) = calls.recv().await.unwrap();
            drop(gate);
            assert_eq!(other.await.unwrap().0, StatusCode::OK);
            // One that was given up while it was being opened has a number, too.
            if number > 0 {
                break;
            }
        }
    })
    .await;
    assert!(!first.is_finished());
    drop(gate);
    assert_eq!(soon(first).await.unwrap(), (StatusCode::OK, vec![7; 10]));
}

#[tokio::test]
async fn an_idle_connection_to_the_model_is_closed_and_the_next_call_opens_another() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let model = model(move |_, stream| {
        let ended = ended.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(sized(0, request, respond));
            }
            ended.send(()).unwrap();
        }
    })
    .await;
    let stand = stand(model, |options| options.pool_idle_timeout = Duration::from_millis(200)).await;
    let sender = client(&stand, 65_535).await;
    for _ in 0..2 {
        assert_eq!(asked(&sender, "/10", "x").await.0, StatusCode::OK);
        soon(ends.recv()).await.unwrap();
    }
    assert_eq!(stand.value(CONNECTIONS), 2.0);
}
