//! What Modelship wants of one child object, and the kinds there are.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::hash;
use crate::api::names;

/// The kinds of children, in no particular order: the order of writing is argued in `controller::apply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildKind {
    Deployment,
    Service,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    ControllerRevision,
    ConfigMap,
}

impl ChildKind {
    pub const ALL: [Self; 6] = [
        Self::Deployment,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::ControllerRevision,
        Self::ConfigMap,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::Service => "Service",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::ControllerRevision => "ControllerRevision",
            Self::ConfigMap => "ConfigMap",
        }
    }

    pub fn api_resource(self) -> ApiResource {
        let (group, version, plural) = match self {
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::Service => ("", "v1", "services"),
            Self::PodDisruptionBudget => ("policy", "v1", "poddisruptionbudgets"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "v2", "horizontalpodautoscalers"),
            Self::ControllerRevision => ("apps", "v1", "controllerrevisions"),
            Self::ConfigMap => ("", "v1", "configmaps"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, self.as_str()), plural)
    }
}

impl std::fmt::Display for ChildKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What Modelship wants of one object. `body` carries the hash of itself as an annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    pub kind: ChildKind,
    pub namespace: String,
    pub name: String,
    pub hash: String,
    pub body: Value,
}

impl Child {
    /// Completes a typed or hand-made body: drops nulls, sets apiVersion and kind, and seals it with its hash.
    pub fn seal(kind: ChildKind, mut body: Value) -> Self {
        drop_nulls(&mut body);
        let resource = kind.api_resource();
        body["apiVersion"] = json!(resource.api_version);
        body["kind"] = json!(resource.kind);
        let hash = hash::of(&body);
        body["metadata"]["annotations"][names::INTENT] = json!(hash);
        let text = |field: &str| body["metadata"][field].as_str().unwrap_or_default().to_owned();
        Self { kind, namespace: text("namespace"), name: text("name"), hash, body }
    }
}

/// An absent field and a null one mean the same to the API server; only the absent one compares well.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, field| !field.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
