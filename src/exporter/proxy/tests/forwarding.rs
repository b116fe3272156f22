use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use proptest::{collection::vec, prelude::*};
use tokio::io::AsyncWriteExt as _;

use super::support::{answer, answering, ask, field, head, hello, model, rest, send, stand};
use crate::life::Settings;

const GET: &str = "GET /x HTTP/1.1\r\nhost: m\r\n\r\n";

/// Sends back what came: the body as it was, method and target as headers, and every `x-` header.
async fn echo(request: Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut answer = Response::new(Full::new(body));
    let method = parts.method.as_str().parse().unwrap();
    answer.headers_mut().insert("echo-method", method);
    answer.headers_mut().insert("echo-target", parts.uri.to_string().parse().unwrap());
    answer.headers_mut().insert("echo-host", parts.headers["host"].clone());
    for (name, value) in parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-")) {
        answer.headers_mut().append(name, value.clone());
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_request_and_its_answer_pass_byte_for_byte(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"]),
        target in "/[a-z0-9/._~-]{0,40}(\\?[a-z0-9=&%+]{0,20})?",
        names in prop::collection::btree_map("x-[a-z]{1,10}", "[!-~]([ -~]{0,60}[!-~])?", 0..8),
        pieces in vec(vec(any::<u8>(), 1..3000), 0..6),
        chunked in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stand = stand(answering(echo).await, |_| {}).await;
            let body: Vec<u8> = pieces.concat();
            let mut wire = format!("{method} {target} HTTP/1.1\r\nhost: model.example\r\n").into_bytes();
            for (name, value) in names.iter().filter(|(name, _)| *name != "x-forwarded-for") {
                wire.extend(format!("{name}: {value}\r\n").bytes());
            }
            if chunked {
                wire.extend(b"transfer-encoding: chunked\r\n\r\n");
                for piece in &pieces {
                    wire.extend(format!("{:x}\r\n", piece.len()).bytes());
                    wire.extend(piece);
                    wire.extend(b"\r\n");
                }
                wire.extend(b"0\r\n\r\n");
            } else {
                wire.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
                wire.extend(&body);
            }
            let mut stream = stand.connect().await;
            let cut = cut.index(wire.len());
            stream.write_all(&wire[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(&wire[cut..]).await.unwrap();
            let (head, echoed) = answer(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert_eq!(field(&head, "echo-method"), Some(method));
            assert_eq!(field(&head, "echo-target"), Some(&*target));
            assert_eq!(field(&head, "echo-host"), Some("model.example"));
            for (name, value) in names.iter().filter(|(name, _)| *name != "x-forwarded-for") {
                assert_eq!(field(&head, name), Some(&**value));
            }
            assert_eq!(echoed, body);
        });
    }
}

#[tokio::test]
async fn what_is_about_one_connection_does_not_reach_the_other() {
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let model = model(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(head(&mut stream).await).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nconnection: close, x-inner\r\nx-inner: 1\r\nkeep-alive: timeout=5\r\n\
                          proxy-authenticate: Basic\r\nupgrade: h2c\r\nx-outer: 2\r\ncontent-length: 2\r\n\r\nok";
            send(&mut stream, answer).await;
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let request = "GET / HTTP/1.1\r\nhost: m\r\nconnection: Upgrade, x-mine\r\nx-mine: 1\r\nupgrade: h2c\r\n\
                   proxy-authorization: Basic eA==\r\nte: trailers\r\nx-theirs: 2\r\n\r\n";
    let mut stream = stand.connect().await;
    send(&mut stream, request).await;
    let (got, body) = answer(&mut stream).await;
    let asked = heads.recv().await.unwrap();
    for name in ["connection", "x-mine", "upgrade", "proxy-authorization"] {
        assert_eq!(field(&asked, name), None, "{asked}");
    }
    assert_eq!((field(&asked, "x-theirs"), field(&asked, "te")), (Some("2"), Some("trailers")));
    assert_eq!(field(&asked, "x-forwarded-for"), Some("127.0.0.1"));
    for name in ["connection", "x-inner", "keep-alive", "proxy-authenticate", "upgrade", "via"] {
        assert_eq!(field(&got, name), None, "{got}");
    }
    assert_eq!((field(&got, "x-outer"), &*body), (Some("2"), &b"ok"[..]));
    send(&mut stream, GET).await;
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200"), "the model's close is not the client's");
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served_and_its_connection_closed() {
    let stand = stand(answering(echo).await, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, "POST /old HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc").await;
    let (bytes, end) = rest(&mut stream).await;
    let text = String::from_utf8(bytes).unwrap();
    assert!(end.is_ok() && text.starts_with("HTTP/1.0 200 OK\r\n") && text.ends_with("\r\n\r\nabc"), "{text}");
    assert!(field(&text, "echo-host").unwrap().starts_with("127.0.0.1:"), "the model needs a Host: {text}");
}

#[tokio::test]
async fn a_model_of_http_1_0_is_understood_and_the_clients_connection_kept() {
    let model = model(|_, mut stream| async move {
        head(&mut stream).await;
        send(&mut stream, "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let mut stream = stand.connect().await;
    for _ in 0..2 {
        send(&mut stream, GET).await;
        let (got, body) = answer(&mut stream).await;
        assert_eq!((got.lines().next(), &*body), (Some("HTTP/1.1 200 OK"), &b"ok"[..]));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stand = stand(answering(echo).await, |_| {}).await;
    let mut stream = stand.connect().await;
    let wire: String =
        (0..20).map(|i| format!("POST /{i} HTTP/1.1\r\nhost: m\r\ncontent-length: 2\r\n\r\n{:02}", i)).collect();
    send(&mut stream, &wire).await;
    for i in 0..20 {
        let (head, body) = answer(&mut stream).await;
        assert_eq!(field(&head, "echo-target"), Some(&*format!("/{i}")));
        assert_eq!(body, format!("{i:02}").into_bytes());
    }
    assert_eq!(stand.requests("POST", 200), 20.0);
    assert_eq!(stand.value("modelship_exporter_model_connections_total"), 1.0, "one connection is used again");
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let stand = stand(answering(echo).await, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: m\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n").await;
    assert_eq!(head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
    send(&mut stream, "abc").await;
    assert_eq!(answer(&mut stream).await.1, b"abc");
}

#[tokio::test]
async fn the_host_of_an_absolute_target_counts_and_the_model_sees_the_path() {
    let stand = stand(answering(echo).await, |_| {}).await;
    let (head, _) = ask(&stand, "GET http://u:p@real:81/a?b=c HTTP/1.1\r\nhost: other\r\n\r\n").await;
    assert_eq!((field(&head, "echo-target"), field(&head, "echo-host")), (Some("/a?b=c"), Some("real:81")));
    let (head, _) = ask(&stand, "OPTIONS * HTTP/1.1\r\nhost: m\r\n\r\n").await;
    assert_eq!(field(&head, "echo-target"), Some("*"));
}

#[tokio::test]
async fn an_alias_leads_to_its_path_with_the_query_kept_from_the_moment_it_is_set() {
    let stand = stand(answering(echo).await, |_| {}).await;
    let target = async |request: &str| field(&ask(&stand, request).await.0, "echo-target").map(str::to_owned);
    let request = "POST /predict?a=%20b HTTP/1.1\r\nhost: m\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(target(request).await.as_deref(), Some("/predict?a=%20b"));
    let aliases = BTreeMap::from([("/predict".to_owned(), "/invocations".to_owned())]);
    stand.settings.send(Arc::new(Settings { aliases, ..Settings::default() })).unwrap();
    assert_eq!(target(request).await.as_deref(), Some("/invocations?a=%20b"));
    assert_eq!(target("GET /predict HTTP/1.1\r\nhost: m\r\n\r\n").await.as_deref(), Some("/invocations"));
    assert_eq!(target("GET /predict/x HTTP/1.1\r\nhost: m\r\n\r\n").await.as_deref(), Some("/predict/x"));
}

#[tokio::test]
async fn a_head_request_keeps_the_length_of_the_body_that_it_does_not_get() {
    let stand = stand(hello().await, |_| {}).await;
    let mut stream = stand.connect().await;
    send(&mut stream, "HEAD / HTTP/1.1\r\nhost: m\r\n\r\n").await;
    let got = head(&mut stream).await;
    assert_eq!(field(&got, "content-length"), Some("5"), "{got}");
    send(&mut stream, GET).await;
    assert_eq!(answer(&mut stream).await.1, b"hello");
    assert_eq!((stand.requests("HEAD", 200), stand.errors("client")), (1.0, 0.0));
}

#[tokio::test]
async fn heads_that_nobody_can_read_are_refused_marked_and_counted() {
    let stand = stand(hello().await, |options| options.header_limit = 16 * 1024).await;
    let cases = [
        (format!("GET / HTTP/1.1\r\nhost: m\r\nx: {}\r\n\r\n", "a".repeat(20_000)), 431, "head-too-large"),
        (format!("GET / HTTP/1.1\r\nhost: m\r\nx: {}", "a".repeat(200_000)), 431, "head-too-large"),
        (format!("GET / HTTP/1.1\r\nhost: m\r\n{}\r\n", "x: y\r\n".repeat(600)), 431, "head-too-large"),
        ("GET / HTTP/1.1\r\nhost: m\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".into(), 400, "bad-request"),
        ("POST / HTTP/1.1\r\nhost: m\r\ntransfer-encoding: gzip\r\n\r\n".into(), 400, "bad-request"),
        ("GET / HTTP/1.1\r\nhost : m\r\n\r\n".into(), 400, "bad-request"),
        ("\x16\x03\x01\x02\r\n\r\n".into(), 400, "bad-request"),
    ];
    for (i, (wire, status, reason)) in (1..).zip(cases) {
        let mut stream = stand.connect().await;
        // The answer may come, and the connection close, before all is sent.
        let _ = stream.write_all(wire.as_bytes()).await;
        let got = head(&mut stream).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{i}: {got}");
        assert_eq!(field(&got, "x-modelship-exporter"), Some(reason), "{i}: {got}");
        stand.until(r#"http_request_errors_total{cause="client"}"#, f64::from(i)).await;
    }
    assert_eq!((stand.requests("other", 431), stand.requests("other", 400)), (3.0, 4.0));
}

#[tokio::test]
async fn requests_that_http_forbids_to_forward_are_refused() {
    let stand = stand(hello().await, |_| {}).await;
    for (wire, status, reason) in [
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 501, "connect-refused"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad-request"),
    ] {
        let mut stream = stand.connect().await;
        send(&mut stream, wire).await;
        let (got, body) = answer(&mut stream).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}");
        assert_eq!(field(&got, "x-modelship-exporter"), Some(reason));
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"], reason);
        assert!(rest(&mut stream).await.0.is_empty(), "the connection is closed");
    }
    assert_eq!((stand.requests("other", 501), stand.requests("GET", 400)), (1.0, 2.0));
    assert_eq!(stand.value("modelship_exporter_model_connections_total"), 0.0);
}

#[tokio::test]
async fn a_request_with_two_lengths_reaches_the_model_with_one() {
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let model = model(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(head(&mut stream).await).unwrap();
            send(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let wire =
        "POST / HTTP/1.1\r\nhost: m\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    ask(&stand, wire).await;
    let asked = heads.recv().await.unwrap();
    assert_eq!(
        (field(&asked, "content-length"), field(&asked, "transfer-encoding")),
        (None, Some("chunked")),
        "{asked}"
    );
}
