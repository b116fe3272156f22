//! One turn of the loop for one model.

use std::{
    collections::{BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures::FutureExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    runtime::{
        controller::Action,
        reflector::{ObjectRef, Store},
    },
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Error,
    apply::{Applied, Applier, Obstacle},
    backoff::Backoff,
    decide::{self, Plan, Release, decide},
    index::Key,
    ledger::Ledger,
    live::version,
    mail_secrets::MailSecrets,
    model_metrics::ModelMetrics,
    observe::{Caches, Observed},
    readings::{self, Readings},
    replacing::{self, Replacing},
    report,
    runs::Runs,
    sights::Sights,
    specs::Specs,
    story, training,
    unwell::{self, UnwellModels},
    writer::Writer,
};
use crate::{
    api::{JsonText, ModelDeploymentStatus, StoredModelDeployment, ValidSpec, conditions},
    images::{CredentialRef, Follow, ImageDetails, Images, Observation, OwnerKey, Want},
    monitoring::{
        bundle::{Expectation, NO_CONTAINERS},
        verdict::SOMEBODY_SCRAPES,
    },
    resources::Owner,
    telemetry::Metrics,
};

/// What every turn needs.
pub struct Context {
    /// The models that there are.
    pub store: Store<StoredModelDeployment>,
    pub caches: Arc<Caches>,
    pub images: Images,
    pub writer: Writer,
    pub ledger: Ledger,
    pub backoff: Backoff,
    pub replacing: Replacing,
    pub statuses: Statuses,
    pub specs: Specs,
    pub mail: MailSecrets,
    pub models: ModelMetrics,
    pub sights: Arc<Sights>,
    pub readings: Arc<Readings>,
    pub runs: Arc<Runs>,
    pub unwell: Arc<UnwellModels>,
    pub release: Release,
    pub metrics: Metrics,
}

/// Statuses that were written and that the watch has not brought back yet, by uid: judged by an older one, a transition
/// would be told twice.
#[derive(Default)]
pub struct Statuses(Mutex<HashMap<String, (u64, JsonText)>>);

impl Statuses {
    fn newest(&self, model: &StoredModelDeployment) -> JsonText {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = model.uid().unwrap_or_default();
        match written.get(&uid) {
            Some((newer, status)) if *newer > version_of(model) => status.clone(),
            Some(_) => {
                written.remove(&uid);
                model.status.clone()
            }
            None => model.status.clone(),
        }
    }

    fn wrote(&self, model: &StoredModelDeployment) {
        let uid = model.uid().unwrap_or_default();
        let written = (version_of(model), model.status.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, written);
    }
}

fn version_of(model: &StoredModelDeployment) -> u64 {
    version(&model.resource_version().unwrap_or_default())
}

impl Context {
    /// Whether this very object is not there any more.
    fn is_gone(&self, model: &StoredModelDeployment) -> bool {
        let known = self.store.get(&ObjectRef::from_obj(model));
        known.is_none_or(|known| known.metadata.uid != model.metadata.uid)
    }

    /// Forgets a model that is gone.
    pub fn forget(&self, key: &Key, uid: &str) {
        let (namespace, name) = key.clone();
        let owner = Owner { namespace, name, uid: uid.to_owned() };
        self.release.renderer.forget(&owner);
        self.images.forget(&OwnerKey { namespace: owner.namespace, name: owner.name, uid: owner.uid });
        self.backoff.clear(uid);
        self.replacing.done(uid);
        self.specs.forget(uid);
        self.ledger.forget(&key.0, &key.1);
        self.mail.forget(uid);
        self.models.forget(key);
        self.sights.forget(uid);
        self.readings.forget(uid);
        self.runs.forget(uid);
        self.unwell.forget(uid);
        self.statuses.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// One turn.
///
/// # Errors
/// When something must be tried again; the wait has been noted in the context's back-off.
pub async fn reconcile(model: Arc<StoredModelDeployment>, context: Arc<Context>) -> Result<Action, Error> {
    context.caches.ready().await;
    // Its children go with it, by their owner references.
    if model.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let uid = model.uid().unwrap_or_default();
    let generation = model.meta().generation.unwrap_or(0);
    if let Some(wait) = context.backoff.remaining(&uid, generation) {
        return Ok(Action::requeue(wait));
    }
    let timer = context.metrics.start_reconcile();
    // What one object makes of a turn is that object's trouble.
    let turn = AssertUnwindSafe(turn(&model, &context, generation)).catch_unwind().await;
    let outcome = turn.unwrap_or(Err(Error::BrokenOff));
    drop(timer);
    if context.is_gone(&model) {
        // It went in the middle of the turn, which has noted things of it since.
        context.forget(&(model.namespace().unwrap_or_default(), model.name_any()), &uid);
        return Ok(Action::await_change());
    }
    match outcome {
        Ok(next) => {
            context.backoff.clear(&uid);
            Ok(next)
        }
        // Its deletion is on its way.
        Err(error) if error.is_farewell() => {
            tracing::debug!(%error, "nothing is left to do");
            Ok(Action::await_change())
        }
        Err(error) => {
            context.metrics.reconcile_failed(error.category());
            Err(error)
        }
    }
}

/// kube asks how long to wait after an error.
pub fn after_error(model: Arc<StoredModelDeployment>, error: &Error, context: Arc<Context>) -> Action {
    let wait = context.backoff.failed(&model.uid().unwrap_or_default(), model.meta().generation.unwrap_or(0));
    let name = format!("{}/{}", model.namespace().unwrap_or_default(), model.name_any());
    tracing::warn!(model = name, category = error.category(), %error, retry_in = ?wait, "not there yet");
    Action::requeue(wait)
}

async fn turn(model: &StoredModelDeployment, context: &Context, generation: i64) -> Result<Action, Error> {
    let owner = Owner {
        namespace: model.namespace().unwrap_or_default(),
        name: model.name_any(),
        uid: model.uid().unwrap_or_default(),
    };
    let stored_status = context.statuses.newest(model).value();
    let status = ModelDeploymentStatus::read(&stored_status);
    let mut observed = Observed::read(&context.caches, owner, generation, status);
    observed.found = context.readings.newest(&observed.owner.uid, observed.status.predictions.as_ref());
    observed.answers = context.readings.answers(&observed.owner.uid);
    context.unwell.tell(&observed.owner.uid, &mut observed.pods);
    let (stored, read) = match model.read_spec() {
        Ok(stored) => {
            let read = context.specs.read(&observed.owner.uid, generation, &observed.owner.name, &stored);
            (stored, read)
        }
        Err(faults) => (Value::Null, Arc::new(Err(faults))),
    };
    let spec = match &*read {
        Ok(spec) => spec,
        Err(faults) => {
            let status = report::invalid_status(faults, &observed, Timestamp::now());
            write(context, &observed, &stored_status, status, None, Vec::new()).await?;
            return Ok(Action::await_change());
        }
    };
    observed = observed.place(spec);
    let seen = follow(context, spec, &observed);
    let replaces = decide::replaces(spec, &seen, &observed);
    // Where nobody is answered nobody need be spared.
    observed.in_turn = replaces && (!observed.serves() || context.replacing.may(&observed.owner.uid, Instant::now()));
    let mail = context.mail.look(&observed.owner, generation, spec, &context.release.mail).await;
    observed.mail = mail.secret;
    look_at_prometheus(context, &mut observed);
    observed.runs = context.runs.follow(&observed.owner, training::question(spec, &seen, &observed));
    let plan = decide(&stored, spec, &seen, &observed, &context.release);
    context.sights.follow(&observed.owner, expectation(&plan, &observed));
    context.readings.follow(&observed.owner, readings::question(plan.spec(spec), &plan, &observed));
    context.unwell.follow(&observed.owner, unwell::question(spec, &plan, &observed));
    let applier = Applier {
        writer: &context.writer,
        caches: &context.caches,
        ledger: &context.ledger,
        owner: &observed.owner,
        generation,
    };
    let (applied, failure) = match applier.apply(&plan).await {
        Ok(applied) => (applied, None),
        Err(error) if error.is_farewell() || matches!(error, Error::LeaseLost) => return Err(error),
        Err(error) => (Applied { obstacles: vec![unanswered(&error)], ..Applied::default() }, Some(error)),
    };
    let now = Timestamp::now();
    let status = report::status(spec, &plan, &applied, &seen, &observed, now);
    let moves = plan.target.replaces.is_some() && applier.is_stored(&plan);
    if replacing::is_over(replaces, moves, &plan.progress) {
        context.replacing.done(&observed.owner.uid);
    }
    let waits = (replaces && !observed.in_turn).then_some(replacing::AGAIN);
    let again = applied.again.map(|at| at.saturating_duration_since(Instant::now()));
    let due = observed.unscaled(spec).and_then(|(_, due)| due).filter(|due| *due > now);
    let due = due.map(|due| now.duration_until(due).unsigned_abs());
    write(context, &observed, &stored_status, status, Some(spec), applied.notes).await?;
    match failure {
        Some(error) => Err(error),
        None => Ok(again
            .into_iter()
            .chain(due)
            .chain(mail.again)
            .chain(waits)
            .min()
            .map_or_else(Action::await_change, Action::requeue)),
    }
}

/// What Prometheus itself has said.
fn look_at_prometheus(context: &Context, observed: &mut Observed) {
    let known = conditions::find(&observed.status.conditions, conditions::MONITORING_READY);
    let remembered = known.is_some_and(|known| known.message.contains(NO_CONTAINERS));
    let around = &mut observed.around;
    around.proof = context.sights.proof(&observed.owner.uid);
    around.without_containers = context.sights.without_containers(around.prometheuses(), remembered);
    around.scraped_by_others = known.is_some_and(|known| known.message.contains(SOMEBODY_SCRAPES));
}

/// What Prometheus should be seen to do. Of a model that does not run there is nothing to see.
fn expectation(plan: &Plan, observed: &Observed) -> Option<Expectation> {
    plan.monitoring.as_ref().filter(|_| observed.serves()).map(|bundle| bundle.expectation.clone())
}

/// Tells the poller what to look for, and hears what it knows.
fn follow(context: &Context, spec: &ValidSpec, observed: &Observed) -> Observation {
    let owner = &observed.owner;
    let running = observed.running(&spec.image.repository.to_string());
    let want = match &spec.image.pin {
        Some(digest) => Want::Digest(digest.clone()),
        None => Want::Tag(spec.image.tag.clone()),
    };
    let key = OwnerKey { namespace: owner.namespace.clone(), name: owner.name.clone(), uid: owner.uid.clone() };
    let credentials = CredentialRef {
        namespace: owner.namespace.clone(),
        service_account: spec.server.service_account.clone().unwrap_or_else(|| "default".into()),
        secrets: spec.image.pull_secrets.clone(),
    };
    let stored = observed.stored(&spec.image.repository.to_string());
    let serving = observed.pulled(&spec.image.repository.to_string());
    let known = stored.iter().find(|details| Some(&details.digest) == serving.as_ref());
    let serving_images = known.map(|known| known.images_for(&observed.platforms)).unwrap_or_default();
    let follow = |introducing| Follow {
        repository: spec.image.repository.clone(),
        want: want.clone(),
        details_of: running.iter().cloned().collect::<BTreeSet<_>>(),
        stored: stored.clone(),
        serving: serving.clone(),
        serving_images: serving_images.clone(),
        introducing,
        interval: spec.image.poll_interval,
        credentials: credentials.clone(),
        generation: observed.generation,
    };
    // What nodes would pull of a version is known only with the version itself.
    let images = |latest: Option<&ImageDetails>| {
        let new = latest.filter(|latest| Some(&latest.digest) != running.as_ref());
        new.map(|latest| latest.images_for(&observed.platforms)).unwrap_or_default()
    };
    let known = images(context.images.latest(&key).as_deref());
    let seen = context.images.follow(&key, follow(known.clone()));
    let introducing = images(seen.latest.as_ref());
    if introducing == known { seen } else { context.images.follow(&key, follow(introducing)) }
}

/// In words that do not change from try to try.
fn unanswered(error: &Error) -> Obstacle {
    Obstacle {
        reason: "ApiServerError",
        message: format!("the API server did not take a change ({}); it is tried again", error.category()),
        passing: true,
    }
}

async fn write(
    context: &Context,
    observed: &Observed,
    stored: &Value,
    status: ModelDeploymentStatus,
    spec: Option<&ValidSpec>,
    mut notes: Vec<super::writer::Note>,
) -> Result<(), Error> {
    context.models.set(observed, &status, spec);
    if let Some(patch) = report::status_patch(stored, &status) {
        let Some(written) = context.writer.patch_status(&observed.owner, &patch).await? else {
            // Gone, or replaced by another of the same name: nothing to tell.
            return Ok(());
        };
        context.statuses.wrote(&written);
        notes.extend(story::tell(&observed.status, &status, spec.map(|spec| spec.strategy)));
    }
    // Told after the status is written: a crash in between loses an event, never repeats one.
    for note in notes {
        context.writer.publish(&observed.owner, &note).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(version: u64, tag: &str) -> StoredModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"namespace": "tasting-room", "name": "grape", "uid": "1", "resourceVersion": version.to_string()},
            "spec": {}, "status": {"tag": tag},
        }))
        .unwrap()
    }

    #[test]
    fn a_status_that_was_written_counts_until_the_watch_has_brought_it_or_a_newer_one() {
        let statuses = Statuses::default();
        let tag = |model: &StoredModelDeployment| statuses.newest(model).value()["tag"].as_str().unwrap().to_owned();
        assert_eq!(tag(&model(5, "old")), "old");
        statuses.wrote(&model(7, "written"));
        assert_eq!(tag(&model(5, "old")), "written", "the watch lags behind");
        assert_eq!(tag(&model(7, "brought")), "brought");
        statuses.wrote(&model(9, "written"));
        assert_eq!(tag(&model(11, "another's")), "another's");
        assert_eq!(tag(&model(5, "old")), "old", "once the watch has caught up, nothing is kept");
    }
}
