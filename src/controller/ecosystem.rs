//! Kinds that a cluster may lack, get later, or lose: one watch of definitions starts and stops the watches of their
//! objects. What cannot be watched is known as such, and holds nothing up.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, StreamExt};
use k8s_openapi::{
    api::core::v1::Pod, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource as _, ResourceExt,
    core::{DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinError, JoinSet},
};

use super::{
    decoding::Item,
    index::{Index, Indexed, Key},
    live::Live,
    observe::Caches,
    streams::{self, Hint, News, Scope},
};
use crate::{
    monitoring::{
        OptionalKind, Presence, Surroundings,
        surroundings::{Collector, INSTANCE_OF, SHARD},
    },
    resources::ChildKind,
    telemetry::Metrics,
};

/// What is known of the optional kinds.
pub struct Ecosystem {
    kinds: Mutex<BTreeMap<OptionalKind, Presence>>,
    settled: watch::Sender<bool>,
    /// Told of whatever changes but for single models: a kind, who selects what, what is the operator's own.
    changes: watch::Sender<()>,
    prometheuses: Arc<Index<Collector>>,
    alertmanagers: Arc<Index<Collector>>,
    instances: Arc<Index<Instance>>,
}

impl Default for Ecosystem {
    fn default() -> Self {
        Self {
            kinds: Mutex::default(),
            settled: watch::Sender::new(false),
            changes: watch::Sender::new(()),
            prometheuses: Arc::default(),
            alertmanagers: Arc::default(),
            instances: Arc::default(),
        }
    }
}

impl Ecosystem {
    /// Waits until of each kind it is known whether it is there, and what of it, or that it cannot be known now.
    pub async fn settled(&self) {
        // The sender lives as long as `self`.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(super) fn changed(&self) {
        self.changes.send_replace(());
    }

    /// In the order of their names.
    pub fn prometheuses(&self) -> Vec<Arc<Collector>> {
        in_order(&self.prometheuses)
    }

    /// Where a Prometheus, by namespace and name, can be asked: at a pod of each shard. `None` while one of its shards
    /// cannot be: what is not seen may be there.
    pub fn addresses_of(&self, prometheus: &Key) -> Option<Vec<IpAddr>> {
        let mut shards: BTreeMap<String, Option<IpAddr>> = BTreeMap::new();
        for instance in self.instances.group(prometheus) {
            let address = shards.entry(instance.shard.clone()).or_default();
            *address = address.or(instance.address);
        }
        shards.into_values().collect::<Option<Vec<_>>>().filter(|addresses| !addresses.is_empty())
    }

