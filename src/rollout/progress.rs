//! How far the wanted version has got, with the reason when it does not get on.

use super::{
    facts::{DeploymentFacts, Kind, PodFacts},
    remedy,
};
use crate::api::{names, valid::ValidSpec};

/// Where a roll-out stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is no Deployment yet.
    NotStarted,
    /// On its way; `why` names what it waits for, if something is in the way already.
    Rolling { why: Option<Reason> },
    /// The deadline has passed.
    Stuck(Reason),
    /// The API server refuses the pods.
    Refused(Reason),
    /// Every pod runs the wanted template.
    Complete,
}

/// A condition's reason and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub reason: &'static str,
    pub message: String,
}

/// Judges a Deployment and its pods. `wanted` is the image that the template should hold.
pub fn judge(spec: &ValidSpec, wanted: &str, deployment: Option<&DeploymentFacts>, pods: &[PodFacts]) -> Progress {
    let Some(deployment) = deployment else { return Progress::NotStarted };
    if deployment.image != wanted || !deployment.observed {
        return Progress::Rolling { why: None };
    }
    if let Some(words) = &deployment.refused {
        return Progress::Refused(Reason {
            reason: "PodsRefused",
            message: format!("the API server refuses the pods: {words}"),
        });
    }
    if deployment.complete() {
        return Progress::Complete;
    }
    if deployment.paused {
        let message = "the Deployment was paused by hand; kubectl rollout resume lets it go on".into();
        return Progress::Stuck(Reason { reason: "Paused", message });
    }
    let why = trouble(spec, wanted, pods);
    let ours = || pods.iter().filter(|pod| pod.image == wanted && !pod.leaving);
    // After a return to a version whose pods still serve, the condition speaks of the version in between for a moment.
    let all_ready = ours().next().is_some() && ours().all(|pod| pod.ready);
    match deployment.overdue && !all_ready {
        false => Progress::Rolling { why },
        true => Progress::Stuck(why.unwrap_or_else(|| late(spec, wanted, pods))),
    }
}

/// The worst trouble of the pods that run the wanted image.
pub fn trouble(spec: &ValidSpec, wanted: &str, pods: &[PodFacts]) -> Option<Reason> {
    let ours = pods.iter().filter(|pod| pod.image == wanted && !pod.leaving);
    let troubled = ours.filter_map(|pod| Some((pod.told()?, pod)));
    // Of several in the same trouble always the same one, or the words would go to and fro.
    let (trouble, pod) = troubled.min_by(|(a, x), (b, y)| (&a.kind, &x.name).cmp(&(&b.kind, &y.name)))?;
    Some(remedy::of(spec, &trouble, pod))
}

/// Why a pod of that image waits for it: its node cannot pull it.
pub fn unpulled(spec: &ValidSpec, wanted: &str, pods: &[PodFacts]) -> Option<Reason> {
    let ours = pods.iter().filter(|pod| pod.image == wanted && !pod.leaving);
    let waits = |pod: &&PodFacts| {
        let trouble = pod.trouble.as_ref();
        trouble.is_some_and(|it| matches!(it.kind, Kind::Pull(_)) && it.container == names::MODEL_CONTAINER)
    };
    let pod = ours.filter(waits).min_by_key(|pod| &pod.name)?;
    Some(remedy::of(spec, pod.trouble.as_ref()?, pod))
}

/// The deadline has passed, and no pod that lives is in a trouble that has a name.
fn late(spec: &ValidSpec, wanted: &str, pods: &[PodFacts]) -> Reason {
    let ours = || pods.iter().filter(|pod| pod.image == wanted);
    let living = || ours().filter(|pod| !pod.leaving);
    if let Some(pod) = living().filter(|pod| pod.started && !pod.ready).min_by_key(|pod| &pod.name) {
        return remedy::no_answer(spec, pod);
    }
    // A node that takes pods and ends each again: of what lives there is nothing to tell but that it is new.
    let ended = ours().filter_map(|pod| Some((pod, pod.fate.as_deref()?)));
    if let Some((pod, fate)) = ended.min_by_key(|(pod, _)| &pod.name) {
        return remedy::ended(pod, fate);
    }
    remedy::not_started(living().filter(|pod| !pod.started).min_by_key(|pod| &pod.name))
}

/// The image that users get: what every pod runs once a roll-out is complete; before that, what the serving pods ran
/// before it, if any of them still serves. `None` when nothing serves, and for the moment between the last pod that got
/// ready and the Deployment's word that all is done: pods are heard of first.
pub fn served(deployment: Option<&DeploymentFacts>, pods: &[PodFacts], progress: &Progress) -> Option<String> {
    let deployment = deployment?;
    if *progress == Progress::Complete && (deployment.available > 0 || deployment.wanted == 0) {
        return Some(deployment.image.clone());
    }
    let serving = || pods.iter().filter(|pod| pod.ready && !pod.leaving);
    if let Some(before) = serving().find(|pod| pod.image != deployment.image) {
        return Some(before.image.clone());
    }
    let rolling = matches!(progress, Progress::Rolling { .. }) && !deployment.complete();
    let about_to_end = rolling && serving().count() >= wanted(deployment);
    serving().next().filter(|_| !about_to_end).map(|pod| pod.image.clone())
}

fn wanted(deployment: &DeploymentFacts) -> usize {
    usize::try_from(deployment.wanted).unwrap_or(0)
}

#[cfg(test)]
#[path = "tests/progress.rs"]
mod tests;
