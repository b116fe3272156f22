//! Properties: whatever comes.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use prometheus::Registry;
use proptest::prelude::*;
use serde_json::json;

use super::{Room, body, exchange, page};
use crate::{
    blame::Errors,
    reading::{Intake, Reading, anything::try_anything},
};

/// Bytes that look like JSON often enough to get far.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u",
            "d83d",
            "\"predictions\":",
            "\"outputs\":",
            "\"shape\":[2,2]",
            "\"data\":",
            "\"label\":",
            "\"message\":",
            "\"inputs\":",
            "NaN",
            "-Infinity",
            "null",
            "true",
            "1",
            "0.5",
            "-1e9",
            "1e",
            "\0",
            " ",
            "é",
            "\n",
            "[0.5,0.5]",
            "{\"label\":\"a\"}",
            "\"name\":\"label\"",
        ])
        .prop_map(|part| part.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn prediction() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["stay", "churn", "größe", "a \"quoted\" one", "back\\slash", "7", "x/y"])
        .prop_map(str::to_owned)
}

fn evidence() -> impl Strategy<Value = &'static str> {
    let answers = ["[0.5]", "[1.0]", "[1]", "[7.5]", "[\"a\"]", "[[0.5, 0.5]]", "[NaN]", "[{\"label\": 1}]", "[[3.5]]"];
    prop::sample::select(answers.to_vec())
}

proptest! {
    #[test]
    fn no_bytes_break_the_readers(choice: u8, bytes in json_like()) {
        try_anything(choice, &bytes);
    }

    #[test]
    fn every_valid_answer_is_counted_exactly(
        answers in prop::collection::vec(prop::collection::vec(prediction(), 0..8), 1..8),
        spaced: bool,
    ) {
        let mut room = Room::new(&json!({"kind": "class"}));
        let mut expected: BTreeMap<String, f64> = BTreeMap::new();
        for rows in &answers {
            let answer = json!({"predictions": rows});
            room.answer(&if spaced { serde_json::to_string_pretty(&answer).unwrap() } else { answer.to_string() });
            for row in rows {
                *expected.entry(row.clone()).or_default() += 1.0;
            }
        }
        for (class, count) in &expected {
            prop_assert_eq!(*count, room.value(&format!("model_predictions_total{{class=\"{class}\"}}")));
        }
        let rows: usize = answers.iter().map(Vec::len).sum();
        prop_assert_eq!(rows as f64, room.value("model_rows_per_request_sum"));
        prop_assert_eq!(answers.len() as f64, room.value("modelship_exporter_exchanges_read_total"));
    }

    #[test]
    fn every_probability_row_is_counted_by_its_largest(
        rows in prop::collection::vec(prop::collection::vec(0.0..1.0_f64, 3), 1..8),
    ) {
        let mut room = Room::new(&json!({"kind": "probabilities"}));
        room.answer(&json!({"predictions": rows}).to_string());
        for class in 0..3 {
            let largest = |row: &&Vec<f64>| row.iter().all(|other| *other <= row[class]);
            let first = |row: &&Vec<f64>| row.iter().position(|other| *other == row[class]) == Some(class);
            let count = rows.iter().filter(largest).filter(first).count();
            prop_assert_eq!(count as f64, room.value(&format!("model_predictions_total{{class=\"{class}\"}}")));
        }
        prop_assert_eq!(rows.len() as f64, room.value("model_prediction_top_probability_count"));
    }

    /// Whatever is corrected on the way: no row counts twice, and once it is final each counts in one place.
    #[test]
    fn any_order_of_evidence_counts_no_row_twice_and_in_the_end_each_once(
        answers in prop::collection::vec(evidence(), 1..200),
    ) {
        let mut room = Room::new(&json!(null));
        let mut rows = 0.0;
        for answer in &answers {
            let before = room.value("modelship_exporter_exchanges_read_total");
            room.answer(answer);
            rows += room.value("modelship_exporter_exchanges_read_total") - before;
            let page = room.page();
            let sum = |name: &str| -> f64 {
                page.iter().filter(|(series, _)| series.starts_with(name)).map(|(_, count)| count).sum()
            };
            let counted = sum("model_predictions_total{")
                + sum("model_prediction_value_count")
                + sum("model_prediction_probability_count");
            let unread = sum("model_predictions_unread_total{");
            prop_assert!(counted + unread <= rows, "{counted} and {unread} of {rows}");
            if room.whole_decision().is_some() {
                prop_assert!(counted > 0.0);
            }
            if room.whole_decision().is_some_and(|decided| decided.settled) {
                prop_assert_eq!(counted + unread, rows);
            }
        }
    }
}

#[tokio::test]
async fn any_split_into_pieces_reads_the_same() {
    let answer = r#"{"predictions": ["churn", "größe", "\ud83d\ude00"]}"#;
    let mut pages = Vec::new();
    for at in 0..=answer.len() {
        let registry = Registry::new();
        let intake = Intake::start(&registry, Reading::default(), Errors::new(&registry).unwrap()).unwrap();
        let mut split = exchange(200, answer);
        let whole = Bytes::copy_from_slice(answer.as_bytes());
        split.answer.pieces = vec![whole.slice(..at), Bytes::new(), whole.slice(at..)];
        intake.offer(split);
        assert!(intake.flush(std::time::Duration::from_secs(30)).await);
        pages.push(page(&registry));
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(1.0, pages[0]["model_predictions_total{class=\"größe\"}"]);
}

#[test]
fn a_million_classes_leave_a_bounded_number_of_series() {
    let mut room = Room::new(&json!({"kind": "class"}));
    for batch in 0..1000 {
        let rows: Vec<String> = (0..1000).map(|row| format!("class {batch} {row}")).collect();
        room.answer(&json!({"predictions": rows}).to_string());
    }
    let page = room.page();
    let classes: Vec<_> = page.iter().filter(|(series, _)| series.starts_with("model_predictions_total")).collect();
    assert_eq!(51, classes.len());
    assert_eq!(1_000_000.0, classes.iter().map(|(_, count)| **count).sum::<f64>());
    assert_eq!(999_950.0, room.value("model_predictions_total{class=\"__other__\"}"));
}

#[test]
fn ever_new_declared_classes_leave_a_bounded_number_of_series() {
    let mut room = Room::new(&json!({"kind": "class"}));
    for round in 0..100 {
        let names: Vec<String> = (0..100).map(|class| format!("{round} {class}")).collect();
        room.set(&json!({"kind": "class", "classes": names}));
        room.answer("[0]");
    }
    let page = room.page();
    assert_eq!(1000, page.keys().filter(|series| series.starts_with("model_predictions_total")).count());
    assert_eq!(
        100.0,
        page.iter().filter(|(s, _)| s.starts_with("model_predictions_total")).map(|(_, n)| n).sum::<f64>()
    );
}

#[test]
fn a_status_from_500_on_is_the_models() {
    let blame = crate::reading::blame(StatusCode::BAD_GATEWAY, &body("", None));
    assert_eq!(crate::blame::Cause::Model, blame);
}
