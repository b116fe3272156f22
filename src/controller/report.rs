//! The status as it should read, and the patch that makes it so. Pure.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde_json::{Map, Value, json};

use super::{
    apply::Applied,
    decide::{self, Plan},
    judge,
    observe::Observed,
    readings, training,
};
use crate::{
    api::{
        Invalid, Meaning, ModelDeploymentStatus,
        conditions::{self, IMAGE_RESOLVED, Judgement, MONITORING_READY, PREDICTIONS_READ, READY},
        status::Version,
        valid::{Scale, ValidSpec},
    },
    images::{Digest, Observation},
    resources::{service, template},
    rollout::{Progress, Unresolved, history, progress, target},
};

/// The status of a model whose spec is valid.
pub fn status(
    spec: &ValidSpec,
    plan: &Plan,
    applied: &Applied,
    seen: &Observation,
    observed: &Observed,
    now: Timestamp,
) -> ModelDeploymentStatus {
    let before = &observed.status;
    let wanted = plan.workload.as_ref().map(|workload| workload.image.as_str());
    let described = |image: &str| described(image, spec, plan, seen, observed);
    let served = progress::served(observed.deployment.as_ref(), &observed.pods, &plan.progress);
    // While nothing answers, the version that users got last is still the one they will be told of.
    let stable = served
        .as_deref()
        .and_then(described)
        .or_else(|| before.stable.clone().filter(|_| observed.deployment.is_some()));
    let candidate = wanted.and_then(described).filter(|wanted| {
        plan.progress != Progress::Complete && !stable.as_ref().is_some_and(|stable| stable.is(wanted))
    });
    let held = plan.held.as_ref();
    let newest = held.map(|held| &held.digest).or(plan.target.digest.as_ref());
    let candidate = held.and_then(|held| described(&template::pinned(spec, &held.digest))).or(candidate);
    let remembered = remembered(plan, observed);
    let unresolved = remembered.as_ref().or(plan.target.unresolved.as_ref());
    // Until another tag is resolved, what runs is not what is wanted; a registry that fails later, or a controller that has
    // just started, changes nothing. A pin needs no tag.
    let known_tag = spec.image.pin.is_some() || before.tag.as_deref() == Some(spec.image.tag.as_str());
    let follows = spec.image.pin.is_none() && (spec.image.auto_update || wanted.is_none());
    // A pin whose labels are still asked for: what runs is not what is wanted.
    let pin_to_come = spec.image.pin.is_some() && plan.target.digest != spec.image.pin;
    let awaited =
        unresolved.filter(|_| wanted.is_none() || pin_to_come || (follows && seen.latest.is_none() && !known_tag));
    let awaited = held.filter(|_| wanted.is_none()).map(|held| &held.why).or(awaited);
    // Of another repository nothing was known before.
    let no_news =
        unresolved.is_some_and(|unresolved| unresolved.pending) && known_tag && newest.is_some() && !pin_to_come;
    let faults = plan.workload.as_ref().map_or(&[][..], |workload| &workload.meaning.faults);
    let misplaced = plan.workload.as_ref().zip(plan.target.digest.as_ref()).and_then(|(workload, digest)| {
        observed.misplaced(spec, seen, digest, &workload.deployment.body["spec"]["template"])
    });
    let resolved = conditions::find(&before.conditions, IMAGE_RESOLVED).filter(|_| no_news).map_or_else(
        || judge::resolved(unresolved, plan.target.digest.as_ref().or(newest), faults, misplaced.as_deref()),
        as_before,
    );
    let tag = match (&spec.image.pin, &seen.latest) {
        (Some(_), _) => None,
        (None, Some(_)) => Some(spec.image.tag.to_string()),
        (None, None) => before.tag.clone(),
    };
    // What is looked for is what was wanted last; a version that never ran is missed by nobody.
    let ran = stable
        .as_ref()
        .is_some_and(|stable| wanted == Some(format!("{}@{}", stable.repository, stable.digest).as_str()));
    let situation = judge::Situation {
        spec,
        awaited,
        resolved,
        wanted,
        progress: &plan.progress,
        deployment: observed.deployment.as_ref(),
        pods: &observed.pods,
        obstacles: &applied.obstacles,
        cut_off: applied.cut_off,
        pullable: seen.pullable.filter(|_| ran),
        newer: tag_holds(false, plan, seen, observed),
        same: tag_holds(true, plan, seen, observed).filter(|_| decide::is_lost(spec, seen, observed)),
        is_same: is_same(spec, plan, stable.as_ref(), observed),
        held: held.is_some(),
        unheard: conditions::find(&before.conditions, READY)
            .filter(|_| seen.latest.is_none() && before.observed_generation == Some(observed.generation)),
    };
    let mut judgements = judge::judge(&situation);
    if let Some(bundle) = &plan.monitoring {
        let before = conditions::find(&before.conditions, MONITORING_READY);
        judgements.extend(judge::monitored(bundle, &applied.monitoring, before));
    }
    if readings::awaited(plan.spec(spec), observed.found.as_ref(), plan.target.digest.as_ref()) {
        judgements.extend(observed.answers.judge(conditions::find(&before.conditions, PREDICTIONS_READ)));
    }
    judgements.extend(training::resolved(spec, newest, seen, observed));
    judgements.extend(plan.accepted.clone());
    let unscaled = observed.unscaled(spec).filter(|(_, due)| due.is_none_or(|due| due <= now));
    let completed = plan.workload.as_ref().map(|_| plan.spec(spec));
    judgements.extend(judge::in_effect(spec, completed, unscaled.as_ref().map(|(why, _)| why.as_str())));
    ModelDeploymentStatus {
        observed_generation: Some(observed.generation),
        conditions: conclude(&judgements, observed, now),
        url: Some(service::url(&observed.owner, spec)),
        predictions: readings::shown(plan.spec(spec), observed.found.as_ref()),
        tag,
        same_image: same_image(plan, seen, observed),
        history: history::record(before.history.clone(), stable.as_ref(), now),
        stable,
        candidate,
        ..counts(observed, spec.scale, matches!(plan.progress, Progress::Rolling { .. }))
    }
}

