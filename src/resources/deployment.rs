//! The Deployment that runs the stable version.

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::{Value, json};

use super::{Child, ChildKind, Owner};
use crate::api::{
    names,
    spec::Strategy,
    valid::{Scale, ValidSpec},
};

/// Earlier ReplicaSets kept for re-use; `rollout undo` is not how versions go back here.
const REVISION_HISTORY: i32 = 3;

/// The Deployment around a rendered pod template.
pub fn build(owner: &Owner, spec: &ValidSpec, template: &Value) -> Child {
    let deployment = Deployment {
        metadata: owner.child_metadata(&owner.name),
        spec: Some(DeploymentSpec {
            selector: owner.label_selector(),
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
