//! What a roll-out is judged by, reduced from Deployments and pods at the watch's edge.

use std::net::IpAddr;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus},
};
use serde_json::Value;

use super::kubelet::{self, Pull, Start};
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

    /// Takes out of a Deployment's status what [`DeploymentFacts::of`] does not read: while pods come and go the rest changes
    /// more often than what anybody looks at.
    pub fn reduce(status: &mut Value) {
        let Some(fields) = status.as_object_mut() else { return };
        fields.retain(|field, _| {
            ["observedGeneration", "replicas", "updatedReplicas", "availableReplicas", "conditions"]
                .contains(&field.as_str())
        });
        for condition in fields.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
            let kept: &[&str] = match condition["type"].as_str() {
                Some("ReplicaFailure") => &["type", "status", "message"],
                Some("Progressing") => &["type", "status", "reason"],
                _ => &["type", "status"],
            };
            if let Some(condition) = condition.as_object_mut() {
                condition.retain(|field, _| kept.contains(&field.as_str()));
            }
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

/// What keeps a pod from serving, the worst first. Derived from states, codes and classes of words ([`kubelet`]), never from
/// a whole sentence: those change with every attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Unschedulable,
    Pull(Pull),
    /// The container is not made, or not started.
    Start(Start),
    Crashing {
        exit_code: i32,
    },
    OutOfMemory,
    /// The container was killed because its start-up or liveness probe got no answer.
    NotAnswering,
    /// Something else that a container waits for, by the kubelet's reason.
    Waiting(String),
}

/// One pod's trouble.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    pub kind: Kind,
    /// Whose it is; empty for the pod's own.
    pub container: String,
    /// The scheduler's or the kubelet's own words, without what is another at each attempt; may be empty.
    pub says: String,
}

/// What the exporter beside a model that does not get ready knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwell {
    /// What its health path is answered with; `None`: its port refuses connections.
    pub status: Option<u16>,
    /// Ports of the pod that are listened on, those of the exporter and of the model's metrics left out.
    pub listening: Vec<u16>,
}

impl Unwell {
    /// Whether it tells a wrong port or path from a model that is still loading.
    pub fn tells(&self) -> bool {
        self.status.map_or(!self.listening.is_empty(), |status| (400..500).contains(&status))
    }
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
    /// It ends or has ended: it is being deleted, evicted or preempted, or its node shuts down. Whatever its containers say,
    /// its successor is asked.
    pub leaving: bool,
    /// Why it has ended without having been deleted: another takes its place.
    pub fate: Option<String>,
    /// Its volumes are mounted and its network is set up; `None` where the kubelet does not tell.
    pub prepared: Option<bool>,
    /// How often the model's container was started anew.
    pub restarts: i32,
    pub trouble: Option<Trouble>,
    /// What its exporter says, once it was asked; no watch tells that.
    pub unwell: Option<Unwell>,
    /// There is no container beside the model's and the exporter's that could listen on a port.
    pub alone: bool,
    pub address: Option<IpAddr>,
}

impl PodFacts {
    /// Whether its exporter may know why it is not ready.
    pub fn may_be_unwell(&self) -> bool {
        let silent = self
            .trouble
            .as_ref()
            .is_none_or(|trouble| matches!(trouble.kind, Kind::NotAnswering | Kind::Crashing { exit_code: 0 }));
        self.started && !self.ready && !self.leaving && silent
    }

    /// Whether its node has been told that the image of the model is not there.
    pub fn lacks_image(&self) -> bool {
        let absent = |trouble: &Trouble| {
            trouble.kind == Kind::Pull(Pull::NotFound) && trouble.container == names::MODEL_CONTAINER
        };
        !self.leaving && self.trouble.as_ref().is_some_and(absent)
    }

