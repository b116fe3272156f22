//! Watches: one for each kind, reduced at the edge, fed into the indexes, and turned into hints which model to look at.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
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
    decoding::Item,
    ecosystem,
    index::{Index, Indexed, Key},
    live::{Live, NamespaceFacts, NodeFacts},
    observe::{Caches, kinds_of_node},
};
use crate::{
    api::{StoredModelDeployment, names},
    resources::ChildKind,
    rollout::PodFacts,
    telemetry::Metrics,
};

/// Objects of one page of a list. A page is held as the objects' texts: kube's own 500 would decide how much memory the
/// controller takes.
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

    pub(super) fn dynamic(&self, kind: ChildKind) -> Api<Item<DynamicObject>> {
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
    for kind in ChildKind::CORE.map(ChildKind::as_str).into_iter().chain([POD, NODE, NAMESPACE]) {
        metrics.await_list(kind);
    }
    let mut streams: Vec<Hints> = ChildKind::CORE
        .into_iter()
        .map(|kind| {
            let api = scope.dynamic(kind);
            let reduce = move |object| Some(Live::of(kind, object));
            let index = caches.children(kind).clone();
            feed(kind.as_str(), watcher(api, ours()), index, reduce, metrics.clone())
        })
        .collect();
    let pods = watcher(scope.typed::<Item<Pod>>(), config().labels(names::MODEL));
    streams.push(feed(POD, pods, caches.pods.clone(), |pod: Pod| PodFacts::of(&pod), metrics.clone()));
    streams.push(nodes(scope, caches, metrics));
    let namespaces = watcher(Api::<Item<PartialObjectMeta<Namespace>>>::all(scope.client.clone()), config());
    let index = caches.namespaces.clone();
    // Their labels matter to few selectors: a role of an older chart, without this right, must not hold everything up.
    let told = metrics.clone();
    let namespaces = namespaces.inspect_err(move |error| {
        if ecosystem::forbidden(error) {
            index.give_up();
            told.forgo_list(NAMESPACE);
        }
    });
    let reduce = |namespace| Some(NamespaceFacts::of(&namespace));
    let (caches, index) = (caches.clone(), caches.namespaces.clone());
    let hints = feed(NAMESPACE, namespaces, index, reduce, metrics.clone());
    // Which Prometheus looks into the operator's own namespace may be another one now.
    streams.push(hints.inspect(move |_| caches.ecosystem.changed()).boxed());
    futures::stream::select_all(streams).boxed()
}

const POD: &str = "Pod";
const NODE: &str = "Node";
const NAMESPACE: &str = "Namespace";

/// Models see no more of nodes than which kinds there are: a node that is cordoned, or comes beside others of its kind, is no
/// news to them.
fn nodes(scope: &Scope, caches: &Arc<Caches>, metrics: &Metrics) -> Hints {
    let nodes = watcher(Api::<Item<Node>>::all(scope.client.clone()), watcher::Config::default());
    let reduce = |node: Node| Some(NodeFacts::of(&node));
    let index = caches.nodes.clone();
    let mut before = BTreeSet::new();
    keep(NODE, nodes, index.clone(), reduce, metrics.clone())
        .filter_map(move |news| {
            // Looked at once all are there: a look for each of thousands that a list brings would take long.
            let changed = matches!(news, News::Changed { ref groups, complete } if complete || !groups.is_empty());
            let hint = (changed && index.is_ready()).then(|| {
                let kinds = kinds_of_node(&index);
                let changed = kinds != before;
                before = kinds;
                changed.then_some(Hint::All)
            });
            std::future::ready(hint.flatten())
        })
        .boxed()
}

fn feed<K, T>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<Event<Item<K>>>> + Send + 'static,
    index: Arc<Index<T>>,
    reduce: impl Fn(K) -> Option<T> + Send + 'static,
    metrics: Metrics,
) -> Hints
where
    K: Resource + DeserializeOwned + 'static,
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
pub(super) fn keep<K: Resource + DeserializeOwned, T: Indexed + Send + Sync>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<Event<Item<K>>>> + Send,
    index: Arc<Index<T>>,
    reduce: impl Fn(K) -> Option<T> + Send,
    metrics: Metrics,
) -> impl Stream<Item = News> + Send {
    let mut unreadable = HashSet::new();
    events.default_backoff().map(move |event| match event {
        Ok(event) => {
            let complete = matches!(event, Event::InitDone);
            if matches!(event, Event::Init | Event::InitDone) {
                metrics.listed(kind, complete);
            }
            let groups = take(kind, event, &index, &reduce, &mut unreadable);
            metrics.unreadable(kind, unreadable.len());
            News::Changed { groups, complete }
        }
        Err(error) => {
            metrics.watch_failed(kind, &error);
            tracing::warn!(kind, %error, "watch interrupted; it is taken up again");
            News::Interrupted(error)
        }
    })
}

