//! The model's own metrics beside the exporter's, on one page. Ours win, and nothing of the model's breaks ours.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Uri, header, uri::PathAndQuery};
use prometheus::{
    IntCounter, IntCounterVec, Opts, Registry,
    proto::{MetricFamily, MetricType},
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    exposition::{Family, Format, Read, parse},
    fetch::{self, FetchError},
};

/// Beyond this a model's page costs Prometheus more than it tells.
const LARGEST_PAGE: usize = 4 << 20;
/// A model that is slower than this shall not cost the exporter's own series.
const LONGEST: Duration = Duration::from_secs(2);
/// Several scrapers ask the model once.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// What was left out of the page, by reason; every reason is there at 0 from the start.
#[derive(Clone)]
pub(super) struct Dropped {
    clash: IntCounter,
    line: IntCounter,
    malformed: IntCounter,
    refused: IntCounter,
    too_big: IntCounter,
    unreachable: IntCounter,
}

impl Dropped {
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = Opts::new(
            "modelship_exporter_model_metrics_dropped_total",
            "Metrics of the model that were left out: single ones whose name is taken (clash), single lines that Prometheus \
             would refuse the page for (line), else whole pages.",
        );
        let all = IntCounterVec::new(options, &["reason"])?;
        registry.register(Box::new(all.clone()))?;
        let of = |reason: &str| all.with_label_values(&[reason]);
        Ok(Self {
            clash: of("clash"),
            line: of("line"),
            malformed: of("malformed"),
            refused: of("refused"),
            too_big: of("too_big"),
            unreachable: of("unreachable"),
        })
    }

    /// A page of Python's that cannot be read.
    pub fn malformed(&self) {
        self.malformed.inc();
    }
}

/// The model's own metrics page.
pub(super) struct ModelPage {
    model: String,
    path: PathAndQuery,
    dropped: Dropped,
    /// Whether it was told that some of the page is wrong.
    told: AtomicBool,
    last: Mutex<Option<(Instant, Arc<Vec<Family>>)>>,
}

impl ModelPage {
    /// `model`: the host and port that the page is on.
    pub fn new(model: &str, path: PathAndQuery, dropped: Dropped) -> Self {
        Self { model: model.to_owned(), path, dropped, told: AtomicBool::new(false), last: Mutex::new(None) }
    }

    /// What is on it, nothing when it cannot be had. `patience` is what the scraper has.
    pub async fn families(&self, patience: Option<Duration>) -> Arc<Vec<Family>> {
        // Held while the model is asked: whoever comes meanwhile gets that answer.
        let mut last = self.last.lock().await;
        if let Some((at, families)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return families.clone();
        }
        let patience = patience.map_or(LONGEST, |patience| LONGEST.min(patience.mul_f64(0.75)));
        let families = Arc::new(self.ask(patience).await);
        *last = Some((Instant::now(), families.clone()));
        families
    }

    async fn ask(&self, patience: Duration) -> Vec<Family> {
        let accept = (header::ACCEPT, HeaderValue::from_static("text/plain;version=0.0.4"));
        let until = Instant::now() + patience;
        let get = async |path: &PathAndQuery| {
            let left = until.saturating_duration_since(Instant::now());
            fetch::get(&self.model, path, std::slice::from_ref(&accept), Some(LARGEST_PAGE), left).await
        };
        let mut answer = get(&self.path).await;
        // An application that is mounted at a path has its page behind a slash, and says so. No way leads elsewhere.
        if let Some(path) = answer.as_ref().ok().and_then(|answer| moved_to(answer, &self.model)) {
            answer = get(&path).await;
        }
        let answer = match answer {
            Ok(answer) if answer.status.is_success() => answer,
            Err(FetchError::TooBig(_)) => {
                self.dropped.too_big.inc();
                return Vec::new();
            }
            Ok(_) => {
                self.dropped.refused.inc();
                return Vec::new();
            }
            Err(_) => {
                self.dropped.unreachable.inc();
                return Vec::new();
            }
        };
        let kind = answer.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let openmetrics = kind.starts_with(b"application/openmetrics-text");
        let read = parse(&answer.body, if openmetrics { Format::OpenMetrics } else { Format::Text });
        self.count(&read);
        read.families
    }

    fn count(&self, Read { families, wrong, first_wrong }: &Read) {
        match families.is_empty() {
            true => self.dropped.malformed.inc_by(u64::from(*wrong > 0)),
            false => self.dropped.line.inc_by(*wrong),
        }
        let first = first_wrong.unwrap_or_default();
        if self.told.swap(*wrong > 0, Ordering::Relaxed) || *wrong == 0 {
            return;
        }
        let path = self.path.as_str();
        tracing::warn!(
            path,
            first,
            lines = wrong,
            "lines of the model's metrics page are left out: Prometheus refuses them"
        );
    }
}

/// Where an answer says that the page is, on the same server.
fn moved_to(answer: &fetch::Answer, model: &str) -> Option<PathAndQuery> {
    let location = answer.headers.get(header::LOCATION).filter(|_| answer.status.is_redirection())?;
    let location: Uri = location.to_str().ok()?.parse().ok()?;
    let same = location.authority().is_none_or(|authority| authority == model);
    location.path_and_query().filter(|_| same).cloned()
}

/// Leaves out what is ours, or came before; counts each family left out.
pub(super) fn fitting(ours: &[MetricFamily], theirs: &[&[Family]], dropped: &Dropped) -> Vec<Family> {
    let mut taken: HashSet<String> = ours.iter().flat_map(names).collect();
    let mut fitting = Vec::new();
    for family in theirs.iter().copied().flatten() {
        if family.names().any(|name| taken.contains(name)) {
            dropped.clash.inc();
            continue;
        }
        taken.extend(family.names().map(str::to_owned));
        fitting.push(family.clone());
    }
    fitting
}

/// Every name that Prometheus sees of one of our families.
fn names(family: &MetricFamily) -> Vec<String> {
    let suffixes: &[&str] = match family.get_field_type() {
        MetricType::HISTOGRAM => &["", "_bucket", "_sum", "_count"],
        MetricType::SUMMARY => &["", "_sum", "_count"],
        _ => &[""],
    };
    suffixes.iter().map(|suffix| format!("{}{suffix}", family.name())).collect()
}

#[cfg(test)]
#[path = "tests/merge.rs"]
mod tests;
