//! What a run came to, for people and for programs.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use indicatif::{DecimalBytes, HumanCount};
use serde::Serialize;

use super::{
    drive::Ended,
    tally::{Counts, Kind},
};

/// The JSON of `--output json`. `requests` is the sum of `codes` and of the errors refused, timeout, broken and unsent.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub target: String,
    /// From the start to the last answer.
    pub seconds: f64,
    /// Whether Ctrl-C or SIGTERM ended the run.
    pub interrupted: bool,
    pub requests: u64,
    pub answers: u64,
    /// Answers per second.
    pub rate: f64,
    pub wanted_rate: Option<f64>,
    /// Bytes of bodies.
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub latency_seconds: Option<Latency>,
    /// Answers by status code.
    pub codes: BTreeMap<String, u64>,
    /// Every kind, also those that did not occur.
    pub errors: BTreeMap<&'static str, u64>,
    /// What the first error of each kind said.
    pub first_errors: BTreeMap<&'static str, String>,
    /// Errors of all kinds by requests: 0 to 1.
    pub error_ratio: f64,
    /// Rows of successful answers by class.
    pub predictions: BTreeMap<String, u64>,
}

/// Percentiles in seconds, within 0.1%.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latency {
    fn of(counts: &Counts) -> Option<Self> {
        let histogram = &counts.latency;
        let seconds = |micros: u64| micros as f64 / 1e6;
        let at = |quantile: f64| seconds(histogram.value_at_quantile(quantile));
        let of = Self { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max: seconds(histogram.max()) };
        (!histogram.is_empty()).then_some(of)
    }
}

impl Summary {
    pub fn new(target: &str, wanted_rate: Option<f64>, ended: &Ended, counts: &Counts) -> Self {
        let seconds = ended.elapsed.as_secs_f64();
        let answers = counts.answers();
        let per = |part: u64, whole: f64| if whole > 0.0 { part as f64 / whole } else { 0.0 };
        let first = |kind: &Kind| counts.errors.get(kind).map(|errors| (kind.name(), errors.first.clone()));
        Self {
            target: target.to_owned(),
            seconds,
            interrupted: ended.interrupted,
            requests: counts.requests(),
            answers,
            rate: per(answers, seconds),
            wanted_rate,
            sent_bytes: counts.sent_bytes,
            received_bytes: counts.received_bytes,
            latency_seconds: Latency::of(counts),
            codes: counts.codes.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
            errors: Kind::ALL.iter().map(|kind| (kind.name(), counts.of(*kind))).collect(),
            first_errors: Kind::ALL.iter().filter_map(first).collect(),
            error_ratio: per(counts.failed(), counts.requests() as f64),
            predictions: counts.predictions.clone(),
        }
    }
}

impl Display for Summary {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let ended = if self.interrupted { " (interrupted)" } else { "" };
        let wanted = self.wanted_rate.map_or(String::new(), |rate| format!(" of {rate} wanted"));
        writeln!(out, "target       {}", self.target)?;
        writeln!(out, "requests     {} in {:.1} s{ended}", HumanCount(self.requests), self.seconds)?;
        writeln!(out, "answers      {}, {:.1} a second{wanted}", HumanCount(self.answers), self.rate)?;
        let (sent, received) = (DecimalBytes(self.sent_bytes), DecimalBytes(self.received_bytes));
        writeln!(out, "bytes        {sent} sent, {received} received")?;
        if let Some(Latency { p50, p90, p95, p99, max }) = self.latency_seconds {
            let [p50, p90, p95, p99, max] = [p50, p90, p95, p99, max].map(time);
            writeln!(out, "latency      p50 {p50}, p90 {p90}, p95 {p95}, p99 {p99}, max {max}")?;
        }
        writeln!(out, "codes        {}", list(&self.codes))?;
        writeln!(out, "errors       {:.2}%", self.error_ratio * 100.0)?;
        for (kind, count) in self.errors.iter().filter(|(_, count)| **count > 0) {
            let first = self.first_errors.get(kind).map_or("", String::as_str);
            writeln!(out, "  {kind:<10} {}: {first}", HumanCount(*count))?;
        }
        writeln!(out, "predictions  {}", list(&self.predictions))
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts.iter().map(|(name, count)| format!("{name}: {}", HumanCount(*count))).collect::<Vec<_>>().join(", ")
}

/// Three digits and a unit.
fn time(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX) {
        time if time < Duration::from_millis(1) => format!("{} µs", time.as_micros()),
        time if time < Duration::from_secs(1) => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        time => format!("{:.2} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
#[path = "tests/summary.rs"]
mod tests;
