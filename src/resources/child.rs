//! What Modelship wants of one child object, and the kinds there are.

use std::{borrow::Cow, sync::Arc};

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::{exporter, hash, revision};
use crate::{
    api::names,
    images::Digest,
    monitoring::{OptionalKind, bundle},
};

/// The kinds of children, in no particular order: the order of writing is argued in `controller::apply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildKind {
    Deployment,
    Service,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    NetworkPolicy,
    ControllerRevision,
    ConfigMap,
    ServiceMonitor,
    PrometheusRule,
    AlertmanagerConfig,
}

impl ChildKind {
    /// Those that every cluster has a place for.
    pub const CORE: [Self; 7] = [
        Self::Deployment,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::NetworkPolicy,
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
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ControllerRevision => "ControllerRevision",
            Self::ConfigMap => "ConfigMap",
            Self::ServiceMonitor => "ServiceMonitor",
            Self::PrometheusRule => "PrometheusRule",
            Self::AlertmanagerConfig => "AlertmanagerConfig",
        }
    }

    /// Whether Modelship calls a child of this kind so. Nothing else is ever deleted or taken back, whoever owns it: another
    /// release may keep it.
    pub fn is_name(self, model: &str, name: &str) -> bool {
        match self {
            Self::Service => name == model || name == exporter::metrics_name(model),
            Self::ConfigMap => name == exporter::settings_name(model) || name == bundle::dashboard_name(model),
            Self::PrometheusRule => name == model || name == bundle::extra_rules_name(model),
            Self::ControllerRevision => revision::is_name(model, name),
            Self::Deployment
            | Self::PodDisruptionBudget
            | Self::HorizontalPodAutoscaler
            | Self::NetworkPolicy
            | Self::ServiceMonitor
            | Self::AlertmanagerConfig => name == model,
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
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "networkpolicies"),
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

/// What Modelship wants of one object.
#[derive(Clone, Debug)]
pub struct Child {
    pub kind: ChildKind,
    pub namespace: String,
    pub name: String,
    pub hash: String,
    /// As live objects are compared with it: what is large stands as its hash. It carries the hash of itself as an annotation.
    pub body: Value,
    large: Option<Large>,
}

/// Makes the part of a body that is too large to be made in every turn.
#[derive(Clone)]
pub struct Large(Arc<dyn Fn() -> Value + Send + Sync>);

impl Large {
    pub fn new(make: impl Fn() -> Value + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub fn make(&self) -> Value {
        let mut part = (self.0)();
        drop_nulls(&mut part);
        part
    }

    /// What stands for it where bodies are compared.
    pub fn reduced(&self, kind: ChildKind) -> Value {
        let mut part = self.make();
        reduce_part(kind, &mut part);
        part
    }
}

impl std::fmt::Debug for Large {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Large")
    }
}

/// Equal hashes are equal intents.
impl PartialEq for Child {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.namespace, &self.name, &self.body) == (other.kind, &other.namespace, &other.name, &other.body)
    }
}

impl Child {
    /// Completes a typed or hand-made body: drops nulls, sets apiVersion and kind, and seals it with its hash.
    pub fn seal(kind: ChildKind, mut body: Value) -> Self {
        drop_nulls(&mut body);
        let part = large_part(kind).and_then(|part| body.pointer(part)).cloned();
        reduce(kind, &mut body);
        let large = part.map(|part| Large::new(move || part.clone()));
        Self::sealed(kind, body, large)
    }

    /// The same of a body whose large part is there in its reduced form; `large` makes what stands in its place.
    pub fn seal_reduced(kind: ChildKind, mut body: Value, large: Large) -> Self {
        drop_nulls(&mut body);
        Self::sealed(kind, body, Some(large))
    }

    fn sealed(kind: ChildKind, mut body: Value, large: Option<Large>) -> Self {
        let resource = kind.api_resource();
        body["apiVersion"] = json!(resource.api_version);
        body["kind"] = json!(resource.kind);
        let hash = hash::of(&body);
        body["metadata"]["annotations"][names::INTENT] = json!(hash);
        let text = |field: &str| body["metadata"][field].as_str().unwrap_or_default().to_owned();
        Self { kind, namespace: text("namespace"), name: text("name"), hash, body, large }
    }

    /// As it is sent.
    pub fn whole(&self) -> Cow<'_, Value> {
        let Some(large) = &self.large else { return Cow::Borrowed(&self.body) };
        let mut body = self.body.clone();
        if let Some(part) = large_part(self.kind).and_then(|part| body.pointer_mut(part)) {
            *part = large.make();
        }
        Cow::Owned(body)
    }
}

/// Longer texts of a ConfigMap are kept as their hash.
const LONG: usize = 1024;

/// Where the large part of such an object is.
fn large_part(kind: ChildKind) -> Option<&'static str> {
    match kind {
        ChildKind::ConfigMap => Some("/data"),
        ChildKind::PrometheusRule => Some("/spec/groups"),
        _ => None,
    }
}

/// Puts hashes in the place of what is large and only ever compared: dashboards and rules of thousands of models would
/// fill the controller's memory.
pub fn reduce(kind: ChildKind, body: &mut Value) {
    if let Some(part) = large_part(kind).and_then(|part| body.pointer_mut(part)) {
        reduce_part(kind, part);
    }
}

fn reduce_part(kind: ChildKind, part: &mut Value) {
    match kind {
        ChildKind::ConfigMap => {
            for text in part.as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
                if let Value::String(long) = text
                    && long.len() > LONG
                {
                    *text = json!(Digest::of(long.as_bytes()).as_str());
                }
            }
        }
        ChildKind::PrometheusRule => {
            for group in part.as_array_mut().into_iter().flatten() {
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

    #[test]
    fn what_is_made_late_is_what_is_made_at_once() {
        let groups = || json!([{"name": "g", "rules": [{"expr": "a", "for": null}]}]);
        let body = |groups: Value| json!({"metadata": {"name": "a"}, "spec": {"groups": groups}});
        let large = Large::new(groups);
        let reduced = body(large.reduced(ChildKind::PrometheusRule));
        let late = Child::seal_reduced(ChildKind::PrometheusRule, reduced, large);
        let at_once = Child::seal(ChildKind::PrometheusRule, body(groups()));
        assert_eq!(late, at_once);
        assert_eq!(late.whole(), at_once.whole());
        assert_eq!(late.whole()["spec"]["groups"], json!([{"name": "g", "rules": [{"expr": "a"}]}]));
    }
}
