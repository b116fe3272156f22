//! Tests of the reading room, and what they share.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use prometheus::{Registry, proto::MetricType};
use serde_json::Value;

use super::{
    metrics::Metrics,
    reader::{Answer, Reader, Request},
    request::Format,
    settings::{Decided, check},
};
use crate::exchange::{Captured, Exchange};

mod answers;
mod class;
mod door;
mod finding;
mod formats;
mod likeness;
mod neighbours;
mod profile;
mod properties;
mod reference;
mod said;
mod servers;
mod several;
mod vectors;

/// A reader with a registry of its own.
pub(super) struct Room {
    registry: Registry,
    reader: Reader,
    shown: Arc<std::sync::Mutex<Option<Decided>>>,
    now: Instant,
}

impl Room {
    pub fn new(settings: &Value) -> Self {
        let registry = Registry::new();
        let reading = check(settings).unwrap();
        let metrics = Metrics::new(&registry, reading.bins.as_deref()).unwrap();
        let shown = Arc::default();
        let reader = Reader::new(metrics, reading, Arc::clone(&shown), Arc::default());
        Self { registry, reader, shown, now: Instant::now() }
    }

    pub fn set(&mut self, settings: &Value) {
        self.reader.set(check(settings).unwrap(), self.now);
    }

    pub fn answer(&mut self, body: &str) -> &mut Self {
        self.at("/invocations", body)
    }

    /// An answer to another path than MLflow's.
    pub fn at(&mut self, path: &str, body: &str) -> &mut Self {
        self.exchange(path, Answer { body: body.as_bytes(), whole: true, text: false }, None)
    }

    fn exchange(&mut self, path: &str, answer: Answer<'_>, request: Option<Request<'_>>) -> &mut Self {
        self.reader.exchange(path, answer, request, self.now);
        self
    }

    pub fn later(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    pub fn cut(&mut self, body: &str) -> &mut Self {
        self.exchange("/invocations", Answer { body: body.as_bytes(), whole: false, text: false }, None)
    }

    /// An answer whose type says text.
    pub fn text(&mut self, body: &str) -> &mut Self {
        self.exchange("/invocations", Answer { body: body.as_bytes(), whole: true, text: true }, None)
    }

    pub fn both(&mut self, request: &str, format: Format, body: &str) -> &mut Self {
        let request = Request { body: request.as_bytes(), format };
        self.exchange("/invocations", Answer { body: body.as_bytes(), whole: true, text: false }, Some(request))
    }

    pub fn decided(&self) -> Option<(String, String)> {
        let decided = self.shown.lock().unwrap().clone();
        decided.map(|decided| (decided.kind.name().to_owned(), decided.path.to_string()))
    }

    pub fn whole_decision(&self) -> Option<Decided> {
        self.shown.lock().unwrap().clone()
    }

    pub fn page(&self) -> BTreeMap<String, f64> {
        page(&self.registry)
    }

    pub fn value(&self, series: &str) -> f64 {
        value(&self.registry, series)
    }

    /// Classes that were counted, as `name=count`.
    pub fn classes(&self) -> String {
        let page = self.page();
        let counted = page.iter().filter(|(_, count)| **count > 0.0).filter_map(|(series, count)| {
            let name = series.strip_prefix("model_predictions_total{class=\"")?.strip_suffix("\"}")?;
            Some(format!("{name}={count}"))
        });
        counted.collect::<Vec<_>>().join(" ")
    }
}

pub(super) fn value(registry: &Registry, series: &str) -> f64 {
    let page = page(registry);
    *page.get(series).unwrap_or_else(|| panic!("there is no {series}"))
}

/// All series with their values; histograms as `_count` and `_sum`.
pub(super) fn page(registry: &Registry) -> BTreeMap<String, f64> {
    let mut page = BTreeMap::new();
    for family in registry.gather() {
        for metric in family.get_metric() {
            let labels = metric.get_label().iter().map(|label| format!("{}=\"{}\"", label.name(), label.value()));
            let labels = labels.collect::<Vec<_>>().join(",");
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let name = family.name();
            match family.get_field_type() {
                MetricType::HISTOGRAM => {
                    page.insert(format!("{name}_count"), metric.get_histogram().get_sample_count() as f64);
                    page.insert(format!("{name}_sum"), metric.get_histogram().get_sample_sum());
                }
                MetricType::GAUGE => drop(page.insert(format!("{name}{labels}"), metric.get_gauge().get_value())),
                _ => drop(page.insert(format!("{name}{labels}"), metric.get_counter().get_value())),
            }
        }
    }
    page
}

pub(super) fn body(text: &str, content_type: Option<&str>) -> Captured {
    Captured {
        content_type: content_type.map(|value| HeaderValue::from_str(value).unwrap()),
        content_encoding: None,
        pieces: vec![Bytes::copy_from_slice(text.as_bytes())],
        length: text.len() as u64,
        whole: true,
    }
}

pub(super) fn exchange(status: u16, answer: &str) -> Exchange {
    Exchange {
        method: Method::POST,
        path: "/invocations".into(),
        status: StatusCode::from_u16(status).unwrap(),
        request: body(r#"{"inputs": [[1], [2], [3]]}"#, Some("application/json")),
        answer: body(answer, Some("application/json")),
    }
}
