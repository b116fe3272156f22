//! Puts the loop together: lease, watches, pollers, reconciler.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Client, ResourceExt as _,
    runtime::{
        Controller,
        controller::Config,
        reflector::{self, ObjectRef},
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
};

use super::{
    Error, asking,
    backoff::Backoff,
    credentials::ClusterCredentials,
    decide::Release,
    ecosystem,
    lease::{Guard, Holder, LeaseSettings},
    ledger::Ledger,
    mail_secrets::MailSecrets,
    model_metrics::ModelMetrics,
    observe::Caches,
    own_monitor::{OwnMonitor, OwnService},
    readings::Readings,
    reconcile::{Context, Statuses, after_error, reconcile},
    replacing::Replacing,
    runs::Runs,
    sights::Sights,
    specs::Specs,
    streams::{self, Change, Hint, Scope},
    unwell::UnwellModels,
    writer::Writer,
};
use crate::{
    api::StoredModelDeployment,
    images::{self, Images},
    telemetry::Metrics,
};

/// How many models are worked on at once: kube's own default has no bound.
const CONCURRENCY: u16 = 32;
const QUEUE: usize = 1024;

/// What a controller needs from outside.
pub struct Settings {
    pub client: Client,
    /// Watch this namespace alone; `None`: all of them.
    pub namespace: Option<String>,
    pub lease: LeaseSettings,
    pub images: images::Config,
    pub release: Release,
    /// Where the operator's own metrics are to be had, if Prometheus should scrape them.
    pub own_service: Option<OwnService>,
    pub metrics: Metrics,
}

/// How soon all is begun anew after one of the tasks broke off.
const AFTER_A_BREAK: Duration = Duration::from_secs(10);

/// What outlives a lost lease: to ask registries again would cost pulls.
struct Lasting {
    images: Images,
    /// Of which models the images are to be looked at.
    news: BoxStream<'static, images::OwnerKey>,
    models: ModelMetrics,
}

impl Lasting {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let credentials = Arc::new(ClusterCredentials(settings.client.clone()));
        let registry = settings.metrics.registry();
        let (images, news) = Images::new(settings.images.clone(), credentials, registry)
            .map_err(|error| Error::Setup(error.to_string()))?;
        let models = ModelMetrics::registered(registry).map_err(|error| Error::Setup(error.to_string()))?;
        Ok(Self { images, news: news.boxed(), models })
    }

    /// Nothing is polled or shown while another controller does it. What was fetched by digest is kept.
    fn rest(&self) {
        self.images.retain(&HashSet::new());
        self.models.clear();
    }
}

/// Runs until `shutdown` turns true. Without the lease it stands by: whoever cannot renew it can mostly do so again soon.
///
/// # Errors
/// [`Error::Setup`], or what the API server says to leases when it forbids them at the start.
pub async fn run(settings: Settings, mut shutdown: watch::Receiver<bool>) -> Result<(), Error> {
    let metrics = settings.metrics.clone();
    let mut lasting = Lasting::new(&settings)?;
    let mut before = None;
    loop {
        let guard = Guard::default();
        let holder = Holder::new(settings.client.clone(), settings.lease.clone(), guard.clone());
        tokio::select! {
            taken = stand_by(&holder, before.as_ref()) => taken?,
            _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
        }
        metrics.leads(true);
        tracing::info!(identity = settings.lease.identity, "this controller holds the lease");
        let outcome = tokio::select! {
            lost = holder.keep() => Err(lost),
            done = work(&settings, &mut lasting, guard, shutdown.clone()) => done,
        };
        if let Err(Error::TaskBrokeOff { task }) = outcome {
            metrics.task_broke_off(task);
        }
        metrics.leads(false);
        holder.release().await;
        lasting.rest();
        match outcome {
            Err(error @ (Error::LeaseLost | Error::TaskBrokeOff { .. })) => {
                tracing::error!(%error, "this controller stands by");
                before = Some(error);
            }
            other => return other,
        }
    }
}

/// Waits for the lease, at first or again.
async fn stand_by(holder: &Holder, before: Option<&Error>) -> Result<(), Error> {
    if matches!(before, Some(Error::TaskBrokeOff { .. })) {
        tokio::time::sleep(AFTER_A_BREAK).await;
    }
    loop {
        match holder.acquire().await {
            // It was allowed before: an API server that has just started does not know all rights yet.
            Err(error) if before.is_some() => {
                tracing::warn!(%error, "the lease cannot be had; trying again");
                tokio::time::sleep(AFTER_A_BREAK).await;
            }
            other => return other,
        }
    }
}

