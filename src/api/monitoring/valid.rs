//! From the stored words to types that cannot be wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use super::{
    super::{
        findings::Findings,
        labels,
        spec::Predictions,
        units::{self, Traffic},
    },
    extra,
    spec::{self, Alert},
};

const AT: &str = "spec.monitoring";
const JOB: &str = "ml_model_exporter";
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
/// Prometheus' own default.
const LONGEST_SCRAPE: Duration = Duration::from_secs(10);
/// The upper bound of the last finite bucket of `http_request_duration_seconds`: a quantile never lies above it.
const TOP_BUCKET: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);
/// Longer windows are cut off by Prometheus' usual retention, and cost it more than they tell.
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);
/// As many predictions as make chance alone an unlikely reason for a share.
const CLASS_SHARE_MINIMUM: u32 = 50;
/// With ten bins and no change at all, 200 predictions give a PSI above 0.25 in no case out of thousands, and one
/// above 0.1 in 2.4 of 100.
const DRIFT_MINIMUM: u32 = 200;
/// Above it no change can be: with empty shares taken for 0.0001, the index of a distribution that moved wholly into an empty bin
/// is 2 · 0.9999 · ln 10000, about 18.4.
const DRIFT_PSI_MAX: f64 = 18.0;
/// The usual reading of the population stability index: below 0.1 no change, from 0.25 on a great one.
const DRIFT_PSI: f64 = 0.25;

/// What watches a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitoring {
    pub job: String,
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    /// `None`: those that the Prometheus and Alertmanager objects found ask for.
    pub labels: Option<BTreeMap<String, String>>,
    pub alerts: Alerts,
    /// `None`: switched off.
    pub dashboard: Option<Dashboard>,
    pub email: Option<Email>,
    pub extra_rules: Vec<Value>,
    pub extra_panels: Vec<Value>,
}

/// The alerts' bounds; what is `None` or empty is off.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    pub disabled: BTreeSet<Alert>,
    pub high_traffic: Option<Traffic>,
    pub traffic_detected: bool,
    pub no_traffic: Option<Duration>,
    /// From 0 to 1, as every ratio here.
    pub error_ratio: f64,
    pub latency_p95: Duration,
    pub objective: Option<f64>,
    pub down_for: Duration,
    pub restarts: u32,
    pub image_unresolved_for: Duration,
    pub scrape_duration: Duration,
    pub memory: f64,
    pub cpu_throttling: f64,
    pub open_files: f64,
    pub class_share: Vec<ClassShare>,
    pub drift: Drift,
}

/// A share of predictions that is worth an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassShare {
    pub of: ShareOf,
    pub above: f64,
    pub window: Duration,
    pub minimum: u32,
}

/// What the share is of.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareOf {
    Class(String),
    /// In steps of 0.05, from 0.05 to 0.95: a bound of the histogram of probabilities.
    ScoreAbove(f64),
}

/// When predictions count as distributed otherwise than the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Whether the spec has a word about it.
    pub said: bool,
    pub psi: f64,
    pub window: Duration,
    pub minimum: u32,
}

/// The dashboard's ConfigMap.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    pub folder: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// Where alerts are sent; what is `None` comes from the Secret or the operator's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    pub to: Vec<String>,
    pub from: Option<String>,
    pub smarthost: Option<String>,
    pub secret: Option<String>,
    /// `None`: as the operator was told, else true.
    pub require_tls: Option<bool>,
    pub send_resolved: bool,
}

impl Alerts {
    /// Whether nobody has switched it off.
    pub fn wants(&self, alert: Alert) -> bool {
        !self.disabled.contains(&alert)
    }
}

/// Fills in every default. `None`: switched off.
pub(in crate::api) fn parse(
    monitoring: spec::Monitoring,
    predictions: &Predictions,
    findings: &mut Findings,
) -> Option<Monitoring> {
    if monitoring.enabled == Some(false) {
        return None;
    }
    let interval = findings.duration(
        &format!("{AT}.scrapeInterval"),
        monitoring.scrape_interval.as_deref(),
        SCRAPE_INTERVAL,
        (1, 300),
    );
    let timeout = interval.min(LONGEST_SCRAPE);
    let job = monitoring.job.unwrap_or_else(|| JOB.to_owned());
    if job.is_empty() || !labels::is_word(&job) {
        findings.add(
            format!("{AT}.job"),
            "may hold only letters, digits, '_', '.' and '-', and begins and ends with a letter or digit",
        );
    }
    let of_dashboard = monitoring.dashboard.as_ref().and_then(|dashboard| dashboard.labels.as_ref());
    for (field, labels) in [("labels", monitoring.labels.as_ref()), ("dashboard.labels", of_dashboard)] {
        if let Some(fault) = labels.into_iter().flatten().find_map(|(name, value)| labels::wrong(name, value)) {
            findings.add(format!("{AT}.{field}"), fault);
        }
    }
    extra::rules(&format!("{AT}.extraRules"), &monitoring.extra_rules, findings);
    extra::panels(&format!("{AT}.extraPanels"), &monitoring.extra_panels, findings);
    Some(Monitoring {
        job,
        scrape_interval: interval,
        scrape_timeout: timeout,
        labels: monitoring.labels,
        alerts: alerts(monitoring.alerts.unwrap_or_default(), &Scrape { interval, timeout }, predictions, findings),
        dashboard: dashboard(monitoring.dashboard.unwrap_or_default()),
        email: monitoring.email.map(|email| self::email(email, findings)),
        extra_rules: monitoring.extra_rules,
        extra_panels: monitoring.extra_panels,
    })
}

