//! How far the wanted version has got, with the reason when it does not get on.

use super::facts::{DeploymentFacts, PodFacts, Trouble};
use crate::api::valid::ValidSpec;

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
        true => Progress::Stuck(why.unwrap_or_else(|| match ours().any(|pod| pod.started) {
            true => no_answer(spec),
            false => not_started(),
        })),
    }
}

/// The worst trouble of the pods that run the wanted image.
pub fn trouble(spec: &ValidSpec, wanted: &str, pods: &[PodFacts]) -> Option<Reason> {
    let worst =
        pods.iter().filter(|pod| pod.image == wanted && !pod.leaving).filter_map(|pod| pod.trouble.as_ref()).min()?;
    Some(match worst {
        Trouble::Unschedulable(words) => Reason {
            reason: "Unschedulable",
            message: format!("no node can take the pod: {words}"),
        },
        Trouble::ImagePull => Reason {
            reason: "ImagePullFailed",
            message: "the node cannot pull the image; kubectl describe pod tells why (for a private repository, name its Secret in spec.image.pullSecrets)".into(),
        },
        Trouble::Configuration => Reason {
            reason: "ConfigurationMissing",
            message: "the container cannot be created; a Secret or ConfigMap named in spec.server.env or spec.podTemplate may be missing (kubectl describe pod names it)".into(),
        },
        // MLflow's images end with 0 when their server crashes, and when they are stopped: the code tells nothing.
        Trouble::Crashing { exit_code: 0 } => Reason {
            reason: "CrashLooping",
            message: format!(
                "the container ends (exit code 0): by itself, or because it did not answer {} in time (see spec.server.port and spec.server.startupTimeout); kubectl logs --previous shows what the model says",
                asked(spec)
            ),
        },
        Trouble::Crashing { exit_code } => Reason {
            reason: "CrashLooping",
            message: format!("the container ends with exit code {exit_code}; kubectl logs shows what the model says"),
        },
        Trouble::OutOfMemory => Reason {
            reason: "OutOfMemory",
            message: "the container needs more memory than its limit; raise spec.server.resources.limits.memory or lower spec.server.workers".into(),
        },
        Trouble::NotAnswering => no_answer(spec),
        Trouble::Waiting(state) => Reason {
            reason: "Waiting",
            message: format!("the container waits: {state}; kubectl describe pod tells more"),
        },
    })
}

fn asked(spec: &ValidSpec) -> String {
    let port = spec.server.port;
    match &spec.server.health_path {
        Some(path) => format!("GET {path} on port {port}"),
        None => format!("port {port}"),
    }
}

fn not_started() -> Reason {
    Reason {
        reason: "Waiting",
        message: "the container has not started yet: the pull takes longer than spec.rollout.deadline, or a volume cannot be mounted; kubectl describe pod tells which".into(),
    }
}

fn no_answer(spec: &ValidSpec) -> Reason {
    let asked = asked(spec);
    Reason {
        reason: "NotAnswering",
        message: format!(
            "the container runs but does not answer {asked}; check that the model listens on spec.server.port on all interfaces, and that it loads within spec.server.startupTimeout"
        ),
    }
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
