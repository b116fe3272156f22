//! One shared poll per reference, however many owners follow it.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, Stream, stream};
use prometheus::{
    IntGauge,
    core::{Collector as _, Desc},
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    credentials::{CredentialError, CredentialSource},
    details::{Details, Head},
    follow::{Follow, Observation, OwnerKey, Want},
    heads::{Asker, Heads},
    hosts::{self, Hosts, lock},
    index::{Effects, Index, Job, Outcome, TargetKey},
    keychains::{Keychains, Read},
    manifest::ImageDetails,
    mirrors::Mirrors,
    problem::{Failure, FailureKind, Problem, reason},
    reference::{Digest, Repository},
    registry::{Ask, Client, Resolved},
    schedule::Schedule,
};
use crate::outside::TrustedCa;

/// How to poll. [`Config::default`] is right for production.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which mirrors stand in for which registry.
    pub mirrors: Mirrors,
    /// At most this many requests under way to one host.
    pub per_host_concurrency: usize,
    /// A whole request, its redirects and body included.
    pub request_timeout: Duration,
    /// Polls are spread by this share of their interval, both ways. 0 for tests that count.
    pub jitter: f64,
    /// No owner makes us poll more often than this.
    pub shortest_interval: Duration,
    /// The wait after a first failure; it doubles with each further one.
    pub first_back_off: Duration,
    /// How often the digest that users get is looked for.
    pub serving_interval: Duration,
    /// How soon after a poll a [hint](Images::hint) may cause the next: hints come from outside, unproven.
    pub hint_floor: Duration,
    /// Manifests kept in memory.
    pub remembered_details: usize,
    /// Whether `HTTPS_PROXY` and its like are honoured.
    pub system_proxy: bool,
    /// Authorities of registries, beside the public ones.
    pub trusted: TrustedCa,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mirrors: Mirrors::none(),
            per_host_concurrency: 8,
            request_timeout: Duration::from_secs(20),
            jitter: 0.1,
            shortest_interval: Duration::from_secs(1),
            first_back_off: Duration::from_secs(5),
            serving_interval: Duration::from_secs(24 * 60 * 60),
            hint_floor: Duration::from_secs(5),
            remembered_details: 4096,
            system_proxy: true,
            trusted: TrustedCa::default(),
        }
    }
}

impl Config {
    fn schedule(&self) -> Schedule {
        Schedule {
            jitter: self.jitter.clamp(0.0, 0.5),
            shortest_interval: self.shortest_interval,
            first_back_off: self.first_back_off,
            serving_interval: self.serving_interval,
            hint_floor: self.hint_floor,
        }
    }
}

