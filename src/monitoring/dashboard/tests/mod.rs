mod bounds;
mod extra;
mod grid;
mod queries;
mod rules;
mod shown;

use serde_json::{Value, json};

use super::*;
use crate::api::ValidSpec;

/// A model of a name, with what the exporter can compare predictions with unless it says otherwise.
struct Model {
    owner: Owner,
    spec: ValidSpec,
}

impl Model {
    fn new(namespace: &str, name: &str, more: Value) -> Self {
        let mut spec = json!({"image": {"repository": "alice/model"}, "server": {"pythonMetrics": true}});
        merge(&mut spec, more);
        let owner = Owner { namespace: namespace.into(), name: name.into(), uid: String::new() };
        let mut spec = ValidSpec::parse(name, &spec).unwrap();
        spec.predictions["reference"] = json!({"classes": {"stay": 800, "churn": 200}});
        Self { owner, spec }
    }

    fn board(&self) -> Value {
        let monitoring = self.spec.monitoring.as_ref().unwrap();
        board(&Subject { owner: &self.owner, spec: &self.spec, monitoring })
    }
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            more.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, more) => *into = more,
    }
}

/// The smallest spec's board, with what the user says besides.
fn with(more: Value) -> Value {
    Model::new("ml", "churn", more).board()
}

fn monitored(monitoring: Value) -> Value {
    with(json!({"monitoring": monitoring}))
}

/// Two models' boards.
fn two() -> [Value; 2] {
    [
        Model::new("ml", "churn", json!({})).board(),
        Model::new(
            "risk",
            "credit-scoring",
            json!({"predictions": {"kind": "probability"}, "monitoring": {"scrapeInterval": "1m", "alerts": {
                "latencyP95": "2s", "highTraffic": "5000/2h", "objective": "99.5%",
                "classShare": [{"class": "high", "above": "40%"}, {"scoreAbove": "0.8", "above": "30%", "window": "30m"}],
            }}}),
        )
        .board(),
    ]
}

/// Every board there is: those of two models, of all models, and of the operator.
fn all() -> Vec<Value> {
    let read = |board: &str| serde_json::from_str(board).unwrap();
    let [one, other] = two();
    vec![one, other, read(MODELS), read(OPERATOR)]
}

/// Rows and panels, those inside closed rows as well.
fn everything(board: &Value) -> impl Iterator<Item = &Value> {
    let top = board["panels"].as_array().unwrap().iter();
    top.flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
}

fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    everything(board).filter(|panel| panel["type"] != "row")
}

fn titles(board: &Value) -> Vec<&str> {
    panels(board).map(|panel| panel["title"].as_str().unwrap()).collect()
}

fn panel<'a>(board: &'a Value, title: &str) -> &'a Value {
    panels(board).find(|panel| panel["title"] == title).unwrap_or_else(|| panic!("no panel '{title}'"))
}

fn variable<'a>(board: &'a Value, name: &str) -> &'a Value {
    let all = board["templating"]["list"].as_array().unwrap();
    all.iter().find(|variable| variable["name"] == name).unwrap_or_else(|| panic!("no variable '{name}'"))
}

fn targets(board: &Value) -> impl Iterator<Item = &Value> {
    panels(board).flat_map(|panel| panel["targets"].as_array().unwrap())
}

/// Queries of panels and of annotations.
fn queries(board: &Value) -> Vec<String> {
    let annotations = board["annotations"]["list"].as_array().unwrap().iter();
    let annotations = annotations.filter_map(|annotation| annotation["expr"].as_str());
    targets(board).map(|target| target["expr"].as_str().unwrap()).chain(annotations).map(str::to_owned).collect()
}