    /// What keeps it from serving, by its own status or else as its exporter tells.
    pub fn told(&self) -> Option<Trouble> {
        let unwell = || {
            let told = self.alone && self.unwell.as_ref().is_some_and(Unwell::tells);
            let container = names::MODEL_CONTAINER.to_owned();
            told.then(|| Trouble { kind: Kind::NotAnswering, container, says: String::new() })
        };
        self.trouble.clone().or_else(unwell)
    }

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
        let holds = |kind: &str| condition(kind).map(|condition| condition.status == "True");
        let unschedulable = condition("PodScheduled")
            .filter(|condition| condition.reason.as_deref() == Some("Unschedulable"))
            .map(|condition| Trouble {
                kind: Kind::Unschedulable,
                container: String::new(),
                says: obstacles(condition.message.as_deref().unwrap_or_default()),
            });
        let ended = status.is_some_and(|status| matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")));
        // Who evicts, preempts or shuts down says so before the containers end.
        let disrupted = holds("DisruptionTarget").unwrap_or(false);
        Some(Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            model: labels.get(names::MODEL)?.clone(),
            image: container.image.clone().unwrap_or_default(),
            ready: holds("Ready").unwrap_or(false),
            started: model.is_some_and(|model| model.state.iter().chain(model.last_state.as_ref()).any(has_run)),
            leaving: ended || disrupted || pod.metadata.deletion_timestamp.is_some(),
            fate: status.filter(|_| ended).map(fate),
            prepared: holds("PodReadyToStartContainers"),
            restarts: model.map_or(0, |model| model.restart_count),
            trouble: unschedulable.or_else(containers),
            unwell: None,
            alone: spec.containers.iter().all(|other| OURS.contains(&other.name.as_str()))
                && !spec.init_containers.iter().flatten().any(|init| init.restart_policy.is_some()),
            address: status.and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
        })
    }
}

const OURS: [&str; 2] = [names::MODEL_CONTAINER, names::EXPORTER_CONTAINER];

/// Such as `Evicted: The node was low on resource: memory. …`.
fn fate(status: &PodStatus) -> String {
    let part = |part: &Option<String>| part.clone().filter(|part| !part.is_empty());
    let parts = [part(&status.reason), part(&status.message).map(|said| kubelet::settled(&said))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
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
    let of = |kind: Kind, said: &str| {
        Some(Trouble { kind, container: container.name.clone(), says: kubelet::settled(said) })
    };
    let (state, last) = (container.state.as_ref(), container.last_state.as_ref());
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    let said = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
    let now = match reason {
        Some(
            reason @ ("ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "RegistryUnavailable"
            | "ImageInspectError"
            | "SignatureValidationFailed"),
        ) => return of(Kind::Pull(kubelet::pull(reason, said)), said),
        // It is told anew at each try, and no container is there that could tell otherwise.
        Some("CreateContainerConfigError" | "CreateContainerError") => return of(not_started(said), said),
        Some("RunContainerError") => of(not_started(said), said),
        Some("ContainerCreating" | "PodInitializing" | "CrashLoopBackOff") | None => None,
        Some(other) => of(Kind::Waiting(other.to_owned()), said),
    };
    // A container that crashed before is in trouble while it starts once more, too: the answer must not flip with every
    // turn of the loop. Between two tries the kubelet shows only how the last one ended.
    [state, last]
        .into_iter()
        .find_map(|state| {
            let ended = state?.terminated.as_ref()?;
            of(how(ended)?, started_by(ended).unwrap_or_default())
        })
        .or(now)
}

fn not_started(said: &str) -> Kind {
    match kubelet::is_out_of_memory(said) {
        true => Kind::OutOfMemory,
        false => Kind::Start(kubelet::start(said)),
    }
}

/// The runtime's words about a container that it could not start. Of one that did start the words are the program's own.
fn started_by(ended: &ContainerStateTerminated) -> Option<&str> {
    let reason = ended.reason.as_deref()?;
    matches!(reason, "StartError" | "ContainerCannotRun").then(|| ended.message.as_deref().unwrap_or_default())
}

/// How a container ended. 137 and 143 are SIGKILL and SIGTERM: the kubelet's own doing, after a probe failed. `None` where
/// nobody saw it end, as after a restart of the node: that is no fault of the model's.
fn how(ended: &ContainerStateTerminated) -> Option<Kind> {
    if let Some(said) = started_by(ended) {
        return Some(not_started(said));
    }
    Some(match (ended.reason.as_deref(), ended.exit_code) {
        // containerd's and the kubelet's word for it, with the made-up codes 255 and 137.
        (Some("Unknown" | "ContainerStatusUnknown"), _) => return None,
        (Some("OOMKilled"), _) => Kind::OutOfMemory,
        (_, 137 | 143) => Kind::NotAnswering,
        (_, exit_code) => Kind::Crashing { exit_code },
    })
}

#[cfg(test)]
#[path = "tests/facts.rs"]
mod tests;
