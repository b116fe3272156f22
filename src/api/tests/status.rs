use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;
use crate::api::StoredModelDeployment;

fn whole() -> Value {
    let version = |digit: &str| {
        json!({
            "repository": "docker.io/alice/churn", "digest": format!("sha256:{}", digit.repeat(64)), "short": digit.repeat(12),
            "revision": "4f67834", "runID": "r1", "modelVersion": "3", "metrics": {"f1": "0.9"},
            "source": "https://example.org/churn", "trackingURI": "https://example.org/mlflow", "classes": ["yes", "no"],
        })
    };
    let past = |digit: &str| {
        let mut past = json!({"since": "2026-11-30T12:00:00Z", "runID": "r1", "metrics": {"f1": "0.9"}});
        past["repository"] = version(digit)["repository"].clone();
        past["digest"] = version(digit)["digest"].clone();
        past
    };
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Serving", "message": "it serves",
            "lastTransitionTime": "2026-11-30T12:00:00Z", "observedGeneration": 3,
        })
    };
    json!({
        "observedGeneration": 3, "conditions": [condition("Ready"), condition("Available")], "url": "http://churn", "tag": "latest",
        "sameImage": "sha256:4",
        "stable": version("1"), "candidate": version("2"), "replicas": 2, "available": "1/2", "selector": "a=b",
        "predictions": {
            "digest": "sha256:1", "kind": "class", "path": "$.label", "requestPath": "/predict", "rows": 9, "certainty": 99, "settled": true,
        },
        "history": [past("1"), past("2"), past("3")],
    })
}

fn read(status: &Value) -> ModelDeploymentStatus {
    let stored = json!({"metadata": {"name": "churn"}, "spec": {}, "status": status});
    serde_json::from_value::<StoredModelDeployment>(stored).unwrap().known_status()
}

/// Everything that can be spoilt, by its path.
fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in children {
        all.push(format!("{at}/{name}"));
        paths(value, &format!("{at}/{name}"), all);
    }
}

#[test]
fn a_status_is_read_as_it_was_written() {
    assert_eq!(json!(read(&whole())), whole());
    assert_eq!(read(&Value::Null), ModelDeploymentStatus::default());
    let (all, mut named) = (whole(), ModelDeploymentStatus::FIELDS);
    named.sort_unstable();
    assert!(all.as_object().unwrap().keys().eq(named), "the test's status has every field");
}

#[test]
fn what_cannot_be_read_takes_nothing_else_of_the_status_with_it() {
    let mut all = Vec::new();
    paths(&whole(), "", &mut all);
    assert!(all.len() > 70, "{}", all.len());
    for path in all {
        for spoilt in
            [json!({"word": ["of", {"another": "release"}]}), json!(-1.5), json!("of another release"), Value::Null]
        {
            let mut status = whole();
            *status.pointer_mut(&path).unwrap() = spoilt.clone();
            let read = json!(read(&status));
            let whole = whole();
            let (top, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
            for (field, value) in whole.as_object().unwrap() {
                if field != top {
                    assert_eq!(read[field], *value, "{field}, with {spoilt} at {path}");
                }
            }
            // Within a list the other entries stay, and of a version what is not spoilt.
            let entry: Option<usize> = rest.split('/').next().and_then(|index| index.parse().ok());
            if let (Some(entry), Some(items)) = (entry, whole[top].as_array()) {
                let others = items.iter().enumerate().filter(|(index, _)| *index != entry).map(|(_, item)| item);
                let kept = read[top].as_array().cloned().unwrap_or_default();
                assert!(others.into_iter().all(|other| kept.contains(other)), "{top}, with {spoilt} at {path}");
            }
            if matches!(top, "stable" | "candidate") && !["", "repository", "digest", "short"].contains(&rest) {
                assert_eq!(read[top]["digest"], whole[top]["digest"], "{spoilt} at {path}");
                let other = if rest.starts_with("metrics") { "classes" } else { "metrics" };
                assert_eq!(read[top][other], whole[top][other], "{spoilt} at {path}");
            }
        }
    }
}

#[test]
fn a_time_is_read_as_every_writer_writes_it() {
    let mut status = whole();
    status["conditions"][0]["lastTransitionTime"] = json!("2026-11-30T13:00:00+01:00");
    assert_eq!(read(&status).conditions[0].last_transition_time, Time("2026-11-30T12:00:00Z".parse().unwrap()));
}
