//! The metrics page.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use http::{Request, StatusCode, header};
use hyper::body::Incoming;
use prometheus::{
    IntGauge, Registry, TEXT_FORMAT, TextEncoder,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{
    drain::Drain,
    exposition,
    health::Health,
    merge::{Dropped, ModelPage, fitting},
    python::PythonPages,
    serve::{Answer, Handle, Turns, text, with_type},
    verdict::Rules,
};

/// The scraper's own patience, in seconds.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// What a scraper accepts that can read names in quotes.
const QUOTED: &str = "escaping=allow-utf-8";

/// Answers scrapes.
pub(super) struct Page {
    pub registry: Registry,
    pub dropped: Dropped,
    pub model: Option<ModelPage>,
    pub python: Option<Mutex<PythonPages>>,
    pub turns: Turns,
}

impl Handle for Page {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        if request.uri().path() != "/metrics" {
            return text(StatusCode::NOT_FOUND, "nothing is here; there is:\n/metrics  metrics for Prometheus");
        }
        match self.page(patience(&request), reads_quoted(&request)).await {
            Ok(page) => with_type(StatusCode::OK, TEXT_FORMAT, page),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

impl Page {
    async fn page(&self, patience: Option<Duration>, quoted: bool) -> Result<String, prometheus::Error> {
        let model = match &self.model {
            Some(page) => Some(page.families(patience).await),
            None => None,
        };
        let _turn = self.turns.next().await;
        let (python, malformed) = self.python.as_ref().map_or_else(Default::default, |pages| {
            pages.lock().unwrap_or_else(PoisonError::into_inner).families(SystemTime::now())
        });
        (0..malformed).for_each(|_| self.dropped.malformed());
        let ours = self.registry.gather();
        let mut page = TextEncoder::new().encode_to_string(&ours)?;
        // Python's own first: it is of all workers, what the model shows may be of one.
        let theirs: [&[_]; 2] = [&python, model.as_ref().map_or(&[], |model| model.as_slice())];
        exposition::write(&fitting(&ours, &theirs, &self.dropped), quoted, &mut page);
        Ok(page)
    }
}

fn patience(request: &Request<Incoming>) -> Option<Duration> {
    let seconds = request.headers().get(TIMEOUT_HEADER)?.to_str().ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn reads_quoted(request: &Request<Incoming>) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT).into_iter().filter_map(|accept| accept.to_str().ok());
    accepted.flat_map(|accept| accept.split([',', ';'])).any(|part| part.trim().eq_ignore_ascii_case(QUOTED))
}

/// Whether the model is up, decided when somebody looks.
pub(super) struct Up {
    gauge: IntGauge,
    health: Health,
    drain: Drain,
    rules: Rules,
}

impl Up {
    pub fn register(
        registry: &Registry,
        health: &Health,
        drain: &Drain,
        rules: &Rules,
    ) -> Result<(), prometheus::Error> {
        let gauge = IntGauge::new("model_up", "1 while the model answers, else 0.")?;
        let up = Self { gauge, health: health.clone(), drain: drain.clone(), rules: rules.clone() };
        registry.register(Box::new(up))
    }
}

impl Collector for Up {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(i64::from(self.health.ready(self.drain.in_flight() > 0, &self.rules).is_ok()));
        self.gauge.collect()
    }
}
