//! The status as it should read, and the patch that makes it so. Pure.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde_json::{Map, Value};

use super::{apply::Obstacle, decide::Plan, judge, observe::Observed};
use crate::{
    api::{
        Invalid, ModelDeploymentStatus,
        conditions::{self, IMAGE_RESOLVED, Judgement},
        status::Version,
        valid::ValidSpec,
    },
    images::Observation,
    resources::service,
    rollout::{Progress, history, progress},
};

/// The status of a model whose spec is valid.
pub fn status(
    spec: &ValidSpec,
    plan: &Plan,
    obstacles: &[Obstacle],
    seen: &Observation,
    observed: &Observed,
    now: Timestamp,
) -> ModelDeploymentStatus {
    let before = &observed.status;
    let wanted = plan.workload.as_ref().map(|workload| workload.image.as_str());
    let served = progress::served(observed.deployment.as_ref(), &observed.pods, &plan.progress);
    // While nothing answers, the version that users got last is still the one they will be told of.
    let stable = served
        .as_deref()
        .and_then(Version::of_image)
        .or_else(|| before.stable.clone().filter(|_| observed.deployment.is_some()));
    let candidate = wanted
        .and_then(Version::of_image)
        .filter(|wanted| plan.progress != Progress::Complete && stable.as_ref() != Some(wanted));
    let situation = judge::Situation {
        spec,
        target: &plan.target,
        wanted,
        progress: &plan.progress,
        deployment: observed.deployment.as_ref(),
        pods: &observed.pods,
        obstacles,
        pullable: seen.pullable,
    };
    ModelDeploymentStatus {
        observed_generation: Some(observed.generation),
        conditions: conclude(&judge::judge(&situation), observed, now),
        url: Some(service::url(&observed.owner, spec)),
        tag: Some(spec.image.tag.to_string()),
        history: history::record(before.history.clone(), stable.as_ref(), now),
        stable,
        candidate,
        ..counts(observed)
    }
}

/// The status of a model whose spec is wrong: what was known of its versions stays.
pub fn invalid_status(faults: &[Invalid], observed: &Observed, now: Timestamp) -> ModelDeploymentStatus {
    let before = &observed.status;
    let resolved = conditions::find(&before.conditions, IMAGE_RESOLVED).map(|condition| {
        Judgement::new(IMAGE_RESOLVED, condition.status == "True", &condition.reason, &condition.message)
    });
    ModelDeploymentStatus {
        observed_generation: Some(observed.generation),
        conditions: conclude(&judge::invalid(faults, observed.deployment.as_ref(), resolved), observed, now),
        url: before.url.clone(),
        tag: before.tag.clone(),
        stable: before.stable.clone(),
        candidate: before.candidate.clone(),
        history: before.history.clone(),
        ..counts(observed)
    }
}

fn conclude(judgements: &[Judgement], observed: &Observed, now: Timestamp) -> Vec<Condition> {
    conditions::conclude(judgements, &observed.status.conditions, observed.generation, now)
}

fn counts(observed: &Observed) -> ModelDeploymentStatus {
    let selector: Vec<String> =
        observed.owner.selector().iter().map(|(label, value)| format!("{label}={value}")).collect();
    let facts = observed.deployment.as_ref();
    ModelDeploymentStatus {
        replicas: Some(facts.map_or(0, |facts| facts.existing)),
        available: Some(facts.map_or_else(|| "0/0".into(), |facts| format!("{}/{}", facts.available, facts.wanted))),
        selector: Some(selector.join(",")),
        ..ModelDeploymentStatus::default()
    }
}

/// The merge patch that turns one value into another; `None` if they are equal.
pub fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return Some(after.clone());
    };
    let mut patch = Map::new();
    for (field, value) in after {
        if let Some(change) = merge_patch(before.get(field).unwrap_or(&Value::Null), value) {
            patch.insert(field.clone(), change);
        }
    }
    for field in before.keys().filter(|field| !after.contains_key(*field)) {
        patch.insert(field.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_patch_holds_what_changed_and_nulls_what_is_gone() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let after = json!({"a": 1, "b": {"c": 3}, "e": [1, 2]});
        assert_eq!(merge_patch(&before, &after), Some(json!({"b": {"c": 3, "d": null}, "e": [1, 2]})));
        assert_eq!(merge_patch(&after, &after), None);
        assert_eq!(merge_patch(&Value::Null, &after), Some(after));
    }
}
