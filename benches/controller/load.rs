//! The user's side of a round: ModelDeployments are applied, and a watch says when the last child exists.

use std::{collections::HashSet, time::Instant};

use futures::{StreamExt, stream};
use kube::{
    Api, ResourceExt,
    core::{DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use modelship::{api::names, resources::ChildKind};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{CONCURRENCY, PATIENCE, support::World};

pub const REPOSITORY: &str = "bench/model";
/// All objects follow one of these.
pub const TAGS: [&str; 4] = ["a", "b", "c", "d"];

/// What each ModelDeployment of a round asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub replicas: u8,
}

/// Scaled to zero: what is measured is our requests, not the controller manager's pods.
pub const SCALED_TO_ZERO: Shape = Shape { replicas: 0 };
/// Two replicas come with a PodDisruptionBudget.
pub const WITH_BUDGET: Shape = Shape { replicas: 2 };

impl Shape {
    /// The kinds of an object's children, on a cluster without the Prometheus Operator: two Services, one of them for
    /// Prometheus, and two ConfigMaps, the exporter's settings and the dashboard.
    pub fn children(self) -> Vec<ChildKind> {
        let mut children = vec![
            ChildKind::Service,
            ChildKind::Service,
            ChildKind::ConfigMap,
            ChildKind::ConfigMap,
            ChildKind::ControllerRevision,
            ChildKind::Deployment,
        ];
        children.extend((self.replicas > 1).then_some(ChildKind::PodDisruptionBudget));
        children
    }

    /// The spec of the object with that number.
    pub fn spec(self, number: usize) -> Value {
        json!({
            "image": {"repository": REPOSITORY, "follow": {"tag": tag(number)}},
            "server": {"resources": {
                "requests": {"cpu": "100m", "memory": "256Mi"},
                "limits": {"memory": "1Gi"},
            }},
            "replicas": self.replicas,
        })
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} children, replicas {}", self.children().len(), self.replicas)
    }
}

pub fn tag(number: usize) -> &'static str {
    TAGS[number % TAGS.len()]
}

pub fn name(number: usize) -> String {
    format!("model-{number:05}")
}

/// A ModelDeployment that was just created.
pub struct Created {
    pub number: usize,
    pub uid: String,
}

/// Creates ModelDeployments as a busy pipeline would; tells of each as soon as it is there.
pub async fn create(world: &World, shape: Shape, numbers: std::ops::Range<usize>, tell: Option<mpsc::Sender<Created>>) {
    stream::iter(numbers)
        .for_each_concurrent(CONCURRENCY, |number| {
            let tell = tell.clone();
            async move {
                let created = world.apply(&name(number), shape.spec(number)).await;
                if let Some(tell) = tell {
                    let uid = created.uid().expect("a uid");
                    tell.send(Created { number, uid }).await.expect("the bare client listens");
                }
            }
        })
        .await;
}

/// A watch of all kinds of children in one namespace.
pub struct Children(JoinHandle<Instant>);

impl Children {
    /// Begins to watch a namespace that will have so many models; returns when the watches stand.
    pub async fn watch(world: &World, shape: Shape, count: usize) -> Self {
        let mut kinds = shape.children();
        let wanted = count * kinds.len();
        kinds.dedup();
        let ours = watcher::Config::default().labels(&format!("{}={}", names::MANAGED_BY, names::MODELSHIP));
        let (ready, mut lists) = mpsc::channel(kinds.len());
        let streams = kinds.iter().map(|kind| {
            let api: Api<PartialObjectMeta<DynamicObject>> =
                Api::namespaced_with(world.client.clone(), &world.namespace, &kind.api_resource());
            let (kind, ready) = (*kind, ready.clone());
            watcher(api, ours.clone())
                .default_backoff()
                .filter_map(move |event| {
                    let found = match event.expect("the administrator's watch works") {
                        Event::Apply(object) | Event::InitApply(object) => Some((kind, object.name_any())),
                        Event::InitDone => {
                            ready.try_send(()).expect("one list for each kind");
                            None
                        }
                        _ => None,
                    };
                    std::future::ready(found)
                })
                .boxed()
        });
        let mut found = stream::select_all(streams);
        let task = tokio::spawn(async move {
            let mut seen = HashSet::new();
            while seen.len() < wanted {
                seen.extend(found.next().await);
            }
            Instant::now()
        });
        for _ in &kinds {
            lists.recv().await.expect("the watches live");
        }
        Self(task)
    }

    /// When the last child was seen.
    pub async fn complete(self) -> Instant {
        let complete = timeout(PATIENCE, self.0).await.expect("all children exist in time; see the operator's log");
        complete.expect("the watch does not panic")
    }
}
