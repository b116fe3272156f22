//! What a roll-out is judged by, reduced from Deployments and pods at the watch's edge.

use std::net::IpAddr;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, ContainerStatus, Pod},
};

use crate::api::{names, units::Quantity};

/// The Deployment as its controller reports it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeploymentFacts {
    /// The image in the template, `repository@sha256:…`.
    pub image: String,
    /// The Deployment controller has seen the newest template.
    pub observed: bool,
    pub wanted: i32,
    pub existing: i32,
    pub updated: i32,
    pub available: i32,
    /// The newest template became available once (`NewReplicaSetAvailable`); scaling does not undo it.
    pub introduced: bool,
    /// The progress deadline has passed.
    pub overdue: bool,
    /// A person has paused it (`kubectl rollout pause`); the field is not ours.
    pub paused: bool,
    /// Why pods cannot be created at all: quota, Pod Security, LimitRange, in the API server's words.
    pub refused: Option<String>,
    /// Limits of the model's container, in thousandths of a core, and in bytes.
    pub cpu_limit: Option<i64>,
    pub memory_limit: Option<i64>,
}

impl DeploymentFacts {
    pub fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let status = deployment.status.clone().unwrap_or_default();
        let condition = |kind: &str| status.conditions.iter().flatten().find(|condition| condition.type_ == kind);
        let progressing = condition("Progressing");
        let reason = progressing.and_then(|condition| condition.reason.as_deref()).unwrap_or_default();
        let observed = status.observed_generation >= deployment.metadata.generation;
        let model = spec
            .and_then(|spec| spec.template.spec.as_ref())
            .and_then(|pod| pod.containers.iter().find(|container| container.name == names::MODEL_CONTAINER));
        let limit = |name: &str| {
            let limits = model?.resources.as_ref()?.limits.as_ref()?;
            Quantity(limits.get(name)?.0.clone()).millis().ok()
        };
        Self {
            image: model.and_then(|container| container.image.clone()).unwrap_or_default(),
            observed,
            wanted: spec.and_then(|spec| spec.replicas).unwrap_or(1),
            existing: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            introduced: reason == "NewReplicaSetAvailable",
            paused: spec.and_then(|spec| spec.paused).unwrap_or(false),
            overdue: observed && reason == "ProgressDeadlineExceeded",
            refused: condition("ReplicaFailure")
                .filter(|condition| condition.status == "True")
                .map(|condition| condition.message.clone().unwrap_or_default()),
            cpu_limit: limit("cpu"),
            memory_limit: limit("memory").map(|millis| millis / 1000),
        }
    }

    /// The whole Deployment runs its newest template.
    pub fn complete(&self) -> bool {
        // With Recreate no pod exists between the versions, and the condition still speaks of the one before.
        let any = self.updated > 0 || self.wanted == 0;
        // Pausing takes the place of the condition's reason; what serves completely goes on doing so.
        let introduced = self.introduced || (self.paused && self.available >= self.wanted);
        self.observed && introduced && self.existing == self.updated && any
    }
}

/// What keeps a pod from serving, by kind. Derived from states and codes, never from the kubelet's sentences: those change
/// with every attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    Unschedulable(String),
    ImagePull,
    /// A Secret, ConfigMap or volume that the pod refers to is not there.
    Configuration,
    Crashing {
        exit_code: i32,
    },
    OutOfMemory,
    /// The container was killed because its start-up or liveness probe got no answer.
    NotAnswering,
    /// Something else that a container waits for.
    Waiting(String),
}

/// One pod of a model, reduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    pub namespace: String,
    pub name: String,
    pub model: String,
    /// The image that the pod was told to run.
    pub image: String,
    pub ready: bool,
    /// The model's container runs, or has run.
    pub started: bool,
    pub leaving: bool,
    /// How often the model's container was started anew.
    pub restarts: i32,
    pub trouble: Option<Trouble>,
    pub address: Option<IpAddr>,
}

impl PodFacts {
    /// `None` for a pod that is no model's.
    pub fn of(pod: &Pod) -> Option<Self> {
        let labels = pod.metadata.labels.as_ref()?;
        let spec = pod.spec.as_ref()?;
        let container = spec.containers.iter().find(|container| container.name == names::MODEL_CONTAINER)?;
        let status = pod.status.as_ref();
        let condition = |kind: &str| {
            status.and_then(|status| status.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind))
        };
        let containers = || {
            let status = status?;
            let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
            all.filter(|container| !container.ready).find_map(container_trouble)
        };
        let model = status.and_then(|status| {
            status.container_statuses.iter().flatten().find(|container| container.name == names::MODEL_CONTAINER)
        });
        let has_run = |state: &ContainerState| state.running.is_some() || state.terminated.is_some();
        let unschedulable = condition("PodScheduled")
            .filter(|condition| condition.reason.as_deref() == Some("Unschedulable"))
            .map(|condition| Trouble::Unschedulable(obstacles(condition.message.as_deref().unwrap_or_default())));
        Some(Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            model: labels.get(names::MODEL)?.clone(),
            image: container.image.clone().unwrap_or_default(),
            ready: condition("Ready").is_some_and(|condition| condition.status == "True"),
            started: model.is_some_and(|model| model.state.iter().chain(model.last_state.as_ref()).any(has_run)),
            leaving: pod.metadata.deletion_timestamp.is_some(),
            restarts: model.map_or(0, |model| model.restart_count),
            trouble: unschedulable.or_else(containers),
            address: status.and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
        })
    }
}

/// What the scheduler says, without its numbers: "0/5 nodes are available: 2 Insufficient cpu, 3 Insufficient memory.
/// preemption: …" counts nodes, and changes whenever another pod comes or goes.
fn obstacles(words: &str) -> String {
    let reasons = words.split_once(" nodes are available: ").map_or(words, |(_, reasons)| reasons);
    let reasons = reasons.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut named: Vec<&str> =
        reasons.split(", ").map(|reason| reason.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')).collect();
    named.sort_unstable();
    named.dedup();
    named.join(", ")
}

fn container_trouble(container: &ContainerStatus) -> Option<Trouble> {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref()?.reason.as_deref());
    match waiting {
        Some(
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" | "RegistryUnavailable",
        ) => {
            return Some(Trouble::ImagePull);
        }
        Some("CreateContainerConfigError" | "CreateContainerError") => return Some(Trouble::Configuration),
        Some("ContainerCreating" | "PodInitializing" | "CrashLoopBackOff") | None => {}
        // Between two tries the kubelet shows only how the last one ended.
        Some(other) => {
            return ended(container.last_state.as_ref()).or_else(|| Some(Trouble::Waiting(other.to_owned())));
        }
    }
    // A container that crashed before is in trouble while it starts once more, too: the answer must not flip with every
    // turn of the loop.
    ended(state).or_else(|| ended(container.last_state.as_ref()))
}

/// How a container ended. 137 and 143 are SIGKILL and SIGTERM: the kubelet's own doing, after a probe failed.
fn ended(state: Option<&ContainerState>) -> Option<Trouble> {
    let ended = state?.terminated.as_ref()?;
    Some(match (ended.reason.as_deref(), ended.exit_code) {
        (Some("OOMKilled"), _) => Trouble::OutOfMemory,
        (_, 137 | 143) => Trouble::NotAnswering,
        (_, exit_code) => Trouble::Crashing { exit_code },
    })
}

#[cfg(test)]
#[path = "tests/facts.rs"]
mod tests;
