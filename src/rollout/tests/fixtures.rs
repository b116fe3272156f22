//! Digests, images, Deployments and pods for tests. Names of instances are unlike names of the product, so that swapped
//! ones show.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DeploymentFacts, PodFacts};
use crate::{
    api::ValidSpec,
    images::{Digest, ImageDetails, Observation, Platform, Problem, problem::reason},
    resources::exporter::Sidecar,
};

pub const NAMESPACE: &str = "tasting-room";
pub const NAME: &str = "grape-scorer";
pub const REPOSITORY: &str = "docker.io/vintner/wine-quality";

/// Modelship's own image.
pub fn sidecar() -> Sidecar {
    let image = format!("docker.io/modelship/modelship@{}", Digest::of("modelship"));
    Sidecar { image, pull_secrets: vec!["modelship-pull".into()] }
}

/// The digest of the `number`th push.
pub fn digest(number: u8) -> Digest {
    Digest::of([number])
}

/// The image of the `number`th push, as templates hold it.
pub fn image(number: u8) -> String {
    format!("{REPOSITORY}@{}", digest(number))
}

pub fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// The `number`th push, built for these platforms; its children are its own.
pub fn built_for(number: u8, platforms: &[&str]) -> ImageDetails {
    let child = |name: &&str| (platform(name), Digest::of(format!("{number} for {name}")));
    let platforms = platforms.iter().map(child).collect();
    ImageDetails { digest: digest(number), platforms, labels: Arc::default() }
}

/// The `number`th push, built for linux/amd64.
pub fn pushed(number: u8) -> ImageDetails {
    built_for(number, &["linux/amd64"])
}

/// A push whose images are those of another: only something beside them, such as an attestation, is new.
pub fn same_images(number: u8, other: &ImageDetails) -> ImageDetails {
    ImageDetails { digest: digest(number), ..other.clone() }
}

/// The registry's answer, complete and comparable with every push up to the tenth.
pub fn answered(latest: ImageDetails) -> Observation {
    Observation {
        details: (0..10).map(|number| (digest(number), Ok(pushed(number)))).collect(),
        images: latest.platforms.iter().map(|(_, image)| (image.clone(), Ok(()))).collect(),
        latest: Some(latest),
        ..Observation::default()
    }
}

pub fn unreachable() -> Problem {
    Problem::new(reason::REGISTRY_UNREACHABLE, "docker.io does not answer: what runs stays")
}

/// The spec with these fields beside the image.
pub fn spec_json(fields: Value) -> Value {
    let mut spec = json!({"image": {"repository": "vintner/wine-quality"}});
    crate::resources::merge::merge(&mut spec, &fields);
    spec
}

pub fn spec(fields: Value) -> ValidSpec {
    ValidSpec::parse(NAME, &spec_json(fields)).unwrap()
}

/// A Deployment's status, as its controller writes it.
#[derive(Clone)]
pub struct Rollout {
    pub wanted: i32,
    pub existing: i32,
    pub updated: i32,
    pub available: i32,
    pub progressing: &'static str,
    pub replica_failure: Option<&'static str>,
    /// How many generations its controller is behind.
    pub behind: i64,
}

impl Rollout {
    pub fn complete(replicas: i32) -> Self {
        Self {
            wanted: replicas,
            existing: replicas,
            updated: replicas,
            available: replicas,
            progressing: "NewReplicaSetAvailable",
            replica_failure: None,
            behind: 0,
        }
    }

    /// One new pod beside `old` that serve.
    pub fn introducing(old: i32) -> Self {
        Self {
            wanted: old.max(1),
            existing: old + 1,
            updated: 1,
            available: old,
            progressing: "ReplicaSetUpdated",
            replica_failure: None,
            behind: 0,
        }
    }

    pub fn overdue(old: i32) -> Self {
        Self { progressing: "ProgressDeadlineExceeded", ..Self::introducing(old) }
    }

    /// The API server refuses the new pods.
    pub fn refused(old: i32, words: &'static str) -> Self {
        Self { existing: old, updated: 0, replica_failure: Some(words), ..Self::introducing(old) }
    }

    pub fn status(&self, generation: i64) -> Value {
        let mut conditions = vec![
            json!({"type": "Available", "status": if self.available > 0 { "True" } else { "False" }}),
            json!({
                "type": "Progressing",
                "status": if self.progressing == "ProgressDeadlineExceeded" { "False" } else { "True" },
                "reason": self.progressing,
            }),
        ];
        conditions.extend(self.replica_failure.map(
            |words| json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": words}),
        ));
        json!({
            "observedGeneration": generation - self.behind,
            "replicas": self.existing,
            "updatedReplicas": self.updated,
            "readyReplicas": self.available,
            "availableReplicas": self.available,
            "conditions": conditions,
        })
    }

