//! A child object as it stands in the cluster, reduced to what is compared: 1,000 models hold thousands of them.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    core::v1::{Namespace, Node},
};
use kube::{
    ResourceExt,
    core::{DynamicObject, PartialObjectMeta, TypeMeta},
};
use serde_json::{Value, json};

use super::index::{Indexed, Key};
use crate::{
    api::names,
    images::Platform,
    monitoring::{bindings::Binding, surroundings::Collector},
    resources::{ChildKind, Owner, autoscaler, child, revision::Revision},
    rollout::{DeploymentFacts, PodFacts, placement},
};

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    pub kind: ChildKind,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub version: u64,
    /// `metadata.generation`, where the kind has one.
    pub generation: Option<i64>,
    pub model: Option<String>,
    /// The controlling owner's uid.
    pub owner: Option<String>,
    pub deleting: bool,
    /// The hash of the intent that was last applied.
    pub intent: Option<String>,
    /// What prometheus-operator says of it, where it says anything.
    pub bindings: Box<[Binding]>,
    /// JSON text: a tree of values would take several times the memory.
    body: Box<str>,
}

impl Live {
    /// Reduces an object to what is read of it: of a status that of Deployments, who has accepted what watches the model, and
    /// why an autoscaler does not scale.
    pub fn of(kind: ChildKind, mut object: DynamicObject) -> Self {
        object.metadata.managed_fields = None;
        let version = version(&object.metadata.resource_version.take().unwrap_or_default());
        // Items of a list come without them, and they are compared like every other field.
        let resource = kind.api_resource();
        object.types = Some(TypeMeta { api_version: resource.api_version, kind: resource.kind });
        let bindings = kind.optional().map(|_| Binding::read(&object)).unwrap_or_default();
        if let Some(body) = object.data.as_object_mut() {
            match kind {
                ChildKind::Deployment => body.get_mut("status").into_iter().for_each(DeploymentFacts::reduce),
                ChildKind::HorizontalPodAutoscaler => {
                    let idle = body.remove("status").as_ref().and_then(autoscaler::Idle::of);
                    body.extend(idle.map(|idle| ("status".to_owned(), json!(idle))));
                }
                _ => drop(body.remove("status")),
            }
        }
        child::reduce(kind, &mut object.data);
        let owner = object.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        Self {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            version,
            generation: object.metadata.generation,
            model: object.labels().get(names::MODEL).cloned(),
            owner: owner.map(|owner| owner.uid.clone()),
            deleting: object.metadata.deletion_timestamp.is_some(),
            intent: object.annotations().get(names::INTENT).cloned(),
            bindings,
            body: serde_json::to_string(&object).unwrap_or_default().into_boxed_str(),
        }
    }

    /// Whether it is a child of this model: by its controller; or, when it has none, by all that only Modelship gives it. A
    /// restored backup and `kubectl delete --cascade=orphan` leave children so. Who wrote it last is not asked: backups leave
    /// that out.
    pub fn belongs_to(&self, owner: &Owner) -> bool {
        match &self.owner {
            Some(uid) => *uid == owner.uid,
            None => {
                let model = (self.namespace.as_str(), self.model.as_deref());
                self.intent.is_some()
                    && model == (owner.namespace.as_str(), Some(owner.name.as_str()))
                    && self.kind.is_name(&owner.name, &self.name)
            }
        }
    }

    pub fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }

    /// Changes when somebody changes what the object asks for; its status alone does not count where that can be told.
    pub fn epoch(&self) -> u64 {
        self.generation.filter(|generation| *generation > 0).map_or(self.version, i64::unsigned_abs)
    }

    pub fn deployment(&self) -> Option<DeploymentFacts> {
        serde_json::from_str::<Deployment>(&self.body).ok().map(|deployment| DeploymentFacts::of(&deployment))
    }

    /// Of an autoscaler: that it does not scale.
    pub fn idle(&self) -> Option<autoscaler::Idle> {
        serde_json::from_value(self.value()["status"].take()).ok()
    }

    pub fn revision(&self) -> Option<Revision> {
        serde_json::from_str::<ControllerRevision>(&self.body).ok().as_ref().and_then(Revision::read)
    }

    /// An annotation, without parsing the whole body where it is certainly absent.
    pub fn has_annotation(&self, name: &str) -> bool {
        self.body.contains(name) && self.value()["metadata"]["annotations"].get(name).is_some()
    }
}

