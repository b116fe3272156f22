//! The HorizontalPodAutoscaler, when the spec asks for one, and what Kubernetes says of it when it does not scale.

use k8s_openapi::{
    api::autoscaling::v2::{
        ContainerResourceMetricSource, CrossVersionObjectReference, HorizontalPodAutoscaler,
        HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricSpec, MetricTarget,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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

/// That an autoscaler does not scale.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Idle {
    why: Why,
    since: Option<Time>,
}

/// Why it does not scale, in a word that stays as it is while Kubernetes' own words change from look to look.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
enum Why {
    /// Nothing in the cluster serves `metrics.k8s.io`.
    NoMetricsApi,
    /// What serves it gives no answer.
    Unanswered,
    /// Another autoscaler counts the same pods.
    Shared,
    /// Kubernetes' reason.
    Other(String),
}

/// Metrics of a new pod come late, and metrics-server restarts: for so long that is no news. It is the time for which Kubernetes
/// itself takes a pod for a new one (`--horizontal-pod-autoscaler-cpu-initialization-period`).
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

impl Idle {
    /// Reads a HorizontalPodAutoscaler's status; `None` where it scales, where it has not been looked at yet, and where somebody
    /// has scaled to zero, which is no fault of it.
    pub fn of(status: &Value) -> Option<Self> {
        let status: HorizontalPodAutoscalerStatus = serde_json::from_value(status.clone()).ok()?;
        let kinds = ["AbleToScale", "ScalingActive"];
        let mut conditions = status.conditions.into_iter().flatten();
        let condition = conditions.find(|condition| {
            kinds.contains(&condition.type_.as_str())
                && condition.status == "False"
                && condition.reason.as_deref() != Some("ScalingDisabled")
        })?;
        let (reason, message) = (condition.reason.unwrap_or_default(), condition.message.unwrap_or_default());
        let why = match reason.as_str() {
            "AmbiguousSelector" => Why::Shared,
            _ if message.contains("could not find the requested resource (get pods.metrics") => Why::NoMetricsApi,
            _ if message.contains("unable to fetch metrics from resource metrics API") => Why::Unanswered,
            _ => Why::Other(reason),
        };
        Some(Self { why, since: condition.last_transition_time })
    }

    /// From when on it is told, where it may pass by itself; else it is told at once.
    pub fn due(&self) -> Option<Timestamp> {
        match self.why {
            Why::NoMetricsApi | Why::Shared => None,
            Why::Unanswered | Why::Other(_) => self.since.as_ref()?.0.checked_add(PATIENCE).ok(),
        }
    }

    /// Why, and what to do.
    pub fn words(&self, owner: &Owner) -> String {
        let Owner { namespace, name, .. } = owner;
        let why = match &self.why {
            Why::NoMetricsApi => {
                "nothing in the cluster measures pods (there is no API metrics.k8s.io); install metrics-server"
                    .to_owned()
            }
            Why::Unanswered => {
                "the API metrics.k8s.io does not answer; kubectl describe apiservice v1beta1.metrics.k8s.io says why"
                    .to_owned()
            }
            Why::Shared => format!(
                "another HorizontalPodAutoscaler counts the same pods, so neither scales; kubectl get hpa -n {namespace} \
                 shows both, delete the other one"
            ),
            Why::Other(reason) => {
                format!("nothing is scaled ({reason}); kubectl describe hpa {name} -n {namespace} says why")
            }
        };
        format!("spec.autoscaling: {why}")
    }
}

#[cfg(test)]
#[path = "tests/autoscaler.rs"]
mod tests;
