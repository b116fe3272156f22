//! What a user writes about the monitoring of a model. As everywhere: no default in the schema, bounds as strings with units.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{
    schema,
    units::{DURATION_PATTERN, FIGURE_PATTERN, RATIO_PATTERN, TRAFFIC_PATTERN},
};

/// What watches the model: scraping, rules, dashboard, e-mail.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// false: no ServiceMonitor, rules, dashboard or e-mail. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The label job of the model's series. Default ml_model_exporter, which all models share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')")
        .message("may hold only letters, digits, '_', '.' and '-', and begins and ends with a letter or digit"))]
    pub job: Option<String>,
    /// How often Prometheus asks. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = schema::between("1s", "5m"))]
    pub scrape_interval: Option<String>,
    /// Labels by which Prometheus and Alertmanager select. Unset: those that they ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('modelship.dev/') && !key.startsWith('app.kubernetes.io/'))")
        .message("labels under modelship.dev/ and app.kubernetes.io/ are Modelship's own; choose others"))]
    pub labels: Option<BTreeMap<String, String>>,
    /// Which alerts there are, and their bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Alerts>,
    /// The Grafana dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<Dashboard>,
    /// Where alerts are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Rules of your own, as in a PrometheusRule: {alert | record, expr, for, labels, annotations}.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::extra_rules")]
    pub extra_rules: Vec<Value>,
    /// Panels of your own, as in a Grafana dashboard's JSON; they stand last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::extra_panels")]
    pub extra_panels: Vec<Value>,
}

/// The alerts by name.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alert {
    HighTraffic,
    TrafficDetected,
    NoTraffic,
    HighErrorRatio,
    HighLatency,
    ErrorBudgetBurn,
    ModelDown,
    ModelCrashLooping,
    RolloutFailed,
    VersionHeldBack,
    ImageNotResolved,
    SlowScrape,
    HighMemory,
    CpuThrottled,
    TooManyOpenFiles,
    HighClassShare,
    PredictionDrift,
    PredictionsUnread,
}

/// Which alerts there are, and their bounds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::given(&[
    ("noTraffic", DURATION_PATTERN), ("downFor", DURATION_PATTERN), ("imageUnresolvedFor", DURATION_PATTERN),
    ("latencyP95", DURATION_PATTERN), ("scrapeDuration", DURATION_PATTERN),
]).message("noTraffic, downFor, imageUnresolvedFor, latencyP95 and scrapeDuration are durations: 90s, 1m30s"))]
#[x_kube(validation = schema::given(&[
    ("errorRatio", RATIO_PATTERN), ("objective", RATIO_PATTERN), ("memory", RATIO_PATTERN),
    ("cpuThrottling", RATIO_PATTERN), ("openFiles", RATIO_PATTERN),
]).message("errorRatio, objective, memory, cpuThrottling and openFiles are shares: 5%, 99.5%"))]
pub struct Alerts {
    /// Alerts that are left out: [HighLatency].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub disabled: Vec<Alert>,
    /// HighTraffic: more requests than this: a rate (100/s, 50/m) or a total over a window (5000/1h). Unset: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = schema::form(TRAFFIC_PATTERN).message("is a rate, 100/s or 50/m, or a total over a window, 5000/1h"))]
    pub high_traffic: Option<String>,
    /// TrafficDetected: any request at all. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_detected: Option<bool>,
    /// NoTraffic: not one request for so long. Unset: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub no_traffic: Option<String>,
    /// HighErrorRatio: requests that failed, of all. Default 5%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ratio")]
    pub error_ratio: Option<String>,
    /// HighLatency: within which 95 of 100 requests are answered. Default 1s; below 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub latency_p95: Option<String>,
    /// ErrorBudgetBurn: the share of requests to be answered well: 99.5%. Unset: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ratio")]
    pub objective: Option<String>,
    /// ModelDown: nothing answers for so long. Default 2m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub down_for: Option<String>,
    /// ModelCrashLooping: the model's restarts within 15 minutes. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub restarts: Option<i32>,
    /// ImageNotResolved: the registry names no version for so long. Default 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub image_unresolved_for: Option<String>,
    /// SlowScrape: how long one scrape takes. Default half of its timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub scrape_duration: Option<String>,
    /// HighMemory: memory in use, of the limit. Default 90%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ratio")]
    pub memory: Option<String>,
    /// CpuThrottled: periods in which the model was held back, of all. Default 25%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ratio")]
    pub cpu_throttling: Option<String>,
    /// TooManyOpenFiles: open files of the model, of those allowed. Default 80%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ratio")]
    pub open_files: Option<String>,
    /// HighClassShare: predictions of one class, or above one score, of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub class_share: Vec<ClassShare>,
    /// PredictionDrift: predictions are spread otherwise than predictions.reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// A share of predictions that is worth an alert.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.class) != has(self.scoreAbove)")
    .message("a class share names exactly one of class and scoreAbove"))]
