//! What should be, given what is. Pure: no cluster, no clock.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{
    compare::first_difference,
    live::Live,
    observe::Observed,
    readings,
    training::{self, Admission, Held},
};
use crate::{
    api::{
        Meaning,
        conditions::Judgement,
        meaning, names,
        spec::Strategy,
        valid::{Scale, ValidSpec},
    },
    images::{Digest, Labels, Observation},
    monitoring::{self, Bundle, MailDefaults, Presence, Renderer},
    resources::{
        Child, ChildKind, Owner, Track, autoscaler, deployment, disruption_budget,
        exporter::{self, Sidecar},
        network_policy,
        revision::{self, Revision},
        service, template,
    },
    rollout::{Progress, Target, placement, progress, target},
};

/// Renders a pod template. A parameter, so that a test can stand in for a later release of Modelship.
pub type Render = fn(&Owner, &ValidSpec, &Digest, &Sidecar, &Map<String, Value>) -> Value;

/// What this release of Modelship makes of a spec.
#[derive(Clone, Debug)]
pub struct Release {
    /// [`template::render`], unless a test stands in for a later release.
    pub render: Render,
    pub sidecar: Sidecar,
    pub mail: MailDefaults,
    /// Of dashboards and rules.
    pub renderer: Arc<Renderer>,
}

/// What should be done for one model.
#[derive(Clone, Debug)]
pub struct Plan {
    pub service: Child,
    pub metrics_service: Option<Child>,
    /// The exporter's settings.
    pub settings: Option<Child>,
    pub network_policy: Option<Child>,
    /// The stored template and the Deployment around it; absent while no version is known.
    pub workload: Option<Workload>,
    pub budget: Option<Child>,
    pub autoscaler: Option<Child>,
    /// `None`: switched off.
    pub monitoring: Option<Bundle>,
    /// Ours, and not wanted any more.
    pub orphans: Vec<Arc<Live>>,
    pub target: Target,
    /// The newest version, if it may not run.
    pub held: Option<Held>,
    /// Whether the newest version has reached what is required; `None` where nothing is.
    pub accepted: Option<Judgement>,
    pub progress: Progress,
    /// The spec, where the wanted version says more of its predictions.
    pub completed: Option<ValidSpec>,
}

impl Plan {
    /// The spec, completed by what the wanted version says itself of its predictions.
    pub fn spec<'a>(&'a self, spec: &'a ValidSpec) -> &'a ValidSpec {
        self.completed.as_ref().unwrap_or(spec)
    }
}

/// The stored template and the Deployment around it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The version, `repository@sha256:…`; its pods may pull the image in it.
    pub image: String,
    /// What its labels say.
    pub meaning: Meaning,
    /// What its pods were told that they say of predictions: nothing, when that was not known as the template was made.
    profile: Map<String, Value>,
    pub revision: Child,
    pub deployment: Child,
    /// The live number of replicas, when Modelship stops sending it and it must be kept.
    pub hand_over: Option<i32>,
}

impl Workload {
    /// Whether the live Deployment holds the wanted template.
    fn is_live(&self, observed: &Observed) -> bool {
        let live = observed.live.iter().find(|live| live.kind == ChildKind::Deployment && !live.deleting);
        live.is_some_and(|live| {
            let template = |deployment: &Value| deployment["spec"]["template"].clone();
            live.intent.as_deref() == Some(&self.deployment.hash)
                || first_difference(&template(&self.deployment.body), &template(&live.value())).is_none()
        })
    }
}

/// What the registry and the spec want to run, whatever it was trained to.
pub(super) fn target(spec: &ValidSpec, seen: &Observation, observed: &Observed) -> Target {
    target_in(observed.in_turn, spec, seen, observed)
}

fn target_in(in_turn: bool, spec: &ValidSpec, seen: &Observation, observed: &Observed) -> Target {
    let digest = observed.running(&spec.image.repository.to_string());
    let stored = spec.image.pin.as_ref().is_some_and(|pin| {
        let image = template::pinned(spec, pin);
        observed.revisions.iter().any(|revision| revision.image == image)
    });
    // The strategy Recreate would stop what serves, to run the very same again.
    let spares = spec.strategy == Strategy::Rolling || !observed.serves();
    let running = target::Running {
        digest: digest.as_ref(),
        stored,
        deployed: observed.deployment.is_some(),
        lost: spares && is_lost(spec, seen, observed),
        in_turn,
    };
    target::decide(&spec.image, running, seen, &observed.platforms)
}

