//! The rendered pod template, kept under the hash of what it was rendered from.
//!
//! Equal inputs re-use the stored template, whatever this version of Modelship would render: a release that adds a label
//! restarts nothing, and the new shape comes with the next roll-out. The revision with the highest number is the one
//! wanted now; a return to an earlier version raises that revision's number, as StatefulSets do it.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{Child, ChildKind, Owner, template};
use crate::{
    api::names,
    images::{Digest, ImageDetails, Labels, Platform},
};

/// How many templates are kept, the wanted one included.
pub const LIMIT: usize = 5;
/// An index of more images than this is asked for again after a restart instead: real ones have about twenty.
const MOST_PLATFORMS: usize = 32;

/// So many digits of the inputs' hash are in its name.
const IN_NAME: usize = 10;

/// Whether a stored template of that model may be called so.
pub fn is_name(model: &str, name: &str) -> bool {
    let hash = name.strip_prefix(model).and_then(|rest| rest.strip_prefix('-'));
    hash.is_some_and(|hash| hash.len() == IN_NAME && hash.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// A stored template, without the label of a track.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    pub name: String,
    pub number: i64,
    pub inputs_hash: String,
    /// The version, `repository@sha256:…`: what a push or a pin calls it. Its pods may pull the image in an index.
    pub image: String,
    pub template: Value,
    /// The labels of the image, when they were known as this was made: what it means is known with the registry away.
    pub labels: Option<Labels>,
    /// The image of each platform, when they were known as this was made: a restart asks no registry for them again.
    pub platforms: Option<Vec<(Platform, Digest)>>,
    /// The data of the object that it was read from. Kubernetes lets nobody change them, and another release may have stored
    /// more in them, or otherwise, than this one reads: they are sent as they are.
    pub stored: Option<Value>,
}

impl Revision {
    /// A new revision for these inputs.
    pub fn new(owner: &Owner, number: i64, inputs_hash: String, image: String, template: Value) -> Self {
        let name = format!("{}-{}", owner.name, &inputs_hash[..IN_NAME.min(inputs_hash.len())]);
        Self { name, number, inputs_hash, image, template, labels: None, platforms: None, stored: None }
    }

    /// Reads a stored one; `None` if it is not of our making.
    pub fn read(stored: &ControllerRevision) -> Option<Self> {
        let data = &stored.data.as_ref()?.0;
        let labels = data.get("labels").map(|labels| Labels::deserialize(labels).ok());
        // Without all of its labels it would be half known, and never asked for again.
        let complete = labels != Some(None);
        let mut template = data.get("template")?.clone();
        // Earlier releases stored it with the track that it was rendered for.
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove(names::TRACK);
        }
        Some(Self {
            name: stored.metadata.name.clone()?,
            number: stored.revision,
            inputs_hash: data["inputsHash"].as_str()?.to_owned(),
            image: data["image"].as_str()?.to_owned(),
            template,
            labels: labels.flatten(),
            platforms: data.get("platforms").filter(|_| complete).and_then(read_platforms),
            stored: Some(data.clone()),
        })
    }

    /// The same with what the registry has said of the image, as far as there is room for it.
    pub fn described(mut self, details: Option<&ImageDetails>) -> Self {
        let platforms = details.map(|details| &details.platforms);
        self.platforms = platforms.filter(|platforms| (1..=MOST_PLATFORMS).contains(&platforms.len())).cloned();
        self
    }

    /// The image that its pods pull.
    pub fn pulls(&self) -> &str {
        template::pulled(&self.template).unwrap_or(&self.image)
    }

    /// What was stored of the image with this digest; `None` where it is not complete.
    pub fn details(&self, digest: &str) -> Option<ImageDetails> {
        let labels = Arc::new(self.labels.clone().unwrap_or_default());
        Some(ImageDetails { digest: Digest::parse(digest).ok()?, platforms: self.platforms.clone()?, labels })
    }

    pub fn child(&self, owner: &Owner) -> Child {
        let mut body = json!({"metadata": owner.child_metadata(&self.name), "revision": self.number});
        body["data"] = self.stored.clone().unwrap_or_else(|| self.data());
        Child::seal(ChildKind::ControllerRevision, body)
    }

    fn data(&self) -> Value {
        let mut data = json!({"inputsHash": self.inputs_hash, "image": self.image, "template": self.template});
        if let Some(labels) = self.labels.as_ref().filter(|labels| **labels != Labels::default()) {
            data["labels"] = json!(labels);
        }
        if let Some(platforms) = &self.platforms {
            data["platforms"] = platforms.iter().map(|(on, digest)| json!([on.to_string(), digest])).collect();
        }
        data
    }
}

fn read_platforms(stored: &Value) -> Option<Vec<(Platform, Digest)>> {
    let stored: Vec<(String, Digest)> = Vec::deserialize(stored).ok()?;
    stored.into_iter().map(|(on, digest)| Some((on.parse().ok()?, digest))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an earlier release stored it. Whoever deploys it says the track; nobody may be told one by the template.
    #[test]
    fn a_template_that_was_stored_with_a_track_is_read_without_and_sent_as_it_is() {
        let owner = Owner { namespace: "cellar".into(), name: "grape".into(), uid: "1".into() };
        let labels = json!({names::MODEL: "grape", names::TRACK: "stable"});
        let data = json!({"inputsHash": "0a", "image": "x@y", "template": {"metadata": {"labels": labels}}});
        let stored = json!({"metadata": {"name": "grape-0a"}, "revision": 1, "data": data});
        let read = Revision::read(&serde_json::from_value(stored).unwrap()).unwrap();
        assert_eq!(read.template, json!({"metadata": {"labels": {names::MODEL: "grape"}}}));
        assert_eq!(read.child(&owner).body["data"], data);
    }
}
