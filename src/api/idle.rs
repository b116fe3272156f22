//! What a spec says without effect. It is no fault: it may be left over, or meant for later. But nothing else would tell.

use std::collections::BTreeSet;

use super::{
    monitoring::{Alert, Monitoring, spec::Alerts},
    spec::{ModelDeploymentSpec, PredictionClass, PredictionKind, Predictions, ServerType, ServiceType},
    units::{self, Traffic},
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
    add(
        service.node_port.is_some() && service.kind.is_none_or(|kind| kind == ServiceType::ClusterIP),
        "service.nodePort",
        "it is for spec.service.type NodePort or LoadBalancer",
    );
    let direct = exporter.enabled == Some(false);
    for (said, field) in [
        (!service.aliases.is_empty(), "service.aliases"),
        (service.network_policy == Some(true), "service.networkPolicy"),
        (predictions != Predictions::default(), "predictions"),
        (server.metrics_path.is_some() || server.metrics_port.is_some(), "server.metricsPath and metricsPort"),
        (server.python_metrics == Some(true), "server.pythonMetrics"),
        (exporter.resources.is_some(), "exporter.resources"),
    ] {
        add(direct && said, field, "it is for the exporter, and spec.exporter.enabled is false");
    }
    let scraped = monitoring.scrape_interval.is_some() || monitoring.job.is_some();
    add(
        direct && !off && scraped,
        "monitoring.scrapeInterval and job",
        "nothing is scraped while spec.exporter.enabled is false",
    );
    let of_mlflow = server.kind.is_none_or(|kind| kind == ServerType::Mlflow);
    add(server.workers.is_some() && !of_mlflow, "server.workers", "only MLflow's server is told how many");
    let alerts = monitoring.alerts.clone().unwrap_or_default();
    for (field, alert, measured) in bounds(&alerts).into_iter().filter(|_| !off) {
        let field = format!("monitoring.alerts.{field}");
        let disabled = alerts.disabled.contains(&alert);
        let shapes = !direct && shapes_more(&alerts, alert);
        add(disabled && !shapes, &field, &format!("{alert:?} is among spec.monitoring.alerts.disabled"));
        add(
            direct && measured && !disabled,
            &field,
            "it is told from what the exporter measures, and spec.exporter.enabled is false",
        );
    }
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
    add(
        !off && board.enabled == Some(false) && !monitoring.extra_panels.is_empty(),
        "monitoring.extraPanels",
        "they stand on the dashboard, and there is none while spec.monitoring.dashboard.enabled is false",
    );
    of_kind(&predictions, &mut add);
    if !off && !direct {
        shares(&alerts, predictions.kind, &mut add);
    }
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

fn said_of_monitoring(monitoring: &Monitoring) -> [(bool, &'static str); 8] {
    [
        (monitoring.job.is_some(), "monitoring.job"),
        (monitoring.scrape_interval.is_some(), "monitoring.scrapeInterval"),
        (monitoring.labels.is_some(), "monitoring.labels"),
        (monitoring.email.is_some(), "monitoring.email"),
        (monitoring.alerts.is_some(), "monitoring.alerts"),
        (monitoring.dashboard.is_some(), "monitoring.dashboard"),
        (!monitoring.extra_rules.is_empty(), "monitoring.extraRules"),
        (!monitoring.extra_panels.is_empty(), "monitoring.extraPanels"),
    ]
}

/// The bounds that are said, the alert that each is of, and whether the exporter must measure for it.
fn bounds(alerts: &Alerts) -> Vec<(&'static str, Alert, bool)> {
    let all = [
        (alerts.high_traffic.is_some(), "highTraffic", Alert::HighTraffic, true),
        (alerts.traffic_detected == Some(true), "trafficDetected", Alert::TrafficDetected, true),
        (alerts.no_traffic.is_some(), "noTraffic", Alert::NoTraffic, true),
        (alerts.error_ratio.is_some(), "errorRatio", Alert::HighErrorRatio, true),
        (alerts.latency_p95.is_some(), "latencyP95", Alert::HighLatency, true),
        (alerts.objective.is_some(), "objective", Alert::ErrorBudgetBurn, true),
        (alerts.down_for.is_some(), "downFor", Alert::ModelDown, false),
        (alerts.restarts.is_some(), "restarts", Alert::ModelCrashLooping, false),
        (alerts.image_unresolved_for.is_some(), "imageUnresolvedFor", Alert::ImageNotResolved, false),
        (alerts.scrape_duration.is_some(), "scrapeDuration", Alert::SlowScrape, true),
        (alerts.memory.is_some(), "memory", Alert::HighMemory, false),
        (alerts.cpu_throttling.is_some(), "cpuThrottling", Alert::CpuThrottled, false),
        (alerts.open_files.is_some(), "openFiles", Alert::TooManyOpenFiles, true),
        (!alerts.class_share.is_empty(), "classShare", Alert::HighClassShare, true),
        (alerts.drift.is_some(), "drift", Alert::PredictionDrift, true),
    ];
    all.into_iter().filter(|(said, ..)| *said).map(|(_, field, alert, measured)| (field, alert, measured)).collect()
}

/// Whether what is said of it shapes recorded series or the board as well, which are there without the alert, too.
fn shapes_more(alerts: &Alerts, alert: Alert) -> bool {
    match alert {
        Alert::PredictionDrift => alerts.drift.as_ref().is_some_and(|drift| drift.window.is_some()),
        Alert::HighTraffic => {
            alerts.high_traffic.as_deref().is_some_and(|bound| matches!(units::traffic(bound), Ok(Traffic::Total(..))))
        }
        _ => false,
    }
}

/// Shares of what predictions of this kind do not have.
fn shares(alerts: &Alerts, kind: Option<PredictionKind>, add: &mut impl FnMut(bool, &str, &str)) {
    if alerts.disabled.contains(&Alert::HighClassShare) {
        return;
    }
    for (at, share) in alerts.class_share.iter().enumerate() {
        let field = format!("monitoring.alerts.classShare[{at}]");
        add(
            share.class.is_some() && kind == Some(PredictionKind::Number),
            &field,
            "numbers have no classes, so it never fires; it is for other kinds of predictions",
        );
        add(
            share.score_above.is_some() && kind.is_some_and(|kind| kind != PredictionKind::Probability),
            &field,
            "scoreAbove is for kind: probability, and never fires for another",
        );
    }
}

/// What the kind of predictions has no use for.
fn of_kind(predictions: &Predictions, add: &mut impl FnMut(bool, &str, &str)) {
    add(
        predictions.max_classes.is_some() && !predictions.classes.is_empty(),
        "predictions.maxClasses",
        "it is for classes that are not declared, and spec.predictions.classes declares them",
    );
    let Some(kind) = predictions.kind else { return };
    add(
        predictions.max_classes.is_some() && kind == PredictionKind::Number,
        "predictions.maxClasses",
        "numbers have no classes",
    );
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
}

#[cfg(test)]
#[path = "tests/idle.rs"]
mod tests;
