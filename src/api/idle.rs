//! What a spec says without effect. It is no fault: it may be left over, or meant for later. But nothing else would tell.

use std::collections::BTreeSet;

use super::{
    monitoring::Monitoring,
    spec::{ModelDeploymentSpec, PredictionClass, PredictionKind, Predictions, ServerType},
};

/// One sentence for each field: which, and why it changes nothing.
pub(super) fn settings(spec: &ModelDeploymentSpec) -> Vec<String> {
    let mut idle = Vec::new();
    let mut add = |said: bool, field: &str, why: &str| {
        if said {
            idle.push(format!("spec.{field}: {why}"));
        }
    };
    let monitoring = spec.monitoring.clone().unwrap_or_default();
    let off = monitoring.enabled == Some(false);
    for (said, field) in said_of_monitoring(&monitoring) {
        add(off && said, field, "nothing watches the model while spec.monitoring.enabled is false");
    }
    let server = spec.server.clone().unwrap_or_default();
    let exporter = spec.exporter.clone().unwrap_or_default();
    let service = spec.service.clone().unwrap_or_default();
    let predictions = spec.predictions.clone().unwrap_or_default();
    let direct = exporter.enabled == Some(false);
    for (said, field) in [
        (!service.aliases.is_empty(), "service.aliases"),
        (predictions != Predictions::default(), "predictions"),
        (server.metrics_path.is_some() || server.metrics_port.is_some(), "server.metricsPath and metricsPort"),
        (server.python_metrics == Some(true), "server.pythonMetrics"),
        (exporter.resources.is_some(), "exporter.resources"),
    ] {
        add(direct && said, field, "it is for the exporter, and spec.exporter.enabled is false");
    }
    let of_mlflow = server.kind.is_none_or(|kind| kind == ServerType::Mlflow);
    add(server.workers.is_some() && !of_mlflow, "server.workers", "only MLflow's server is told how many");
    let alerts = monitoring.alerts.unwrap_or_default();
    // A pod template may have limits of its own.
    let limits = server.resources.unwrap_or_default().limits;
    let unlimited = |name: &str| !limits.contains_key(name) && spec.pod_template.is_none();
    add(
        !off && alerts.memory.is_some() && unlimited("memory"),
        "monitoring.alerts.memory",
        "it is a share of the limit, and there is none; set spec.server.resources.limits.memory",
    );
    add(
        !off && alerts.cpu_throttling.is_some() && unlimited("cpu"),
        "monitoring.alerts.cpuThrottling",
        "nothing is throttled without a limit; set spec.server.resources.limits.cpu",
    );
    add(
        !off && alerts.open_files.is_some() && server.share_process_namespace == Some(false),
        "monitoring.alerts.openFiles",
        "nobody sees the model's files while spec.server.shareProcessNamespace is false",
    );
    let board = monitoring.dashboard.unwrap_or_default();
    add(
        board.enabled == Some(false) && (board.folder.is_some() || board.labels.is_some()),
        "monitoring.dashboard",
        "there is no dashboard while its enabled is false",
    );
    of_kind(&predictions, &mut add);
    if let Some(name) = twice_by_position(&predictions.classes) {
        let why = format!("'{name}' is at two positions, and these are counted as one");
        add(true, "predictions.classes", &why);
    }
    idle
}

/// With values, two of one name are one class that the model says in two ways.
fn twice_by_position(classes: &[PredictionClass]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    let by_position = classes.iter().filter(|class| class.value.is_none());
    by_position.map(|class| class.name.as_str()).find(|name| !seen.insert(*name))
}

fn said_of_monitoring(monitoring: &Monitoring) -> [(bool, &'static str); 5] {
    [
        (monitoring.email.is_some(), "monitoring.email"),
        (monitoring.alerts.is_some(), "monitoring.alerts"),
        (monitoring.dashboard.is_some(), "monitoring.dashboard"),
        (!monitoring.extra_rules.is_empty(), "monitoring.extraRules"),
        (!monitoring.extra_panels.is_empty(), "monitoring.extraPanels"),
    ]
}

/// What the kind of predictions has no use for.
fn of_kind(predictions: &Predictions, add: &mut impl FnMut(bool, &str, &str)) {
    let Some(kind) = predictions.kind else { return };
    add(
        predictions.threshold.is_some() && kind != PredictionKind::Probability,
        "predictions.threshold",
        "it is for kind: probability",
    );
    add(
        !predictions.bins.is_empty() && kind != PredictionKind::Number,
        "predictions.bins",
        "they are for kind: number",
    );
    add(
        predictions.max_classes.is_some() && !predictions.classes.is_empty(),
        "predictions.maxClasses",
        "it is for classes that are not declared, and spec.predictions.classes declares them",
    );
}

#[cfg(test)]
#[path = "tests/idle.rs"]
mod tests;
