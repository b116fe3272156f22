//! Series that make an alert fire, and that just do not.

use std::time::Duration;

use super::super::{
    Sources, Subject, burn,
    promql::{Scope, duration, number, quote},
};
use crate::api::{
    monitoring::{
        Alert,
        valid::{Alerts, ClassShare, ShareOf},
    },
    units::Traffic,
};

/// Requests and predictions with each sample.
const MANY: f64 = 1000.0;
/// How far beyond a bound, and how far short of it.
const BEYOND: f64 = 1.2;
const SHORT: f64 = 0.8;
/// Longer than all times that a state must hold and that no field sets.
const SETTLED: Duration = Duration::from_secs(900);

/// A series, in promtool's words.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub name: String,
    begins: f64,
    grows: f64,
}

impl Series {
    pub fn values(&self, samples: u64) -> String {
        format!("{}+{}x{samples}", number(self.begins), number(self.grows))
    }
}

/// What an alert is about.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub alert: Alert,
    pub labels: Vec<(&'static str, String)>,
    pub beyond: Vec<Series>,
    pub short: Vec<Series>,
    /// When it must fire at the latest.
    pub after: Duration,
}

/// Writes series of one pod of the model.
struct Pod<'a> {
    scope: &'a Scope,
    job: &'a str,
    /// When rates are there and states have settled.
    soon: Duration,
    interval: f64,
}

impl Pod<'_> {
    fn name(&self) -> String {
        format!("{}-5d8f7c9b64-x7k2p", self.scope.model)
    }

    fn series(&self, metric: &str, more: &str, begins: f64, grows: f64) -> Series {
        let labels = format!("pod={},job={},track=\"stable\"{more}", quote(&self.name()), quote(self.job));
        Series { name: self.scope.any(metric, &labels), begins, grows }
    }

    fn counter(&self, metric: &str, more: &str, grows: f64) -> Series {
        self.series(metric, more, 0.0, grows)
    }

    fn gauge(&self, metric: &str, value: f64) -> Series {
        self.series(metric, "", value, 0.0)
    }

    fn told(&self, metric: &str, more: &str, begins: f64, grows: f64) -> Series {
        Series { name: self.scope.told(metric, more), begins, grows }
    }

    fn container(&self, metric: &str, begins: f64, grows: f64) -> Series {
        let (namespace, pod) = (quote(&self.scope.namespace), quote(&self.name()));
        Series { name: format!("{metric}{{namespace={namespace},pod={pod},container=\"model\"}}"), begins, grows }
    }

    fn requests(&self, grows: f64) -> Series {
        self.counter("http_request_duration_seconds_count", "", grows)
    }

    fn trouble(&self, alert: Alert, beyond: Vec<Series>, short: Vec<Series>) -> Trouble {
        Trouble { alert, labels: Vec::new(), beyond, short, after: self.soon }
    }
}

fn pod<'a>(subject: &Subject<'a>, scope: &'a Scope) -> Pod<'a> {
    let interval = subject.monitoring.scrape_interval;
    Pod { scope, job: &subject.monitoring.job, soon: scope.window + SETTLED, interval: interval.as_secs_f64() }
}

/// One for each rule of the model.
pub(super) fn all(subject: &Subject, sources: Sources) -> Vec<Trouble> {
    let scope = Scope::new(subject.owner, subject.monitoring);
    let (pod, alerts) = (pod(subject, &scope), &subject.monitoring.alerts);
    let mut all = Vec::new();
    if subject.spec.exporter.is_some() {
        all.extend(traffic(&pod, alerts));
        all.push(errors(&pod, Alert::HighErrorRatio, alerts.error_ratio));
        all.push(latency(&pod, alerts.latency_p95.as_secs_f64()));
        all.extend(alerts.objective.into_iter().flat_map(|objective| budget(&pod, objective)));
        all.push(slow_scrape(&pod, alerts.scrape_duration.as_secs_f64()));
        all.push(open_files(&pod, alerts.open_files));
        all.extend(alerts.class_share.iter().map(|share| class_share(&pod, share)));
        all.push(unread(&pod));
        all.push(drift(&pod, alerts.drift.minimum));
    }
    if sources.cadvisor {
        all.push(memory(&pod, alerts.memory));
        all.push(throttled(&pod, alerts.cpu_throttling));
    }
    all.push(down(&pod, alerts.down_for, subject.spec.exporter.is_some()));
    all.extend(told(&pod, alerts));
    all.retain(|trouble| alerts.wants(trouble.alert));
    all
}

