//! The Deployment that runs one version.

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde_json::{Value, json};

use super::{Child, ChildKind, Owner, Track, merge};
use crate::api::{
    names,
    spec::Strategy,
    valid::{Scale, ValidSpec},
};

/// Earlier ReplicaSets kept for re-use; `rollout undo` is not how versions go back here.
const REVISION_HISTORY: i32 = 3;

/// The Deployment around a stored pod template. The track comes from here, not from the template: a candidate becomes
/// stable under the very template that it was tried with.
pub fn build(owner: &Owner, spec: &ValidSpec, template: &Value, track: Track) -> Child {
    let selector = owner.selector_of(track);
    let mut metadata = owner.child_metadata(&match track {
        Track::Stable => owner.name.clone(),
        Track::Candidate => format!("{}-candidate", owner.name),
    });
    metadata.labels.get_or_insert_default().extend(selector.clone());
    let deployment = Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
            strategy: Some(strategy(spec.strategy)),
            progress_deadline_seconds: Some(i32::try_from(spec.deadline.as_secs()).unwrap_or(i32::MAX)),
            revision_history_limit: Some(REVISION_HISTORY),
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    let mut body = json!(deployment);
    // As stored, not as a typed struct would write it: the template may hold fields that this build does not know.
    body["spec"]["template"] = template.clone();
    // Nor does it promise a shape: the API server refuses what is none.
    if let Some(labels) = merge::object_at(&mut body, &["spec", "template", "metadata", "labels"]) {
        labels.insert(names::TRACK.to_owned(), json!(track.as_str()));
    }
    // Sent only when the user set it: whoever scales the Deployment otherwise (an autoscaler, a person) is left alone.
    if let Scale::Fixed(replicas) = spec.scale {
        body["spec"]["replicas"] = json!(replicas);
        body["metadata"]["annotations"][names::SENDS_REPLICAS] = json!("true");
    }
    Child::seal(ChildKind::Deployment, body)
}

fn strategy(strategy: Strategy) -> DeploymentStrategy {
    match strategy {
        Strategy::Recreate => DeploymentStrategy { type_: Some("Recreate".into()), rolling_update: None },
        Strategy::Rolling => DeploymentStrategy {
            type_: Some("RollingUpdate".into()),
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::String("25%".into())),
                // A single replica must not go before its successor serves.
                max_unavailable: Some(IntOrString::Int(0)),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::fixtures::{NAME, NAMESPACE, spec_json};

    #[test]
    fn a_stored_template_of_a_wrong_shape_is_left_to_the_api_server() {
        let owner = Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: "1".into() };
        let spec = ValidSpec::parse(NAME, &spec_json(json!({}))).unwrap();
        for stored in [json!("x"), json!({"metadata": "x"}), json!({"metadata": {"labels": "x"}})] {
            let body = build(&owner, &spec, &stored, Track::Stable).body;
            assert_eq!(body["spec"]["template"], stored);
        }
    }

    #[test]
    fn one_stored_template_serves_either_track() {
        let owner = Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: "1".into() };
        let spec = ValidSpec::parse(NAME, &spec_json(json!({}))).unwrap();
        let stored = json!({"metadata": {"labels": owner.template_labels()}, "spec": {"containers": []}});
        for (track, word, name) in
            [(Track::Stable, "stable", NAME.to_owned()), (Track::Candidate, "candidate", format!("{NAME}-candidate"))]
        {
            let body = build(&owner, &spec, &stored, track).body;
            let selector = &body["spec"]["selector"]["matchLabels"];
            assert_eq!(selector, &json!({names::MODEL: NAME, names::TRACK: word}));
            for labels in [&body["metadata"]["labels"], &body["spec"]["template"]["metadata"]["labels"]] {
                assert_eq!((&labels[names::MODEL], &labels[names::TRACK]), (&json!(NAME), &json!(word)));
            }
            assert_eq!(body["metadata"]["name"], json!(name));
        }
    }
}
