//! Whether the model answers, and whether Prometheus can ask it.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl, text},
    promql::{Scope, duration, number},
};
use crate::api::{
    monitoring::{Alert, valid::Alerts},
    spec::Strategy,
};

/// Nobody is answered, and somebody should be.
///
/// absent() would not do: it fires as well for a model that was never scraped, or was scaled to nothing.
pub(super) fn down(scope: &Scope, alerts: &Alerts, strategy: Strategy, measured: bool) -> Rule {
    let wanted = scope.told_once("modelship_model_replicas_wanted", "");
    let none_available =
        format!("({} == 0 and {wanted} > 0)", scope.told_once("modelship_model_replicas_available", ""));
    let mut ways = vec![none_available];
    if measured {
        let up = scope.served("model_up", "");
        ways.insert(0, format!("max({up}) == 0"));
        // Pods that were there within the hour are all gone. Where the operator is asked too, it knows better: a pod that
        // Prometheus cannot reach may well answer its users.
        ways.push(format!("(0 * count(present_over_time({up}[1h])) unless count({up}) unless {wanted})"));
    }
    let introducing = format!("{} == 1", scope.told_once("modelship_model_rollout_in_progress", ""));
    let expected = match strategy {
        // The spec asks for the gap. It ends at rollout.deadline at the latest, when the roll-out has failed.
        Strategy::Recreate => introducing,
        // Until a first version has served, nothing is down: it is not up yet, and RolloutFailed tells if it never gets there.
        Strategy::Rolling => format!(
            "({introducing} unless {} > 0)",
            scope.told_once("modelship_model_stable_since_timestamp_seconds", "")
        ),
    };
    Rule::new(Alert::ModelDown, format!("({}) unless {wanted} == 0 unless {expected}", ways.join(" or ")))
        .pending(alerts.down_for)
        .summary("answers nobody")
        .measured(format!("No pod of the model has answered for {}.", duration(alerts.down_for)))
        .first(format!(
            "First: {}, whose conditions name the reason.",
            kubectl(scope, &format!("describe mdl {}", text(&scope.model)))
        ))
}

/// Taken from Prometheus' own notes about each scrape, which it keeps for a failed one too.
pub(super) fn slow_scrape(scope: &Scope, alerts: &Alerts) -> Rule {
    let bound = alerts.scrape_duration;
    let expr = format!("max by (pod) ({}) > {}", scope.any("scrape_duration_seconds", ""), number(bound.as_secs_f64()));
    Rule::new(Alert::SlowScrape, expr)
        .pending(Duration::from_secs(300))
        .summary("is slow to show its metrics, so that some may get lost")
        .measured(format!(
            "Prometheus needs {{{{ $value | humanizeDuration }}}} to read the metrics of pod {{{{ $labels.pod }}}}; the bound \
             is {}.",
            duration(bound)
        ))
        .first(format!(
            "First: {}, to see whether the exporter is short of CPU.",
            kubectl(scope, "top pod {{ $labels.pod }} --containers")
        ))
}
