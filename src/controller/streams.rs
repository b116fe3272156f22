//! Watches: one for each kind, reduced at the edge, fed into the indexes, and turned into hints which model to look at.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
    sync::Arc,
};

use futures::{Stream, StreamExt, TryStreamExt as _, stream::BoxStream};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DynamicObject, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::{
    ecosystem,
    index::{Index, Indexed, Key},
    live::{Live, NamespaceFacts, NodeFacts},
    observe::Caches,
};
use crate::{
    api::{StoredModelDeployment, names},
    resources::ChildKind,
    rollout::PodFacts,
    telemetry::Metrics,
};

/// Objects of one page of a list. A page is held as trees of values, each ten times the size of what is kept of it: kube's
/// own 500 would decide how much memory the controller takes.
pub(super) const PAGE: u32 = 100;

/// Which model should be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    Model(Key),
    /// All models of a namespace.
    Namespace(String),
    All,
}

/// Where to watch.
#[derive(Clone)]
pub struct Scope {
    pub client: Client,
    pub namespace: Option<String>,
}

impl Scope {
    fn typed<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    pub(super) fn dynamic(&self, kind: ChildKind) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind.api_resource()),
            None => Api::all_with(self.client.clone(), &kind.api_resource()),
        }
    }
}

/// A stream that keeps a cache fresh while it is polled.
pub type Hints = BoxStream<'static, Hint>;

pub(super) fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// Objects that Modelship has made.
pub(super) fn ours() -> watcher::Config {
    config().labels(&format!("{}={}", names::MANAGED_BY, names::MODELSHIP))
}

/// The watches of all children that every cluster has a place for, of pods, nodes and namespaces.
pub fn children(scope: &Scope, caches: &Arc<Caches>, metrics: &Metrics) -> Hints {
    let mut streams: Vec<Hints> = ChildKind::CORE
        .into_iter()
        .map(|kind| {
            let api = scope.dynamic(kind);
            let reduce = move |object| Some(Live::of(kind, object));
            let index = caches.children(kind).clone();
            feed(kind.as_str(), watcher(api, ours()), index, reduce, metrics.clone())
        })
        .collect();
    let pods = watcher(scope.typed::<Pod>(), config().labels(names::MODEL));
    streams.push(feed("Pod", pods, caches.pods.clone(), |pod: Pod| PodFacts::of(&pod), metrics.clone()));
    let nodes = watcher(Api::<Node>::all(scope.client.clone()), watcher::Config::default());
    streams.push(feed("Node", nodes, caches.nodes.clone(), |node: Node| Some(NodeFacts::of(&node)), metrics.clone()));
    let namespaces = watcher(Api::<PartialObjectMeta<Namespace>>::all(scope.client.clone()), config());
    let index = caches.namespaces.clone();
    // Their labels matter to few selectors: a role of an older chart, without this right, must not hold everything up.
    let namespaces = namespaces.inspect_err(move |error| {
        if ecosystem::forbidden(error) {
            index.give_up();
        }
    });
    let reduce = |namespace| Some(NamespaceFacts::of(&namespace));
    let (caches, index) = (caches.clone(), caches.namespaces.clone());
    let hints = feed("Namespace", namespaces, index, reduce, metrics.clone());
    // Which Prometheus looks into the operator's own namespace may be another one now.
    streams.push(hints.inspect(move |_| caches.ecosystem.changed()).boxed());
    futures::stream::select_all(streams).boxed()
}

fn feed<K, T>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    index: Arc<Index<T>>,
    reduce: impl Fn(K) -> Option<T> + Send + 'static,
    metrics: Metrics,
) -> Hints
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Indexed + Send + Sync + 'static,
{
    keep(kind, events, index, reduce, metrics)
        .flat_map(|news| {
            let groups = match news {
                News::Changed { groups, .. } => groups,
                News::Interrupted(_) => BTreeSet::new(),
            };
            futures::stream::iter(groups.into_iter().map(hint))
        })
        .boxed()
}

/// What a watch has brought.
pub(super) enum News {
    Changed {
        /// Groups of the index.
        groups: BTreeSet<Key>,
        /// Whether a list has been heard to its end.
        complete: bool,
    },
    /// It is taken up again. What was known stays.
    Interrupted(watcher::Error),
}

