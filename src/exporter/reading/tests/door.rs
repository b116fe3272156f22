//! The door and the thread behind it.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, Method};
use pretty_assertions::assert_eq;
use prometheus::Registry;
use serde_json::json;

use super::{body, exchange, value};
use crate::{
    blame::Errors,
    exchange::{Captured, Exchange},
    reading::{Intake, Reading, check, queue::Bounds},
};

const LONG: Duration = Duration::from_secs(30);

fn intake(bounds: Bounds) -> (Registry, Intake) {
    let registry = Registry::new();
    let errors = Errors::new(&registry).unwrap();
    let intake = Intake::bounded(&registry, Reading::default(), errors, bounds).unwrap();
    (registry, intake)
}

fn wide() -> (Registry, Intake) {
    intake(Bounds { entries: 4096, bytes: 2 << 20 })
}

fn skipped(registry: &Registry, reason: &str) -> f64 {
    value(registry, &format!("modelship_exporter_exchanges_skipped_total{{reason=\"{reason}\"}}"))
}

#[tokio::test]
async fn all_that_was_offered_before_a_flush_is_counted_after_it() {
    let (registry, intake) = wide();
    for round in 1..=50 {
        for _ in 0..round {
            intake.offer(exchange(200, r#"{"predictions": ["a", "b"]}"#));
        }
        assert!(intake.flush(LONG).await);
        let rounds = f64::from(round * (round + 1) / 2);
        assert_eq!(rounds, value(&registry, "model_predictions_total{class=\"a\"}"));
    }
}

#[tokio::test]
async fn work_wakes_a_reader_that_went_to_sleep_without_any_flush() {
    let (registry, intake) = wide();
    for round in 1..=3 {
        until(|| intake.sleeps(), "it never went to sleep").await;
        intake.offer(exchange(200, "[\"a\"]"));
        let read = || value(&registry, "modelship_exporter_exchanges_read_total") == f64::from(round);
        until(read, "it was never read").await;
    }
}

async fn until(condition: impl Fn() -> bool, otherwise: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{otherwise}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_full_queue_is_counted_and_nothing_blocks() {
    let (registry, intake) = intake(Bounds { entries: 4, bytes: 4096 });
    let big = format!("[\"{}\"]", "a".repeat(5000));
    intake.offer(exchange(200, &big));
    assert_eq!(1.0, skipped(&registry, "queue_full"));
    for _ in 0..20_000 {
        intake.offer(exchange(200, "[\"a\"]"));
    }
    assert!(intake.flush(LONG).await);
    let full = skipped(&registry, "queue_full");
    assert_eq!(20_001.0, full + value(&registry, "modelship_exporter_exchanges_read_total"));
    assert!(full > 1.0, "20,000 exchanges went through a queue of four");
}

#[tokio::test]
async fn blame_is_never_lost_to_a_full_queue() {
    let (registry, intake) = intake(Bounds { entries: 2, bytes: 512 });
    let crash = r#"{"message": "Encountered an unexpected error while evaluating the model.",
                    "stack_trace": "Traceback (most recent call last):\n  File \"model.py\", line 3\nNameError: x"}"#;
    for _ in 0..1000 {
        intake.offer(exchange(400, crash));
    }
    assert!(intake.flush(LONG).await);
    let errors = |cause: &str| value(&registry, &format!("http_request_errors_total{{cause=\"{cause}\"}}"));
    assert_eq!(1000.0, errors("unclear") + errors("model"));
    assert!(errors("model") >= 1.0);
    intake.offer(Exchange { answer: body("no", Some("text/plain")), ..exchange(415, "") });
    assert!(intake.flush(LONG).await);
    assert_eq!((1.0, 1000.0), (errors("client"), errors("unclear") + errors("model")));
    intake.offer(exchange(500, crash));
    assert!(intake.flush(LONG).await);
    assert_eq!((1.0, 1000.0), (errors("client"), errors("unclear") + errors("model")));
}

#[tokio::test]
async fn encoded_answers_and_other_content_types_are_skipped_by_reason() {
    let (registry, intake) = wide();
    let mut encoded = exchange(200, "[\"a\"]");
    encoded.answer.content_encoding = Some(HeaderValue::from_static("br"));
    intake.offer(encoded);
    for kind in ["application/x-ndjson", "text/event-stream; charset=utf-8"] {
        intake.offer(Exchange { answer: body("[\"a\"]", Some(kind)), ..exchange(200, "") });
    }
    let mut identity = exchange(200, "");
    identity.answer = body("[\"a\"]", Some("Application/Vnd.Api+JSON; charset=utf-8"));
    identity.answer.content_encoding = Some(HeaderValue::from_static("Identity"));
    intake.offer(identity);
    intake.offer(Exchange { answer: body("[\"a\"]", None), ..exchange(200, "") });
    assert!(intake.flush(LONG).await);
    assert_eq!([1.0; 3], ["encoded", "content_type", "stream"].map(|reason| skipped(&registry, reason)));
    assert_eq!(2.0, value(&registry, "model_predictions_total{class=\"a\"}"));
}

#[tokio::test]
async fn every_reason_is_there_at_zero_from_the_start() {
    let (registry, _intake) = wide();
    for reason in
        ["queue_full", "encoded", "stream", "content_type", "cut", "malformed", "unknown_shape", "failed", "other_path"]
    {
        assert_eq!(0.0, skipped(&registry, reason));
    }
}

#[tokio::test]
async fn rows_come_from_the_request_only_when_the_answer_does_not_tell() {
    let (registry, intake) = wide();
    intake.offer(exchange(200, r#"{"predictions": ["a"]}"#));
    assert!(intake.flush(LONG).await);
    assert_eq!(1.0, value(&registry, "model_rows_per_request_sum"));
    let mut cut = exchange(200, r#"{"predictions": ["a", "b"#);
    cut.answer.whole = false;
    intake.offer(cut);
    assert!(intake.flush(LONG).await);
    assert_eq!(4.0, value(&registry, "model_rows_per_request_sum"));
    // The request was cut: the answer tells.
    let mut long = exchange(200, r#"{"predictions": ["a", "b", "a"]}"#);
    long.request.pieces = vec![Bytes::from_static(b"{\"inputs\": [[[0.5,")];
    long.request.whole = false;
    intake.offer(long);
    assert!(intake.flush(LONG).await);
    assert_eq!(7.0, value(&registry, "model_rows_per_request_sum"));
}

#[tokio::test]
async fn settings_count_for_what_is_offered_after_them_and_only_for_that() {
    let (registry, intake) = wide();
    intake.offer(exchange(200, "[\"1\"]"));
    intake.set(check(&json!({"classes": ["stay", "churn"]})).unwrap()).unwrap();
    intake.offer(exchange(200, "[1]"));
    assert!(intake.flush(LONG).await);
    for class in ["1", "churn"] {
        assert_eq!(1.0, value(&registry, &format!("model_predictions_total{{class=\"{class}\"}}")));
    }
    let refused = intake.set(check(&json!({"bins": [1, 2]})).unwrap()).unwrap_err();
    assert!(refused.contains("predictions.bins"), "{refused}");
    let decided = intake.decided().unwrap();
    assert_eq!(("class", "$"), (decided.kind.name(), decided.path.to_string().as_str()));
}

#[tokio::test]
async fn only_posts_that_may_predict_are_wanted() {
    let (_registry, intake) = wide();
    for path in ["/invocations", "/", "/predict", "/v2/models/churn/infer", "/v1/chat/completions", "/api/v1.2"] {
        assert!(intake.wants(&Method::POST, path, false), "{path}");
        assert!(!intake.wants(&Method::GET, path, false), "{path}");
    }
    for path in [
        "/predict",
        "/api/v1/predict/",
        "/Score",
        "/models/churn/invocations",
        "/predict_proba",
        "/forecast",
        "/predictions/churn",
        "/v1/models/churn:predict",
    ] {
        assert!(intake.wants(&Method::GET, path, true), "{path}");
    }
    for path in ["/", "/predictions.html", "/api", "/metrics", "/health"] {
        assert!(!intake.wants(&Method::GET, path, true), "{path}");
    }
    for path in [
        "/ping",
        "/health/",
        "/version",
        "/metrics",
        "/v2",
        "/v2/health/ready",
        "/v2/models/churn/ready",
        "/v2/repository/index",
        "/inference.GRPCInferenceService/ModelInfer",
    ] {
        assert!(!intake.wants(&Method::POST, path, false), "{path}");
    }
}

fn gzip(text: &[u8]) -> Captured {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    let bytes = encoder.finish().unwrap();
    Captured {
        content_encoding: Some(HeaderValue::from_static("gzip")),
        length: bytes.len() as u64,
        pieces: vec![Bytes::from(bytes)],
        ..body("", Some("application/json"))
    }
}

/// What the room counts of one answer.
async fn read(answer: Captured, status: u16) -> (Registry, Intake) {
    let (registry, intake) = wide();
    intake.offer(Exchange { answer, ..exchange(status, "") });
    assert!(intake.flush(LONG).await);
    (registry, intake)
}

#[tokio::test]
async fn an_answer_that_is_gzip_is_read_and_a_bomb_costs_no_more_than_the_longest_answer() {
    let rows = format!("{{\"predictions\": [{}\"a\"]}}", "\"a\", ".repeat(299));
    let (registry, _) = read(gzip(rows.as_bytes()), 200).await;
    assert_eq!(300.0, value(&registry, "model_predictions_total{class=\"a\"}"));
    assert_eq!(300.0, value(&registry, "model_rows_per_request_sum"));
    let bomb = format!("[{}", "\"a\",".repeat(4 << 20));
    let (registry, _) = read(gzip(bomb.as_bytes()), 200).await;
    assert_eq!(65_536.0 / 4.0, value(&registry, "model_predictions_total{class=\"a\"}"));
    assert_eq!(1.0, value(&registry, "modelship_exporter_exchanges_read_in_part_total"));
    let crash = r#"{"message": "Encountered an unexpected error while evaluating the model"}"#;
    let (registry, _) = read(gzip(crash.as_bytes()), 400).await;
    assert_eq!(1.0, value(&registry, "http_request_errors_total{cause=\"unclear\"}"));
}

#[tokio::test]
async fn gzip_that_is_none_or_was_cut_is_read_as_far_as_it_goes() {
    let mut cut =
        gzip(format!("[{}]", (0..3000).map(|n| format!("\"a{}\"", n % 7)).collect::<Vec<_>>().join(",")).as_bytes());
    let whole = cut.pieces[0].clone();
    cut.pieces = vec![whole.slice(..whole.len() / 2)];
    cut.whole = false;
    let (registry, _) = read(cut, 200).await;
    let counted = value(&registry, "model_predictions_total{class=\"a1\"}");
    assert!(counted > 10.0 && counted < 429.0, "{counted}");
    let none = Captured { pieces: vec![Bytes::from_static(b"[1]")], ..gzip(b"") };
    let (registry, _) = read(none, 200).await;
    assert_eq!(1.0, skipped(&registry, "cut") + skipped(&registry, "malformed"));
}

#[tokio::test]
async fn what_frameworks_call_text_or_created_is_read() {
    for (status, kind, answer, class) in [
        (201, "application/json", "[\"a\"]", "a"),
        (200, "text/html; charset=utf-8", "[\"a\"]", "a"),
        (200, "text/html; charset=utf-8", "a", "a"),
        (200, "text/plain; charset=utf-8", "stay longer\n", "stay longer"),
        (200, "text/json", "{\"prediction\": \"a\"}", "a"),
        (200, "application/json", "\u{feff}{\"predictions\": [\"a\"]}", "a"),
        (200, "application/json", "\"yes\"", "yes"),
    ] {
        let (registry, _) = read(body(answer, Some(kind)), status).await;
        assert_eq!(1.0, value(&registry, &format!("model_predictions_total{{class=\"{class}\"}}")), "{kind} {answer}");
    }
    for (status, kind, answer, reason) in [
        (200, "text/html", "<!doctype html><p>hello</p>", "content_type"),
        (200, "text/plain", "several\nlines", "content_type"),
        (200, "text/plain", "['a' 'b']", "content_type"),
        (200, "image/png", "x", "content_type"),
    ] {
        let (registry, _) = read(body(answer, Some(kind)), status).await;
        assert_eq!(1.0, skipped(&registry, reason), "{kind} {answer}");
    }
    let (registry, _) = read(body("[\"a\"]", Some("application/json")), 202).await;
    assert_eq!(0.0, value(&registry, "modelship_exporter_exchanges_read_total"), "202 says that the work is not done");
}

#[tokio::test]
async fn an_answer_that_says_that_it_failed_is_an_error_whatever_its_status() {
    for (answer, failed) in [
        (r#"{"error": "could not convert string to float"}"#, true),
        (r#"{"error": {"code": 3}, "prediction": null}"#, true),
        (r#"{"status": "error", "message": "x"}"#, true),
        (r#"{"success": false}"#, true),
        (r#"{"error": "x", "predictions": []}"#, true),
        (r#"{"error": null, "prediction": "a"}"#, false),
        (r#"{"error": "", "predictions": ["a"]}"#, false),
        (r#"{"error": "low light", "label": "a"}"#, false),
        (r#"{"error": 0.25, "label": "a"}"#, false),
    ] {
        let (registry, _) = read(body(answer, Some("application/json")), 200).await;
        let count = f64::from(u8::from(failed));
        assert_eq!(count, value(&registry, "http_request_errors_total{cause=\"unclear\"}"), "{answer}");
        assert_eq!(
            (count, 1.0 - count),
            (skipped(&registry, "failed"), value(&registry, "modelship_exporter_exchanges_read_total"))
        );
    }
}

#[tokio::test]
async fn of_what_was_not_read_the_shape_is_shown_and_never_a_value() {
    for (kind, encoding, answer, labels) in [
        (
            "application/json",
            "",
            r#"{"data": {"matrix": [[0.7, 3], [1, 2]]}, "jane.doe@example.org": "Jane", "Jane Doe": 3}"#,
            r#"path="$.data.matrix",reason="unknown_shape",shape="{"data": {"matrix": [[number ×2] ×2]}, …: … ×2}""#,
        ),
        ("application/json", "br", "x", r#"path="",reason="encoded",shape="encoded: br""#),
        ("image/png; name=jane", "", "x", r#"path="",reason="content_type",shape="image/png""#),
        ("application/json", "", "{\"a\" oops", r#"path="",reason="malformed",shape="""#),
    ] {
        let mut captured = body(answer, Some(kind));
        captured.content_encoding = (!encoding.is_empty()).then(|| HeaderValue::from_static(encoding));
        let (registry, _) = read(captured, 200).await;
        assert_eq!(1.0, value(&registry, &format!("modelship_exporter_unread_info{{{labels}}}")), "{answer}");
    }
}