struct Scrape {
    interval: Duration,
    timeout: Duration,
}

impl Scrape {
    /// A window that holds fewer than two scrapes shows no change at all.
    fn window(&self, field: &str, text: Option<&str>, default: Duration, findings: &mut Findings) -> Duration {
        let window = findings.duration(field, text, default, (1, LONGEST_WINDOW.as_secs()));
        if window < self.interval * 2 {
            findings.add(
                field,
                format!(
                    "{window:?} is shorter than two scrapes ({:?} each), so nothing can be told from it; make it longer, or spec.monitoring.scrapeInterval shorter",
                    self.interval
                ),
            );
        }
        window
    }
}

fn alerts(alerts: spec::Alerts, scrape: &Scrape, predictions: &Predictions, findings: &mut Findings) -> Alerts {
    let at = |field: &str| format!("{AT}.alerts.{field}");
    let ratio = |field: &str, text: Option<String>, default: f64, findings: &mut Findings| match text {
        Some(text) => findings.take(&at(field), positive(units::ratio(&text)), default),
        None => default,
    };
    let high_traffic = alerts.high_traffic.and_then(|text| {
        let traffic = findings.take(&at("highTraffic"), units::traffic(&text).map(Some), None)?;
        if let Traffic::Total(_, window) = traffic {
            scrape.window(&at("highTraffic"), Some(&format!("{}s", window.as_secs())), window, findings);
        }
        Some(traffic)
    });
    let no_traffic = alerts.no_traffic.map(|text| scrape.window(&at("noTraffic"), Some(&text), HOUR, findings));
    let latency_p95 =
        findings.duration(&at("latencyP95"), alerts.latency_p95.as_deref(), Duration::from_secs(1), (0, 3600));
    if latency_p95 >= TOP_BUCKET || latency_p95.is_zero() {
        findings.add(
            at("latencyP95"),
            format!(
                "must lie above 0s and below {TOP_BUCKET:?}, where the histogram of durations ends: it could never fire"
            ),
        );
    }
    let objective = alerts.objective.map(|text| {
        let objective = findings.take(&at("objective"), units::ratio(&text), 0.99);
        if !(0.5..1.0).contains(&objective) {
            findings.add(at("objective"), "must lie between 50% and 99.999%: at 100% nothing at all may fail");
        }
        objective
    });
    let scrape_duration =
        findings.duration(&at("scrapeDuration"), alerts.scrape_duration.as_deref(), scrape.timeout / 2, (0, 300));
    if scrape_duration >= scrape.timeout {
        findings.add(
            at("scrapeDuration"),
            format!("must lie below {:?}, after which Prometheus gives a scrape up", scrape.timeout),
        );
    }
    let long = |field: &str, text: Option<&str>, default: u64, findings: &mut Findings| {
        findings.duration(&at(field), text, Duration::from_secs(default), (1, 86_400))
    };
    Alerts {
        disabled: alerts.disabled.into_iter().collect(),
        high_traffic,
        traffic_detected: alerts.traffic_detected.unwrap_or(false),
        no_traffic,
        error_ratio: ratio("errorRatio", alerts.error_ratio, 0.05, findings),
        latency_p95,
        objective,
        down_for: long("downFor", alerts.down_for.as_deref(), 120, findings),
        restarts: count(&at("restarts"), alerts.restarts, 3, findings),
        image_unresolved_for: long("imageUnresolvedFor", alerts.image_unresolved_for.as_deref(), 900, findings),
        scrape_duration,
        memory: ratio("memory", alerts.memory, 0.9, findings),
        cpu_throttling: ratio("cpuThrottling", alerts.cpu_throttling, 0.25, findings),
        open_files: ratio("openFiles", alerts.open_files, 0.8, findings),
        class_share: class_shares(alerts.class_share, scrape, predictions, findings),
        drift: Drift { said: alerts.drift.is_some(), ..drift(alerts.drift.unwrap_or_default(), scrape, findings) },
    }
}

fn positive(ratio: Result<f64, String>) -> Result<f64, String> {
    ratio.and_then(|ratio| if ratio > 0.0 { Ok(ratio) } else { Err("must be more than 0%".to_owned()) })
}

fn count(field: &str, count: Option<i32>, default: u32, findings: &mut Findings) -> u32 {
    match count.map(u32::try_from) {
        None => default,
        Some(Ok(count)) if count > 0 => count,
        _ => {
            findings.add(field, "must be a whole number above 0");
            default
        }
    }
}