#[x_kube(validation = schema::given(&[
    ("above", RATIO_PATTERN), ("window", DURATION_PATTERN), ("scoreAbove", FIGURE_PATTERN),
]).message("above is a share: 40%; window a duration: 1h; scoreAbove a figure in quotes: \"0.8\""))]
pub struct ClassShare {
    /// The class, as the exporter names it. Unset: scoreAbove is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub class: Option<String>,
    /// For models that answer one probability: those above this one, a multiple of 0.05. Unset: class is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::figure")]
    pub score_above: Option<String>,
    /// The share from which on it is worth an alert: 40%.
    #[schemars(schema_with = "schema::ratio")]
    pub above: String,
    /// Predictions are counted over this time. Default 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub window: Option<String>,
    /// Fewer predictions than this say nothing. Default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000000))]
    pub minimum: Option<i32>,
}

/// When predictions count as distributed otherwise.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::given(&[("psi", FIGURE_PATTERN), ("window", DURATION_PATTERN)])
    .message("psi is a figure in quotes: \"0.25\"; window a duration: 1h"))]
pub struct Drift {
    /// The population stability index from which on it is told. Default 0.25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::figure")]
    pub psi: Option<String>,
    /// Predictions are counted over this time. Default 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub window: Option<String>,
    /// Fewer predictions than this say nothing. Default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000000))]
    pub minimum: Option<i32>,
}

/// The Grafana dashboard of the model, as a ConfigMap that Grafana's sidecar picks up.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// false: no dashboard. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Grafana's folder, where its sidecar heeds the annotation grafana_folder. Unset: Grafana's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub folder: Option<String>,
    /// Labels by which Grafana's sidecar finds the ConfigMap. Default {grafana_dashboard: "1"}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// Where alerts are sent. What is not said here comes from the Secret, else from the chart's defaults.email.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Email {
    /// The addresses that alerts are sent to: [team@example.org].
    #[schemars(length(min = 1, max = 20), inner(length(max = 254)))]
    #[x_kube(validation = Rule::new("self.all(address, address.matches('^[^@ ,<>]+@[^@ ,<>]+$'))")
        .message("holds plain addresses, such as team@example.org"))]
    pub to: Vec<String>,
    /// The sender's address. Unset: the Secret's, else that of the chart's defaults.email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254))]
    pub from: Option<String>,
    /// The mail server, with its port: smtp.example.org:587. Unset: the Secret's, else that of the chart's defaults.email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 261))]
    #[x_kube(validation = Rule::new("self.matches('^[^ :/]+:[0-9]{1,5}$')")
        .message("is a host and its port: smtp.example.org:587"))]
    pub smarthost: Option<String>,
    /// Secret with username and password, and maybe smarthost, from, and ca.crt (the mail server's own authority). Unset: that of the chart's defaults.email, else nobody logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret: Option<String>,
    /// Send only over TLS. Default true.
    #[serde(default, rename = "requireTLS", skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
    /// Also tell when an alert is over. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_resolved: Option<bool>,
}
