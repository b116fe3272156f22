//! Everything that is known of one model, read from caches. Nothing is asked of the API server here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::{
    ecosystem::Ecosystem,
    index::Index,
    live::{Live, NamespaceFacts, NodeFacts},
    runs::Heard,
    unread::Answers,
};
use crate::{
    api::{ModelDeploymentStatus, ValidSpec, status::FoundReading, valid::Scale},
    images::{Digest, ImageDetails, Labels, Observation, Platform},
    monitoring::{MailSecret, Surroundings, bindings::Bound},
    resources::{ChildKind, Owner, autoscaler::Idle, revision::Revision},
    rollout::{DeploymentFacts, PodFacts, placement},
};

/// The caches of all kinds but ModelDeployments.
#[derive(Default)]
pub struct Caches {
    children: [Arc<Index<Live>>; ChildKind::COUNT],
    pub pods: Arc<Index<PodFacts>>,
    pub nodes: Arc<Index<NodeFacts>>,
    pub namespaces: Arc<Index<NamespaceFacts>>,
    pub ecosystem: Ecosystem,
}

impl Caches {
    pub fn children(&self, kind: ChildKind) -> &Arc<Index<Live>> {
        &self.children[kind as usize]
    }

    /// Waits until every first list is complete: an incomplete cache would make existing children look absent.
    pub async fn ready(&self) {
        for kind in ChildKind::CORE {
            self.children(kind).ready().await;
        }
        self.pods.ready().await;
        self.nodes.ready().await;
        self.namespaces.ready().await;
        self.ecosystem.settled().await;
    }

    /// The version of this model whose pods pull that image, as its stored templates tell.
    pub fn version_of(&self, owner: &Owner, image: &str) -> Option<String> {
        let stored = self.children(ChildKind::ControllerRevision).group(&(owner.namespace.clone(), owner.name.clone()));
        let ours = stored.iter().filter(|live| live.belongs_to(owner) && !live.deleting);
        version_of(&newest_first(ours.filter_map(|live| live.revision())), image)
    }

    /// What there is to monitor a model of that namespace with.
    pub fn surroundings(&self, namespace: &str) -> Surroundings {
        let labels = self.namespaces.get(&(String::new(), namespace.to_owned()));
        let mut around = self.ecosystem.surroundings();
        around.namespace_labels = labels.map(|facts| facts.labels.clone()).unwrap_or_default();
        around
    }
}