async fn work(
    settings: &Settings,
    lasting: &mut Lasting,
    guard: Guard,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), Error> {
    let Settings { client, namespace, lease, images: _, release, own_service, metrics } = settings;
    let Lasting { images, news, models } = lasting;
    let scope = Scope { client: client.clone(), namespace: namespace.clone() };
    let caches = Arc::new(Caches::default());
    let sights = Sights::new().map_err(|error| Error::Setup(error.to_string()))?;
    let readings = Readings::new().map_err(|error| Error::Setup(error.to_string()))?;
    let unwell = UnwellModels::new().map_err(|error| Error::Setup(error.to_string()))?;
    let runs = Runs::new(client.clone(), &settings.images.trusted).map_err(|error| Error::Setup(error.to_string()))?;
    let (reader, store) = reflector::store();
    let context = Arc::new(Context {
        store: reader.clone(),
        caches: caches.clone(),
        images: images.clone(),
        writer: Writer::new(client.clone(), guard, metrics.clone(), lease.identity.clone()),
        ledger: Ledger::default(),
        backoff: Backoff::default(),
        replacing: Replacing::default(),
        statuses: Statuses::default(),
        specs: Specs::default(),
        mail: MailSecrets::new(client.clone()),
        models: models.clone(),
        sights: sights.clone(),
        readings: readings.clone(),
        runs: runs.clone(),
        unwell: unwell.clone(),
        release: release.clone(),
        metrics: metrics.clone(),
    });
    let (models, touched) = mpsc::channel(QUEUE);
    let (all, everything) = mpsc::channel(1);
    let (hints, hinted) = mpsc::channel(QUEUE);
    let mut tasks = Tasks::new(metrics.clone());
    let changes = streams::models(&scope, store, metrics.clone());
    tasks.spawn("changes", pass_on_changes(changes, context.clone(), models.clone()));
    let children = streams::children(&scope, &caches, metrics);
    let optional = stream::unfold(hinted, |mut queue| async { queue.recv().await.map(|next| (next, queue)) });
    let passing = Passing { store: reader.clone(), models: models.clone(), all };
    tasks.spawn("children", passing.on(stream::select(children, optional).boxed()));
    if let Some(service) = own_service.clone() {
        let writer = context.writer.clone();
        let (caches, ledger) = (caches.clone(), Ledger::default());
        tasks.spawn("own_monitor", OwnMonitor { client: client.clone(), writer, caches, service, ledger }.run());
    }
    tasks.spawn("sights", sights.run(caches.clone(), hints.clone()));
    tasks.spawn("ecosystem", ecosystem::Watcher { scope, caches, metrics: metrics.clone(), hints }.run());
    tasks.spawn("runs", asking::run(runs, models.clone()));
    tasks.spawn("readings", asking::run(readings, models.clone()));
    tasks.spawn("unwell", asking::run(unwell, models.clone()));

    let stop = async move {
        // An error means that the sender is gone, which is a shutdown too.
        let _ = shutdown.wait_for(|stop| *stop).await;
    };
    let refs = stream::unfold(touched, |mut queue| async { queue.recv().await.map(|next| (next, queue)) });
    let ticks = stream::unfold(everything, |mut queue| async { queue.recv().await.map(|next| (next, queue)) });
    let controller = Controller::for_stream(stream::pending(), reader)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(refs)
        .reconcile_all_on(ticks)
        .graceful_shutdown_on(stop)
        .run(reconcile, after_error, context)
        .for_each(|_| std::future::ready(()));
    // It listens for as long as the controller works, which decides when this is over.
    let passing = async {
        pass_on_news(news, models).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = controller => Ok(()),
        task = tasks.broken() => Err(Error::TaskBrokeOff { task }),
        () = passing => Ok(()),
    }
}

/// What runs beside the controller. Dropped with it, and the tasks as well: nothing outlives the lease.
struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    metrics: Metrics,
}

impl Tasks {
    fn new(metrics: Metrics) -> Self {
        Self { running: JoinSet::new(), names: HashMap::new(), metrics }
    }

    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.metrics.expect_task(name);
        self.names.insert(self.running.spawn(task).id(), name);
    }

    /// The first one that ends by a panic; of those that end because nobody listens any more there is nothing to say.
    async fn broken(&mut self) -> &'static str {
        while let Some(ended) = self.running.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                return self.names.get(&error.id()).copied().unwrap_or("unknown");
            }
        }
        std::future::pending().await
    }
}

type Models = mpsc::Sender<ObjectRef<StoredModelDeployment>>;

async fn pass_on_changes(mut changes: BoxStream<'static, Change>, context: Arc<Context>, models: Models) {
    while let Some(change) = changes.next().await {
        match change {
            Change::Touched(model) => {
                if models.send(model).await.is_err() {
                    return;
                }
            }
            Change::Gone { key, uid } => context.forget(&key, &uid),
        }
    }
}

struct Passing {
    store: reflector::Store<StoredModelDeployment>,
    models: Models,
    all: mpsc::Sender<()>,
}

impl Passing {
    async fn on(self, mut hints: streams::Hints) {
        while let Some(hint) = hints.next().await {
            let passed = match hint {
                Hint::Model((namespace, name)) => self.model(ObjectRef::new(&name).within(&namespace)).await,
                Hint::Namespace(namespace) => self.within(&namespace).await,
                // One is enough: a full queue already holds it.
                Hint::All => !matches!(self.all.try_send(()), Err(mpsc::error::TrySendError::Closed(()))),
            };
            if !passed {
                return;
            }
        }
    }

    async fn model(&self, model: ObjectRef<StoredModelDeployment>) -> bool {
        self.models.send(model).await.is_ok()
    }

    async fn within(&self, namespace: &str) -> bool {
        for model in self.store.state().iter().filter(|model| model.namespace().as_deref() == Some(namespace)) {
            if !self.model(ObjectRef::from_obj(model.as_ref())).await {
                return false;
            }
        }
        true
    }
}

async fn pass_on_news(news: &mut BoxStream<'static, images::OwnerKey>, models: Models) {
    while let Some(owner) = news.next().await {
        if models.send(ObjectRef::new(&owner.name).within(&owner.namespace)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[path = "tests/run.rs"]
mod tests;
