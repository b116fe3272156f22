use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    http::{Response, header},
};
use clap::Parser as _;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::sleep,
};

use super::*;

const MS: Duration = Duration::from_millis(1);
const PREDICTIONS: &str = r#"{"predictions": ["stays", "leaves", "stays"]}"#;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    traffic: Arguments,
}

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Line::try_parse_from(std::iter::once("traffic").chain(line.split_whitespace())).map(|line| line.traffic)
}

/// A server whose answer depends on the request's number.
async fn serve<F>(answer: fn(u64) -> F) -> SocketAddr
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let router = Router::new().fallback(move |_: axum::body::Bytes| answer(next.fetch_add(1, Ordering::Relaxed)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn answer(status: u16, body: &str) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_owned())).unwrap()
}

/// Written once: whoever writes it again empties it for a moment, under the eyes of other tests.
fn body_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("modelship-traffic-{}.json", std::process::id()));
        std::fs::write(&path, r#"{"inputs": [1]}"#).unwrap();
        path
    })
}

/// Runs the command; the exit code, the JSON of standard output, and standard error.
async fn traffic(address: SocketAddr, line: &str) -> (u8, Value, String) {
    let (code, out, notes) = run_until(address, &format!("-o json {line}"), std::future::pending()).await;
    (code, serde_json::from_str(&out).unwrap_or_default(), notes)
}

async fn run_until(address: SocketAddr, line: &str, stop: impl Future<Output = ()>) -> (u8, String, String) {
    let file = body_file();
    let arguments = parse(&format!("--url http://{address}/invocations -f {} {line}", file.display())).unwrap();
    let outcome = perform(&arguments, stop).await;
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let code = tell(outcome, &arguments, &mut out, &mut notes);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(notes).unwrap())
}

#[tokio::test]
async fn good_answers_end_in_0_and_the_json_sums_up() {
    let address = serve(|_| async { answer(200, PREDICTIONS) }).await;
    let (code, json, notes) = traffic(address, "--count 50 --concurrency 4").await;
    assert_eq!((code, notes.as_str()), (0, ""));
    assert_eq!((&json["requests"], &json["answers"], &json["codes"]["200"]), (&50.into(), &50.into(), &50.into()));
    assert_eq!(json["predictions"], serde_json::json!({"leaves": 50, "stays": 100}));
    assert_eq!(json["sent_bytes"], 50 * 15);
    assert_eq!(json["received_bytes"], 50 * PREDICTIONS.len());
    assert!(json["latency_seconds"]["p99"].as_f64().unwrap() > 0.0 && json["interrupted"] == false);
}

#[tokio::test]
async fn a_rate_gives_as_many_requests_as_were_due() {
    let address = serve(|_| async { answer(200, "[]") }).await;
    let (code, json, _) = traffic(address, "--rate 100 --duration 1s").await;
    assert_eq!((code, &json["requests"], &json["wanted_rate"]), (0, &100.into(), &100.0.into()));
}

#[tokio::test]
async fn a_server_that_stalls_once_shows_in_the_99th_percentile() {
    let address = serve(|number| async move {
        if number == 10 {
            sleep(500 * MS).await;
        }
        answer(200, "[]")
    })
    .await;
    let (_, open, _) = traffic(address, "--rate 100 --count 200 --concurrency 1").await;
    // One request was slow, and forty more had to wait for it, up to nearly as long.
    assert!(open["latency_seconds"]["p99"].as_f64().unwrap() > 0.45, "{open}");
    assert!(open["latency_seconds"]["p90"].as_f64().unwrap() > 0.2, "{open}");
}

