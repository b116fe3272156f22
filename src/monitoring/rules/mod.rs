//! Recording rules and alerts of one model.
//!
//! Whatever an expression says, it holds that: no data and NaN never fire; without traffic no ratio exists; a pod that
//! restarts or vanishes takes nothing away from what was counted; and all series are those of this model alone.

mod alert;
mod burn;
mod catalogue;
mod drift;
mod errors;
mod extra;
mod health;
pub mod itself;
mod latency;
mod operator;
mod predictions;
mod promql;
mod promtool;
mod recording;
mod resources;
mod speed;
mod traffic;

pub use alert::text;
pub use catalogue::index;
pub use promtool::promtool_tests;

use serde_json::{Value, json};

use super::Subject;
use alert::Rule;
use promql::Scope;

/// What Prometheus has beside the model's and the operator's own series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The kubelet's series of containers. Without them HighMemory and CpuThrottled are left out.
    pub cadvisor: bool,
}

const EXTRA: &str = "extra";

/// Whether a group holds the user's own rules.
pub fn is_extra(group: &Value) -> bool {
    group["name"].as_str().is_some_and(|name| name.rsplit('.').next() == Some(EXTRA))
}

/// The groups of the model's PrometheusRule. Groups that would be empty are left out.
pub fn groups(subject: &Subject, sources: Sources) -> Vec<Value> {
    let scope = Scope::new(subject.owner, subject.monitoring);
    let records = match subject.spec.exporter {
        Some(_) => [recording::rules(&scope), drift::records(&scope, &subject.monitoring.alerts.drift)].concat(),
        None => Vec::new(),
    };
    let wanted = alerts(subject, sources).into_iter();
    let alerts = wanted.map(|rule| rule.json(subject, &scope)).collect();
    let groups =
        [("records", records), ("alerts", alerts), (EXTRA, extra::rules(&scope, &subject.monitoring.extra_rules))];
    let name = |group: &str| format!("modelship.{}.{}.{group}", scope.namespace, scope.model);
    let groups = groups.into_iter().filter(|(_, rules)| !rules.is_empty());
    groups.map(|(group, rules)| json!({"name": name(group), "rules": rules})).collect()
}

/// All alerts that this model has.
fn alerts(subject: &Subject, sources: Sources) -> Vec<Rule> {
    let scope = Scope::new(subject.owner, subject.monitoring);
    let alerts = &subject.monitoring.alerts;
    let mut rules = Vec::new();
    if subject.spec.exporter.is_some() {
        rules.extend(traffic::rules(&scope, alerts));
        rules.push(errors::rule(&scope, alerts));
        rules.push(latency::rule(&scope, alerts));
        rules.extend(burn::rules(&scope, alerts));
        rules.push(health::slow_scrape(&scope, alerts));
        rules.push(resources::open_files(&scope, alerts));
        rules.extend(predictions::rules(&scope, alerts));
        rules.push(drift::rule(&scope, &alerts.drift));
    }
    if sources.cadvisor {
        rules.push(resources::memory(&scope, alerts));
        rules.push(resources::throttled(&scope, alerts));
    }
    rules.push(health::down(&scope, alerts, subject.spec.strategy, subject.spec.exporter.is_some()));
    rules.extend(operator::rules(&scope, alerts, subject.spec));
    rules.retain(|rule| alerts.wants(rule.alert));
    rules
}

/// Whether any of its alerts stands on the kubelet's series of containers.
pub fn need_containers(subject: &Subject) -> bool {
    let count = |cadvisor| alerts(subject, Sources { cadvisor }).len();
    count(true) != count(false)
}

/// The alerts that stand on series of the operator, which are silent where nobody scrapes it.
pub fn told_by_the_operator(subject: &Subject) -> Vec<String> {
    let scope = Scope::new(subject.owner, subject.monitoring);
    let alerts = &subject.monitoring.alerts;
    let rules = operator::rules(&scope, alerts, subject.spec).into_iter();
    rules.filter(|rule| alerts.wants(rule.alert)).map(|rule| format!("{:?}", rule.alert)).collect()
}

#[cfg(test)]
mod tests;