/// Whether no node could pull what runs, and could by another digest: by the registry's word, or by that of a node that tried.
pub(super) fn is_lost(spec: &ValidSpec, seen: &Observation, observed: &Observed) -> bool {
    let repository = spec.image.repository.to_string();
    let running = observed.running(&repository);
    // By another digest the same would be pulled.
    if running != observed.pulled(&repository) {
        return false;
    }
    let image = running.map(|digest| template::pinned(spec, &digest));
    let tried = || observed.pods.iter().any(|pod| Some(&pod.image) == image.as_ref() && pod.lacks_image());
    seen.pullable == Some(false) || tried()
}

/// Whether another digest would take the place of one that is lost, were it the model's turn.
pub fn replaces(spec: &ValidSpec, seen: &Observation, observed: &Observed) -> bool {
    target_in(true, spec, seen, observed).replaces.is_some()
}

/// Decides for a valid spec.
pub fn decide(
    stored_spec: &Value,
    spec: &ValidSpec,
    seen: &Observation,
    observed: &Observed,
    release: &Release,
) -> Plan {
    let owner = &observed.owner;
    let running = observed.running(&spec.image.repository.to_string());
    let Admission { target, held, accepted } =
        training::admit(spec, target(spec, seen, observed), running.as_ref(), seen, observed);
    let workload = target.digest.as_ref().map(|digest| workload(stored_spec, spec, digest, seen, observed, release));
    let budget = disruption_budget::build(owner, spec);
    let autoscaler = autoscaler::build(owner, spec);
    let progress = match &workload {
        None => Progress::NotStarted,
        // The image alone does not tell: other variables or resources are another template with the same image.
        Some(workload) if observed.deployment.is_some() && !workload.is_live(observed) => {
            Progress::Rolling { why: None }
        }
        Some(workload) => progress::judge(spec, &workload.image, observed.deployment.as_ref(), &observed.pods),
    };
    let completed = match workload.as_ref().map(|workload| meaning::completed(spec, &workload.profile)) {
        Some(Cow::Owned(completed)) => Some(completed),
        _ => None,
    };
    let watched = completed.as_ref().unwrap_or(spec);
    let found = readings::handed_on(watched, observed.found.as_ref(), target.digest.as_ref());
    let (metrics_service, settings) = (exporter::metrics_service(owner, spec), exporter::settings(owner, spec, found));
    let network_policy = network_policy::build(owner, spec);
    let monitoring =
        monitoring::bundle(&release.renderer, owner, watched, &observed.around, &release.mail, &observed.mail);
    let watching = monitoring.iter().flat_map(|bundle| &bundle.children);
    let parts: Vec<&Child> = [&budget, &autoscaler, &network_policy, &metrics_service, &settings]
        .into_iter()
        .flatten()
        .chain(watching)
        .collect();
    Plan {
        service: service::build(owner, spec),
        orphans: orphans(spec, observed, workload.as_ref(), &parts),
        metrics_service,
        settings,
        network_policy,
        workload,
        budget,
        autoscaler,
        monitoring,
        target,
        held,
        accepted,
        progress,
        completed,
    }
}

fn workload(
    stored_spec: &Value,
    spec: &ValidSpec,
    digest: &Digest,
    seen: &Observation,
    observed: &Observed,
    release: &Release,
) -> Workload {
    let owner = &observed.owner;
    let image = template::pinned(spec, digest);
    let labels = observed.labels(&image, &spec.image.repository.to_string(), seen);
    let meaning = labels.map(Meaning::of).unwrap_or_default();
    let hash = template::inputs_hash(stored_spec, &image);
    let newest = observed.revisions.first().map_or(0, |revision| revision.number);
    let wanted = match observed.revisions.iter().find(|revision| revision.inputs_hash == hash) {
        Some(known) if known.number == newest => known.clone(),
        Some(known) => Revision { number: newest + 1, ..known.clone() },
        None => {
            let mut template = (release.render)(owner, spec, digest, &release.sidecar, &meaning.predictions);
            // What the registry says now: an earlier release stored labels alone.
            let python_path = seen.labels(digest).or(labels).and_then(Labels::python_path);
            if let Some(path) = python_path.filter(|_| spec.exporter.is_some() && spec.server.python_metrics) {
                exporter::lead_python_path_of_image(&mut template, path);
            }
            let details = seen.details(digest);
            let mut template = observed.steered(template, details);
            // An index is collected once its tag moves on, even to one that holds the same image.
            if let Some(only) = details.and_then(|index| placement::only_image(&template, index)) {
                template::pull(&mut template, &spec.image.repository.at(only));
            }
            let new = Revision::new(owner, newest + 1, hash, image.clone(), template).described(details);
            Revision { labels: labels.cloned(), ..new }
        }
    };
    let deployment = deployment::build(owner, spec, &wanted.template, Track::Stable);
    let profile = wanted.labels.as_ref().map(|_| meaning.predictions.clone()).unwrap_or_default();
    let revision = wanted.child(owner);
    Workload { image, meaning, profile, revision, hand_over: hand_over(spec, observed), deployment }
}

