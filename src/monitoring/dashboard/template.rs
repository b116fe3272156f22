//! `dashboards/model.json` as it is written: a Grafana dashboard whose panels may bear a mark, `modelship`, which says
//! when the panel is shown and what is drawn into it. Grafana never sees the marks.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::bounds::Bound;
use crate::{
    api::monitoring::{Alert, valid::Alerts},
    monitoring::Subject,
};

/// What a panel says about itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Marks {
    /// It is left out where one of these is missing.
    pub needs: Vec<Need>,
    /// It is left out where predictions are said to be of another kind; without a word about it, it stays.
    pub kinds: Vec<String>,
    /// The bound that is drawn into it.
    pub bound: Option<Bound>,
    /// Alerts, besides the bound's, whose runbooks it leads to.
    pub alerts: Vec<Alert>,
    /// Its queries are those of the watched shares.
    pub shares: bool,
}

/// Parts of a model that panels stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Need {
    Exporter,
    /// The exporter sees the model's processes.
    Processes,
    /// The model may export Python's own metrics.
    Python,
    /// A distribution to compare predictions with.
    Reference,
}

impl Marks {
    pub fn apply_to(&self, subject: &Subject) -> bool {
        let Subject { spec, .. } = subject;
        let kind = spec.predictions["kind"].as_str();
        let of_kind = self.kinds.is_empty() || kind.is_none_or(|kind| self.kinds.iter().any(|own| own == kind));
        let there = |need: &Need| match need {
            Need::Exporter => spec.exporter.is_some(),
            Need::Processes => spec.server.share_process_namespace,
            Need::Python => spec.server.python_metrics || spec.server.metrics_path.is_some(),
            Need::Reference => !spec.predictions["reference"].is_null(),
        };
        of_kind && self.needs.iter().all(there)
    }

    /// The alerts that are on, each once.
    pub fn alerts_of(&self, alerts: &Alerts) -> impl Iterator<Item = Alert> {
        let mut all: Vec<Alert> = self.bound.map(Bound::alert).into_iter().chain(self.alerts.iter().copied()).collect();
        all.retain(|alert| alerts.wants(*alert) && configured(*alert, alerts));
        all.into_iter()
    }
}

/// Whether the alert has what it needs to exist at all.
fn configured(alert: Alert, alerts: &Alerts) -> bool {
    match alert {
        Alert::HighTraffic => alerts.high_traffic.is_some(),
        Alert::TrafficDetected => alerts.traffic_detected,
        Alert::NoTraffic => alerts.no_traffic.is_some(),
        Alert::ErrorBudgetBurn => alerts.objective.is_some(),
        Alert::HighClassShare => !alerts.class_share.is_empty(),
        _ => true,
    }
}

struct Template {
    frame: Value,
    panels: Vec<(Marks, Value)>,
}

/// Parsed once: it is the same for every model. A test holds that it can be parsed.
static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    let mut frame: Value = serde_json::from_str(super::MODEL).unwrap_or_default();
    let panels = match frame["panels"].take() {
        Value::Array(panels) => panels,
        _ => Vec::new(),
    };
    Template { frame, panels: panels.into_iter().flat_map(super::grid::unfolded).map(marked).collect() }
});

fn marked(mut panel: Value) -> (Marks, Value) {
    let marks = panel.as_object_mut().and_then(|panel| panel.remove("modelship"));
    let marks = marks.and_then(|marks| serde_json::from_value(marks).ok()).unwrap_or_default();
    (marks, panel)
}

/// The board without its panels.
pub(super) fn frame() -> Value {
    TEMPLATE.frame.clone()
}

/// Rows and panels in their order, with those of closed rows behind them.
pub(super) fn panels() -> &'static [(Marks, Value)] {
    &TEMPLATE.panels
}

/// Gives a hidden variable its value.
pub(super) fn set_constant(board: &mut Value, name: &str, value: &str) {
    let variables = board["templating"]["list"].as_array_mut();
    if let Some(variable) = variables.and_then(|all| all.iter_mut().find(|variable| variable["name"] == name)) {
        variable["query"] = value.into();
        variable["current"] = serde_json::json!({"text": value, "value": value});
    }
}