#[tokio::test]
async fn errors_are_counted_by_kind_with_the_servers_words() {
    let address = serve(|number| async move {
        match number {
            0 | 1 => answer(200, "[]"),
            2 => answer(400, r#"{"message": "wrong columns"}"#),
            3 => answer(500, "out of memory"),
            4 => answer(302, ""),
            5 => std::future::pending().await,
            _ => {
                let parts = futures::stream::iter([Ok("{"), Err(std::io::Error::other("dies"))]);
                let length = (header::CONTENT_LENGTH, "100");
                Response::builder().header(length.0, length.1).body(Body::from_stream(parts)).unwrap()
            }
        }
    })
    .await;
    let (code, json, _) = traffic(address, "--count 7 --concurrency 1 --timeout 5s").await;
    let errors = serde_json::json!({
        "refused": 0, "timeout": 1, "broken": 1, "http_4xx": 1, "http_5xx": 1, "http_other": 1, "unsent": 0,
    });
    assert_eq!((code, &json["errors"], &json["requests"]), (1, &errors, &7.into()));
    assert_eq!(json["first_errors"]["http_4xx"], "wrong columns");
    assert_eq!(json["first_errors"]["http_5xx"], "out of memory");
}

#[tokio::test]
async fn a_server_that_goes_away_during_the_run_is_counted_as_refusing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Nobody may slip in before the answer.
        drop(listener);
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]").await.unwrap();
    });
    let (code, json, _) = traffic(address, "--count 5 --concurrency 1").await;
    assert_eq!((code, &json["codes"]["200"], &json["errors"]["refused"]), (1, &1.into(), &4.into()), "{json}");
}

#[tokio::test]
async fn the_bound_of_errors_decides_between_0_and_1() {
    let flaky = |number| async move { answer(if number % 10 == 9 { 503 } else { 200 }, "[]") };
    for (bound, code) in [("10%", 0), ("9.9%", 1), ("0%", 1)] {
        let line = format!("--count 20 --concurrency 1 --max-error-ratio {bound}");
        assert_eq!(traffic(serve(flaky).await, &line).await.0, code, "{bound}");
    }
}

#[tokio::test]
async fn a_closed_port_ends_in_2_with_one_sentence_and_no_summary() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (code, out, notes) = run_until(address, "--duration 10m", std::future::pending()).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(notes.starts_with("modelship: the first request found nobody to answer it: cannot connect to"), "{notes}");
    assert_eq!(notes.lines().count(), 1);
}

#[tokio::test]
async fn a_server_that_never_answers_is_an_error_of_its_own_and_not_nobody() {
    let address = serve(|_| async { std::future::pending::<Response<Body>>().await }).await;
    let (code, json, _) = traffic(address, "--count 3 --concurrency 3 --timeout 50ms").await;
    assert_eq!((code, &json["errors"]["timeout"], &json["answers"]), (1, &3.into(), &0.into()));
}

#[tokio::test]
async fn a_stop_ends_the_run_with_its_summary() {
    let address = serve(|number| async move {
        if number >= 5 {
            std::future::pending::<()>().await;
        }
        answer(200, "[]")
    })
    .await;
    // Real time: long enough for five requests on any machine, and far from the ten minutes.
    let (code, out, _) = run_until(address, "--duration 10m --concurrency 1", sleep(2000 * MS)).await;
    assert_eq!(code, 0);
    assert!(out.contains("requests     5 in") && out.contains("(interrupted)"), "{out}");
}

#[tokio::test]
async fn what_stays_unsent_is_an_error() {
    let address = serve(|_| async {
        sleep(100 * MS).await;
        answer(200, "[]")
    })
    .await;
    let (code, json, _) = traffic(address, "--rate 1000 --duration 200ms --concurrency 1").await;
    let (answers, unsent) = (json["answers"].as_u64().unwrap(), json["errors"]["unsent"].as_u64().unwrap());
    assert!(code == 1 && answers < 20 && answers + unsent == 200, "{json}");
}

#[test]
fn bad_values_are_refused_with_what_is_expected() {
    for (line, words) in [
        ("--rate 0", "from 0.001 to 100000"),
        ("--rate NaN", "is not a rate"),
        ("--duration 10", "write a number with a unit"),
        ("--duration 0s", "must lie between 1ms and 168h"),
        ("--count 5 --duration 1s", "cannot be used with"),
        ("--concurrency 0", "1..=10000"),
        ("--max-error-ratio 0.01", "write it in percent"),
        ("--max-error-ratio 101%", "write it in percent"),
        ("--max-error-ratio NaN%", "write it in percent"),
    ] {
        let message = parse(&format!("--url http://a -f b {line}")).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let defaults = parse("churn -f b").unwrap();
    assert_eq!((defaults.concurrency, defaults.timeout, defaults.max_error_ratio), (32, 65_000 * MS, 0.0));
}
