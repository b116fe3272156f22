//! What is remembered of a host: how many requests there are at once, what it has said of its limits to whom; and its metrics.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use http::HeaderMap;
use prometheus::{
    GaugeVec, IntCounterVec, Opts,
    core::{Collector, Desc},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    limits::{self, Account, Hold, Limit},
    reference::Digest,
};

/// Repositories come from users: beyond this many hosts, metrics say `other`.
const MOST_HOST_LABELS: usize = 50;
/// Hosts remembered; those with nothing to remember make room.
const MOST_HOSTS: usize = 2_000;
/// Accounts remembered of each host; those that are not held make room.
const MOST_ACCOUNTS: usize = 2_000;

/// All hosts.
pub(super) struct Hosts {
    concurrency: usize,
    states: Mutex<HashMap<String, State>>,
    metrics: Metrics,
}

struct State {
    permits: Arc<Semaphore>,
    label: String,
    /// By the fingerprint of the credential: one account's limit is not another's.
    accounts: HashMap<Digest, Account>,
}

struct Metrics {
    requests: IntCounterVec,
    remaining: GaugeVec,
    held_until: GaugeVec,
}

/// All metrics about hosts, also while none has been asked.
pub fn metric_descriptions() -> Result<Vec<Desc>, prometheus::Error> {
    let Metrics { requests, remaining, held_until } = Hosts::new(1, &prometheus::Registry::new())?.metrics;
    Ok(requests.desc().into_iter().chain(remaining.desc()).chain(held_until.desc()).cloned().collect())
}

impl Hosts {
    pub fn new(concurrency: usize, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "modelship_registry_requests_total",
                "Requests to container registries; method token is the token service's, code error is no answer at all.",
            ),
            &["host", "method", "code"],
        )?;
        let remaining = GaugeVec::new(
            Opts::new(
                "modelship_registry_ratelimit_remaining",
                "Pulls that the registry last said remain to us; absent where it sets no limit.",
            ),
            &["host"],
        )?;
        let held_until = GaugeVec::new(
            Opts::new(
                "modelship_registry_hold_until_timestamp_seconds",
                "Unix time before which the registry is not asked, after it answered 429.",
            ),
            &["host"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(remaining.clone()))?;
        registry.register(Box::new(held_until.clone()))?;
        let metrics = Metrics { requests, remaining, held_until };
        Ok(Self { concurrency: concurrency.max(1), states: Mutex::default(), metrics })
    }

    /// Waits for a place among the requests to this host; it is free again when the permit is dropped.
    pub async fn enter(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let permits = self.with(host, |state| state.permits.clone());
        // The semaphore is never closed; were it, going on without a place would still be right.
        permits.acquire_owned().await.ok()
    }

    /// How long, and why, the host is still not to be asked by this account.
    pub fn hold(&self, host: &str, who: &Digest) -> Option<Hold> {
        let now = Instant::now();
        self.with(host, |state| state.accounts.get(who)?.hold(now))
    }

    /// By how much to stretch intervals, going by what the host last said of this account's limits: 1, 2 or 4.
    pub fn pace(&self, host: &str, who: &Digest) -> u32 {
        self.with(host, |state| state.accounts.get(who).map_or(1, |account| account.pace))
    }

    /// Counts an answer and takes in what it says of limits; `limit` is what a 429 means. Returns the hold that begins with it.
    pub fn answered(
        &self,
        host: &str,
        who: &Digest,
        method: &str,
        status: http::StatusCode,
        headers: &HeaderMap,
        limit: Option<Limit>,
    ) -> Option<Hold> {
        let remaining = limits::remaining(headers);
        let (label, hold) = self.with(host, |state| {
            let hold = state.account(who).answered(headers, limit, status.is_success(), Instant::now());
            (state.label.clone(), hold)
        });
        self.metrics.requests.with_label_values(&[&label, method, status.as_str()]).inc();
        if let Some(remaining) = remaining {
            self.metrics.remaining.with_label_values(&[&label]).set(remaining as f64);
        }
        if let Some(hold) = hold {
            let until = SystemTime::now() + hold.wait;
            let seconds = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            self.metrics.held_until.with_label_values(&[&label]).set(seconds);
        }
        hold
    }

    /// Counts a request that got no answer.
    pub fn unanswered(&self, host: &str, method: &str) {
        let label = self.with(host, |state| state.label.clone());
        self.metrics.requests.with_label_values(&[&label, method, "error"]).inc();
    }

    fn with<T>(&self, host: &str, f: impl FnOnce(&mut State) -> T) -> T {
        let mut states = lock(&self.states);
        if !states.contains_key(host) && states.len() >= MOST_HOSTS {
            let now = Instant::now();
            states.retain(|_, state| {
                state.accounts.values().any(|account| account.hold(now).is_some())
                    || Arc::strong_count(&state.permits) > 1
            });
        }
        let labels = states.len();
        let state = states.entry(host.to_owned()).or_insert_with(|| State {
            permits: Arc::new(Semaphore::new(self.concurrency)),
            label: if labels < MOST_HOST_LABELS { host.to_owned() } else { "other".to_owned() },
            accounts: HashMap::new(),
        });
        f(state)
    }
}