    /// The facts of a Deployment of the `number`th push.
    pub fn of(&self, number: u8) -> DeploymentFacts {
        let deployment = json!({
            "metadata": {"name": NAME, "generation": 7},
            "spec": {
                "replicas": self.wanted,
                "selector": {},
                "template": {"spec": {"containers": [
                    {"name": "cellar", "image": "docker.io/vintner/cellar@sha256:1"},
                    {"name": "model", "image": image(number)},
                ]}},
            },
            "status": self.status(7),
        });
        DeploymentFacts::of(&serde_json::from_value(deployment).unwrap())
    }
}

/// A pod of the `number`th push, as the kubelet tells of it.
pub struct PodOf {
    number: u8,
    containers: Value,
    init_containers: Value,
    conditions: Value,
    leaving: bool,
    /// Fields of the status beside those above.
    more: Value,
}

impl PodOf {
    pub fn new(number: u8) -> Self {
        let conditions = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]);
        Self { number, containers: json!([]), init_containers: json!([]), conditions, leaving: false, more: json!({}) }
    }

    pub fn ready(number: u8) -> Self {
        let conditions = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]);
        Self { conditions, ..Self::new(number) }.with(json!({"running": {}}), json!({}), true)
    }

    /// On its way, with the model's container in that state and that last state.
    pub fn state(self, state: Value, last_state: Value) -> Self {
        self.with(state, last_state, false)
    }

    fn with(mut self, state: Value, last_state: Value, ready: bool) -> Self {
        self.containers = json!([{
            "name": "model", "image": "", "imageID": "", "restartCount": 0, "ready": ready,
            "state": state, "lastState": last_state,
        }]);
        self
    }

    pub fn restarted(mut self, times: i32) -> Self {
        self.containers[0]["restartCount"] = json!(times);
        self
    }

    pub fn waiting(self, reason: &str) -> Self {
        self.state(json!({"waiting": {"reason": reason, "message": "back-off 20s, attempt 3"}}), json!({}))
    }

    pub fn crashing(self, exit_code: i32) -> Self {
        self.state(
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}),
            json!({"terminated": {"exitCode": exit_code, "reason": "Error"}}),
        )
    }

    pub fn init(mut self, state: Value, ready: bool) -> Self {
        self.init_containers = json!([{
            "name": "fetch", "image": "", "imageID": "", "restartCount": 0, "ready": ready, "state": state,
        }]);
        self
    }

    pub fn unschedulable(mut self, words: &str) -> Self {
        self.conditions =
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}]);
        self
    }

    /// As the kubelet and the API server's eviction leave it.
    pub fn ended(mut self, reason: &str, words: &str) -> Self {
        self.more = json!({"phase": "Failed", "reason": reason, "message": words});
        self
    }

    /// A further condition of the pod.
    pub fn with_condition(mut self, kind: &str, status: &str) -> Self {
        self.conditions.as_array_mut().unwrap().push(json!({"type": kind, "status": status}));
        self
    }

    /// Waiting for that reason, in the kubelet's words.
    pub fn told(self, reason: &str, words: &str) -> Self {
        self.state(json!({"waiting": {"reason": reason, "message": words}}), json!({}))
    }

    pub fn leaving(mut self) -> Self {
        self.leaving = true;
        self
    }

    /// As the API server stores it.
    pub fn json(&self, name: &str) -> Value {
        let mut pod = json!({
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {"modelship.dev/model": NAME, "modelship.dev/track": "stable"},
            },
            "spec": {"containers": [{"name": "cellar", "image": "x"}, {"name": "model", "image": image(self.number)}]},
            "status": {
                "podIP": "10.20.30.40",
                "conditions": self.conditions,
                "containerStatuses": self.containers,
                "initContainerStatuses": self.init_containers,
            },
        });
        crate::resources::merge::merge(&mut pod["status"], &self.more);
        if self.leaving {
            pod["metadata"]["deletionTimestamp"] = json!("2026-03-01T00:00:00Z");
        }
        pod
    }

    pub fn facts(&self) -> PodFacts {
        PodFacts::of(&serde_json::from_value(self.json("grape-scorer-1")).unwrap()).unwrap()
    }
}
