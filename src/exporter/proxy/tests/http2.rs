use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{body::Incoming, client::conn::http2::SendRequest, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::support::{Stand, hello, model, soon, stand};

type Frames = Vec<Result<Frame<Bytes>, std::convert::Infallible>>;
type Sent = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, std::convert::Infallible>>>>;

fn message(frames: Frames) -> Sent {
    StreamBody::new(stream::iter(frames))
}

fn trailers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
}

/// Like a gRPC server: sends back the message, and says in trailers what trailers came.
async fn grpc(request: Request<Incoming>) -> Result<Response<Sent>, hyper::Error> {
    let te = request.headers().get("te").cloned();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?;
    let came = body.trailers().and_then(|trailers| trailers.get("x-checksum").cloned());
    let mut end = trailers("grpc-status", "0");
    end.insert("x-came", came.unwrap_or(HeaderValue::from_static("none")));
    end.insert("x-te", te.unwrap_or(HeaderValue::from_static("none")));
    end.insert("x-path", HeaderValue::from_str(&path).unwrap());
    let data = body.to_bytes();
    let mut answer = Response::new(message(vec![Ok(Frame::data(data)), Ok(Frame::trailers(end))]));
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(answer)
}

async fn grpc_model() -> SocketAddr {
    model(|_, stream| async move {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service_fn(grpc)).await;
    })
    .await
}