/// A model that answers, and that nobody asks.
pub(super) fn idle(subject: &Subject) -> Vec<Series> {
    let scope = Scope::new(subject.owner, subject.monitoring);
    let pod = pod(subject, &scope);
    let mut idle = vec![
        pod.gauge("model_up", 1.0),
        pod.requests(0.0),
        pod.counter("http_requests_total", ",method=\"POST\",code=\"200\"", 0.0),
        pod.counter("http_request_duration_seconds_bucket", ",le=\"0.5\"", 0.0),
        pod.counter("http_request_duration_seconds_bucket", ",le=\"+Inf\"", 0.0),
        pod.counter("model_predictions_total", ",class=\"__other__\"", 0.0),
        pod.counter("model_prediction_probability_bucket", ",le=\"0.5\"", 0.0),
        pod.counter("model_prediction_probability_count", "", 0.0),
        pod.counter("model_predictions_binned_total", ",bin=\"a\",reference=\"4f2a9c10\"", 0.0),
        pod.series("model_prediction_reference_ratio", ",bin=\"a\",reference=\"4f2a9c10\"", 1.0, 0.0),
        pod.container("container_cpu_cfs_periods_total", 0.0, 0.0),
        pod.container("container_cpu_cfs_throttled_periods_total", 0.0, 0.0),
        pod.counter("modelship_exporter_exchanges_read_total", "", 0.0),
        pod.counter("modelship_exporter_exchanges_skipped_total", ",reason=\"unknown_shape\"", 0.0),
        pod.told("modelship_model_replicas_wanted", "", 1.0, 0.0),
        pod.told("modelship_model_replicas_available", "", 1.0, 0.0),
        pod.told("modelship_model_restarts_total", "", 0.0, 0.0),
        pod.told("modelship_model_rollout_failed", "", 0.0, 0.0),
        pod.told("modelship_model_condition", "type=\"ImageResolved\"", 1.0, 0.0),
    ];
    for cause in ["client", "model", "timeout", "unreachable", "unclear"] {
        idle.push(pod.counter("http_request_errors_total", &format!(",cause=\"{cause}\""), 0.0));
    }
    idle
}

fn traffic(pod: &Pod, alerts: &Alerts) -> Vec<Trouble> {
    let mut all = Vec::new();
    if let Some(traffic) = alerts.high_traffic {
        let (beyond, short) = match traffic {
            Traffic::Rate(bound) => ((bound * BEYOND + 1.0) * pod.interval, bound * SHORT * pod.interval),
            // With each sample as many as in the whole window are allowed.
            Traffic::Total(bound, window) => (bound + 1.0, bound * SHORT * pod.interval / window.as_secs_f64()),
        };
        all.push(pod.trouble(Alert::HighTraffic, vec![pod.requests(beyond)], vec![pod.requests(short)]));
    }
    if alerts.traffic_detected {
        all.push(pod.trouble(Alert::TrafficDetected, vec![pod.requests(1.0)], vec![pod.requests(0.0)]));
    }
    if let Some(window) = alerts.no_traffic {
        let trouble = pod.trouble(Alert::NoTraffic, vec![pod.requests(0.0)], vec![pod.requests(1.0)]);
        all.push(Trouble { after: window + pod.scope.window, ..trouble });
    }
    all
}

/// What clients do wrong is none of the model's failures, however much it is.
fn errors(pod: &Pod, alert: Alert, bound: f64) -> Trouble {
    let failing = |ratio: f64| {
        let errors =
            |cause: &str, grows| pod.counter("http_request_errors_total", &format!(",cause={}", quote(cause)), grows);
        vec![pod.requests(MANY), errors("model", MANY * ratio), errors("client", MANY * (1.0 - ratio))]
    };
    pod.trouble(alert, failing((bound * BEYOND).min(1.0)), failing(bound * SHORT))
}

fn budget(pod: &Pod, objective: f64) -> Vec<Trouble> {
    let windows = burn::windows(objective);
    let trouble = |(long, _, bound, _)| {
        // A bound just below all requests has no room above it.
        let label = ("window", duration(long));
        Trouble { labels: vec![label], ..errors(pod, Alert::ErrorBudgetBurn, bound) }
    };
    windows.map(trouble).collect()
}

/// With nothing at or below the highest bound, its value is what the quantile is taken for.
fn latency(pod: &Pod, bound: f64) -> Trouble {
    let within = |le: f64, grows: f64| {
        let bucket =
            |le: &str, grows| pod.counter("http_request_duration_seconds_bucket", &format!(",le={}", quote(le)), grows);
        vec![pod.requests(MANY), bucket(&number(le), grows), bucket("+Inf", MANY)]
    };
    pod.trouble(Alert::HighLatency, within(bound * BEYOND, 0.0), within(bound * SHORT, MANY))
}

fn slow_scrape(pod: &Pod, bound: f64) -> Trouble {
    let took = |seconds| vec![pod.gauge("scrape_duration_seconds", seconds)];
    pod.trouble(Alert::SlowScrape, took(bound * BEYOND), took(bound * SHORT))
}

fn open_files(pod: &Pod, bound: f64) -> Trouble {
    let open = |ratio: f64| vec![pod.gauge("process_open_fds", MANY * ratio), pod.gauge("process_max_fds", MANY)];
    pod.trouble(Alert::TooManyOpenFiles, open((bound * BEYOND).min(1.0)), open(bound * SHORT))
}

