//! The alerts' bounds, drawn into panels as Grafana's thresholds.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{
    monitoring::{Alert, valid::Alerts},
    units::Traffic,
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What a panel draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Bound {
    TrafficRate,
    TrafficTotal,
    ErrorRatio,
    #[serde(rename = "latencyP95")]
    LatencyP95,
    Objective,
    Restarts,
    ScrapeDuration,
    Memory,
    CpuThrottling,
    OpenFiles,
    ClassShare,
    Psi,
    DriftSamples,
}

impl Bound {
    pub fn alert(self) -> Alert {
        match self {
            Self::TrafficRate | Self::TrafficTotal => Alert::HighTraffic,
            Self::ErrorRatio => Alert::HighErrorRatio,
            Self::LatencyP95 => Alert::HighLatency,
            Self::Objective => Alert::ErrorBudgetBurn,
            Self::Restarts => Alert::ModelCrashLooping,
            Self::ScrapeDuration => Alert::SlowScrape,
            Self::Memory => Alert::HighMemory,
            Self::CpuThrottling => Alert::CpuThrottled,
            Self::OpenFiles => Alert::TooManyOpenFiles,
            Self::ClassShare => Alert::HighClassShare,
            Self::Psi | Self::DriftSamples => Alert::PredictionDrift,
        }
    }

    /// In the unit of the panel; empty where there is none.
    fn values(self, alerts: &Alerts) -> Vec<f64> {
        match self {
            Self::TrafficRate => match alerts.high_traffic {
                Some(Traffic::Rate(rate)) => vec![rate],
                _ => Vec::new(),
            },
            Self::TrafficTotal => match alerts.high_traffic {
                Some(Traffic::Total(total, _)) => vec![total],
                _ => Vec::new(),
            },
            Self::ErrorRatio => vec![alerts.error_ratio],
            Self::LatencyP95 => vec![alerts.latency_p95.as_secs_f64()],
            Self::Objective => alerts.objective.into_iter().collect(),
            Self::Restarts => vec![f64::from(alerts.restarts)],
            Self::ScrapeDuration => vec![alerts.scrape_duration.as_secs_f64()],
            Self::Memory => vec![alerts.memory],
            Self::CpuThrottling => vec![alerts.cpu_throttling],
            Self::OpenFiles => vec![alerts.open_files],
            Self::ClassShare => alerts.class_share.iter().map(|share| share.above).collect(),
            Self::Psi => vec![alerts.drift.psi],
            Self::DriftSamples => vec![f64::from(alerts.drift.minimum)],
        }
    }

    /// Whether it is what lies below that is bad.
    fn is_floor(self) -> bool {
        matches!(self, Self::Objective | Self::DriftSamples)
    }
}

/// Draws the bound, unless its alert is off: a line that nothing stands behind would mislead.
pub(super) fn draw(bound: Bound, panel: &mut Value, alerts: &Alerts) {
    let mut values = bound.values(alerts);
    if values.is_empty() || !alerts.wants(bound.alert()) {
        return;
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    // The first colour is also that of no data, so it must not be good news.
    let (below, above) = if bound.is_floor() { ("red", "green") } else { ("text", "red") };
    let mut steps = vec![json!({"color": below, "value": null})];
    steps.extend(values.into_iter().map(|value| json!({"color": above, "value": value})));
    let defaults = &mut panel["fieldConfig"]["defaults"];
    defaults["thresholds"] = json!({"mode": "absolute", "steps": steps});
    if let Some(custom) = defaults.get_mut("custom") {
        custom["thresholdsStyle"] = json!({"mode": "dashed"});
    }
}

/// As PromQL and Grafana write it: `90s`, `5m`, `1h`.
pub(super) fn text(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