/// Why polling cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No HTTP client.
    #[error("the HTTP client for registries cannot be built: {0}")]
    Client(#[from] reqwest::Error),
    /// A metric of that name exists already.
    #[error("the metrics of the registry client cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What registries hold for all owners. Cheap to clone; polling ends when the last clone is dropped.
#[derive(Clone)]
pub struct Images {
    poller: Arc<Poller>,
    _open: Arc<Open>,
}

/// Dropped with the last handle.
struct Open(Arc<Poller>);

struct Poller {
    ask: Arc<dyn Ask>,
    keychains: Keychains,
    index: Mutex<Index>,
    details: Details,
    heads: Heads,
    references: IntGauge,
    /// Something became due, or all is over.
    wake: Notify,
    /// Somebody is to be told, or all is over.
    news: Notify,
    closed: AtomicBool,
}

/// All metrics about registries, also while none has been asked.
///
/// # Errors
/// When two have one name, which a test rules out.
pub fn metric_descriptions() -> Result<Vec<Desc>, prometheus::Error> {
    Ok(references()?.desc().into_iter().cloned().chain(hosts::metric_descriptions()?).collect())
}

fn references() -> Result<IntGauge, prometheus::Error> {
    IntGauge::new(
        "modelship_registry_references",
        "Image references that are polled, each once however many objects follow it.",
    )
}

impl Images {
    /// Starts polling for whoever [follows](Images::follow). Needs a tokio runtime, and a rustls provider installed.
    ///
    /// The stream yields the owners whose observation is no more what [`follow`](Images::follow) told them last, each
    /// once until it is taken; it ends when the last handle is dropped.
    pub fn new(
        config: Config,
        source: Arc<dyn CredentialSource>,
        metrics: &prometheus::Registry,
    ) -> Result<(Self, impl Stream<Item = OwnerKey> + Send + Unpin + use<>), SetupError> {
        let hosts = Hosts::new(config.per_host_concurrency, metrics)?;
        let client = Client::new(&config, hosts)?;
        Ok(Self::start(&config, Arc::new(client), source, metrics)?)
    }

    fn start(
        config: &Config,
        ask: Arc<dyn Ask>,
        source: Arc<dyn CredentialSource>,
        metrics: &prometheus::Registry,
    ) -> Result<(Self, impl Stream<Item = OwnerKey> + Send + Unpin + use<>), prometheus::Error> {
        let references = references()?;
        metrics.register(Box::new(references.clone()))?;
        let poller = Arc::new(Poller {
            ask,
            keychains: Keychains::new(source),
            index: Mutex::new(Index::new(config.schedule(), rand::random::<f64>)),
            details: Details::new(config.remembered_details),
            heads: Heads::default(),
            references,
            wake: Notify::new(),
            news: Notify::new(),
            closed: AtomicBool::new(false),
        });
        tokio::spawn(poller.clone().run());
        let changed = stream::unfold(poller.clone(), async |poller| poller.changed().await.map(|key| (key, poller)));
        let images = Self { _open: Arc::new(Open(poller.clone())), poller };
        Ok((images, Box::pin(changed)))
    }

    /// Says what the owner wants and returns what is known right now. Never waits: the answer to something new comes
    /// by the stream. Saying the same again changes nothing.
    pub fn follow(&self, owner: &OwnerKey, follow: Follow) -> Observation {
        let (observation, effects) = {
            let mut index = lock(&self.poller.index);
            let result = index.follow(owner, follow, Instant::now());
            self.poller.references.set(count(&index));
            result
        };
        self.poller.apply(effects);
        observation
    }

    /// What is known to be wanted by an owner that [follows](Images::follow) something already.
    pub fn latest(&self, owner: &OwnerKey) -> Option<Arc<ImageDetails>> {
        lock(&self.poller.index).latest(owner)
    }

    /// The owner is gone.
    pub fn forget(&self, owner: &OwnerKey) {
        let effects = {
            let mut index = lock(&self.poller.index);
            let effects = index.forget(owner);
            self.poller.references.set(count(&index));
            effects
        };
        self.poller.apply(effects);
    }

    /// Forgets all owners but these: for after a relist, which yields no deletions.
    pub fn retain(&self, live: &HashSet<OwnerKey>) {
        let gone = lock(&self.poller.index).owners_besides(live);
        gone.iter().for_each(|owner| self.forget(owner));
    }

    /// Something outside says that this repository changed. Never believed: it only makes the next poll come soon.
    pub fn hint(&self, repository: &Repository) {
        let wake = lock(&self.poller.index).hint(repository, Instant::now());
        self.poller.apply(Effects { wake, ..Effects::default() });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.wake.notify_one();
        self.0.news.notify_one();
    }
}

impl Poller {
    /// Hands out what is due, until the last handle is dropped; polls under way then end with it.
    async fn run(self: Arc<Self>) {
        let mut polls = JoinSet::new();
        while !self.closed.load(Ordering::Acquire) {
            let (jobs, next) = {
                let mut index = lock(&self.index);
                (index.take_due(Instant::now()), index.next_due())
            };
            for job in jobs {
                polls.spawn(self.clone().poll(job));
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep_until(next.unwrap_or_else(far_away)), if next.is_some() => {}
                Some(_) = polls.join_next(), if !polls.is_empty() => {}
            }
        }
    }

    async fn poll(self: Arc<Self>, job: Job) {
        let id = job.id;
        // Were a poll to end without a word, its reference would never be polled again.
        let outcome = AssertUnwindSafe(self.answer(&job)).catch_unwind().await.unwrap_or_else(|_| {
            let message =
                format!("polling {}{} failed inside the operator: see its log", job.key.repository, job.key.want);
            Outcome::failed(Failure::unknown(reason::REGISTRY_ERROR, message), None)
        });
        if let Err(failure) = &outcome.answer {
            let Problem { reason, message } = &failure.problem;
            tracing::debug!(repository = %job.key.repository, want = %job.key.want, reason, message, "poll failed");
        }
        let news = lock(&self.index).finish(id, outcome, Instant::now());
        self.wake.notify_one();
        if news {
            self.news.notify_one();
        }
    }

    /// One poll; when the registry refuses, the Secrets are read anew, and if they say something new, a second one.
    async fn answer(&self, job: &Job) -> Outcome {
        let no_keychain = |error: CredentialError| {
            let failure = Failure { problem: error.problem(), retry_after: None, kind: FailureKind::Unknown };
            Outcome::failed(failure, None)
        };
        let from = &job.key.credentials;
        let read = match self.keychains.get(from).await {
            Ok(read) => read,
            Err(error) => return no_keychain(error),
        };
        let outcome = self.once(job, &read).await;
        if !outcome.answer.as_ref().is_err_and(Failure::may_be_credentials) {
            return outcome;
        }
        match self.keychains.newer(from, &read).await {
            Ok(Some(newer)) => self.once(job, &newer).await,
            Ok(None) | Err(CredentialError::Unavailable { .. }) => outcome,
            Err(error) => no_keychain(error),
        }
    }

    /// One poll with these Secrets.
    async fn once(&self, job: &Job, read: &Read) -> Outcome {
        let identity = self.ask.identity(&job.key.repository, &read.keychain);
        let answer = self.ask_as(job, read, &identity).await;
        answer.unwrap_or_else(|failure| Outcome::failed(failure, Some(identity)))
    }

    async fn ask_as(&self, job: &Job, read: &Read, identity: &Digest) -> Result<Outcome, Failure> {
        let TargetKey { repository, want, credentials } = &job.key;
        let keychain = &read.keychain;
        let found = |answer, pace| Outcome { answer: Ok(answer), pace, identity: Some(identity.clone()) };
        if let (Want::Digest(digest), None, true) = (want, &job.known, job.needs_details) {
            let details = self.details.get(&*self.ask, repository, digest, credentials, keychain, None).await?;
            return Ok(found(Some(details), 1));
        }
        let said = lock(&self.index).said_since(&job.key, identity, job.since);
        let Resolved { digest, manifest, pace } = match said {
            Some((digest, pace)) => Resolved { digest, manifest: None, pace },
            None => {
                let asker = Asker { keychain, identity, since: job.since };
                self.heads.resolve(&*self.ask, repository, want, asker).await?
            }
        };
        let unchanged = job.known.as_ref().is_some_and(|known| known.digest == digest);
        if unchanged || matches!(want, Want::Digest(_)) {
            return Ok(found(None, pace));
        }
        let known = lock(&self.index).known(&job.key, &digest);
        if known.is_some() {
            return Ok(found(known, pace));
        }
        // Only a complete answer is an answer: until the new version's details are known the old one stands.
        let head = Some(Head { manifest });
        let details = self.details.get(&*self.ask, repository, &digest, credentials, keychain, head).await?;
        Ok(found(Some(details), pace))
    }

    async fn changed(&self) -> Option<OwnerKey> {
        loop {
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            if let Some(key) = lock(&self.index).next_changed() {
                return Some(key);
            }
            self.news.notified().await;
        }
    }

    fn apply(&self, effects: Effects) {
        effects.unused.iter().for_each(|from| self.keychains.forget(from));
        effects.reread.iter().for_each(|from| self.keychains.outdate(from));
        if effects.wake {
            self.wake.notify_one();
        }
    }
}

fn count(index: &Index) -> i64 {
    i64::try_from(index.len()).unwrap_or(i64::MAX)
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(60 * 60)
}

#[cfg(test)]
#[path = "tests/poller.rs"]
mod tests;
