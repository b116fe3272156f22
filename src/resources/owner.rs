//! Who the children belong to: names, labels and the owner reference that every child shares.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use crate::api::names;

/// Which of a model's versions a pod runs: the one that users get, or the one that is tried beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    Stable,
    Candidate,
}

impl Track {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
        }
    }
}

/// The ModelDeployment that children are made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl Owner {
    /// What Services and autoscalers select by. Immutable in Kubernetes: nothing is ever added.
    pub fn selector(&self) -> BTreeMap<String, String> {
        self.selector_of(Track::Stable)
    }

    /// What the Deployment of a track selects its pods by. Immutable in Kubernetes, too.
    pub fn selector_of(&self, track: Track) -> BTreeMap<String, String> {
        BTreeMap::from([
            (names::MODEL.to_owned(), self.name.clone()),
            (names::TRACK.to_owned(), track.as_str().to_owned()),
        ])
    }

    pub fn label_selector(&self) -> LabelSelector {
        LabelSelector { match_labels: Some(self.selector()), ..LabelSelector::default() }
    }

    /// Labels of every child: the selector's, and the recommended ones, which nothing selects by.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.template_labels();
        labels.extend(self.selector());
        labels
    }

    /// Labels of a pod template as it is stored, without a track: one template serves both.
    pub fn template_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (names::MODEL.to_owned(), self.name.clone()),
            ("app.kubernetes.io/name".to_owned(), "model".to_owned()),
            ("app.kubernetes.io/instance".to_owned(), self.name.clone()),
            (names::MANAGED_BY.to_owned(), names::MODELSHIP.to_owned()),
        ])
    }

    /// Metadata of a child called `name`.
    pub fn child_metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            owner_references: Some(vec![self.reference()]),
            ..ObjectMeta::default()
        }
    }

    /// The same with further labels. None of them takes the place of ours, by which the object is watched and found again.
    pub fn labelled_metadata(&self, name: &str, labels: &BTreeMap<String, String>) -> ObjectMeta {
        let labels = labels.clone().into_iter().chain(self.labels()).collect();
        ObjectMeta { labels: Some(labels), ..self.child_metadata(name) }
    }

    fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: format!("{}/v1alpha1", names::GROUP),
            kind: "ModelDeployment".into(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}
