//! Puts the loop together: lease, watches, pollers, reconciler.

use std::sync::Arc;

use futures::{StreamExt, stream};
use kube::{
    Client,
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
    Error,
    backoff::Backoff,
    credentials::ClusterCredentials,
    decide::Release,
    lease::{Guard, Holder, LeaseSettings},
    ledger::Ledger,
    observe::Caches,
    reconcile::{Context, Statuses, after_error, reconcile},
    streams::{self, Change, Hint, Scope},
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
    let Settings { client, namespace, lease, images, release, metrics } = settings;
    let scope = Scope { client: client.clone(), namespace };
    let credentials = Arc::new(ClusterCredentials(client.clone()));
    let (images, news) =
        Images::new(images, credentials, metrics.registry()).map_err(|error| Error::Setup(error.to_string()))?;
    let context = Arc::new(Context {
        caches: Caches::default(),
        images,
        writer: Writer::new(client.clone(), guard, metrics.clone(), lease.identity),
        ledger: Ledger::default(),
        backoff: Backoff::default(),
        statuses: Statuses::default(),
        release,
        metrics: metrics.clone(),
    });
    let (reader, store) = reflector::store();
    let (models, touched) = mpsc::channel(QUEUE);
    let (all, everything) = mpsc::channel(1);
    // Dropped with this future, and the tasks with it: nothing outlives the lease.
    let mut tasks = JoinSet::new();
    tasks.spawn(pass_on_changes(streams::models(&scope, store, metrics.clone()), context.clone(), models.clone()));
    tasks.spawn(pass_on_hints(streams::children(&scope, &context.caches, &metrics), models.clone(), all));
    tasks.spawn(pass_on_news(news, models));

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

async fn pass_on_hints(mut hints: streams::Hints, models: Models, all: mpsc::Sender<()>) {
    while let Some(hint) = hints.next().await {
        let passed = match hint {
            Hint::Model((namespace, name)) => models.send(ObjectRef::new(&name).within(&namespace)).await.is_ok(),
            // One is enough: a full queue already holds it.
            Hint::All => !matches!(all.try_send(()), Err(mpsc::error::TrySendError::Closed(()))),
        };
        if !passed {
            return;
        }
    }
}

async fn pass_on_news(mut news: impl stream::Stream<Item = images::OwnerKey> + Unpin, models: Models) {
    while let Some(owner) = news.next().await {
        if models.send(ObjectRef::new(&owner.name).within(&owner.namespace)).await.is_err() {
            return;
        }
    }
}
