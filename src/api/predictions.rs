//! What a model's answers mean, from the user's words to the exporter's settings.

use serde_json::{Map, Value, json};

use super::{findings::Findings, spec, units};
use crate::exporter::reading;

/// The settings that the exporter reads; an empty object when nothing is said. `at` is where they are said.
pub(super) fn parse(predictions: &spec::Predictions, at: &str, findings: &mut Findings) -> Value {
    let mut settings = Map::new();
    let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| settings.insert(name.into(), value)));
    put("kind", predictions.kind.map(|kind| json!(kind)));
    put("path", predictions.path.as_ref().map(|path| json!(path)));
    put("requestPath", predictions.request_path.as_ref().map(|path| json!(path)));
    put("classes", (!predictions.classes.is_empty()).then(|| json!(predictions.classes)));
    put("positive", predictions.positive.as_ref().map(|class| json!(class)));
    let threshold = predictions.threshold.as_deref();
    put("threshold", threshold.map(|text| json!(findings.take(&format!("{at}.threshold"), units::figure(text), 0.5))));
    let bins = predictions.bins.iter().enumerate();
    let bins: Vec<f64> =
        bins.map(|(n, text)| findings.take(&format!("{at}.bins[{n}]"), units::figure(text), n as f64)).collect();
    put("bins", (!bins.is_empty()).then(|| json!(bins)));
    put("maxClasses", predictions.max_classes.map(|most| json!(most)));
    let reference = predictions.reference.as_ref().and_then(|reference| match misplaced(reference, predictions) {
        Some(message) => {
            findings.add(at, message);
            None
        }
        None => Some(spread(reference, at, findings)),
    });
    put("reference", reference);
    let settings = Value::Object(settings);
    if predictions.positive.is_some() && predictions.kind != Some(spec::PredictionKind::Probability) {
        findings.add(at, "positive names the class that a probability speaks of; set kind: probability too");
    }
    if predictions.kind == Some(spec::PredictionKind::Number) && !predictions.classes.is_empty() {
        findings.add(at, "classes name labels, and predictions of kind: number are none; leave them out");
    }
    // The exporter's own parser has the last word: it is the one that must understand them.
    if let Err(message) = reading::check(&settings) {
        findings.add(at, message);
    }
    settings
}

/// What the reference has that predictions of this kind are not compared with.
fn misplaced(reference: &spec::Reference, predictions: &spec::Predictions) -> Option<&'static str> {
    use spec::PredictionKind::{Number, Probability};
    let numbers = matches!(predictions.kind, Some(Number | Probability));
    if !reference.bounds.is_empty() && !numbers {
        return Some("reference.bounds are for numbers and probabilities; set kind: number or kind: probability too");
    }
    match predictions.kind {
        _ if reference.classes.is_empty() => None,
        Some(Number) => Some("reference.classes are not for kind: number; give reference.bounds and counts"),
        Some(Probability) if predictions.classes.len() != 2 => Some(
            "reference.classes of a probability need its two classes; name them in classes, or give reference.bounds",
        ),
        _ => None,
    }
}

/// The reference as the exporter reads it: only what is said, with figures as numbers.
fn spread(reference: &spec::Reference, at: &str, findings: &mut Findings) -> Value {
    let mut spread = Map::new();
    let bounds = reference.bounds.iter().enumerate();
    let bounds: Vec<f64> = bounds
        .map(|(n, text)| findings.take(&format!("{at}.reference.bounds[{n}]"), units::figure(text), n as f64))
        .collect();
    if !reference.classes.is_empty() {
        spread.insert("classes".into(), json!(reference.classes));
    }
    if !bounds.is_empty() {
        spread.insert("bounds".into(), json!(bounds));
    }
    if !reference.counts.is_empty() {
        spread.insert("counts".into(), json!(reference.counts));
    }
    Value::Object(spread)
}