/// What the tag holds, where that is another digest than the wanted one: of the same image, or of another.
fn tag_holds<'a>(same: bool, plan: &Plan, seen: &'a Observation, observed: &Observed) -> Option<&'a Digest> {
    let (latest, wanted) = (seen.latest.as_ref()?, plan.target.digest.as_ref()?);
    let known = seen.details.get(wanted).and_then(|details| details.as_ref().ok());
    let is_same = known.is_some_and(|known| known.same_images_as(latest, &observed.platforms));
    (latest.digest != *wanted && is_same == same).then_some(&latest.digest)
}

/// What the tag holds of the wanted version's image under another digest, for whoever waits for it: as before while the registry
/// has not answered a controller that has just started.
fn same_image(plan: &Plan, seen: &Observation, observed: &Observed) -> Option<String> {
    if seen.latest.is_some() {
        return tag_holds(true, plan, seen, observed).map(ToString::to_string);
    }
    let before = &observed.status;
    let known = before.candidate.as_ref().or(before.stable.as_ref());
    let wanted = known.is_some_and(|known| plan.target.digest.as_ref().map(Digest::as_str) == Some(&known.digest));
    let asked = before.observed_generation == Some(observed.generation);
    before.same_image.clone().filter(|_| wanted && asked)
}

/// Whether the wanted version is the image that users get under another digest, since that is lost, and no person has asked
/// for it.
fn is_same(spec: &ValidSpec, plan: &Plan, stable: Option<&Version>, observed: &Observed) -> bool {
    let repository = spec.image.repository.to_string();
    let stable = stable.filter(|stable| stable.repository == repository && spec.image.pin.is_none());
    let (Some(stable), Some(wanted)) = (stable, plan.target.digest.as_ref()) else { return false };
    if plan.target.replaces == Some(target::Replaces::SameImage) {
        return true;
    }
    // While it starts. What a push has brought back after another version was not lost.
    let before = conditions::find(&observed.status.conditions, READY);
    let replaces = before.is_some_and(|before| before.reason == judge::SAME_IMAGE);
    let stored = observed.stored(&repository);
    let of = |digest: &str| stored.iter().find(|known| known.digest.as_str() == digest);
    let both = of(&stable.digest).zip(of(wanted.as_str()));
    replaces && stable.digest != wanted.as_str() && both.is_some_and(|(a, b)| a.same_images_as(b, &observed.platforms))
}

