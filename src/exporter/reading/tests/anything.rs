//! Tries any bytes on the readers. For the fuzzer in `tests/fuzz`, and for property tests.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::StatusCode;
use prometheus::Registry;
use serde_json::json;

use super::{
    blame::blame,
    metrics::Metrics,
    reader::{Answer, Reader, Request},
    request::Format,
    settings::check,
};
use crate::exchange::Captured;

/// `choice` chooses settings, whether the bodies are whole, and where they are cut in two; a NUL in `bodies` parts
/// request and answer.
///
/// # Panics
/// When the readers do, or break a promise.
#[allow(clippy::unwrap_used)]
pub fn try_anything(choice: u8, bodies: &[u8]) {
    let nul = bodies.iter().position(|&byte| byte == 0);
    let (request, answer) = nul.map_or((bodies, bodies), |at| (&bodies[..at], &bodies[at + 1..]));
    let settings = match choice & 7 {
        0 => json!(null),
        1 => json!({"kind": "class"}),
        2 => json!({"kind": "number", "path": "$.a[0]['b c']", "reference": {"bounds": [0], "counts": [1, 1]}}),
        3 => json!({"kind": "probability", "path": "$[0]", "classes": ["stay", "churn"]}),
        4 => json!({"kind": "probabilities", "classes": [{"value": 1, "name": "b"}, {"value": 0, "name": "a"}]}),
        5 => json!({"path": "$.prediction", "maxClasses": 3}),
        6 if choice & 16 == 0 => json!({"kind": "labels", "threshold": 0.3}),
        6 => json!({"found": {"kind": "class", "path": "$.label"}}),
        _ => json!({"kind": "class", "classes": ["a", "b"], "reference": {"classes": {"a": 1}}}),
    };
    let registry = Registry::new();
    let reading = check(&settings).unwrap();
    let metrics = Metrics::new(&registry, None).unwrap();
    let mut reader = Reader::new(metrics.clone(), reading, Arc::default(), Arc::default());
    let whole = choice & 8 == 0;
    for format in [None, Some(Format::Json), Some(Format::Csv)] {
        let request = format.map(|format| Request { body: request, format });
        let answer = Answer { body: answer, whole, text: choice & 16 != 0 };
        reader.exchange("/invocations", answer, request, Instant::now());
    }
    let page = registry.gather();
    let sum = |name: &str| -> f64 {
        let family = page.iter().filter(|family| family.name() == name);
        family.flat_map(|family| family.get_metric()).map(|metric| metric.get_counter().get_value()).sum()
    };
    let read = sum("modelship_exporter_exchanges_read_total");
    assert_eq!(3.0, read + sum("modelship_exporter_exchanges_skipped_total"), "every exchange is counted once");
    let classes = page.iter().find(|family| family.name() == "model_predictions_total").unwrap();
    assert!(classes.get_metric().len() <= 52, "series of classes stay bounded");
    for metric in classes.get_metric() {
        let name = metric.get_label()[0].value();
        assert!(!name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control), "{name:?} is no label");
    }
    any_pieces_blame_alike(usize::from(choice >> 4), answer);
    never_malformed_if_strict(&mut reader, answer, &registry);
}

fn any_pieces_blame_alike(at: usize, answer: &[u8]) {
    let captured = |pieces: &[&[u8]]| Captured {
        pieces: pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect(),
        ..Captured::default()
    };
    let (front, back) = answer.split_at(at.min(answer.len()));
    let together = blame(StatusCode::BAD_REQUEST, &captured(&[answer]));
    assert_eq!(together, blame(StatusCode::BAD_REQUEST, &captured(&[front, b"", back])));
}

/// What a strict parser takes is not called malformed, unless it goes deeper than 32 levels.
fn never_malformed_if_strict(reader: &mut Reader, answer: &[u8], registry: &Registry) {
    let depth = answer.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if depth > 32 || serde_json::from_slice::<serde_json::Value>(answer).is_err() {
        return;
    }
    let malformed = || {
        let page = registry.gather();
        let skipped = page.iter().filter(|family| family.name() == "modelship_exporter_exchanges_skipped_total");
        let of = skipped
            .flat_map(|family| family.get_metric())
            .filter(|metric| metric.get_label().iter().any(|label| label.value() == "malformed"));
        of.map(|metric| metric.get_counter().get_value()).sum::<f64>()
    };
    let before = malformed();
    reader.exchange("/invocations", Answer { body: answer, whole: true, text: false }, None, Instant::now());
    assert_eq!(before, malformed(), "strict JSON was called malformed");
}
