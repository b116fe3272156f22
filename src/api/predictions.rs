//! What a model's answers mean, from the user's words to the exporter's settings.

use serde_json::{Map, Value, json};

use super::{spec, units, valid::Findings};
use crate::exporter::reading;

/// The settings that the exporter reads; an empty object when nothing is said.
pub(super) fn parse(predictions: &spec::Predictions, findings: &mut Findings) -> Value {
    const AT: &str = "spec.predictions";
    let mut settings = Map::new();
    let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| settings.insert(name.into(), value)));
    put("kind", predictions.kind.map(|kind| json!(kind)));
    put("path", predictions.path.as_ref().map(|path| json!(path)));
    put("classes", (!predictions.classes.is_empty()).then(|| json!(predictions.classes)));
    put("positive", predictions.positive.as_ref().map(|class| json!(class)));
    let threshold = predictions.threshold.as_deref();
    put("threshold", threshold.map(|text| json!(findings.take(&format!("{AT}.threshold"), units::figure(text), 0.5))));
    let bins = predictions.bins.iter().enumerate();
    let bins: Vec<f64> =
        bins.map(|(at, text)| findings.take(&format!("{AT}.bins[{at}]"), units::figure(text), at as f64)).collect();
    put("bins", (!bins.is_empty()).then(|| json!(bins)));
    put("maxClasses", predictions.max_classes.map(|most| json!(most)));
    let settings = Value::Object(settings);
    if predictions.positive.is_some() && predictions.kind != Some(spec::PredictionKind::Probability) {
        findings.add(AT, "positive names the class that a probability speaks of; set kind: probability too");
    }
    // The exporter's own parser has the last word: it is the one that must understand them.
    if let Err(message) = reading::check(&settings) {
        findings.add(AT, message);
    }
    settings
}
