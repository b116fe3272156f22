//! What Modelship wants of one child object, and the kinds there are.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::hash;
use crate::{api::names, monitoring::OptionalKind};

/// The kinds of children, in no particular order: the order of writing is argued in `controller::apply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildKind {
    Deployment,
    Service,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    ControllerRevision,
    ConfigMap,
    ServiceMonitor,
    PrometheusRule,
    AlertmanagerConfig,
}

impl ChildKind {
    /// Those that every cluster has a place for.
    pub const CORE: [Self; 6] = [
        Self::Deployment,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::ControllerRevision,
        Self::ConfigMap,
    ];
    /// Those whose CustomResourceDefinition may be missing.
    pub const OPTIONAL: [Self; 3] = [Self::ServiceMonitor, Self::PrometheusRule, Self::AlertmanagerConfig];
    pub const COUNT: usize = Self::CORE.len() + Self::OPTIONAL.len();

    pub fn all() -> impl Iterator<Item = Self> {
        Self::CORE.into_iter().chain(Self::OPTIONAL)
    }

    /// The optional kind that it is, if it is one.
    pub fn optional(self) -> Option<OptionalKind> {
        match self {
            Self::ServiceMonitor => Some(OptionalKind::ServiceMonitor),
            Self::PrometheusRule => Some(OptionalKind::PrometheusRule),
            Self::AlertmanagerConfig => Some(OptionalKind::AlertmanagerConfig),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::Service => "Service",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::ControllerRevision => "ControllerRevision",
            Self::ConfigMap => "ConfigMap",
            Self::ServiceMonitor => "ServiceMonitor",
            Self::PrometheusRule => "PrometheusRule",
            Self::AlertmanagerConfig => "AlertmanagerConfig",
        }
    }

    pub fn api_resource(self) -> ApiResource {
        if let Some(optional) = self.optional() {
            return optional.api_resource();
        }
        let (group, version, plural) = match self {
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::Service => ("", "v1", "services"),
            Self::PodDisruptionBudget => ("policy", "v1", "poddisruptionbudgets"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "v2", "horizontalpodautoscalers"),
            Self::ControllerRevision => ("apps", "v1", "controllerrevisions"),
            _ => ("", "v1", "configmaps"),
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

impl Child {
    /// The body as live objects are compared with it.
    pub fn comparable(&self) -> Value {
        let mut body = self.body.clone();
        reduce(self.kind, &mut body);
        body
    }
}

/// Longer texts of a ConfigMap are kept as their hash.
const LONG: usize = 1024;

/// Puts hashes in the place of what is large and only ever compared: dashboards and rules of thousands of models would
/// fill the controller's memory.
pub fn reduce(kind: ChildKind, body: &mut Value) {
    match kind {
        ChildKind::ConfigMap => {
            for text in body["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
                if text.as_str().is_some_and(|text| text.len() > LONG) {
                    *text = json!(format!("sha256:{}", hash::of(text)));
                }
            }
        }
        ChildKind::PrometheusRule => {
            for group in body["spec"]["groups"].as_array_mut().into_iter().flatten() {
                *group = json!({"name": group["name"], "sha256": hash::of(group)});
            }
        }
        _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        let places: Vec<usize> = ChildKind::all().map(|kind| kind as usize).collect();
        assert_eq!(places, (0..ChildKind::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_large_is_compared_by_its_hash_and_a_change_of_it_shows() {
        let map = |text: &str| json!({"metadata": {"name": "a"}, "data": {"board": text.repeat(2000), "small": "s"}});
        let (mut one, mut other) = (map("x"), map("y"));
        reduce(ChildKind::ConfigMap, &mut one);
        reduce(ChildKind::ConfigMap, &mut other);
        assert!(one.to_string().len() < 200 && one["data"]["small"] == "s");
        assert_ne!(one, other);
        let rule = |expr: &str| json!({"spec": {"groups": [{"name": "g", "rules": [{"expr": expr}]}]}});
        let (mut one, mut other) = (rule("a"), rule("b"));
        reduce(ChildKind::PrometheusRule, &mut one);
        reduce(ChildKind::PrometheusRule, &mut other);
        assert_eq!(one["spec"]["groups"][0]["name"], "g");
        assert_ne!(one, other);
    }
}
