//! How long answers take.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl, text},
    promql::{Scope, duration, increase, number},
    speed::{Judgement, REQUESTS, judged, spans},
};
use crate::api::monitoring::{Alert, valid::Alerts};

/// Of fewer requests the slowest one alone would be the 95th percentile.
const MINIMUM: u32 = 20;

/// The time within which 95 of 100 requests of all pods were answered; NaN without requests. Buckets are summed before the
/// quantile is taken: a mean of the pods' quantiles would be no quantile.
pub(super) fn p95(scope: &Scope, window: Duration) -> String {
    let buckets = scope.served("http_request_duration_seconds_bucket", "");
    format!("histogram_quantile(0.95, sum by (le) (rate({buckets}[{}])))", duration(window))
}

pub(super) fn rule(scope: &Scope, alerts: &Alerts) -> Rule {
    let bound = alerts.latency_p95;
    let beyond = |window| format!("{} > {}", p95(scope, window), number(bound.as_secs_f64()));
    let seen = |window| format!("{} > 0", increase(&scope.served(REQUESTS, ""), window));
    let expr = judged(scope, &Judgement { beyond: &beyond, seen: &seen, minimum: MINIMUM });
    Rule::new(Alert::HighLatency, expr)
        .pending(Duration::from_secs(120))
        .summary(format!("answers slowly: 5 of 100 requests take longer than {}", duration(bound)))
        .measured(format!(
            "Of the requests of {}, 95 of 100 were answered within {{{{ $value | humanizeDuration }}}}; the bound is {}.",
            spans(scope),
            duration(bound)
        ))
        .first(format!(
            "First: look on the dashboard whether traffic, CPU or the rows per request went up too; {} shows the CPU in use.",
            kubectl(scope, &format!("top pods -l modelship.dev/model={}", text(&scope.model)))
        ))
}
