//! Puts the loop together: lease, watches, pollers, reconciler.

use std::sync::Arc;

use futures::{StreamExt, stream};
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
    task::JoinSet,
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

/// Runs until `shutdown` turns true, or the lease is lost.
///
/// # Errors
/// [`Error::LeaseLost`], [`Error::Setup`], or what the API server says to leases.
pub async fn run(settings: Settings, mut shutdown: watch::Receiver<bool>) -> Result<(), Error> {
    let guard = Guard::default();
    let holder = Holder::new(settings.client.clone(), settings.lease.clone(), guard.clone());
    tokio::select! {
        taken = holder.acquire() => taken?,
        _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
    }
    settings.metrics.leads(true);
    tracing::info!(identity = settings.lease.identity, "this controller holds the lease");
    let metrics = settings.metrics.clone();
    let outcome = tokio::select! {
        lost = holder.keep() => Err(lost),
        done = work(settings, guard, shutdown) => done,
    };
    metrics.leads(false);
    holder.release().await;
    outcome
}

async fn work(settings: Settings, guard: Guard, mut shutdown: watch::Receiver<bool>) -> Result<(), Error> {
    let Settings { client, namespace, lease, images, release, own_service, metrics } = settings;
    let scope = Scope { client: client.clone(), namespace };
    let credentials = Arc::new(ClusterCredentials(client.clone()));
    let (images, news) =
        Images::new(images, credentials, metrics.registry()).map_err(|error| Error::Setup(error.to_string()))?;
    let models = ModelMetrics::registered(metrics.registry()).map_err(|error| Error::Setup(error.to_string()))?;
    let caches = Arc::new(Caches::default());
    let sights = Sights::new().map_err(|error| Error::Setup(error.to_string()))?;
    let readings = Readings::new().map_err(|error| Error::Setup(error.to_string()))?;
    let unwell = UnwellModels::new().map_err(|error| Error::Setup(error.to_string()))?;
    let runs = Runs::new(client.clone()).map_err(|error| Error::Setup(error.to_string()))?;
    let context = Arc::new(Context {
        caches: caches.clone(),
        images,
        writer: Writer::new(client.clone(), guard, metrics.clone(), lease.identity),
        ledger: Ledger::default(),
        backoff: Backoff::default(),
        statuses: Statuses::default(),
        specs: Specs::default(),
        mail: MailSecrets::new(client.clone()),
        models,
        sights: sights.clone(),
        readings: readings.clone(),
        runs: runs.clone(),
        unwell: unwell.clone(),
        release,
        metrics: metrics.clone(),
    });
    let (reader, store) = reflector::store();
    let (models, touched) = mpsc::channel(QUEUE);
    let (all, everything) = mpsc::channel(1);
    let (hints, hinted) = mpsc::channel(QUEUE);
    // Dropped with this future, and the tasks with it: nothing outlives the lease.
    let mut tasks = JoinSet::new();
    tasks.spawn(pass_on_changes(streams::models(&scope, store, metrics.clone()), context.clone(), models.clone()));
    let children = streams::children(&scope, &caches, &metrics);
    let optional = stream::unfold(hinted, |mut queue| async { queue.recv().await.map(|next| (next, queue)) });
    let passing = Passing { store: reader.clone(), models: models.clone(), all };
    tasks.spawn(passing.on(stream::select(children, optional).boxed()));
    if let Some(service) = own_service {
        let writer = context.writer.clone();
        let (caches, ledger) = (caches.clone(), Ledger::default());
        tasks.spawn(OwnMonitor { client: client.clone(), writer, caches, service, ledger }.run());
    }
    tasks.spawn(sights.run(caches.clone(), hints.clone()));
    tasks.spawn(ecosystem::Watcher { scope: scope.clone(), caches, metrics, hints }.run());
    tasks.spawn(pass_on_news(news, models.clone()));
    tasks.spawn(asking::run(runs, models.clone()));
    tasks.spawn(asking::run(readings, models.clone()));
    tasks.spawn(asking::run(unwell, models));

    let stop = async move {
        // An error means that the sender is gone, which is a shutdown too.
        let _ = shutdown.wait_for(|stop| *stop).await;
    };
    let refs = stream::unfold(touched, |mut queue| async { queue.recv().await.map(|next| (next, queue)) });
    let ticks = stream::unfold(everything, |mut queue| async { queue.recv().await.map(|next| (next, queue)) });
    Controller::for_stream(stream::pending(), reader)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(refs)
        .reconcile_all_on(ticks)
        .graceful_shutdown_on(stop)
        .run(reconcile, after_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
    Ok(())
}

type Models = mpsc::Sender<ObjectRef<StoredModelDeployment>>;

async fn pass_on_changes(mut changes: stream::BoxStream<'static, Change>, context: Arc<Context>, models: Models) {
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

async fn pass_on_news(mut news: impl stream::Stream<Item = images::OwnerKey> + Unpin, models: Models) {
    while let Some(owner) = news.next().await {
        if models.send(ObjectRef::new(&owner.name).within(&owner.namespace)).await.is_err() {
            return;
        }
    }
}