fn class_shares(
    shares: Vec<spec::ClassShare>,
    scrape: &Scrape,
    predictions: &Predictions,
    findings: &mut Findings,
) -> Vec<ClassShare> {
    let mut seen = BTreeSet::new();
    let mut parsed = Vec::new();
    for (index, share) in shares.into_iter().enumerate() {
        let at = format!("{AT}.alerts.classShare[{index}]");
        let name = share.class.clone().or(share.score_above.clone()).unwrap_or_default();
        if !seen.insert((share.class.is_some(), name.clone())) {
            findings.add(&at, format!("'{name}' is there twice; keep one"));
        }
        let of = match (share.class, share.score_above) {
            (Some(class), None) => {
                declared(&class, predictions, &at, findings);
                ShareOf::Class(class)
            }
            (None, Some(score)) => ShareOf::ScoreAbove(findings.take(&format!("{at}.scoreAbove"), step(&score), 0.5)),
            _ => {
                findings.add(&at, "names exactly one of class and scoreAbove");
                continue;
            }
        };
        parsed.push(ClassShare {
            of,
            above: findings.take(&format!("{at}.above"), positive(units::ratio(&share.above)), 1.0),
            window: scrape.window(&format!("{at}.window"), share.window.as_deref(), HOUR, findings),
            minimum: count(&format!("{at}.minimum"), share.minimum, CLASS_SHARE_MINIMUM, findings),
        });
    }
    parsed
}

/// Where classes are declared, an alert on another one would never fire.
fn declared(class: &str, predictions: &Predictions, at: &str, findings: &mut Findings) {
    let names: Vec<&str> = predictions.classes.iter().map(|class| class.name.as_str()).collect();
    if !names.is_empty() && !names.contains(&class) && class != "__other__" {
        findings.add(
            format!("{at}.class"),
            format!(
                "'{class}' is none of spec.predictions.classes, so it would never occur; they are {}",
                names.join(", ")
            ),
        );
    }
}

/// A bound of the histogram of probabilities, which has steps of 0.05.
fn step(text: &str) -> Result<f64, String> {
    let score = units::figure(text)?;
    let steps = score * 20.0;
    if (0.05..=0.95).contains(&score) && (steps - steps.round()).abs() < 1e-9 {
        return Ok(steps.round() / 20.0);
    }
    Err(format!("'{text}' must be one of 0.05, 0.1 … 0.95, the steps of the histogram of probabilities"))
}

fn drift(drift: spec::Drift, scrape: &Scrape, findings: &mut Findings) -> Drift {
    let at = format!("{AT}.alerts.drift");
    let psi = drift.psi.map_or(DRIFT_PSI, |text| findings.take(&format!("{at}.psi"), units::figure(&text), DRIFT_PSI));
    if psi <= 0.0 {
        findings.add(format!("{at}.psi"), "must be more than 0: 0 says that nothing has changed");
    }
    if psi > DRIFT_PSI_MAX {
        findings.add(
            format!("{at}.psi"),
            format!("must be at most {DRIFT_PSI_MAX}, which no change exceeds: it could never fire; 0.25 is usual"),
        );
    }
    Drift {
        said: false,
        psi,
        window: scrape.window(&format!("{at}.window"), drift.window.as_deref(), HOUR, findings),
        minimum: count(&format!("{at}.minimum"), drift.minimum, DRIFT_MINIMUM, findings),
    }
}

fn dashboard(dashboard: spec::Dashboard) -> Option<Dashboard> {
    let usual = || BTreeMap::from([("grafana_dashboard".to_owned(), "1".to_owned())]);
    dashboard
        .enabled
        .unwrap_or(true)
        .then(|| Dashboard { folder: dashboard.folder, labels: dashboard.labels.unwrap_or_else(usual) })
}

fn email(email: spec::Email, findings: &mut Findings) -> Email {
    if email.to.is_empty() {
        findings.add(format!("{AT}.email.to"), "names nobody; write at least one address");
    }
    for (index, address) in email.to.iter().enumerate() {
        if !plain_address(address) {
            findings.add(
                format!("{AT}.email.to"),
                format!("[{index}] '{address}' is not a plain address, such as team@example.org"),
            );
        }
    }
    if let Some(smarthost) = email.smarthost.as_deref().filter(|smarthost| !host_and_port(smarthost)) {
        findings.add(
            format!("{AT}.email.smarthost"),
            format!("'{smarthost}' must be a host and its port: smtp.example.org:587"),
        );
    }
    if let Some(secret) = &email.secret {
        findings.object_name(format!("{AT}.email.secret"), secret);
    }
    Email {
        to: email.to,
        from: email.from,
        smarthost: email.smarthost,
        secret: email.secret,
        require_tls: email.require_tls,
        send_resolved: email.send_resolved.unwrap_or(true),
    }
}

fn plain_address(address: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || matches!(c, ',' | '<' | '>');
    let parts: Vec<&str> = address.split('@').collect();
    parts.len() == 2 && parts.iter().all(|part| !part.is_empty()) && !address.contains(odd)
}

/// Whether it reads `host:port`.
pub fn host_and_port(smarthost: &str) -> bool {
    smarthost.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