fn class_share(pod: &Pod, share: &ClassShare) -> Trouble {
    let many = MANY + 2.0 * f64::from(share.minimum);
    let (label, predicted): (_, Box<dyn Fn(f64) -> Vec<Series>>) = match &share.of {
        ShareOf::Class(class) => (
            ("class", class.clone()),
            Box::new(move |ratio| {
                let of = |class: &str, grows| {
                    pod.counter("model_predictions_total", &format!(",class={}", quote(class)), grows)
                };
                vec![of(class, many * ratio), of("\u{1}none of those", many * (1.0 - ratio))]
            }),
        ),
        ShareOf::ScoreAbove(score) => (
            ("score_above", number(*score)),
            Box::new(move |ratio| {
                let bucket = format!(",le={}", quote(&number(*score)));
                vec![
                    pod.counter("model_prediction_probability_bucket", &bucket, many * (1.0 - ratio)),
                    pod.counter("model_prediction_probability_count", "", many),
                ]
            }),
        ),
    };
    let beyond = predicted((share.above * BEYOND).min(1.0));
    let short = predicted(share.above * SHORT);
    Trouble { labels: vec![label], ..pod.trouble(Alert::HighClassShare, beyond, short) }
}

/// In the window only the growth counts, and the odd half lies on neither side.
fn unread(pod: &Pod) -> Trouble {
    let answers = |read: f64, skipped: f64| {
        vec![
            pod.counter("modelship_exporter_exchanges_read_total", "", read),
            pod.counter("modelship_exporter_exchanges_skipped_total", ",reason=\"unknown_shape\"", skipped),
        ]
    };
    let trouble = pod.trouble(Alert::PredictionsUnread, answers(0.0, MANY), answers(MANY, 0.0));
    Trouble { after: Duration::from_secs(600) + pod.scope.window, ..trouble }
}

/// All of the reference in one bin: all predictions in the other are as far from it as can be, in the same one as near.
fn drift(pod: &Pod, minimum: u32) -> Trouble {
    let many = MANY + 2.0 * f64::from(minimum);
    let predicted = |a: f64, b: f64| {
        let of = |metric: &str, bin: &str, begins, grows| {
            pod.series(metric, &format!(",bin=\"{bin}\",reference=\"4f2a9c10\""), begins, grows)
        };
        vec![
            of("model_prediction_reference_ratio", "a", 1.0, 0.0),
            of("model_prediction_reference_ratio", "b", 0.0, 0.0),
            of("model_predictions_binned_total", "a", 0.0, a),
            of("model_predictions_binned_total", "b", 0.0, b),
        ]
    };
    pod.trouble(Alert::PredictionDrift, predicted(0.0, many), predicted(many, 0.0))
}

fn memory(pod: &Pod, bound: f64) -> Trouble {
    let used = |ratio: f64| {
        vec![
            pod.container("container_memory_working_set_bytes", MANY * ratio, 0.0),
            pod.told("modelship_model_memory_limit_bytes", "", MANY, 0.0),
        ]
    };
    pod.trouble(Alert::HighMemory, used((bound * BEYOND).min(1.0)), used(bound * SHORT))
}

fn throttled(pod: &Pod, bound: f64) -> Trouble {
    let waited = |ratio: f64| {
        vec![
            pod.container("container_cpu_cfs_throttled_periods_total", 0.0, MANY * ratio),
            pod.container("container_cpu_cfs_periods_total", 0.0, MANY),
        ]
    };
    pod.trouble(Alert::CpuThrottled, waited((bound * BEYOND).min(1.0)), waited(bound * SHORT))
}

fn down(pod: &Pod, down_for: Duration, measured: bool) -> Trouble {
    let answering = |up: f64| {
        let mut series = vec![
            pod.told("modelship_model_replicas_wanted", "", 1.0, 0.0),
            pod.told("modelship_model_replicas_available", "", up, 0.0),
        ];
        series.extend(measured.then(|| pod.gauge("model_up", up)));
        series
    };
    Trouble { after: down_for, ..pod.trouble(Alert::ModelDown, answering(0.0), answering(1.0)) }
}

fn told(pod: &Pod, alerts: &Alerts) -> [Trouble; 4] {
    let restarts = |grows: f64| vec![pod.told("modelship_model_restarts_total", "", 0.0, grows)];
    let failed = |value: f64| vec![pod.told("modelship_model_rollout_failed", "", value, 0.0)];
    let resolved = |value: f64| vec![pod.told("modelship_model_condition", "type=\"ImageResolved\"", value, 0.0)];
    let accepted = |value: f64| vec![pod.told("modelship_model_condition", "type=\"VersionAccepted\"", value, 0.0)];
    let unresolved = pod.trouble(Alert::ImageNotResolved, resolved(0.0), resolved(1.0));
    [
        pod.trouble(Alert::ModelCrashLooping, restarts(f64::from(alerts.restarts)), restarts(0.0)),
        pod.trouble(Alert::RolloutFailed, failed(1.0), failed(0.0)),
        pod.trouble(Alert::VersionHeldBack, accepted(0.0), accepted(1.0)),
        Trouble { after: alerts.image_unresolved_for, ..unresolved },
    ]
}
