//! One controller at a time: a Lease, renewed in the background, and the guard that every write passes.
//!
//! The guard's deadline is monotonic and lies before the moment at which another controller may take the lease over: a
//! controller that was paused, or cut off, refuses its own writes before its successor begins.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;

use super::Error;

/// Another controller may take over after this long without a renewal (client-go's usual 15 s / 10 s / 2 s).
const DURATION: Duration = Duration::from_secs(15);
/// Writes are refused this long after the last renewal began.
const DEADLINE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(5);
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Where the lease lives and who we are.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    pub namespace: String,
    pub name: String,
    pub identity: String,
}

/// Says whether this controller may write.
#[derive(Clone, Default)]
pub struct Guard(Arc<Mutex<Option<Instant>>>);

impl Guard {
    /// # Errors
    /// [`Error::LeaseLost`] once the deadline has passed.
    pub fn check(&self) -> Result<(), Error> {
        self.held_for().map(|_| ()).ok_or(Error::LeaseLost)
    }

    /// How long the lease is ours without another renewal.
    pub fn held_for(&self) -> Option<Duration> {
        let until = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// The record of a lease that somebody else holds, and since when it has not changed before our eyes.
struct Seen {
    record: LeaseSpec,
    since: Instant,
}

/// The lease and our hold on it.
pub struct Holder {
    api: Api<Lease>,
    settings: LeaseSettings,
    guard: Guard,
}

impl Holder {
    pub fn new(client: Client, settings: LeaseSettings, guard: Guard) -> Self {
        Self { api: Api::namespaced(client, &settings.namespace), settings, guard }
    }

    /// Waits until the lease is ours.
    ///
    /// # Errors
    /// When the API server forbids access to leases: waiting would not help.
    pub async fn acquire(&self) -> Result<(), Error> {
        let mut seen: Option<Seen> = None;
        loop {
            match self.attempt(&mut seen).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.category() == "forbidden" => return Err(error),
                Err(error) => tracing::warn!(%error, "cannot read or write the lease; trying again"),
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }

    /// Renews until the lease is lost; returns then.
    pub async fn keep(&self) -> Error {
        let mut pause = RENEW_EVERY;
        while let Some(left) = self.guard.held_for() {
            tokio::time::sleep(pause.min(left)).await;
            pause = match self.attempt(&mut None).await {
                Ok(true) => RENEW_EVERY,
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "cannot renew the lease; trying again");
                    RETRY_EVERY
                }
            };
        }
        self.guard.set(None);
        Error::LeaseLost
    }

    /// Gives the lease back, so that a successor need not wait.
    pub async fn release(&self) {
        if self.guard.held_for().is_none() {
            return;
        }
        self.guard.set(None);
        let Ok(Ok(Some(lease))) = tokio::time::timeout(RETRY_EVERY, self.api.get_opt(&self.settings.name)).await else {
            return;
        };
        let ours = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.settings.identity);
        if ours {
            let spec = LeaseSpec { holder_identity: Some(String::new()), ..lease.spec.clone().unwrap_or_default() };
            let freed = Lease { spec: Some(spec), ..lease };
            let params = PostParams::default();
            let replace = self.api.replace(&self.settings.name, &params, &freed);
            if !matches!(tokio::time::timeout(RETRY_EVERY, replace).await, Ok(Ok(_))) {
                tracing::info!("the lease was not given back; a successor waits until it runs out");
            }
        }
    }

    /// One try to take or renew the lease. `Ok(false)`: somebody else holds it.
    async fn attempt(&self, seen: &mut Option<Seen>) -> Result<bool, Error> {
        let started = Instant::now();
        let work = async {
            let known = self.api.get_opt(&self.settings.name).await?;
            let Some(known) = known else {
                let lease = Lease { metadata: self.metadata(), spec: Some(self.spec(None)) };
                return self.api.create(&PostParams::default(), &lease).await.map(|_| true);
            };
            if !self.may_take(&known, seen) {
                return Ok(false);
            }
            let spec = self.spec(known.spec.as_ref());
            let ours = Lease { metadata: known.metadata, spec: Some(spec) };
            self.api.replace(&self.settings.name, &PostParams::default(), &ours).await.map(|_| true)
        };
        let what = format!("lease {}/{}", self.settings.namespace, self.settings.name);
        let outcome = tokio::time::timeout(RENEW_EVERY, work)
            .await
            .map_err(|_| Error::TimedOut { what: what.clone(), seconds: RENEW_EVERY.as_secs() })?;
        match outcome {
            Ok(true) => {
                // Counted from before the request: the server's clock for us started no earlier.
                self.guard.set(Some(started + DEADLINE));
                Ok(true)
            }
            Ok(false) => Ok(false),
            // Somebody was quicker; look again.
            Err(kube::Error::Api(status)) if status.code == 409 => Err(Error::of(what, kube::Error::Api(status))),
            Err(error) => Err(Error::of(what, error)),
        }
    }

    /// Clocks differ, so the times that others have written say nothing: what counts is for how long the record has stood still
    /// by our own clock, as in client-go.
    fn may_take(&self, lease: &Lease, seen: &mut Option<Seen>) -> bool {
        let record = lease.spec.clone().unwrap_or_default();
        let holder = record.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.settings.identity {
            return true;
        }
        match seen {
            Some(seen) if seen.record == record => seen.since.elapsed() >= DURATION,
            _ => {
                *seen = Some(Seen { record, since: Instant::now() });
                false
            }
        }
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.settings.name.clone()),
            namespace: Some(self.settings.namespace.clone()),
            ..ObjectMeta::default()
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.settings.identity));
        let changes = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: ours.map_or(Some(now.clone()), |spec| spec.acquire_time.clone()),
            renew_time: Some(now),
            lease_transitions: Some(if ours.is_some() || before.is_none() { changes } else { changes + 1 }),
            ..LeaseSpec::default()
        }
    }
}

#[cfg(test)]
#[path = "tests/lease.rs"]
mod tests;
