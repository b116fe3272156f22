//! Says of pods what a kubelet would say, where none runs. Real pods run in tests/e2e; here the answers must be
//! had at once, and be wrong on demand.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::World;

/// What becomes of a pod, by its image.
pub type Fate = fn(&str) -> Value;

/// Every pod serves at once. It has no address: a loopback one makes the endpoint controller try, and fail, for minutes.
pub fn serving(image: &str) -> Value {
    json!({
        "phase": "Running",
        "startTime": "2020-01-01T00:00:00Z",
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"},
            {"type": "ContainersReady", "status": "True"},
        ],
        "containerStatuses": [{
            "name": "model", "image": image, "imageID": image, "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}},
        }],
    })
}

/// Every pod crashes with that exit code, again and again.
pub fn crashing(image: &str) -> Value {
    json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "model", "image": image, "imageID": image, "ready": false, "started": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
            "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
        }],
    })
}

/// Runs until dropped.
pub struct Kubelet(JoinHandle<()>);

impl Kubelet {
    /// Pods run as soon as they are there: nobody places them.
    pub fn start(world: &World, fate: Fate) -> Self {
        Self::of(world, fate, false)
    }

    /// Pods run once a scheduler has placed them: see [`super::Nodes`].
    pub fn of_nodes(world: &World, fate: Fate) -> Self {
        Self::of(world, fate, true)
    }

    fn of(world: &World, fate: Fate, placed: bool) -> Self {
        let api: Api<Pod> = world.api();
        Self(tokio::spawn(async move {
            let events = watcher(api.clone(), watcher::Config::default()).default_backoff().applied_objects();
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let Ok(pod) = event else { continue };
                let spec = pod.spec.as_ref();
                let image = spec.map_or("", |spec| spec.containers[0].image.as_deref().unwrap_or_default());
                let has_node = spec.is_some_and(|spec| spec.node_name.is_some());
                let known = pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some());
                // The pod may be gone by the time of either answer; another event tells.
                if pod.metadata.deletion_timestamp.is_some() {
                    if has_node {
                        // The API server waits for the word of the node that its containers have ended.
                        let _ = api.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await;
                    }
                } else if !known && (has_node || !placed) {
                    let status = json!({"status": fate(image)});
                    let _ = api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&status)).await;
                }
            }
        }))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}
