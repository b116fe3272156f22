//! The door and the thread behind it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method};
use pretty_assertions::assert_eq;
use prometheus::Registry;
use serde_json::json;

use super::{body, exchange, value};
use crate::{
    blame::Errors,
    exchange::Exchange,
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
    encoded.answer.content_encoding = Some(HeaderValue::from_static("gzip"));
    intake.offer(encoded);
    intake.offer(Exchange { answer: body("[\"a\"]", Some("text/event-stream")), ..exchange(200, "") });
    let mut identity = exchange(200, "");
    identity.answer = body("[\"a\"]", Some("Application/Vnd.Api+JSON; charset=utf-8"));
    identity.answer.content_encoding = Some(HeaderValue::from_static("Identity"));
    intake.offer(identity);
    intake.offer(Exchange { answer: body("[\"a\"]", None), ..exchange(200, "") });
    assert!(intake.flush(LONG).await);
    assert_eq!((1.0, 1.0), (skipped(&registry, "encoded"), skipped(&registry, "content_type")));
    assert_eq!(2.0, value(&registry, "model_predictions_total{class=\"a\"}"));
}

#[tokio::test]
async fn every_reason_is_there_at_zero_from_the_start() {
    let (registry, _intake) = wide();
    for reason in ["queue_full", "encoded", "content_type", "cut", "malformed", "unknown_shape"] {
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
    intake.offer(exchange(200, "[1]"));
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
        assert!(intake.wants(&Method::POST, path), "{path}");
        assert!(!intake.wants(&Method::GET, path), "{path}");
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
        assert!(!intake.wants(&Method::POST, path), "{path}");
    }
}
