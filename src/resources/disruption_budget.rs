//! The PodDisruptionBudget, when there is more than one replica to take turns.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;

use super::{Child, ChildKind, Owner};
use crate::api::valid::ValidSpec;

pub fn build(owner: &Owner, spec: &ValidSpec) -> Option<Child> {
    if spec.scale.at_first() <= 1 {
        // With one replica a budget would only stop nodes from being drained.
        return None;
    }
    let budget = PodDisruptionBudget {
        metadata: owner.child_metadata(&owner.name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(owner.label_selector()),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    };
    Some(Child::seal(ChildKind::PodDisruptionBudget, json!(budget)))
}
