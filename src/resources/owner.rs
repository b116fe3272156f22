//! Who the children belong to: names, labels and the owner reference that every child shares.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use crate::api::names;

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
        BTreeMap::from([(names::MODEL.to_owned(), self.name.clone()), (names::TRACK.to_owned(), "stable".to_owned())])
    }

    pub fn label_selector(&self) -> LabelSelector {
        LabelSelector { match_labels: Some(self.selector()), ..LabelSelector::default() }
    }

    /// Labels of every child: the selector's, and the recommended ones, which nothing selects by.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        labels.insert("app.kubernetes.io/name".into(), "model".into());
        labels.insert("app.kubernetes.io/instance".into(), self.name.clone());
        labels.insert(names::MANAGED_BY.into(), names::MODELSHIP.into());
        labels
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