/// A version and what is known of it; where that was known before and is not now, it is what was known.
fn described(image: &str, spec: &ValidSpec, plan: &Plan, seen: &Observation, observed: &Observed) -> Option<Version> {
    let version = Version::of_image(image)?;
    let tag = tag_of(&version, spec, seen, observed);
    Some(Version { tag, ..labelled(image, version, spec, plan, seen, observed) })
}

/// The tag that the version came from. A tag belongs to a version: what is pinned, kept or held did not come from the one
/// that the spec names just now.
fn tag_of(version: &Version, spec: &ValidSpec, seen: &Observation, observed: &Observed) -> Option<String> {
    let latest = seen.latest.as_ref().filter(|_| spec.image.pin.is_none());
    let of_tag = latest.is_some_and(|latest| {
        let same_images = || {
            let digest = Digest::parse(&version.digest).ok();
            let known = digest.and_then(|digest| seen.details.get(&digest)?.as_ref().ok());
            known.is_some_and(|known| known.same_images_as(latest, &observed.platforms))
        };
        let ours = version.repository == spec.image.repository.to_string();
        ours && (version.digest == latest.digest.as_str() || same_images())
    });
    if of_tag {
        return Some(spec.image.tag.to_string());
    }
    let status = &observed.status;
    let known = [&status.stable, &status.candidate].into_iter().flatten().find(|known| known.is(version))?;
    known.tag.clone()
}

fn labelled(
    image: &str,
    version: Version,
    spec: &ValidSpec,
    plan: &Plan,
    seen: &Observation,
    observed: &Observed,
) -> Version {
    let Some(labels) = observed.labels(image, &spec.image.repository.to_string(), seen) else {
        let mut known = [&observed.status.stable, &observed.status.candidate].into_iter().flatten();
        let known = known.find(|known| known.is(&version)).cloned().unwrap_or(version);
        return training::describe(known, spec, seen, observed);
    };
    let version = match plan.workload.as_ref().filter(|workload| workload.image == image) {
        Some(workload) => workload.meaning.describe(version),
        None => Meaning::of(labels).describe(version),
    };
    training::describe(version, spec, seen, observed)
}

/// The status of a model whose spec is wrong: what was known of its versions stays.
pub fn invalid_status(faults: &[Invalid], observed: &Observed, now: Timestamp) -> ModelDeploymentStatus {
    let before = &observed.status;
    let resolved = conditions::find(&before.conditions, IMAGE_RESOLVED).map(as_before);
    ModelDeploymentStatus {
        observed_generation: Some(observed.generation),
        conditions: conclude(&judge::invalid(faults, observed.deployment.as_ref(), resolved), observed, now),
        url: before.url.clone(),
        predictions: before.predictions.clone(),
        tag: before.tag.clone(),
        same_image: before.same_image.clone(),
        stable: before.stable.clone(),
        candidate: before.candidate.clone(),
        history: before.history.clone(),
        ..counts(observed, Scale::Unset, false)
    }
}

/// A controller that has just started has no answer yet: until it has one, what was known of this very spec stands.
fn remembered(plan: &Plan, observed: &Observed) -> Option<Unresolved> {
    plan.target.unresolved.as_ref().filter(|unresolved| unresolved.pending)?;
    let before = &observed.status;
    let known = conditions::find(&before.conditions, IMAGE_RESOLVED)?;
    let same = before.observed_generation == Some(observed.generation) && known.status == "False";
    same.then(|| Unresolved {
        reason: known.reason.clone(),
        message: known.message.clone(),
        pending: target::PENDING.contains(&known.reason.as_str()),
    })
}

fn as_before(condition: &Condition) -> Judgement {
    Judgement::as_before(IMAGE_RESOLVED, condition)
}