    /// All that is known, but for the model itself and its namespace.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings {
            kinds: self.lock().clone(),
            prometheuses: self.prometheuses(),
            alertmanagers: in_order(&self.alertmanagers),
            ..Surroundings::default()
        }
    }

    /// Notes how a kind stands; whether that is news.
    fn note(&self, kind: OptionalKind, presence: Presence) -> bool {
        let mut kinds = self.lock();
        let news = kinds.insert(kind, presence.clone()).as_ref() != Some(&presence);
        let known = |kind: &OptionalKind| kinds.get(kind).is_some_and(|presence| *presence != Presence::Unknown);
        if OptionalKind::ALL.iter().all(known) {
            self.settled.send_replace(true);
        }
        news
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<OptionalKind, Presence>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_order(index: &Index<Collector>) -> Vec<Arc<Collector>> {
    let mut all = index.all();
    all.sort_by_key(|collector| collector.key());
    all
}

/// Keeps the optional kinds watched, for as long as it is polled.
pub struct Watcher {
    pub scope: Scope,
    pub caches: Arc<Caches>,
    pub metrics: Metrics,
    pub hints: mpsc::Sender<Hint>,
}

impl Watcher {
    /// Never ends by itself; the watches that it has started end with it.
    pub async fn run(self) {
        let this = Arc::new(self);
        let mut running = Running { tasks: JoinSet::new(), handles: HashMap::new() };
        let api: Api<Definition> = Api::all(this.scope.client.clone());
        let mut definitions = watcher(api, streams::config()).default_backoff().boxed();
        let mut listed: Vec<OptionalKind> = Vec::new();
        while let Some(event) = running.next(&mut definitions).await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(definition)) if !leaves(&definition) => listed.extend(kind_of(&definition)),
                Ok(Event::InitApply(_)) => {}
                Ok(Event::InitDone) => {
                    for kind in OptionalKind::ALL {
                        match listed.contains(&kind) {
                            true => running.start(&this, kind),
                            false => running.stop(&this, kind).await,
                        }
                    }
                }
                Ok(Event::Apply(definition)) if !leaves(&definition) => {
                    if let Some(kind) = kind_of(&definition) {
                        running.start(&this, kind);
                    }
                }
                Ok(Event::Apply(definition) | Event::Delete(definition)) => {
                    if let Some(kind) = kind_of(&definition) {
                        running.stop(&this, kind).await;
                    }
                }
                Err(error) => {
                    this.metrics.watch_failed("CustomResourceDefinition", &error);
                    tracing::warn!(%error, "the watch of definitions is interrupted; it is taken up again");
                    for kind in OptionalKind::ALL.into_iter().filter(|kind| !running.handles.contains_key(kind)) {
                        this.note(kind, presence_after(&error)).await;
                    }
                }
            }
        }
    }

    async fn note(&self, kind: OptionalKind, presence: Presence) {
        if self.caches.ecosystem.note(kind, presence) {
            self.tell(Hint::All).await;
        }
    }

    async fn tell(&self, hint: Hint) {
        // What belongs to no model is the operator's own.
        if !matches!(hint, Hint::Model(_)) {
            self.caches.ecosystem.changed();
        }
        // Nobody listens any more at the end.
        let _ = self.hints.send(hint).await;
    }

    async fn watch(self: Arc<Self>, kind: OptionalKind) {
        match kind {
            OptionalKind::ServiceMonitor => self.children(kind, ChildKind::ServiceMonitor).await,
            OptionalKind::PrometheusRule => self.children(kind, ChildKind::PrometheusRule).await,
            OptionalKind::AlertmanagerConfig => self.children(kind, ChildKind::AlertmanagerConfig).await,
            // Beside each other: who selects, and the pods that can be asked what came of it.
            OptionalKind::Prometheus => {
                tokio::join!(self.collect(kind), self.find_instances());
            }
            OptionalKind::Alertmanager => self.collect(kind).await,
        }
    }

    async fn collect(&self, kind: OptionalKind) {
        let api = Api::<Item<DynamicObject>>::all_with(self.scope.client.clone(), &kind.api_resource());
        let index = self.collectors(kind).clone();
        self.pump(kind, watcher(api, streams::config()), index, |object| Collector::of(&object)).await;
    }

    /// Nobody waits for them.
    async fn find_instances(&self) {
        let api: Api<Item<Pod>> = Api::all(self.scope.client.clone());
        let pods = watcher(api, streams::config().labels(INSTANCE_OF));
        let index = self.caches.ecosystem.instances.clone();
        let news =
            streams::keep("PrometheusPod", pods, index, |pod: Pod| Some(Instance::of(&pod)), self.metrics.clone());
        news.for_each(async |_| ()).await;
    }

    async fn children(&self, kind: OptionalKind, child: ChildKind) {
        let objects = watcher(self.scope.dynamic(child), streams::ours());
        let index = self.caches.children(child).clone();
        self.pump(kind, objects, index, move |object| Live::of(child, object)).await;
    }

    fn collectors(&self, kind: OptionalKind) -> &Arc<Index<Collector>> {
        match kind {
            OptionalKind::Alertmanager => &self.caches.ecosystem.alertmanagers,
            _ => &self.caches.ecosystem.prometheuses,
        }
    }

    async fn pump<T: Indexed + Send + Sync>(
        &self,
        kind: OptionalKind,
        events: impl Stream<Item = watcher::Result<Event<Item<DynamicObject>>>> + Send,
        index: Arc<Index<T>>,
        reduce: impl Fn(DynamicObject) -> T + Send,
    ) {
        let reduce = move |object| Some(reduce(object));
        let mut news = pin!(streams::keep(kind.as_str(), events, index, reduce, self.metrics.clone()));
        while let Some(news) = news.next().await {
            match news {
                News::Changed { groups, complete } => {
                    for group in groups {
                        self.tell(streams::hint(group)).await;
                    }
                    if complete {
                        self.note(kind, Presence::Ready).await;
                    }
                }
                News::Interrupted(error) => {
                    // What was known stays known while a watch is only interrupted.
                    let known = self.caches.ecosystem.lock().get(&kind) == Some(&Presence::Ready);
                    let presence = presence_after(&error);
                    if !known || presence == Presence::Forbidden {
                        self.note(kind, presence).await;
                    }
                }
            }
        }
    }

    /// Nothing of that kind is there any more.
    fn clear(&self, kind: OptionalKind) {
        fn empty<T: Indexed>(index: &Index<T>) {
            index.observe(Event::Init);
            index.observe(Event::InitDone);
        }
        match ChildKind::OPTIONAL.into_iter().find(|child| child.optional() == Some(kind)) {
            Some(child) => empty(self.caches.children(child)),
            None => empty(self.collectors(kind)),
        }
        self.metrics.unreadable(kind.as_str(), 0);
        if kind == OptionalKind::Prometheus {
            empty(&self.caches.ecosystem.instances);
        }
    }
}

struct Running {
    tasks: JoinSet<()>,
    handles: HashMap<OptionalKind, AbortHandle>,
}

impl Running {
    /// The next event, while the watches of objects are looked after.
    async fn next<T>(&mut self, events: &mut (impl Stream<Item = T> + Unpin)) -> Option<T> {
        loop {
            tokio::select! {
                event = events.next() => return event,
                Some(ended) = self.tasks.join_next() => pass_on(ended),
            }
        }
    }

    fn start(&mut self, watcher: &Arc<Watcher>, kind: OptionalKind) {
        if !self.handles.contains_key(&kind) {
            tracing::info!(kind = kind.as_str(), "its definition is installed");
            self.handles.insert(kind, self.tasks.spawn(watcher.clone().watch(kind)));
        }
    }

