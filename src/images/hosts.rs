//! What holds for a whole host: how many requests at once, the wait after a 429, the remaining pulls; and its metrics.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
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

/// Repositories come from users: beyond this many hosts, metrics say `other`.
const MOST_HOST_LABELS: usize = 50;
/// Hosts remembered; those with nothing to remember make room.
const MOST_HOSTS: usize = 2_000;
/// The wait after a 429 that does not say how long, doubled with each further one.
const FIRST_HOLD: Duration = Duration::from_secs(60);
/// Docker Hub counts pulls over six hours: a longer wait is a mistake.
pub(super) const LONGEST_HOLD: Duration = Duration::from_secs(6 * 60 * 60);
/// The longest of our own choosing.
const LONGEST_GUESS: Duration = Duration::from_secs(15 * 60);

/// All hosts.
pub(super) struct Hosts {
    concurrency: usize,
    states: Mutex<HashMap<String, State>>,
    metrics: Metrics,
}

struct State {
    permits: Arc<Semaphore>,
    label: String,
    held_until: Option<Instant>,
    holds_in_a_row: u32,
    pace: u32,
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

    /// How long the host is still not to be asked.
    pub fn hold(&self, host: &str) -> Option<Duration> {
        let now = Instant::now();
        self.with(host, |state| state.held_until.filter(|until| *until > now).map(|until| until - now))
    }

    /// By how much to stretch intervals, going by what the host last said of its limits: 1, 2 or 4.
    pub fn pace(&self, host: &str) -> u32 {
        self.with(host, |state| state.pace)
    }

    /// Counts an answer and takes in what it says of limits. Returns the hold that begins with it.
    pub fn answered(
        &self,
        host: &str,
        method: &str,
        status: http::StatusCode,
        headers: &HeaderMap,
    ) -> Option<Duration> {
        let remaining = number(headers, "ratelimit-remaining");
        let limit = number(headers, "ratelimit-limit");
        let told = retry_after(headers, SystemTime::now());
        let (label, hold) = self.with(host, |state| {
            if let Some(remaining) = remaining {
                state.pace = pace(remaining, limit);
            }
            let hold = (status == http::StatusCode::TOO_MANY_REQUESTS).then(|| state.hold_for(told));
            if status.is_success() {
                state.holds_in_a_row = 0;
            }
            (state.label.clone(), hold)
        });
        self.metrics.requests.with_label_values(&[&label, method, status.as_str()]).inc();
        if let Some(remaining) = remaining {
            self.metrics.remaining.with_label_values(&[&label]).set(remaining as f64);
        }
        if let Some(hold) = hold {
            let until = SystemTime::now() + hold;
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
                state.held_until.is_some_and(|until| until > now) || Arc::strong_count(&state.permits) > 1
            });
        }
        let labels = states.len();
        let state = states.entry(host.to_owned()).or_insert_with(|| State {
            permits: Arc::new(Semaphore::new(self.concurrency)),
            label: if labels < MOST_HOST_LABELS { host.to_owned() } else { "other".to_owned() },
            held_until: None,
            holds_in_a_row: 0,
            pace: 1,
        });
        f(state)
    }
}

impl State {
    fn hold_for(&mut self, told: Option<Duration>) -> Duration {
        let guess = FIRST_HOLD.saturating_mul(1 << self.holds_in_a_row.min(10)).min(LONGEST_GUESS);
        self.holds_in_a_row = self.holds_in_a_row.saturating_add(1);
        let hold = told.unwrap_or(guess).clamp(Duration::from_secs(1), LONGEST_HOLD);
        let until = Instant::now() + hold;
        // Answers to requests that were under way come later and may say less: the longest hold counts.
        self.held_until = Some(self.held_until.map_or(until, |known| known.max(until)));
        hold
    }
}

/// Nodes pull from the same budget, so polling steps back long before nothing remains. A HEAD costs nothing on Docker
/// Hub; on registries that count every request it does.
fn pace(remaining: u64, limit: Option<u64>) -> u32 {
    let limit = limit.unwrap_or(100).max(1);
    match remaining.saturating_mul(100) / limit {
        0..5 => 4,
        5..20 => 2,
        _ => 1,
    }
}

/// The number at the beginning of `100;w=21600`.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?.trim_start();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

/// `Retry-After`, as seconds or as an HTTP date; no longer than anything sensible.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(LONGEST_HOLD, Duration::from_secs)
    } else {
        // The weekday says nothing that the date does not, so a wrong one does no harm.
        let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
        let at = SystemTime::from(parser.parse_timestamp(text).ok()?);
        at.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_HOLD))
}

/// A lock that a panic elsewhere cannot make useless: what it guards is whole after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn hosts() -> (Hosts, prometheus::Registry) {
        let registry = prometheus::Registry::new();
        (Hosts::new(2, &registry).unwrap(), registry)
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let read = |text| retry_after(&headers(&[("retry-after", text)]), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO), "in the past");
        assert_eq!(read("Fri, 06 Nov 2094 08:00:00 GMT"), Some(LONGEST_HOLD), "absurd");
        assert_eq!(read("99999999999999999999999"), Some(LONGEST_HOLD), "absurd");
        for wrong in ["", "-1", "soon", "1.5"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_pace_slows_as_the_remaining_pulls_run_out() {
        assert_eq!(pace(98, Some(100)), 1);
        assert_eq!(pace(15, Some(100)), 2);
        assert_eq!(pace(15, None), 2);
        assert_eq!(pace(0, Some(100)), 4);
        assert_eq!(pace(0, Some(0)), 4);
        assert_eq!(pace(u64::MAX, Some(100)), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_holds_the_whole_host_as_long_as_it_says_and_no_other() {
        let (hosts, _registry) = hosts();
        let too_many = http::StatusCode::TOO_MANY_REQUESTS;
        hosts.answered("hub.example", "HEAD", too_many, &headers(&[("retry-after", "300")]));
        assert_eq!(hosts.hold("hub.example"), Some(Duration::from_secs(300)));
        assert_eq!(hosts.hold("quay.example"), None);
        // A late answer that says less does not shorten it.
        hosts.answered("hub.example", "HEAD", too_many, &headers(&[("retry-after", "10")]));
        assert_eq!(hosts.hold("hub.example"), Some(Duration::from_secs(300)));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(hosts.hold("hub.example"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn holds_of_our_own_choosing_double_up_to_a_bound_and_start_over_after_a_success() {
        let (hosts, _registry) = hosts();
        let mut holds = Vec::new();
        for _ in 0..6 {
            let hold = hosts.answered("hub.example", "HEAD", http::StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
            holds.push(hold.unwrap().as_secs());
        }
        assert_eq!(holds, [60, 120, 240, 480, 900, 900]);
        assert_eq!(hosts.answered("hub.example", "HEAD", http::StatusCode::OK, &HeaderMap::new()), None);
        let hold = hosts.answered("hub.example", "HEAD", http::StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
        assert_eq!(hold, Some(FIRST_HOLD));
    }

    #[tokio::test]
    async fn metrics_show_limits_and_stay_bounded_in_hosts() {
        let (hosts, registry) = hosts();
        let limits = headers(&[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "7;w=21600")]);
        hosts.answered("hub.example", "HEAD", http::StatusCode::OK, &limits);
        assert_eq!(hosts.pace("hub.example"), 2);
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
