use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::{
    super::{
        answer::Names,
        client::{Answer, Failure},
        drive::Unsent,
        tally::{OTHER, Tally},
    },
    *,
};
use crate::api::spec::PredictionClass;

fn answered(status: u16, body: &str) -> Result<Answer, Failure> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Ok(Answer { status: StatusCode::from_u16(status).unwrap(), size: body.len() as u64, body })
}

fn tally() -> Tally {
    Tally::new(Names::default()).unwrap()
}

fn summary(tally: &Tally) -> Summary {
    let ended = Ended { elapsed: Duration::from_secs(10), ..Ended::default() };
    Summary::new("http://model.test/", Some(10.0), &ended, &tally.counts())
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn percentiles_are_those_of_all_latencies() {
    let tally = tally();
    for millis in (1..=100).rev() {
        tally.record(&answered(200, "[]"), ms(millis), 0);
    }
    let Latency { p50, p90, p95, p99, max } = summary(&tally).latency_seconds.unwrap();
    for (found, wanted) in [(p50, 0.05), (p90, 0.09), (p95, 0.095), (p99, 0.099), (max, 0.1)] {
        assert!((found / wanted - 1.0_f64).abs() < 0.002, "{found} for {wanted}");
    }
}

#[test]
fn what_was_refused_or_broken_does_not_make_a_server_look_fast_but_a_time_limit_counts() {
    let tally = tally();
    tally.record(&Err(Failure::Refused("no".into())), ms(0), 0);
    tally.record(&Err(Failure::Closed("no".into())), ms(0), 0);
    tally.record(&Err(Failure::Broken("no".into())), ms(0), 0);
    assert!(summary(&tally).latency_seconds.is_none());
    tally.record(&Err(Failure::Timeout("no".into())), ms(500), 0);
    assert!(summary(&tally).latency_seconds.unwrap().p50 > 0.49);
}

#[test]
fn requests_are_the_sum_of_answers_and_of_what_got_none() {
    let tally = tally();
    for (status, times) in [(200, 5), (404, 2), (503, 1), (302, 1)] {
        (0..times).for_each(|_| tally.record(&answered(status, r#"{"message": "words"}"#), ms(1), 7));
    }
    tally.record(&Err(Failure::Timeout("slow".into())), ms(1), 7);
    tally.record(&Err(Failure::Closed("gone".into())), ms(1), 7);
    tally.leave(Unsent { requests: 3, longest: ms(30) });
    let json: Value = serde_json::from_str(&serde_json::to_string(&summary(&tally)).unwrap()).unwrap();
    assert_eq!(json["requests"], 14);
    assert_eq!(json["codes"], serde_json::json!({"200": 5, "302": 1, "404": 2, "503": 1}));
    let errors = serde_json::json!({
        "refused": 0, "timeout": 1, "broken": 1, "http_4xx": 2, "http_5xx": 1, "http_other": 1, "unsent": 3,
    });
    assert_eq!(json["errors"], errors);
    assert_eq!(json["error_ratio"], 9.0 / 14.0);
    assert_eq!((json["rate"].as_f64(), json["sent_bytes"].as_u64()), (Some(0.9), Some(77)));
    assert_eq!(
        (json["first_errors"]["broken"].as_str(), json["first_errors"]["http_4xx"].as_str()),
        (Some("gone"), Some("words"))
    );
}

#[test]
fn a_backlog_counts_as_many_latencies_as_it_has_requests() {
    for requests in [1, 7, 999, 1000, 1001, 123_457] {
        let tally = tally();
        tally.leave(Unsent { requests, longest: Duration::from_secs(9) });
        let counts = tally.counts();
        assert_eq!((counts.latency.len(), counts.failed()), (requests, requests));
        assert!(summary(&tally).latency_seconds.unwrap().max > 8.9);
    }
}

#[test]
fn classes_are_named_and_only_answers_without_error_are_read() {
    let class = |name: &str, value: &str| PredictionClass { name: name.into(), value: Some(value.into()) };
    let tally = Tally::new(Names::new(&[class("stays", "0"), class("leaves", "1")])).unwrap();
    tally.record(&answered(200, r#"{"predictions": [0, 1.0, 1, 2]}"#), ms(1), 0);
    tally.record(&answered(400, r#"{"predictions": [0]}"#), ms(1), 0);
    let wanted = [("2", 1), ("leaves", 2), ("stays", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(summary(&tally).predictions, BTreeMap::from(wanted));
}

#[test]
fn a_million_classes_take_the_room_of_fifty_and_every_row_counts() {
    let tally = tally();
    for chunk in 0..100_u64 {
        let rows: Vec<u64> = (chunk * 100..chunk * 100 + 100).collect();
        tally.record(&answered(200, &serde_json::json!({"predictions": rows}).to_string()), ms(1), 0);
    }
    let predictions = summary(&tally).predictions;
    assert_eq!((predictions.len(), predictions[OTHER]), (51, 9950));
    assert_eq!(predictions.values().sum::<u64>(), 10_000);
}

#[test]
fn the_text_says_what_the_json_says() {
    let tally = tally();
    tally.record(&answered(200, r#"{"predictions": ["a", "b", "a"]}"#), ms(20), 1500);
    tally.record(&answered(500, r#"{"message": "out of memory"}"#), ms(20), 1500);
    let text = summary(&tally).to_string();
    for words in [
        "requests     2 in 10.0 s\n",
        "answers      2, 0.2 a second of 10 wanted\n",
        "3.00 kB sent",
        "p50 20.0 ms",
        "codes        200: 1, 500: 1\n",
        "errors       50.00%\n  http_5xx   1: out of memory\n",
        "predictions  a: 2, b: 1\n",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn a_run_without_requests_has_no_figures_that_are_not_numbers() {
    let summary = Summary::new("x", None, &Ended::default(), &tally().counts());
    assert_eq!((summary.rate, summary.error_ratio), (0.0, 0.0));
    assert!(summary.to_string().contains("codes        none"));
}