fn conclude(judgements: &[Judgement], observed: &Observed, now: Timestamp) -> Vec<Condition> {
    conditions::conclude(judgements, &observed.status.conditions, observed.generation, now)
}

fn counts(observed: &Observed, scale: Scale, rolling: bool) -> ModelDeploymentStatus {
    let selector: Vec<String> =
        observed.owner.selector().iter().map(|(label, value)| format!("{label}={value}")).collect();
    let facts = observed.deployment.as_ref();
    // Before there is a Deployment, what it will begin with: one status less to write.
    let wanted = facts.map_or_else(|| scale.at_first(), |facts| facts.wanted);
    let existing = facts.map_or(0, |facts| facts.existing);
    // In a roll-out pods come and go, by themselves and in pairs: no news until it is over.
    let settled = observed.status.replicas.filter(|_| rolling);
    ModelDeploymentStatus {
        replicas: Some(settled.unwrap_or(existing)),
        available: Some(format!("{}/{wanted}", facts.map_or(0, |facts| facts.available))),
        selector: Some(selector.join(",")),
        ..ModelDeploymentStatus::default()
    }
}

/// The patch that makes a stored status this one; `None` if it is. It is compared word by word, so what could not be read is
/// replaced; what another release has written beside stays.
pub fn status_patch(stored: &Value, status: &ModelDeploymentStatus) -> Option<Value> {
    let ours = |field: &str| ModelDeploymentStatus::FIELDS.contains(&field);
    let known = stored.as_object().into_iter().flatten().filter(|(field, _)| ours(field));
    let known: Map<String, Value> = known.map(|(field, value)| (field.clone(), value.clone())).collect();
    merge_patch(&Value::Object(known), &json!(status))
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
    use super::*;

    #[test]
    fn the_patch_holds_what_changed_and_nulls_what_is_gone() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let after = json!({"a": 1, "b": {"c": 3}, "e": [1, 2]});
        assert_eq!(merge_patch(&before, &after), Some(json!({"b": {"c": 3, "d": null}, "e": [1, 2]})));
        assert_eq!(merge_patch(&after, &after), None);
        assert_eq!(merge_patch(&Value::Null, &after), Some(after));
    }

    #[test]
    fn what_could_not_be_read_of_a_status_is_replaced_and_what_another_release_wrote_beside_stays() {
        let stored = json!({
            "tag": "v1", "url": "http://churn", "replicas": {"of": "another kind"}, "predictions": {"kind": "to come"},
            "verdicts": [{"digest": "sha256:1"}],
        });
        let read = ModelDeploymentStatus::read(&stored);
        assert_eq!((read.tag.as_deref(), read.replicas), (Some("v1"), None));
        let status = ModelDeploymentStatus { replicas: Some(2), ..read };
        assert_eq!(status_patch(&stored, &status), Some(json!({"replicas": 2, "predictions": null})));
        assert_eq!(status_patch(&json!(status), &status), None);
        assert_eq!(status_patch(&Value::Null, &status), Some(json!(status)));
    }

    /// RFC 7396, section 2.
    fn apply(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let Value::Object(mut target) = target else { return apply(Value::Object(Map::new()), &json!(patch)) };
        for (field, change) in patch {
            match target.remove(field) {
                _ if change.is_null() => {}
                before => drop(target.insert(field.clone(), apply(before.unwrap_or_default(), change))),
            }
        }
        Value::Object(target)
    }

    #[test]
    fn the_patches_of_the_rfc_are_applied_as_it_says() {
        let rows = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (target, patch, result) in rows {
            assert_eq!(apply(target, &patch), result, "{patch}");
        }
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;
        use crate::resources::hash::json::{any_json, without_nulls};

        proptest! {
            #[test]
            fn the_patch_turns_what_was_into_what_is(before in any_json(), after in without_nulls()) {
                match merge_patch(&before, &after) {
                    None => prop_assert_eq!(before, after),
                    Some(patch) => prop_assert_eq!(apply(before, &patch), after),
                }
            }
        }
    }
}
