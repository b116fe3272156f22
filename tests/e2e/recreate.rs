//! How one version takes the place of another, by the pods that are there meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    runtime::{watcher, watcher::Event},
};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    stage::{Stage, image},
    support::registry,
};

/// Notes, after every change of a pod, which images there were pods of; pods that have ended do not count.
struct PodWatch {
    task: JoinHandle<Vec<BTreeSet<String>>>,
    stop: oneshot::Sender<()>,
}

impl PodWatch {
    fn start(stage: &Stage) -> Self {
        let api: Api<Pod> = stage.api();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
            let (mut alive, mut seen) = (BTreeMap::new(), Vec::new());
            loop {
                let event = tokio::select! {
                    event = events.next() => event.expect("a watch").expect("an event"),
                    _ = &mut stopped => return seen,
                };
                match event {
                    Event::Init | Event::InitDone => continue,
                    Event::Apply(pod) | Event::InitApply(pod) => {
                        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                        match phase {
                            Some("Succeeded" | "Failed") => alive.remove(&pod.uid()),
                            _ => alive.insert(pod.uid(), image(&pod)),
                        };
                    }
                    Event::Delete(pod) => drop(alive.remove(&pod.uid())),
                }
                seen.push(alive.values().cloned().collect());
            }
        });
        Self { task, stop }
    }

    async fn stop(self) -> Vec<BTreeSet<String>> {
        self.stop.send(()).expect("the watch goes on");
        self.task.await.expect("the watch does not fail")
    }
}

/// Rolls a second version out and returns what the watch saw.
async fn versions_at_once(test: &str, strategy: &str) -> Vec<BTreeSet<String>> {
    let stage = Stage::shared(test).await;
    let first = stage.push("1");
    let mut spec = stage.spec();
    spec["rollout"] = json!({"strategy": strategy});
    spec["replicas"] = json!(2);
    stage.apply("churn", spec).await;
    stage.serves("churn", &first).await;
    let watch = PodWatch::start(&stage);
    let second = stage.push("2");
    stage.serves("churn", &second).await;
    stage.only_pods_of("churn", &second).await;
    assert_eq!(stage.ask("churn").await, "2");
    let seen = watch.stop().await;
    let images: BTreeSet<_> = seen.iter().flatten().collect();
    assert_eq!(images.len(), 2, "both versions were seen: {images:?}");
    stage.end().await;
    seen
}

#[tokio::test]
async fn with_recreate_there_are_never_pods_of_two_versions() {
    let seen = versions_at_once("recreate", "Recreate").await;
    let both: Vec<_> = seen.iter().filter(|versions| versions.len() > 1).collect();
    assert!(both.is_empty(), "{both:#?}");
    assert!(seen.iter().any(BTreeSet::is_empty), "all old pods ended before a new one began");
}

#[tokio::test]
async fn with_rolling_there_are_pods_at_every_moment() {
    let seen = versions_at_once("rolling", "Rolling").await;
    assert!(seen.iter().all(|versions| !versions.is_empty()), "{seen:#?}");
    assert!(seen.iter().any(|versions| versions.len() == 2), "the new version starts beside the old one");
}

#[tokio::test]
async fn an_image_for_several_platforms_runs_by_the_digest_of_its_index() {
    let stage = Stage::shared("platforms").await;
    let url = crate::support::world::setting("MODELSHIP_TEST_REGISTRY");
    let options = ["--answer", "1", "--platforms", "linux/amd64,linux/arm64", "--attestation", "1"];
    let pushed = registry::push_to(&url, &stage.repository(), "latest", &options);
    let index = pushed["digest"].as_str().expect("a digest");
    let platforms = pushed["platforms"].as_object().expect("platforms");
    stage.apply("churn", stage.spec()).await;
    stage.serves("churn", index).await;
    let digests: Vec<&str> = platforms.values().filter_map(|digest| digest.as_str()).chain([index]).collect();
    stage.nodes_run("churn", &digests).await;
    assert!(stage.pods("churn").await.iter().all(|pod| image(pod).ends_with(index)));
    stage.end().await;
}
