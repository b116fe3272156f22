//! What HTTP asks nobody to write, and what is passed on all the same.

use std::sync::Arc;

use tokio::{
    io::AsyncWriteExt as _,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::support::{Stand, answer, ask, field, head, model, rest, send, stand};
use crate::life::Settings;

const GET: &str = "GET / HTTP/1.1\r\nhost: m\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A model that answers so, and the first lines of what it was asked.
async fn says(answer: impl Into<String>) -> (Stand, UnboundedReceiver<Vec<u8>>) {
    let (told, lines) = unbounded_channel();
    let answer: Arc<str> = answer.into().into();
    let model = model(move |_, mut stream| {
        let (told, answer) = (told.clone(), answer.clone());
        async move {
            loop {
                let mut line = Vec::new();
                while !line.ends_with(b"\r\n") {
                    match tokio::io::AsyncReadExt::read_u8(&mut stream).await {
                        Ok(byte) => line.push(byte),
                        Err(_) => return,
                    }
                }
                head(&mut stream).await;
                told.send(line).unwrap();
                send(&mut stream, &answer).await;
            }
        }
    })
    .await;
    (stand(model, |_| {}).await, lines)
}

#[tokio::test]
async fn a_target_reaches_the_model_as_the_client_wrote_it() {
    let (stand, mut lines) = says(OK).await;
    let aliases = [("/predict".to_owned(), "/invocations".to_owned())].into();
    stand.settings.send(Arc::new(Settings { aliases, ..Settings::default() })).unwrap();
    let mut one = stand.connect().await;
    for (target, reaches) in [
        (&b"/a?q={\"x\":[\"<b>\"]}"[..], &b"/a?q={\"x\":[\"<b>\"]}"[..]),
        (b"/plain?a=%20b", b"/plain?a=%20b"),
        (b"/a<b>`?q=\xe9\xff", b"/a<b>`?q=\xe9\xff"),
        ("/é?é".as_bytes(), "/é?é".as_bytes()),
        (b"/predict?\"\xe9\"", b"/invocations?\"\xe9\""),
        (b"/a?<#b<", b"/a?<"),
        (b"http://other:80/a<b>?q=\"\xe9\"#<", b"/a<b>?q=\"\xe9\""),
        (b"http://other?<", b"/?<"),
        (b"HTTP://m/predict?<", b"/invocations?<"),
        (b"/a?_\"_", b"/a?_\"_"),
    ] {
        let request = [b"GET ", target, b" HTTP/1.1\r\nhost: m\r\n\r\n"].concat();
        let wanted = [b"GET ", reaches, b" HTTP/1.1\r\n"].concat();
        let shown = String::from_utf8_lossy(target);
        one.write_all(&request).await.unwrap();
        assert_eq!(answer(&mut one).await.1, b"ok", "{shown}");
        assert_eq!(lines.recv().await.unwrap(), wanted, "{shown}");
        let mut other = stand.connect().await;
        for piece in request.chunks(3) {
            other.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(answer(&mut other).await.1, b"ok", "{shown}, in pieces");
        assert_eq!(lines.recv().await.unwrap(), wanted, "{shown}, in pieces");
    }
}

#[tokio::test]
async fn a_target_that_is_no_path_and_names_no_scheme_is_refused() {
    let (stand, mut lines) = says(OK).await;
    let odd_host: &[u8] = b"http://\xe9/a";
    for target in [&b"predict"[..], b"predict:80", b"localhost", odd_host, b"http://\"/?<"] {
        let mut stream = stand.connect().await;
        for piece in [b"GET ", target, b" HTTP/1.1\r\nhost: m\r\n\r\n"].concat().chunks(5) {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let got = head(&mut stream).await;
        assert!(got.starts_with("HTTP/1.1 400 "), "{}: {got}", String::from_utf8_lossy(target));
    }
    assert!(lines.try_recv().is_err(), "the model was asked");
    assert_eq!(ask(&stand, "OPTIONS * HTTP/1.1\r\nhost: m\r\n\r\n").await.1, b"ok");
    assert_eq!(lines.recv().await.unwrap(), b"OPTIONS * HTTP/1.1\r\n");
}

#[tokio::test]
async fn an_answer_with_two_lengths_reaches_the_client_with_the_one_that_counts() {
    let (stand, _lines) =
        says("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    let mut stream = stand.connect().await;
    send(&mut stream, "GET / HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n").await;
    let text = String::from_utf8(rest(&mut stream).await.0).unwrap();
    assert_eq!((field(&text, "content-length"), field(&text, "transfer-encoding")), (None, Some("chunked")), "{text}");
    assert!(text.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn codings_of_the_transfer_are_named_to_the_other_side() {
    let coded = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let (stand, _lines) = says(coded).await;
    let mut stream = stand.connect().await;
    send(&mut stream, GET).await;
    assert_eq!(field(&head(&mut stream).await, "transfer-encoding"), Some("gzip, chunked"));
    let (got, _) = ask(&stand, "GET / HTTP/1.0\r\nhost: m\r\n\r\n").await;
    assert_eq!(field(&got, "x-modelship-exporter"), Some("model-unreadable"), "HTTP/1.0 cannot say it: {got}");

    let (told, mut heads) = unbounded_channel();
    let model = model(move |_, mut stream| {
        let told = told.clone();
        async move {
            told.send(head(&mut stream).await).unwrap();
            send(&mut stream, OK).await;
        }
    })
    .await;
    let stand = super::support::stand(model, |_| {}).await;
    for (coding, wanted) in [("gzip, chunked", "gzip, chunked"), ("identity, Chunked", "chunked")] {
        let wire = format!("POST / HTTP/1.1\r\nhost: m\r\ntransfer-encoding: {coding}\r\n\r\n1\r\nx\r\n0\r\n\r\n");
        ask(&stand, &wire).await;
        let asked = heads.recv().await.unwrap();
        assert_eq!(field(&asked, "transfer-encoding"), Some(wanted), "{asked}");
    }
}

#[tokio::test]
async fn an_answer_may_have_many_headers_and_folded_ones() {
    let many: String = (0..300).map(|number| format!("x-{number}: {number}\r\n")).collect();
    let (stand, _lines) = says(format!("HTTP/1.1 200 OK\r\n{many}content-length: 2\r\n\r\nok")).await;
    let (got, body) = ask(&stand, GET).await;
    assert_eq!((field(&got, "x-299"), &*body), (Some("299"), &b"ok"[..]), "{got}");
    let (stand, _lines) = says("HTTP/1.1 200 OK\r\nx-a: 1\r\n  2\r\nx-b : 3\r\ncontent-length : 2\r\n\r\nok").await;
    let (got, body) = ask(&stand, GET).await;
    assert_eq!((field(&got, "x-a"), field(&got, "x-b"), &*body), (Some("1 2"), Some("3"), &b"ok"[..]), "{got}");
}

#[tokio::test]
async fn a_request_may_have_many_headers() {
    let (stand, _lines) = says(OK).await;
    let many: String = (0..300).map(|number| format!("x-{number}: {number}\r\n")).collect();
    let (got, body) = ask(&stand, &format!("GET / HTTP/1.1\r\nhost: m\r\n{many}\r\n")).await;
    assert_eq!(&*body, b"ok", "{got}");
}

#[tokio::test]
async fn a_client_hears_which_protocol_it_should_ask_for() {
    let (stand, _lines) = says(
        "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nno",
    )
    .await;
    let (got, _) = ask(&stand, GET).await;
    assert_eq!((field(&got, "upgrade"), field(&got, "connection")), (Some("websocket"), Some("upgrade")), "{got}");
}

#[tokio::test]
async fn every_status_is_counted() {
    for code in [103, 299, 600, 999] {
        let interim = if code < 200 { OK } else { "" };
        let (stand, _lines) = says(format!("HTTP/1.1 {code} X\r\ncontent-length: 0\r\n\r\n{interim}")).await;
        ask(&stand, GET).await;
        let wanted = if code < 200 { 200 } else { code };
        assert_eq!(stand.requests("GET", wanted), 1.0, "{code}");
        assert_eq!(stand.errors("model"), if code >= 500 { 1.0 } else { 0.0 }, "{code}");
    }
}

#[tokio::test]
async fn who_calls_itself_a_probe_hides_nothing_but_reads() {
    let (stand, _lines) = says("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n").await;
    for method in ["GET", "HEAD", "POST", "DELETE"] {
        ask(&stand, &format!("{method} / HTTP/1.1\r\nhost: m\r\nuser-agent: kube-probe/1.33\r\n\r\n")).await;
    }
    let counted = ["GET", "HEAD", "POST", "DELETE"].map(|method| stand.requests(method, 500));
    assert_eq!(counted[..1], [0.0]);
    assert_eq!(counted[2..], [1.0, 1.0]);
    assert_eq!(stand.errors("model"), 2.0);
}

#[tokio::test]
async fn a_probe_is_no_request_in_flight() {
    let (told, mut asked) = unbounded_channel();
    let model = model(move |_, mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            told.send(()).unwrap();
            let _ = tokio::io::AsyncReadExt::read_u8(&mut stream).await;
        }
    })
    .await;
    let stand = super::support::stand(model, |_| {}).await;
    let mut probe = stand.connect().await;
    send(&mut probe, "GET / HTTP/1.1\r\nhost: m\r\nuser-agent: kube-probe/1.33\r\n\r\n").await;
    asked.recv().await.unwrap();
    assert_eq!((stand.value("http_requests_in_flight"), stand.drain.in_flight()), (0.0, 1));
    let mut request = stand.connect().await;
    send(&mut request, GET).await;
    asked.recv().await.unwrap();
    assert_eq!(stand.value("http_requests_in_flight"), 1.0);
    drop((probe, request));
    stand.until("http_requests_in_flight", 0.0).await;
}
