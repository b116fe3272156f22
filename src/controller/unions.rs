//! Where an object may hold only one of several fields: a volume one source, a probe one handler, a budget one of its bounds. Who
//! changes one of them by hand leaves another, server-side apply adds ours beside it, and the API server refuses both together,
//! for ever. Pure.

use serde_json::{Value, json};

use super::{compare::first_difference, live::Live, report::merge_patch};
use crate::resources::{Child, ChildKind};

/// Fields that are such objects, or lists of them that are told apart by name.
const UNIONS: [&str; 10] = [
    "strategy",
    "volumes",
    "env",
    "readinessProbe",
    "livenessProbe",
    "startupProbe",
    "preStop",
    "postStart",
    "seccompProfile",
    "appArmorProfile",
];

/// The merge patch that puts ours in the place of what excludes it; `None` where nothing does. What a list holds beside goes
/// along as it was seen, so that the patch counts for no other state of the object.
pub fn patch(child: &Child, live: &Live) -> Option<Value> {
    let before = live.value();
    let mut after = before.clone();
    for (name, wanted) in child.body["spec"].as_object()? {
        settle(wanted, &mut after["spec"][name], UNIONS.contains(&name.as_str()));
    }
    if child.kind == ChildKind::PodDisruptionBudget {
        settle(&child.body["spec"], &mut after["spec"], true);
    }
    let mut patch = merge_patch(&before, &after)?;
    patch["metadata"]["resourceVersion"] = json!(live.version.to_string());
    Some(patch)
}

fn settle(wanted: &Value, live: &mut Value, union: bool) {
    match (wanted, live) {
        (Value::Array(wanted), Value::Array(live)) => {
            for wanted in wanted.iter().filter(|wanted| wanted["name"].is_string()) {
                let same = live.iter_mut().find(|live| live["name"] == wanted["name"]);
                same.into_iter().for_each(|live| settle(wanted, live, union));
            }
        }
        (Value::Object(_), live) if union && first_difference(wanted, live).is_some() => live.clone_from(wanted),
        (Value::Object(wanted), Value::Object(live)) => {
            for (name, wanted) in wanted {
                if let Some(live) = live.get_mut(name) {
                    settle(wanted, live, UNIONS.contains(&name.as_str()));
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "tests/unions.rs"]
mod tests;
