//! Unit tests of one model's rules, for `promtool test rules`: that each alert fires beyond its bound, and neither short of
//! it, nor for a model that nobody uses, nor without any data.

mod trouble;

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Sources, Subject,
    promql::{Scope, duration, quote},
};
use crate::api::monitoring::Alert;
use trouble::{Series, Trouble};

/// What the file with the rules must be called, beside the tests.
pub const RULES_FILE: &str = "rules.yml";
/// How often promtool evaluates the rules.
const STEP: Duration = Duration::from_secs(60);
/// Beyond it, samples are no closer than a step, or a week would be too many of them.
const LONG: Duration = Duration::from_secs(6 * 3600);

/// A test file of promtool, for rules that [`super::groups`] made of the same model.
pub fn promtool_tests(subject: &Subject, sources: Sources) -> Value {
    let scope = Scope::new(subject.owner, subject.monitoring);
    let interval = subject.monitoring.scrape_interval;
    let troubles = trouble::all(subject, sources);
    let mut tests = Vec::new();
    for trouble in &troubles {
        let says = |verdict: &str| format!("{} {verdict}", name(trouble));
        tests.push(test(
            &scope,
            interval,
            &says("fires beyond its bound"),
            &trouble.beyond,
            trouble.after,
            &[(trouble, true)],
        ));
        tests.push(test(
            &scope,
            interval,
            &says("is silent short of it"),
            &trouble.short,
            trouble.after,
            &[(trouble, false)],
        ));
    }
    // That nobody uses the model is the one thing that NoTraffic is about.
    let silent = || troubles.iter().filter(|trouble| trouble.alert != Alert::NoTraffic).map(|trouble| (trouble, false));
    let all: Vec<_> = silent().collect();
    let while_idle = silent().map(|(trouble, _)| trouble.after).filter(|after| *after < LONG).max().unwrap_or(STEP);
    tests.push(test(
        &scope,
        interval,
        "nothing fires for a model that nobody uses",
        &trouble::idle(subject),
        while_idle,
        &all,
    ));
    tests.push(test(&scope, interval, "nothing fires without any data", &[], STEP * 10, &all));
    json!({"rule_files": [RULES_FILE], "evaluation_interval": duration(STEP), "tests": tests})
}

/// The alert, with what tells it apart from others of its name.
fn name(trouble: &Trouble) -> String {
    let labels = trouble.labels.iter().map(|(name, value)| format!(" {name}={}", quote(value)));
    format!("{:?}{}", trouble.alert, labels.collect::<String>())
}

fn test(
    scope: &Scope,
    scrape: Duration,
    name: &str,
    series: &[Series],
    after: Duration,
    expected: &[(&Trouble, bool)],
) -> Value {
    // On a step, and past the last moment that matters.
    let at = STEP * u32::try_from(after.as_secs() / STEP.as_secs()).unwrap_or(u32::MAX).saturating_add(2);
    let interval = if at > LONG { scrape.max(STEP) } else { scrape };
    let samples = at.as_secs().div_ceil(interval.as_secs().max(1));
    let series = series.iter().map(|series| json!({"series": series.name, "values": series.values(samples)}));
    let expected = expected.iter().map(|(trouble, fires)| expectation(scope, trouble, *fires, at));
    json!({
        "name": name,
        "interval": duration(interval),
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": expected.collect::<Vec<_>>(),
    })
}

/// Asked of the series that Prometheus writes about alerts, since a list of alerts would need their words as well.
fn expectation(scope: &Scope, trouble: &Trouble, fires: bool, at: Duration) -> Value {
    let own = trouble.labels.iter().map(|(name, value)| format!(",{name}={}", quote(value))).collect::<String>();
    let alerts = format!(
        "ALERTS{{alertname=\"{:?}\",alertstate=\"firing\",namespace={},model={}{own}}}",
        trouble.alert,
        quote(&scope.namespace),
        quote(&scope.model)
    );
    json!({
        "expr": format!("clamp_max(count({alerts}), 1) or vector(0)"),
        "eval_time": duration(at),
        "exp_samples": [{"labels": "{}", "value": u8::from(fires)}],
    })
}

/// What tells the rules of a model apart.
#[cfg(test)]
pub(super) fn told_apart(subject: &Subject, sources: Sources) -> [Vec<String>; 2] {
    let labelled = |alert: Alert, labels: &[(&'static str, String)]| format!("{alert:?} {labels:?}");
    let mut rules: Vec<_> =
        super::alerts(subject, sources).iter().map(|rule| labelled(rule.alert, &rule.labels)).collect();
    let troubles = trouble::all(subject, sources);
    let mut tested: Vec<_> = troubles.iter().map(|trouble| labelled(trouble.alert, &trouble.labels)).collect();
    rules.sort();
    tested.sort();
    [rules, tested]
}
