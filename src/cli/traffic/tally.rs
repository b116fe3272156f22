//! Counting while requests run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

use super::{
    answer::{Names, classes_of, message_of},
    client::{Answer, Failure},
    drive::Unsent,
};

/// Classes that are counted by name; the rest count together.
const CLASSES_MAX: usize = 50;
pub const OTHER: &str = "__other__";
/// Values that a backlog is spread over in the histogram: finer than any percentile that is shown.
const BACKLOG_STEPS: u64 = 1000;
/// In microseconds: a week, which no --timeout exceeds. With three digits of precision they take a quarter of a MiB.
const LATENCY_MAX: u64 = 7 * 24 * 60 * 60 * 1_000_000;
const DIGITS: u8 = 3;

/// Why a request was no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Refused,
    Timeout,
    Broken,
    Client,
    Server,
    Other,
    Unsent,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Refused, Self::Timeout, Self::Broken, Self::Client, Self::Server, Self::Other, Self::Unsent];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Client => "http_4xx",
            Self::Server => "http_5xx",
            Self::Other => "http_other",
            Self::Unsent => "unsent",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Errors {
    pub count: u64,
    /// What the first of them said.
    pub first: String,
}

/// Everything that is counted.
#[derive(Clone, Debug)]
pub struct Counts {
    /// In microseconds: of what was answered, ran into the time limit, or waited in vain for its turn. A refused
    /// connection is quick, and would make a broken server look fast.
    pub latency: Histogram<u64>,
    pub codes: BTreeMap<u16, u64>,
    pub errors: BTreeMap<Kind, Errors>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub predictions: BTreeMap<String, u64>,
}

impl Counts {
    pub fn requests(&self) -> u64 {
        let without_answer =
            Kind::ALL.iter().filter(|kind| matches!(kind, Kind::Refused | Kind::Timeout | Kind::Broken));
        self.answers() + without_answer.map(|kind| self.of(*kind)).sum::<u64>() + self.of(Kind::Unsent)
    }

    pub fn answers(&self) -> u64 {
        self.codes.values().sum()
    }

    pub fn failed(&self) -> u64 {
        self.errors.values().map(|errors| errors.count).sum()
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.errors.get(&kind).map_or(0, |errors| errors.count)
    }

    fn measured(&mut self, latency: Duration, times: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record_n(micros.max(1), times);
    }

    fn error(&mut self, kind: Kind, times: u64, words: impl FnOnce() -> String) {
        let errors = self.errors.entry(kind).or_insert_with(|| Errors { count: 0, first: words() });
        errors.count += times;
    }

    fn class(&mut self, class: &str) {
        if let Some(count) = self.predictions.get_mut(class) {
            *count += 1;
            return;
        }
        let class = if self.predictions.len() < CLASSES_MAX { class } else { OTHER };
        *self.predictions.entry(class.to_owned()).or_default() += 1;
    }
}

/// Counts of a run, shared by all that send.
pub struct Tally {
    names: Names,
    counts: Mutex<Counts>,
}

impl Tally {
    /// # Errors
    /// None in practice: the histogram's bounds are fixed.
    pub fn new(names: Names) -> Result<Self, String> {
        let counts = Counts {
            latency: Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS).map_err(|error| error.to_string())?,
            codes: BTreeMap::new(),
            errors: BTreeMap::new(),
            sent_bytes: 0,
            received_bytes: 0,
            predictions: BTreeMap::new(),
        };
        Ok(Self { names, counts: Mutex::new(counts) })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one request that has ended.
    pub fn record(&self, outcome: &Result<Answer, Failure>, latency: Duration, sent_bytes: u64) {
        // Read before the lock: a large answer takes a while.
        let classes = match outcome {
            Ok(answer) if answer.status.is_success() => classes_of(&answer.body),
            _ => Vec::new(),
        };
        let mut counts = self.lock();
        counts.sent_bytes += sent_bytes;
        match outcome {
            Ok(answer) => {
                counts.measured(latency, 1);
                counts.received_bytes += answer.size;
                *counts.codes.entry(answer.status.as_u16()).or_default() += 1;
                if let Some(kind) = kind_of(answer.status) {
                    counts.error(kind, 1, || message_of(&answer.body));
                }
            }
            Err(failure) => {
                let kind = match failure {
                    Failure::Refused(_) => Kind::Refused,
                    Failure::Timeout(_) => Kind::Timeout,
                    Failure::Closed(_) | Failure::Broken(_) => Kind::Broken,
                };
                if kind == Kind::Timeout {
                    counts.measured(latency, 1);
                }
                counts.error(kind, 1, || failure.words().to_owned());
            }
        }
        for class in &classes {
            counts.class(self.names.of(class).unwrap_or(&class.text));
        }
    }

    /// Counts what was due and never sent.
    pub fn leave(&self, unsent: Unsent) {
        if unsent.requests == 0 {
            return;
        }
        let mut counts = self.lock();
        counts.error(Kind::Unsent, unsent.requests, || {
            "due, but all clients were waiting for answers; raise --concurrency or lower --rate".to_owned()
        });
        let steps = unsent.requests.min(BACKLOG_STEPS);
        for step in 0..steps {
            // Together they are as many as the requests, whatever the remainder.
            let times = unsent.requests * (step + 1) / steps - unsent.requests * step / steps;
            counts.measured(unsent.longest.mul_f64((step + 1) as f64 / steps as f64), times);
        }
    }

    /// Requests that have ended, and how many of them in vain.
    pub fn progress(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.requests(), counts.failed())
    }

    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }
}

/// A redirect is no success either: a model's client does not follow it with its body.
fn kind_of(status: http::StatusCode) -> Option<Kind> {
    match status.as_u16() {
        200..=299 => None,
        400..=499 => Some(Kind::Client),
        500..=599 => Some(Kind::Server),
        _ => Some(Kind::Other),
    }
}