impl State {
    fn account(&mut self, who: &Digest) -> &mut Account {
        if !self.accounts.contains_key(who) && self.accounts.len() >= MOST_ACCOUNTS {
            let now = Instant::now();
            self.accounts.retain(|_, account| account.hold(now).is_some());
        }
        self.accounts.entry(who.clone()).or_default()
    }
}

/// A lock that a panic elsewhere cannot make useless: what it guards is whole after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn hosts() -> (Hosts, prometheus::Registry) {
        let registry = prometheus::Registry::new();
        (Hosts::new(2, &registry).unwrap(), registry)
    }

    fn who(name: &str) -> Digest {
        Digest::of(name)
    }

    fn limited(hosts: &Hosts, name: &str, retry_after: &str) {
        let headers = headers(&[("retry-after", retry_after)]);
        let too_many = http::StatusCode::TOO_MANY_REQUESTS;
        hosts.answered("hub.example", &who(name), "HEAD", too_many, &headers, Some(Limit::Requests));
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_holds_one_account_at_one_host_as_long_as_it_says() {
        let (hosts, _registry) = hosts();
        let wait = |host, name| hosts.hold(host, &who(name)).map(|hold| hold.wait.as_secs());
        limited(&hosts, "alice", "300");
        assert_eq!(wait("hub.example", "alice"), Some(300));
        assert_eq!((wait("quay.example", "alice"), wait("hub.example", "bob")), (None, None));
        // A late answer that says less does not shorten it.
        limited(&hosts, "alice", "10");
        assert_eq!(wait("hub.example", "alice"), Some(300));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(wait("hub.example", "alice"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_that_are_not_held_make_room() {
        let (hosts, _registry) = hosts();
        limited(&hosts, "alice", "300");
        for number in 0..2 * MOST_ACCOUNTS {
            let good = http::StatusCode::OK;
            hosts.answered("hub.example", &who(&number.to_string()), "HEAD", good, &HeaderMap::new(), None);
        }
        assert!(hosts.hold("hub.example", &who("alice")).is_some());
        assert!(lock(&hosts.states)["hub.example"].accounts.len() <= MOST_ACCOUNTS);
    }

    #[tokio::test]
    async fn metrics_show_limits_and_stay_bounded_in_hosts() {
        let (hosts, registry) = hosts();
        let limits = headers(&[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "7;w=21600")]);
        hosts.answered("hub.example", &who("alice"), "HEAD", http::StatusCode::OK, &limits, None);
        assert_eq!((hosts.pace("hub.example", &who("alice")), hosts.pace("hub.example", &who("bob"))), (2, 1));
        for n in 0..500 {
            hosts.unanswered(&format!("host-{n}.example"), "HEAD");
        }
        let families = registry.gather();
        let requests = families.iter().find(|f| f.name() == "modelship_registry_requests_total").unwrap();
        assert_eq!(requests.get_metric().len(), MOST_HOST_LABELS + 1);
        let remaining = families.iter().find(|f| f.name() == "modelship_registry_ratelimit_remaining").unwrap();
        assert_eq!(remaining.get_metric()[0].get_gauge().get_value(), 7.0);
    }

    #[tokio::test]
    async fn a_host_gets_no_more_requests_at_once_than_allowed() {
        let (hosts, _registry) = hosts();
        let _first = hosts.enter("hub.example").await;
        let _second = hosts.enter("hub.example").await;
        assert!(futures::FutureExt::now_or_never(hosts.enter("hub.example")).is_none());
        assert!(futures::FutureExt::now_or_never(hosts.enter("quay.example")).is_some());
    }
}
