//! One watch of definitions starts and stops the watches of their objects.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::Arc,
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
    sync::mpsc,
    task::{AbortHandle, JoinError, JoinSet},
};

use super::instance::Instance;
use crate::{
    controller::{
        decoding::Item,
        index::{Index, Indexed},
        live::Live,
        observe::Caches,
        streams::{self, Hint, News, Scope},
    },
    monitoring::{
        OptionalKind, Presence, Reader,
        surroundings::{Collector, INSTANCE_OF},
    },
    resources::ChildKind,
    telemetry::Metrics,
};

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
        let api: Api<Definition> = Api::all(self.scope.client.clone());
        let definitions = watcher(api, streams::config()).default_backoff().boxed();
        Arc::new(self).follow(definitions).await;
    }

    async fn follow(self: Arc<Self>, mut definitions: impl Stream<Item = watcher::Result<Event<Definition>>> + Unpin) {
        let this = self;
        let mut running = Running { tasks: JoinSet::new(), handles: HashMap::new() };
        let mut listed: Vec<OptionalKind> = Vec::new();
        let mut readers = BTreeSet::new();
        while let Some(event) = running.next(&mut definitions).await {
            match event {
                Ok(Event::Init) => {
                    listed.clear();
                    readers.clear();
                }
                Ok(Event::InitApply(definition)) if !leaves(&definition) => {
                    listed.extend(kind_of(&definition));
                    readers.extend(reader_of(&definition));
                }
                Ok(Event::InitApply(_)) => {}
                Ok(Event::InitDone) => {
                    let found = std::mem::take(&mut readers);
                    this.note_readers(move |installed| *installed = found).await;
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
                    if let Some(name) = reader_of(&definition) {
                        this.note_readers(|installed| installed.extend([name])).await;
                    }
                }
                Ok(Event::Apply(definition) | Event::Delete(definition)) => {
                    if let Some(kind) = kind_of(&definition) {
                        running.stop(&this, kind).await;
                    }
                    if let Some(name) = reader_of(&definition) {
                        this.note_readers(|installed| installed.retain(|known| *known != name)).await;
                    }
                }
                Err(error) => {
                    this.metrics.watch_failed("CustomResourceDefinition", &error);
                    tracing::warn!(%error, "the watch of definitions is interrupted; it is taken up again");
                    for kind in OptionalKind::ALL.into_iter().filter(|kind| !running.handles.contains_key(kind)) {
                        // A watch that is taken up where it broke off lists nothing anew: nobody would take the word back.
                        if this.presence(kind) != Presence::Missing {
                            this.note(kind, presence_after(&error)).await;
                        }
                    }
                }
            }
        }
    }

    fn presence(&self, kind: OptionalKind) -> Presence {
        self.caches.ecosystem.lock().get(&kind).cloned().unwrap_or_default()
    }

    async fn note(&self, kind: OptionalKind, presence: Presence) {
        if self.caches.ecosystem.note(kind, presence) {
            self.tell(Hint::All).await;
        }
    }

    async fn note_readers(&self, change: impl FnOnce(&mut BTreeSet<&'static str>)) {
        if self.caches.ecosystem.note_readers(change) {
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
            OptionalKind::PrometheusAgent | OptionalKind::ThanosRuler | OptionalKind::Alertmanager => {
                self.collect(kind).await;
            }
        }
    }

    async fn collect(&self, kind: OptionalKind) {
        let Some(index) = self.caches.ecosystem.collectors.of(kind).cloned() else { return };
        let api = Api::<Item<DynamicObject>>::all_with(self.scope.client.clone(), &kind.api_resource());
        self.pump(kind, watcher(api, streams::config()), index, move |object| Collector::of(kind, &object)).await;
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
                    let known = self.presence(kind) == Presence::Ready;
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
            None => self.caches.ecosystem.collectors.of(kind).into_iter().for_each(|index| empty(index)),
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

/// The definition's name, if it shows that somebody else may read our objects.
fn reader_of(definition: &Definition) -> Option<&'static str> {
    let name = definition.name_any();
    Reader::ALL.into_iter().flat_map(Reader::definitions).copied().find(|known| *known == name)
}

/// One that is being deleted is gone for us: its objects go with it.
fn leaves(definition: &Definition) -> bool {
    definition.meta().deletion_timestamp.is_some()
}

/// Whether a watch is not allowed.
pub(in crate::controller) fn forbidden(error: &watcher::Error) -> bool {
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

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures::{FutureExt as _, stream};

    use super::*;
    use crate::controller::server::Server;

    #[tokio::test]
    async fn a_watch_of_an_optional_kind_that_panics_takes_the_whole_with_it() {
        let mut running = Running { tasks: JoinSet::new(), handles: HashMap::new() };
        running.tasks.spawn(async {}).abort();
        running.tasks.spawn(async { panic!("a watch broke off") });
        let ended = AssertUnwindSafe(running.next(&mut stream::pending::<()>())).catch_unwind().await;
        assert_eq!(ended.unwrap_err().downcast_ref::<&str>(), Some(&"a watch broke off"));
    }

    /// How all kinds stand after these events.
    async fn presences(events: Vec<watcher::Result<Event<Definition>>>) -> Vec<Presence> {
        let (hints, _told) = mpsc::channel(64);
        let scope = Scope { client: Server::default().client(), namespace: None };
        let caches = Arc::new(Caches::default());
        let watcher = Watcher { scope, caches: caches.clone(), metrics: Metrics::new().unwrap(), hints };
        Arc::new(watcher).follow(stream::iter(events)).await;
        OptionalKind::ALL.into_iter().map(|kind| caches.surroundings("cellar").presence(kind)).collect()
    }

    #[tokio::test]
    async fn a_kind_that_is_missing_stays_so_when_the_watch_of_definitions_breaks_off() {
        let broken = || Err(watcher::Error::NoResourceVersion);
        let unread = presences(vec![broken()]).await;
        assert_eq!(unread, vec![Presence::Failing; OptionalKind::ALL.len()], "nothing is known yet");
        let missing = vec![Presence::Missing; OptionalKind::ALL.len()];
        assert_eq!(presences(vec![broken(), Ok(Event::Init), Ok(Event::InitDone)]).await, missing);
        assert_eq!(presences(vec![Ok(Event::Init), Ok(Event::InitDone), broken()]).await, missing);
    }
}
