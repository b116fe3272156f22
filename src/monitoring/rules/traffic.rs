//! Much traffic, any, none.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl, text},
    promql::{Scope, duration, increase, number, rate},
    speed::REQUESTS,
};
use crate::api::{
    monitoring::{Alert, valid::Alerts},
    units::Traffic,
};

pub(super) fn rules(scope: &Scope, alerts: &Alerts) -> Vec<Rule> {
    let high = alerts.high_traffic.map(|traffic| high(scope, traffic));
    let any = alerts.traffic_detected.then(|| detected(scope));
    let none = alerts.no_traffic.map(|window| none(scope, window));
    [high, any, none].into_iter().flatten().collect()
}

fn high(scope: &Scope, traffic: Traffic) -> Rule {
    let requests = scope.served(REQUESTS, "");
    let (expr, summary, measured) = match traffic {
        Traffic::Rate(bound) => (
            format!("{} > {}", rate(&requests, scope.window), number(bound)),
            "gets more requests than expected: {{ $value | humanize }} a second".to_owned(),
            format!(
                "In the last {} there were {{{{ $value | humanize }}}} requests a second; the bound is {}.",
                duration(scope.window),
                number(bound)
            ),
        ),
        Traffic::Total(bound, window) => (
            format!("{} > {}", increase(&requests, window), number(bound)),
            format!("gets more requests than expected: {{{{ $value | humanize }}}} in {}", duration(window)),
            format!(
                "In the last {} there were {{{{ $value | humanize }}}} requests; the bound is {}.",
                duration(window),
                number(bound)
            ),
        ),
    };
    Rule::new(Alert::HighTraffic, expr).summary(summary).measured(measured).first(
        "First: see on the dashboard whether answers got slower; if so, raise spec.replicas or set spec.autoscaling.",
    )
}

fn detected(scope: &Scope) -> Rule {
    let window = duration(scope.window);
    Rule::new(Alert::TrafficDetected, format!("{} > 0", increase(&scope.served(REQUESTS, ""), scope.window)))
        .summary("gets requests")
        .measured(format!(
            "In the last {window} there were about {{{{ printf \"%.0f\" $value }}}} requests; any at all is reported."
        ))
        .first("First: nothing, if requests are expected; else find out who knows the model's address.")
}

/// Only where the model was measured then and is now: a new one had no time to get a request, and of one that is gone
/// ModelDown tells.
fn none(scope: &Scope, window: Duration) -> Rule {
    let requests = scope.served(REQUESTS, "");
    let expr = format!(
        "{} == 0 and count({requests} offset {}) > 0 and count({requests}) > 0",
        increase(&requests, window),
        duration(window)
    );
    Rule::new(Alert::NoTraffic, expr)
        .summary(format!("has had no request for {}", duration(window)))
        .measured(format!("Not one request in the last {0}; the bound is one in {0}.", duration(window)))
        .first(format!(
            "First: {} shows whether pods stand behind the Service; then ask those who send requests.",
            kubectl(scope, &format!("get endpointslices -l kubernetes.io/service-name={}", text(&scope.model)))
        ))
}