async fn client(stand: &Stand) -> (SendRequest<Sent>, tokio::task::JoinHandle<hyper::Result<()>>) {
    let stream = TokioIo::new(stand.connect().await);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn call(size: usize) -> Request<Sent> {
    let data = Bytes::from(vec![7; size]);
    let frames = vec![Ok(Frame::data(data)), Ok(Frame::trailers(trailers("x-checksum", "abc")))];
    Request::post("http://model/pkg.Service/Call").header("te", "trailers").body(message(frames)).unwrap()
}

#[tokio::test]
async fn a_call_passes_with_its_trailers_in_both_directions() {
    let stand = stand(grpc_model().await, |_| {}).await;
    let (mut sender, _) = client(&stand).await;
    let answer = soon(sender.send_request(call(100_000))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let body = soon(answer.into_body().collect()).await.unwrap();
    let end = body.trailers().unwrap().clone();
    for (name, value) in
        [("grpc-status", "0"), ("x-came", "abc"), ("x-te", "trailers"), ("x-path", "/pkg.Service/Call")]
    {
        assert_eq!(end[name], value, "{name}");
    }
    assert_eq!(body.to_bytes().len(), 100_000);
    stand.until(r#"http_requests_total{code="200",method="POST"}"#, 1.0).await;
    assert_eq!(stand.value("http_request_size_bytes_sum"), 100_000.0);
    assert_eq!(stand.value("http_response_size_bytes_sum"), 100_000.0);
}

#[tokio::test]
async fn many_calls_share_one_connection_to_the_model() {
    let stand = stand(grpc_model().await, |_| {}).await;
    let (sender, _) = client(&stand).await;
    let calls = (0..100).map(|_| {
        let mut sender = sender.clone();
        async move { soon(sender.send_request(call(1000))).await.unwrap().into_body().collect().await.unwrap() }
    });
    for body in futures::future::join_all(calls).await {
        assert_eq!(body.to_bytes().len(), 1000);
    }
    stand.until(r#"http_requests_total{code="200",method="POST"}"#, 100.0).await;
    assert_eq!(stand.value("modelship_exporter_model_connections_total"), 1.0);
}

#[tokio::test]
async fn a_model_that_speaks_no_http_2_is_a_marked_bad_gateway() {
    let stand = stand(hello().await, |_| {}).await;
    let (mut sender, _) = client(&stand).await;
    let answer = soon(sender.send_request(call(10))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(answer.headers().contains_key("x-modelship-exporter"));
    answer.into_body().collect().await.unwrap();
    stand.until(r#"http_request_errors_total{cause="unreachable"}"#, 1.0).await;
}

#[tokio::test]
async fn a_call_that_the_client_resets_ends_at_the_model_too() {
    let (told, mut events) = tokio::sync::mpsc::unbounded_channel();
    let model = model(move |_, stream| {
        let told = told.clone();
        async move {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let service = service_fn(move |_: Request<Incoming>| {
                struct Told(tokio::sync::mpsc::UnboundedSender<&'static str>);
                impl Drop for Told {
                    fn drop(&mut self) {
                        let _ = self.0.send("ended");
                    }
                }
                let guard = Told(told.clone());
                let _ = told.send("asked");
                async move {
                    let _guard = guard;
                    std::future::pending::<Result<Response<Full<Bytes>>, std::convert::Infallible>>().await
                }
            });
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let (mut sender, _) = client(&stand).await;
    let call = tokio::spawn(async move { sender.send_request(call(10)).await.map(drop) });
    assert_eq!(soon(events.recv()).await, Some("asked"));
    call.abort();
    assert_eq!(soon(events.recv()).await, Some("ended"));
    stand.until(r#"http_requests_total{code="499",method="POST"}"#, 1.0).await;
    assert_eq!(stand.value("http_requests_in_flight"), 0.0);
}

#[tokio::test]
async fn calls_wait_no_longer_than_the_timeout() {
    let model = model(|_, stream| async move {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let service = service_fn(|_: Request<Incoming>| async {
            std::future::pending::<Result<Response<Full<Bytes>>, std::convert::Infallible>>().await
        });
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    })
    .await;
    let stand = stand(model, |options| options.timeout = Duration::from_millis(100)).await;
    let (mut sender, _) = client(&stand).await;
    let answer = soon(sender.send_request(call(10))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    answer.into_body().collect().await.unwrap();
    stand.until(r#"http_request_errors_total{cause="timeout"}"#, 1.0).await;
}

#[tokio::test]
async fn the_drain_says_goaway_after_the_calls_under_way() {
    let stand = stand(grpc_model().await, |options| {
        options.drain_least = Duration::from_millis(2500);
        options.drain_quiet = Duration::from_millis(100);
    })
    .await;
    let (mut sender, connection) = client(&stand).await;
    soon(sender.send_request(call(10))).await.unwrap().into_body().collect().await.unwrap();
    let begun = std::time::Instant::now();
    stand.drain.begin();
    // The client's connection ends well, although the client holds on to it.
    soon(connection).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1500), "it is told at the beginning of the drain, not at its end");
    assert!(sender.send_request(call(10)).await.is_err());
    soon(stand.served).await.unwrap().unwrap();
}

/// Ends as the path says: `/trailers/13`, or without a message `/headers/14`.
async fn failing(request: Request<Incoming>) -> Result<Response<Sent>, hyper::Error> {
    let (place, code) = request.uri().path().trim_start_matches('/').split_once('/').unwrap();
    let end = trailers("grpc-status", code);
    Ok(match place {
        "trailers" => {
            Response::new(message(vec![Ok(Frame::data(Bytes::from_static(b"part"))), Ok(Frame::trailers(end))]))
        }
        _ => {
            let mut answer = Response::new(message(Vec::new()));
            answer.headers_mut().extend(end);
            answer
        }
    })
}

#[tokio::test]
async fn a_call_that_fails_counts_by_how_grpc_says_that_it_ended() {
    let model = model(|_, stream| async move {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service_fn(failing)).await;
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let (mut sender, _) = client(&stand).await;
    for path in ["trailers/0", "trailers/13", "trailers/4", "headers/14", "headers/3"] {
        let request = Request::post(format!("http://model/{path}")).body(message(Vec::new())).unwrap();
        let answer = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        soon(answer.into_body().collect()).await.unwrap();
    }
    stand.until(r#"http_requests_total{code="200",method="POST"}"#, 5.0).await;
    let causes = ["client", "model", "timeout", "unreachable"].map(|cause| stand.errors(cause));
    assert_eq!(causes, [1.0; 4]);
}

#[tokio::test]
async fn clients_that_read_nothing_do_not_stop_the_others() {
    let stand = stand(grpc_model().await, |_| {}).await;
    let mut stuck = Vec::new();
    for _ in 0..6 {
        let (mut sender, connection) = client(&stand).await;
        // The answer is as long as the request, and never read.
        let answer = soon(sender.send_request(call(8 << 20))).await.unwrap();
        stuck.push((sender, connection, answer));
    }
    let (mut sender, _) = client(&stand).await;
    for _ in 0..20 {
        let answer = soon(sender.send_request(call(1000))).await.unwrap();
        assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes().len(), 1000);
    }
}
