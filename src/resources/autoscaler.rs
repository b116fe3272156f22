//! The HorizontalPodAutoscaler, when the spec asks for one.

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
    MetricSpec, MetricTarget,
};
use serde_json::json;

use super::{Child, ChildKind, Owner};
use crate::api::{
    names,
    valid::{Scale, ValidSpec},
};

pub fn build(owner: &Owner, spec: &ValidSpec) -> Option<Child> {
    let Scale::Auto { min, max, cpu_percent } = spec.scale else { return None };
    let autoscaler = HorizontalPodAutoscaler {
        metadata: owner.child_metadata(&owner.name),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".into()),
                kind: "Deployment".into(),
                name: owner.name.clone(),
            },
            min_replicas: Some(min),
            max_replicas: max,
            metrics: Some(vec![MetricSpec {
                type_: "ContainerResource".into(),
                // The model alone: the exporter beside it idles while the model burns.
                container_resource: Some(ContainerResourceMetricSource {
                    container: names::MODEL_CONTAINER.into(),
                    name: "cpu".into(),
                    target: MetricTarget {
                        type_: "Utilization".into(),
                        average_utilization: Some(cpu_percent),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            ..HorizontalPodAutoscalerSpec::default()
        }),
        status: None,
    };
    Some(Child::seal(ChildKind::HorizontalPodAutoscaler, json!(autoscaler)))
}
