//! HTTP/2 a level below hyper: streams with their windows and resets, and frames.

use std::{future::Future, net::SocketAddr};

use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{Request, Response, StatusCode};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use super::support::{Stand, model, soon};

/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame as it is sent (RFC 9113, 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames up to one of this kind.
pub async fn read_to(stream: &mut TcpStream, kind: u8) {
    loop {
        let mut head = [0; 9];
        soon(stream.read_exact(&mut head)).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        soon(stream.read_exact(&mut payload)).await.unwrap();
        if head[3] == kind {
            return;
        }
    }
}

/// A client that answers pings, and whose streams have a window of so many bytes.
pub async fn client(stand: &Stand, window: u32) -> SendRequest<Bytes> {
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (sender, connection) = soon(builder.handshake(stand.connect().await)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends the request with its body, and waits for the head of the answer.
pub async fn ask(
    sender: &SendRequest<Bytes>,
    path: &str,
    body: impl Into<Bytes>,
) -> Result<Response<RecvStream>, h2::Error> {
    let request = Request::post(format!("http://model{path}")).body(()).unwrap();
    let (answer, mut stream) = sender.clone().ready().await?.send_request(request, false)?;
    stream.send_data(body.into(), true)?;
    soon(answer).await
}

/// All of the answer, or how it broke off.
pub async fn whole(answer: Response<RecvStream>) -> Result<Vec<u8>, h2::Error> {
    let (mut body, mut all) = (answer.into_body(), Vec::new());
    while let Some(piece) = soon(body.data()).await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

pub async fn asked(sender: &SendRequest<Bytes>, path: &str, body: impl Into<Bytes>) -> (StatusCode, Vec<u8>) {
    let answer = ask(sender, path, body).await.unwrap();
    (answer.status(), whole(answer).await.unwrap())
}

/// A model that takes so many streams on a connection at a time and does with each, numbered from 0 on its connection, what it is told.
pub async fn frames<F, R>(streams: u32, serve: F) -> SocketAddr
where
    F: Fn(usize, Request<RecvStream>, h2::server::SendResponse<Bytes>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    model(move |_, stream| {
        let serve = serve.clone();
        async move {
            let mut builder = h2::server::Builder::new();
            let Ok(mut connection) = builder.max_concurrent_streams(streams).handshake(stream).await else { return };
            for number in 0.. {
                let Some(Ok((request, respond))) = connection.accept().await else { return };
                tokio::spawn(serve(number, request, respond));
            }
        }
    })
    .await
}

/// Answers with so many bytes as the path says, once the request is whole.
pub async fn sized(_: usize, request: Request<RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let size = request.uri().path()[1..].parse().unwrap();
    if whole(Response::new(request.into_body())).await.is_err() {
        return;
    }
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
    let _ = stream.send_data(Bytes::from(vec![7; size]), true);
    let _ = std::future::poll_fn(|context| stream.poll_reset(context)).await;
}
