//! How fast failures use up what the objective allows, over several windows at once: a long one, so that it matters, and a
//! short one, so that it is still going on. Windows and factors are those of the Site Reliability Workbook (chapter
//! "Alerting on SLOs"): 2% of a month's budget in an hour, 5% in six hours, 10% in a day, 10% in three.

use std::time::Duration;

use super::{
    alert::{Rule, Severity, text},
    errors::{failures, ratio},
    promql::{Scope, duration, increase, number, percent},
    speed::REQUESTS,
};
use crate::api::monitoring::{Alert, valid::Alerts};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Long window, short window (seconds), factor, severity.
pub(super) const WINDOWS: [(u64, u64, f64, Severity); 4] = [
    (HOUR, 5 * MINUTE, 14.4, Severity::Critical),
    (6 * HOUR, 30 * MINUTE, 6.0, Severity::Critical),
    (DAY, 2 * HOUR, 3.0, Severity::Warning),
    (3 * DAY, 6 * HOUR, 1.0, Severity::Warning),
];
/// Where a handful of requests come in an hour, a single failure burns at a thousand times the rate. Just below five,
/// since increase() knows only about how many.
const ENOUGH_FAILURES: &str = "> 4.5";

/// The windows that can fire: with a modest objective even a model that fails every request burns slower than 14.4 times.
pub(super) fn windows(objective: f64) -> impl Iterator<Item = (Duration, Duration, f64, Severity)> {
    let seconds = Duration::from_secs;
    let all = WINDOWS.into_iter().map(move |(long, short, factor, severity)| {
        (seconds(long), seconds(short), factor * (1.0 - objective), severity)
    });
    all.filter(|(_, _, bound, _)| *bound < 1.0)
}

pub(super) fn rules(scope: &Scope, alerts: &Alerts) -> Vec<Rule> {
    let Some(objective) = alerts.objective else { return Vec::new() };
    windows(objective).map(|window| rule(scope, objective, window)).collect()
}

fn rule(scope: &Scope, objective: f64, window: (Duration, Duration, f64, Severity)) -> Rule {
    let (long, short, bound, severity) = window;
    let short = short.max(scope.window);
    let beyond = |window| format!("{} > {}", ratio(scope, REQUESTS, window), number(bound));
    let expr =
        format!("{} and {} and {} {ENOUGH_FAILURES}", beyond(long), beyond(short), increase(&failures(scope), long));
    let (long, short) = (duration(long), duration(short));
    Rule::new(Alert::ErrorBudgetBurn, expr)
        .severity(severity)
        .label("window", long.as_str())
        .summary(format!(
            "fails so many requests that it will miss the objective of {} good answers",
            percent(objective)
        ))
        .measured(format!(
            "Of the requests of the last {long}, {{{{ $value | humanizePercentage }}}} failed, and of the last {short} still \
             more than {}; the objective of {} allows {} over a month.",
            percent(bound),
            percent(objective),
            percent(1.0 - objective)
        ))
        .first(format!(
            "First: look on the dashboard since when {} fails, and whether that is when its version changed.",
            text(&scope.model)
        ))
}