/// What models see of nodes: which kinds there are that take pods, told apart by platform and by the labels that a template may
/// ask for. Each node has a host name of its own, and no kind.
pub(super) fn kinds_of_node(nodes: &Index<NodeFacts>) -> BTreeSet<(Platform, Vec<(String, String)>)> {
    let kind = |place: &placement::Node| {
        let labels = place.labels.iter().filter(|(name, _)| *name != placement::HOST_NAME);
        (place.platform.clone(), labels.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    places(&nodes.all()).into_iter().map(kind).collect()
}

/// One model as it stands.
pub struct Observed {
    pub owner: Owner,
    pub generation: i64,
    pub status: ModelDeploymentStatus,
    /// How predictions are read, as found from answers; the status may not say it yet.
    pub found: Option<FoundReading>,
    /// Whether they are read at all; filled in by who may ask.
    pub answers: Answers,
    pub deployment: Option<DeploymentFacts>,
    /// That our autoscaler does not scale.
    pub idle: Option<Idle>,
    pub pods: Vec<PodFacts>,
    /// Stored templates, the wanted one first.
    pub revisions: Vec<Revision>,
    /// Our children of every kind.
    pub live: Vec<Arc<Live>>,
    /// The nodes.
    pub nodes: Vec<Arc<NodeFacts>>,
    /// The platforms that count for this model: at first those of all nodes that take pods, see [`Observed::place`].
    pub platforms: BTreeSet<Platform>,
    /// What there is to monitor the model with.
    pub around: Surroundings,
    /// What the Secret of its mail says; filled in by who may ask for it.
    pub mail: MailSecret,
    /// Whether it is this model's turn to replace a digest that is lost; filled in by who gives turns.
    pub in_turn: bool,
    /// What MLflow has said of its versions; filled in by who may ask it.
    pub runs: Heard,
}

impl Observed {
    /// Reads the caches.
    pub fn read(caches: &Caches, owner: Owner, generation: i64, status: ModelDeploymentStatus) -> Self {
        let model = (owner.namespace.clone(), owner.name.clone());
        let live: Vec<Arc<Live>> = ChildKind::all()
            .flat_map(|kind| caches.children(kind).group(&model))
            .filter(|live| live.belongs_to(&owner))
            .collect();
        let of = |kind: ChildKind| live.iter().filter(move |live| live.kind == kind && !live.deleting);
        let revisions = newest_first(of(ChildKind::ControllerRevision).filter_map(|live| live.revision()));
        let nodes = caches.nodes.all();
        let mut around = caches.surroundings(&owner.namespace);
        around.bindings = live.iter().flat_map(|live| bound(live)).collect();
        // From here on versions go by one name.
        let name = |image: &mut String| {
            if let Some(version) = version_of(&revisions, image) {
                *image = version;
            }
        };
        // One that is being deleted, too: until it is gone its pods answer.
        let mut deployment =
            live.iter().filter(|live| live.kind == ChildKind::Deployment).find_map(|live| live.deployment());
        let mut pods: Vec<PodFacts> = caches.pods.group(&model).iter().map(|pod| PodFacts::clone(pod)).collect();
        deployment.iter_mut().for_each(|facts| name(&mut facts.image));
        pods.iter_mut().for_each(|facts| name(&mut facts.image));
        Self {
            deployment,
            idle: of(ChildKind::HorizontalPodAutoscaler).find_map(|live| live.idle()),
            pods,
            revisions,
            platforms: placement::platforms(None, &places(&nodes)),
            nodes,
            around,
            mail: MailSecret::None,
            in_turn: false,
            runs: Heard::new(),
            live,
            owner,
            generation,
            found: status.predictions.clone(),
            answers: Answers::Unknown,
            status,
        }
    }

    /// Whether users are answered.
    pub fn serves(&self) -> bool {
        self.deployment.as_ref().is_some_and(|facts| facts.available > 0)
    }

    /// Why the autoscaler that the spec asks for does not scale, and from when on that is told, unless at once. What may pass
    /// does not pass before a replica answers, and other conditions say why none does.
    pub fn unscaled(&self, spec: &ValidSpec) -> Option<(String, Option<Timestamp>)> {
        let idle = self.idle.as_ref().filter(|_| matches!(spec.scale, Scale::Auto { .. }))?;
        let due = idle.due();
        (self.serves() || due.is_none()).then(|| (idle.words(&self.owner), due))
    }

    /// Takes in what the spec demands of nodes.
    pub fn place(mut self, spec: &ValidSpec) -> Self {
        self.platforms = placement::platforms(spec.pod_template.as_ref(), &places(&self.nodes));
        self
    }

    /// The template, kept from nodes that cannot run the image.
    pub fn steered(&self, template: Value, image: Option<&ImageDetails>) -> Value {
        placement::steered(template, image, &places(&self.nodes))
    }

    /// What is to be said of nodes that cannot run the image of a template, once it is known what the image is for.
    pub fn misplaced(&self, spec: &ValidSpec, seen: &Observation, digest: &Digest, template: &Value) -> Option<String> {
        // What is stored first, so that a controller that has just started says the same.
        let stored = self.stored(&spec.image.repository.to_string()).into_iter().find(|known| known.digest == *digest);
        let image = stored.as_deref().or_else(|| seen.details(digest))?;
        placement::warning(spec.pod_template.as_ref(), template, image, &places(&self.nodes))
    }

    /// The digest of this repository that was wanted last: what the newest stored template says, since a Deployment may
    /// have been edited by hand; else what the Deployment says.
    pub fn running(&self, repository: &str) -> Option<Digest> {
        let wanted = self.revisions.first().map(|revision| revision.image.as_str());
        let image = wanted.or(self.deployment.as_ref().map(|deployment| deployment.image.as_str()))?;
        let (running, digest) = image.split_once('@')?;
        (running == repository).then(|| Digest::parse(digest).ok()).flatten()
    }

    /// What pods of the version that was wanted last pull: its digest, or that of the image in it.
    pub fn pulled(&self, repository: &str) -> Option<Digest> {
        let running = self.running(repository)?;
        let pulls = self.revisions.first().and_then(|newest| newest.pulls().split_once('@'));
        pulls.map_or(Some(running), |(_, digest)| Digest::parse(digest).ok())
    }

    /// What the stored templates tell of the digests of this repository: the newest of each.
    pub fn stored(&self, repository: &str) -> Vec<Arc<ImageDetails>> {
        let mut known = BTreeMap::new();
        for revision in &self.revisions {
            let Some((of, digest)) = revision.image.split_once('@') else { continue };
            if of == repository
                && let Some(details) = revision.details(digest)
            {
                known.entry(details.digest.clone()).or_insert_with(|| Arc::new(details));
            }
        }
        known.into_values().collect()
    }

    /// The labels of a version by its image, `repository@sha256:…`: those stored with its template, with which it runs;
    /// else what the registry says of this repository.
    pub fn labels<'a>(&'a self, image: &str, repository: &str, seen: &'a Observation) -> Option<&'a Labels> {
        let stored = self.revisions.iter().filter(|revision| revision.image == image);
        stored.filter_map(|revision| revision.labels.as_ref()).next().or_else(|| {
            let (of, digest) = image.split_once('@')?;
            seen.labels(&Digest::parse(digest).ok()?).filter(|_| of == repository)
        })
    }
}

/// What prometheus-operator says of an object.
fn bound(live: &Live) -> impl Iterator<Item = Bound> {
    let object = live.kind.optional().into_iter();
    object.flat_map(move |object| {
        live.bindings.iter().map(move |binding| Bound { object, name: live.name.clone(), binding: binding.clone() })
    })
}

fn newest_first(revisions: impl Iterator<Item = Revision>) -> Vec<Revision> {
    let mut revisions: Vec<Revision> = revisions.collect();
    revisions.sort_by(|a, b| b.number.cmp(&a.number).then_with(|| a.name.cmp(&b.name)));
    revisions
}

/// The version whose pods pull this image; of several the one that was wanted last.
fn version_of(revisions: &[Revision], image: &str) -> Option<String> {
    let of_image = revisions.iter().find(|revision| revision.pulls() == image);
    of_image.map(|revision| revision.image.clone())
}

/// The nodes that take pods.
fn places(nodes: &[Arc<NodeFacts>]) -> Vec<&placement::Node> {
    nodes.iter().filter_map(|node| node.place.as_ref()).collect()
}