/// Takes one event into the index; returns the groups whose view has changed. An object that cannot be read is passed over:
/// what was known of it stays for as long as it is there.
fn take<K: Resource + DeserializeOwned, T: Indexed>(
    kind: &'static str,
    event: Event<Item<K>>,
    index: &Index<T>,
    reduce: &impl Fn(K) -> Option<T>,
    unreadable: &mut HashSet<Key>,
) -> BTreeSet<Key> {
    let (item, gone, wrap): (_, _, fn(T) -> Event<T>) = match event {
        Event::Init => {
            unreadable.clear();
            return index.observe(Event::Init);
        }
        Event::InitDone => return index.observe(Event::InitDone),
        Event::InitApply(item) => (item, false, Event::InitApply),
        Event::Apply(item) => (item, false, Event::Apply),
        Event::Delete(item) => (item, true, Event::Delete),
    };
    let key = (item.namespace().unwrap_or_default(), item.name_any());
    let event = item.read().map(|object| reduce(object).map(wrap));
    unreadable.remove(&key);
    match event {
        Ok(event) => event.map(|event| index.observe(event)).unwrap_or_default(),
        Err(_) if gone => index.lose(&key),
        Err(error) => {
            tracing::warn!(kind, namespace = key.0, name = key.1, %error, "an object cannot be read; it is passed over");
            index.pass_over(key.clone());
            unreadable.insert(key);
            BTreeSet::new()
        }
    }
}

pub(super) fn hint(group: Key) -> Hint {
    match (group.0.is_empty(), group.1.is_empty()) {
        (true, _) => Hint::All,
        (false, true) => Hint::Namespace(group.0),
        (false, false) => Hint::Model(group),
    }
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
    const KIND: &str = "ModelDeployment";
    metrics.await_list(KIND);
    let api = scope.typed::<StoredModelDeployment>();
    let events = watcher(api, config()).default_backoff();
    let mut known: HashMap<Key, Seen> = HashMap::new();
    let mut listed: HashMap<Key, Seen> = HashMap::new();
    reflector::reflector(writer, events)
        .flat_map(move |event| {
            let changes = match event {
                Ok(event) => {
                    if matches!(event, Event::Init | Event::InitDone) {
                        metrics.listed(KIND, matches!(event, Event::InitDone));
                    }
                    changes(event, &mut known, &mut listed)
                }
                Err(error) => {
                    metrics.watch_failed(KIND, &error);
                    tracing::warn!(kind = KIND, %error, "watch interrupted; it is taken up again");
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

/// kube's store shows a list when it is complete, so nothing of it is told before: who looked too early would see the state
/// before, and nobody would tell them again.
fn changes(
    event: Event<StoredModelDeployment>,
    known: &mut HashMap<Key, Seen>,
    listed: &mut HashMap<Key, Seen>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(model) => listed.extend([look(&model)]),
        Event::InitDone => {
            let lost = known.extract_if(|key, _| !listed.contains_key(key));
            changes.extend(lost.map(|(key, seen)| Change::Gone { key, uid: seen.uid }));
            for (key, seen) in listed.drain() {
                note(key, seen, known, &mut changes);
            }
        }
        Event::Apply(model) => {
            let (key, seen) = look(&model);
            note(key, seen, known, &mut changes);
        }
        Event::Delete(model) => {
            let (key, seen) = look(&model);
            known.remove(&key);
            changes.push(Change::Gone { key, uid: seen.uid });
        }
    }
    changes
}

fn look(model: &StoredModelDeployment) -> (Key, Seen) {
    let key = (model.namespace().unwrap_or_default(), model.name_any());
    let deleting = model.metadata.deletion_timestamp.is_some();
    (key, Seen { uid: model.uid().unwrap_or_default(), generation: model.metadata.generation, deleting })
}

fn note(key: Key, seen: Seen, known: &mut HashMap<Key, Seen>, changes: &mut Vec<Change>) {
    let before = known.insert(key.clone(), seen.clone());
    if before.as_ref() == Some(&seen) {
        return;
    }
    if let Some(before) = before.filter(|before| before.uid != seen.uid) {
        changes.push(Change::Gone { key: key.clone(), uid: before.uid });
    }
    let model = ObjectRef::new(&key.1).within(&key.0);
    changes.push(Change::Touched(model));
}

#[cfg(test)]
#[path = "tests/streams.rs"]
mod tests;