/// Keeps an index as the watch says, while the stream is polled.
pub(super) fn keep<K, T: Indexed + Send + Sync>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    index: Arc<Index<T>>,
    reduce: impl Fn(K) -> Option<T> + Send,
    metrics: Metrics,
) -> impl Stream<Item = News> + Send {
    events.default_backoff().map(move |event| match event {
        Ok(event) => {
            let complete = matches!(event, Event::InitDone);
            let groups = map(event, &reduce).map(|event| index.observe(event)).unwrap_or_default();
            News::Changed { groups, complete }
        }
        Err(error) => {
            metrics.watch_failed(kind);
            tracing::warn!(kind, %error, "watch interrupted; it is taken up again");
            News::Interrupted(error)
        }
    })
}

pub(super) fn hint(group: Key) -> Hint {
    match (group.0.is_empty(), group.1.is_empty()) {
        (true, _) => Hint::All,
        (false, true) => Hint::Namespace(group.0),
        (false, false) => Hint::Model(group),
    }
}

fn map<K, T>(event: Event<K>, reduce: &impl Fn(K) -> Option<T>) -> Option<Event<T>> {
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(reduce(object)?),
        Event::Apply(object) => Event::Apply(reduce(object)?),
        Event::Delete(object) => Event::Delete(reduce(object)?),
    })
}

/// What the watch of ModelDeployments says.
pub enum Change {
    /// The user's side of it changed: spec, deletion, or it is new. Our own status patches are no news.
    Touched(ObjectRef<StoredModelDeployment>),
    Gone {
        key: Key,
        uid: String,
    },
}

/// The watch of ModelDeployments, feeding the controller's own store.
pub fn models(
    scope: &Scope,
    writer: reflector::store::Writer<StoredModelDeployment>,
    metrics: Metrics,
) -> BoxStream<'static, Change> {
    let api = scope.typed::<StoredModelDeployment>();
    let events = watcher(api, config()).default_backoff().modify(|model| {
        model.metadata.managed_fields = None;
    });
    let mut known: HashMap<Key, Seen> = HashMap::new();
    let mut listed: HashMap<Key, Seen> = HashMap::new();
    reflector::reflector(writer, events)
        .flat_map(move |event| {
            let changes = match event {
                Ok(event) => changes(event, &mut known, &mut listed),
                Err(error) => {
                    metrics.watch_failed("ModelDeployment");
                    tracing::warn!(kind = "ModelDeployment", %error, "watch interrupted; it is taken up again");
                    Vec::new()
                }
            };
            futures::stream::iter(changes)
        })
        .boxed()
}

#[derive(Clone, PartialEq)]
struct Seen {
    uid: String,
    generation: Option<i64>,
    deleting: bool,
}

fn changes(
    event: Event<StoredModelDeployment>,
    known: &mut HashMap<Key, Seen>,
    listed: &mut HashMap<Key, Seen>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let look = |model: &StoredModelDeployment| {
        let key = (model.namespace().unwrap_or_default(), model.name_any());
        let deleting = model.metadata.deletion_timestamp.is_some();
        (key, Seen { uid: model.uid().unwrap_or_default(), generation: model.metadata.generation, deleting })
    };
    let apply = |model: &StoredModelDeployment, known: &mut HashMap<Key, Seen>, changes: &mut Vec<Change>| {
        let (key, seen) = look(model);
        let before = known.insert(key.clone(), seen.clone());
        if let Some(before) = before.as_ref().filter(|before| before.uid != seen.uid) {
            changes.push(Change::Gone { key, uid: before.uid.clone() });
        }
        if before.as_ref() != Some(&seen) {
            changes.push(Change::Touched(ObjectRef::from_obj(model)));
        }
    };
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(model) => {
            let (key, seen) = look(&model);
            listed.insert(key, seen);
            apply(&model, known, &mut changes);
        }
        Event::Apply(model) => apply(&model, known, &mut changes),
        Event::InitDone => {
            let lost = known.extract_if(|key, _| !listed.contains_key(key));
            changes.extend(lost.map(|(key, seen)| Change::Gone { key, uid: seen.uid }));
            listed.clear();
        }
        Event::Delete(model) => {
            let (key, seen) = look(&model);
            known.remove(&key);
            changes.push(Change::Gone { key, uid: seen.uid });
        }
    }
    changes
}