/// Server-side apply drops a field that its last manager stops sending, and `replicas` would fall back to 1.
fn hand_over(spec: &ValidSpec, observed: &Observed) -> Option<i32> {
    if matches!(spec.scale, Scale::Fixed(_)) {
        return None;
    }
    let live = observed.live.iter().find(|live| live.kind == ChildKind::Deployment && !live.deleting)?;
    live.has_annotation(names::SENDS_REPLICAS).then(|| observed.deployment.as_ref().map(|facts| facts.wanted)).flatten()
}

fn orphans(spec: &ValidSpec, observed: &Observed, workload: Option<&Workload>, parts: &[&Child]) -> Vec<Arc<Live>> {
    let wanted = workload.map(|workload| workload.revision.name.as_str());
    // The wanted one is kept whatever its number, and those by which what runs has its name; of the others the newest.
    let newest = observed.revisions.iter().map(|revision| revision.name.as_str()).filter(|name| Some(*name) != wanted);
    let kept: Vec<&str> = newest.take(revision::LIMIT - 1).chain(wanted).chain(named_by(observed)).collect();
    let asked = |live: &Live| parts.iter().any(|child| (child.kind, &child.name) == (live.kind, &live.name));
    let made = |live: &Live| live.kind.is_name(&observed.owner.name, &live.name);
    let unwanted = |live: &&Arc<Live>| match live.kind {
        ChildKind::Deployment => false,
        ChildKind::Service => live.name != observed.owner.name && made(live) && !asked(live),
        // By the spec alone: a Secret or a definition that is missing for a while takes nothing away.
        ChildKind::ServiceMonitor | ChildKind::PrometheusRule | ChildKind::AlertmanagerConfig => {
            let known = live.kind.optional().is_some_and(|kind| observed.around.presence(kind) == Presence::Ready);
            known && made(live) && !monitoring::bundle::wants(&observed.owner, spec, live.kind, &live.name)
        }
        ChildKind::PodDisruptionBudget
        | ChildKind::HorizontalPodAutoscaler
        | ChildKind::NetworkPolicy
        | ChildKind::ConfigMap => made(live) && !asked(live),
        // Without a known version nothing is tidied up, and never what another release has stored in its own way.
        ChildKind::ControllerRevision => {
            let readable = observed.revisions.iter().any(|revision| revision.name == live.name);
            wanted.is_some() && readable && !kept.contains(&live.name.as_str())
        }
    };
    observed.live.iter().filter(|live| !live.deleting).filter(unwanted).cloned().collect()
}

/// The templates that tell which version it is that users get, and that pods run: of each image that is pulled the newest.
fn named_by(observed: &Observed) -> impl Iterator<Item = &str> {
    let stable = observed.status.stable.as_ref().map(|stable| format!("{}@{}", stable.repository, stable.digest));
    let running =
        observed.deployment.iter().map(|facts| &facts.image).chain(observed.pods.iter().map(|pod| &pod.image));
    let images: BTreeSet<String> = running.cloned().chain(stable).collect();
    let mut pulled = BTreeSet::new();
    let of_image = observed.revisions.iter().filter(move |revision| images.contains(&revision.image));
    of_image.filter(move |revision| pulled.insert(revision.pulls())).map(|revision| revision.name.as_str())
}

#[cfg(test)]
#[path = "tests/world.rs"]
pub(super) mod world;

#[cfg(test)]
#[path = "tests/decide.rs"]
mod tests;

#[cfg(test)]
#[path = "tests/labels.rs"]
pub(super) mod labels;

#[cfg(test)]
#[path = "tests/health.rs"]
mod health;

#[cfg(test)]
#[path = "tests/same_image.rs"]
mod same_image;
