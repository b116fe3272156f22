//! Requests that failed.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl, text},
    promql::{Scope, increase, number, percent, quote, rate},
    speed::{Judgement, REQUESTS, judged, spans},
};
use crate::api::{
    monitoring::{Alert, valid::Alerts},
    names,
};

/// Whose failures count. A client's are not the model's: a request that makes no sense fails with any model.
const CAUSES: &str = "cause=~\"model|timeout|unreachable\"";
/// With fewer requests chance decides.
const MINIMUM: u32 = 10;
/// Between one and two: increase() extrapolates one failure to at most a third more, and a lone failure wakes nobody.
const MORE_THAN_ONE: &str = "> 1.5";

/// The series of requests that failed through no fault of the client.
pub(super) fn failures(scope: &Scope) -> String {
    scope.served("http_request_errors_total", CAUSES)
}

/// Failed requests, of all; nothing at all without requests.
pub(super) fn ratio(scope: &Scope, requests: &str, window: Duration) -> String {
    format!("{} / ({} > 0)", rate(&failures(scope), window), rate(&scope.served(requests, ""), window))
}

pub(super) fn rule(scope: &Scope, alerts: &Alerts) -> Rule {
    let bound = alerts.error_ratio;
    let beyond = |window| {
        format!(
            "{} >= {} and {} {MORE_THAN_ONE}",
            ratio(scope, REQUESTS, window),
            number(bound),
            increase(&failures(scope), window)
        )
    };
    let seen = |window| format!("{} > 0", increase(&failures(scope), window));
    let expr = judged(scope, &Judgement { beyond: &beyond, seen: &seen, minimum: MINIMUM });
    Rule::new(Alert::HighErrorRatio, expr)
        .pending(Duration::from_secs(120))
        .summary("fails {{ $value | humanizePercentage }} of the requests sent to it")
        .measured(format!(
            "Of the requests of {}, {{{{ $value | humanizePercentage }}}} failed; the bound is {}. Who caused it, in the \
             last hour:{}.",
            spans(scope),
            percent(bound),
            who(scope)
        ))
        .first(format!(
            "First: {} for an error of the model's own code.",
            kubectl(scope, &format!("logs -l {}={} -c model --tail 50 --prefix", names::MODEL, text(&scope.model)))
        ))
}

/// Lists the failures by their cause, the clients' too, though these do not count.
fn who(scope: &Scope) -> String {
    let failures = scope.served("http_request_errors_total", "");
    let query = format!("sort_desc(round(sum by (cause) (increase({failures}[1h]))) > 0)");
    format!("{{{{ range query {} }}}} {{{{ .Labels.cause }}}} {{{{ .Value }}}}{{{{ end }}}}", quote(&query))
}
