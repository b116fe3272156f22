//! Rules of the user's own.

use serde_json::{Value, json};

use super::{
    alert::{own_labels, text},
    promql::{self, Scope},
};
use crate::api::units;

/// With the labels that let their e-mails out and tell models apart, unless the user has set them.
pub(super) fn rules(scope: &Scope, written: &[Value]) -> Vec<Value> {
    written.iter().map(|rule| labelled(scope, rule)).collect()
}

fn labelled(scope: &Scope, written: &Value) -> Value {
    let mut rule = written.clone();
    let is_alert = rule["alert"].is_string();
    let mut labels = own_labels(scope, |value| if is_alert { text(value) } else { value.to_owned() });
    let own = rule["labels"].as_object().cloned().unwrap_or_default();
    labels.extend(own);
    rule["labels"] = Value::Object(labels);
    // Prometheus knows fewer ways to write a duration than users do.
    for field in ["for", "keep_firing_for"] {
        if let Some(time) = rule[field].as_str().and_then(|text| units::duration(text).ok()) {
            rule[field] = json!(promql::duration(time));
        }
    }
    rule
}