    async fn stop(&mut self, watcher: &Watcher, kind: OptionalKind) {
        if let Some(handle) = self.handles.remove(&kind) {
            tracing::info!(kind = kind.as_str(), "its definition is gone");
            handle.abort();
            // Nothing that it still had in hand may be put into the index once that is cleared.
            while !handle.is_finished() {
                self.tasks.join_next().await.into_iter().for_each(pass_on);
            }
        }
        watcher.clear(kind);
        watcher.note(kind, Presence::Missing).await;
    }
}

/// A watch that panics takes the whole with it, which is begun anew: else that kind would stand still, and look well.
fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Nothing but its metadata is read.
type Definition = Item<PartialObjectMeta<CustomResourceDefinition>>;

fn kind_of(definition: &Definition) -> Option<OptionalKind> {
    OptionalKind::ALL.into_iter().find(|kind| kind.definition() == definition.name_any())
}

/// One that is being deleted is gone for us: its objects go with it.
fn leaves(definition: &Definition) -> bool {
    definition.meta().deletion_timestamp.is_some()
}

/// Whether a watch is not allowed.
pub(super) fn forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}

fn presence_after(error: &watcher::Error) -> Presence {
    if forbidden(error) { Presence::Forbidden } else { Presence::Failing }
}

/// A pod of a Prometheus.
#[derive(Clone, Debug, PartialEq)]
struct Instance {
    namespace: String,
    name: String,
    prometheus: String,
    /// Empty where there are no shards.
    shard: String,
    /// `None` while it is not ready.
    address: Option<IpAddr>,
}

impl Instance {
    fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let ready = status.is_some_and(|status| {
            status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        });
        let address = status.and_then(|status| status.pod_ip.as_ref()?.parse().ok());
        // An Alertmanager's pods bear the label, too.
        let of_prometheus = pod.labels().get("app.kubernetes.io/name").is_some_and(|name| name == "prometheus");
        Self {
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            prometheus: pod.labels().get(INSTANCE_OF).filter(|_| of_prometheus).cloned().unwrap_or_default(),
            shard: pod.labels().get(SHARD).cloned().unwrap_or_default(),
            address: address.filter(|_| ready),
        }
    }
}

impl Indexed for Instance {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
    fn group(&self) -> Key {
        (self.namespace.clone(), self.prometheus.clone())
    }
    fn uid(&self) -> &str {
        &self.name
    }
    fn version(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures::{FutureExt as _, stream};
    use serde_json::json;

    use super::*;

    fn pod(name: &str, kind: &str, shard: Option<&str>, address: &str, ready: bool) -> Instance {
        let mut labels = json!({INSTANCE_OF: "main", "app.kubernetes.io/name": kind});
        if let Some(shard) = shard {
            labels[SHARD] = json!(shard);
        }
        let ready = if ready { "True" } else { "False" };
        let pod = json!({
            "metadata": {"namespace": "monitoring", "name": name, "labels": labels},
            "status": {"podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
        });
        Instance::of(&serde_json::from_value(pod).unwrap())
    }

    fn addresses(pods: impl IntoIterator<Item = Instance>) -> Option<Vec<String>> {
        let ecosystem = Ecosystem::default();
        for pod in pods {
            ecosystem.instances.observe(Event::Apply(pod));
        }
        let found = ecosystem.addresses_of(&("monitoring".into(), "main".into()));
        found.map(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn of_each_shard_a_pod_that_is_ready_is_asked() {
        let all = [
            pod("a-0", "prometheus", Some("0"), "10.0.0.1", false),
            pod("a-1", "prometheus", Some("0"), "10.0.0.2", true),
            pod("b-0", "prometheus", Some("1"), "10.0.0.3", true),
            pod("b-1", "prometheus", Some("1"), "10.0.0.4", true),
            pod("mail-0", "alertmanager", None, "10.0.0.5", true),
        ];
        assert_eq!(addresses(all).unwrap(), ["10.0.0.2", "10.0.0.3"]);
        let one = [pod("a-0", "prometheus", None, "10.0.0.1", true), pod("a-1", "prometheus", None, "10.0.0.2", true)];
        assert_eq!(addresses(one).unwrap(), ["10.0.0.1"]);
    }

    #[test]
    fn nobody_is_asked_while_a_shard_is_silent() {
        let silent = [
            pod("a-0", "prometheus", Some("0"), "10.0.0.1", true),
            pod("b-0", "prometheus", Some("1"), "10.0.0.2", false),
        ];
        assert_eq!(addresses(silent), None);
        assert_eq!(addresses([]), None);
    }

    #[tokio::test]
    async fn a_watch_of_an_optional_kind_that_panics_takes_the_whole_with_it() {
        let mut running = Running { tasks: JoinSet::new(), handles: HashMap::new() };
        running.tasks.spawn(async {}).abort();
        running.tasks.spawn(async { panic!("a watch broke off") });
        let ended = AssertUnwindSafe(running.next(&mut stream::pending::<()>())).catch_unwind().await;
        assert_eq!(ended.unwrap_err().downcast_ref::<&str>(), Some(&"a watch broke off"));
    }
}
