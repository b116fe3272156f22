//! What the Prometheus Operator says of an object of ours: `status.bindings`, which it writes where its feature gate
//! StatusForConfigurationResources is on. Without it there is nothing to read, and selectors are all that is known.

use kube::core::DynamicObject;
use serde_json::Value;

use super::{OptionalKind, surroundings::Collector};
use crate::api::conditions::shorten;

/// Of one object: more than would select it in any cluster.
const MOST: usize = 16;
/// A sentence with the fault in it, in bytes.
const WORDS: usize = 300;

/// How an object that selects one of ours has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub kind: OptionalKind,
    pub namespace: String,
    pub name: String,
    /// Why it is refused; `None`: it is accepted.
    pub refused: Option<String>,
}

/// The same, with the object of ours that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub object: OptionalKind,
    pub name: String,
    pub binding: Binding,
}

impl Binding {
    /// Those that speak of the object as it is now.
    pub fn read(object: &DynamicObject) -> Box<[Self]> {
        let all = object.data["status"]["bindings"].as_array().into_iter().flatten();
        let generation = object.metadata.generation;
        all.filter_map(|binding| Self::of(binding, generation)).take(MOST).collect()
    }

    fn of(binding: &Value, generation: Option<i64>) -> Option<Self> {
        let text = |field: &str| binding[field].as_str().map(str::to_owned);
        let resource = text("resource")?;
        let accepted = binding["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Accepted")?;
        // What was said of the object before the last change of it is no news of this one.
        if accepted["observedGeneration"].as_i64().zip(generation).is_some_and(|(then, now)| then < now) {
            return None;
        }
        let words = |field: &str| accepted[field].as_str().unwrap_or_default();
        let refused = match words("status") {
            "True" => None,
            "False" => Some(shorten(&format!("{}: {}", words("reason"), words("message")), WORDS)),
            _ => return None,
        };
        let kind = OptionalKind::PICKERS.into_iter().find(|kind| kind.plural() == resource)?;
        Some(Self { kind, namespace: text("namespace")?, name: text("name")?, refused })
    }

    pub fn is_by(&self, collector: &Collector) -> bool {
        (self.kind, &self.namespace, &self.name) == (collector.kind, &collector.namespace, &collector.name)
    }
}

impl std::fmt::Display for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(conditions: Value) -> Box<[Binding]> {
        let binding = json!({
            "group": "monitoring.coreos.com", "resource": "prometheusagents", "namespace": "monitoring", "name": "edge",
            "conditions": conditions,
        });
        let object = json!({"metadata": {"name": "grape", "generation": 3}, "status": {"bindings": [binding]}});
        Binding::read(&serde_json::from_value(object).unwrap())
    }

    fn accepted(status: &str, generation: i64) -> Value {
        json!([{"type": "Accepted", "status": status, "observedGeneration": generation, "reason": "InvalidConfiguration", "message": "no such port"}])
    }

    #[test]
    fn what_is_said_of_the_object_as_it_is_now_counts() {
        let by = |refused: Option<&str>| Binding {
            kind: OptionalKind::PrometheusAgent,
            namespace: "monitoring".into(),
            name: "edge".into(),
            refused: refused.map(str::to_owned),
        };
        assert_eq!(*read(accepted("True", 3)), [by(None)]);
        assert_eq!(*read(accepted("False", 3)), [by(Some("InvalidConfiguration: no such port"))]);
        for nothing in [accepted("False", 2), accepted("Unknown", 3), json!([]), json!(null)] {
            assert_eq!(*read(nothing.clone()), [], "{nothing}");
        }
    }

    #[test]
    fn an_object_without_a_status_has_none() {
        let bare = serde_json::from_value(json!({"metadata": {"name": "grape"}, "spec": {}})).unwrap();
        assert_eq!(*Binding::read(&bare), []);
    }
}