/// Resource versions are comparable integers (Kubernetes 1.35 documents what has always held for etcd).
pub fn version(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

impl Indexed for Live {
    fn key(&self) -> Key {
        Live::key(self)
    }
    fn group(&self) -> Key {
        (self.namespace.clone(), self.model.clone().unwrap_or_default())
    }
    fn uid(&self) -> &str {
        &self.uid
    }
    fn version(&self) -> u64 {
        self.version
    }
    // Any write moves the version, those of a status that is not read as well: an autoscaler's controller writes several a
    // minute.
    fn reads_as(&self, other: &Self) -> bool {
        let Self { kind, namespace, name, uid, version: _, generation, model, owner, deleting, intent, bindings, body } =
            self;
        (kind, namespace, name, uid) == (&other.kind, &other.namespace, &other.name, &other.uid)
            && (generation, model, owner) == (&other.generation, &other.model, &other.owner)
            && (deleting, intent) == (&other.deleting, &other.intent)
            && (bindings, body) == (&other.bindings, &other.body)
    }
}

impl Indexed for PodFacts {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
    fn group(&self) -> Key {
        (self.namespace.clone(), self.model.clone())
    }
    // Pods are never written by us, and their names are not used twice: every event is newer than the one before.
    fn uid(&self) -> &str {
        &self.name
    }
    fn version(&self) -> u64 {
        0
    }
}

/// A node, reduced to what it can run.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFacts {
    name: String,
    /// `None` for a node that takes no new pods.
    pub place: Option<placement::Node>,
}

impl NodeFacts {
    pub fn of(node: &Node) -> Self {
        let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
        // Before its kubelet has said anything the API server has it in empty words.
        let info = info.filter(|info| !unschedulable && !info.architecture.is_empty());
        Self {
            name: node.name_any(),
            place: info.map(|info| placement::Node {
                name: node.name_any(),
                platform: Platform::new(&info.operating_system, &info.architecture, None),
                labels: node.labels().clone(),
            }),
        }
    }
}

impl Indexed for NodeFacts {
    fn key(&self) -> Key {
        (String::new(), self.name.clone())
    }
    fn group(&self) -> Key {
        // One group for all: any node concerns every model.
        Key::default()
    }
    fn uid(&self) -> &str {
        &self.name
    }
    fn version(&self) -> u64 {
        0
    }
}

/// A namespace, reduced to what selectors look at.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceFacts {
    name: String,
    pub labels: BTreeMap<String, String>,
}

impl NamespaceFacts {
    pub fn of(namespace: &PartialObjectMeta<Namespace>) -> Self {
        Self { name: namespace.name_any(), labels: namespace.labels().clone() }
    }
}

impl Indexed for NamespaceFacts {
    fn key(&self) -> Key {
        (String::new(), self.name.clone())
    }
    fn group(&self) -> Key {
        // It concerns all models within.
        (self.name.clone(), String::new())
    }
    fn uid(&self) -> &str {
        &self.name
    }
    fn version(&self) -> u64 {
        0
    }
}

impl Indexed for Collector {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
    fn group(&self) -> Key {
        // Any of them concerns every model.
        Key::default()
    }
    fn uid(&self) -> &str {
        &self.name
    }
    fn version(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(spec: Value, status: Value) -> NodeFacts {
        let node = json!({"metadata": {"name": "cellar"}, "spec": spec, "status": status});
        NodeFacts::of(&serde_json::from_value(node).unwrap())
    }

    #[test]
    fn a_node_counts_for_the_platform_that_it_reports_while_it_takes_pods() {
        let info = json!({"nodeInfo": {
            "operatingSystem": "linux", "architecture": "arm64", "bootID": "", "containerRuntimeVersion": "",
            "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "osImage": "", "systemUUID": "",
        }});
        let platform = |spec, status| node(spec, status).place.map(|place| place.platform);
        assert_eq!(platform(json!({}), info.clone()), Some(Platform::new("linux", "arm64", None)));
        assert_eq!(platform(json!({"unschedulable": true}), info.clone()), None);
        assert_eq!(platform(json!({}), json!({})), None, "it has reported nothing yet");
        let mut silent = info.clone();
        silent["nodeInfo"].as_object_mut().unwrap().values_mut().for_each(|word| *word = json!(""));
        assert_eq!(platform(json!({}), silent), None, "and so the API server stores it");
    }
}
