//! Alerts about the operator itself: while it is away, or does not see its objects, the alerts that stand on its series are silent.

use serde_json::{Value, json};

use super::{alert::Severity, promql::quote};

const GUIDE: &str = "https://github.com/modelship/modelship/blob/main/src/monitoring/OPERATOR.md";

/// An alert whose bound nobody moves.
struct Rule {
    name: &'static str,
    severity: Severity,
    expr: String,
    pending: &'static str,
    summary: &'static str,
    description: &'static str,
}

/// The groups of the operator's own PrometheusRule. `namespace` and `service` are those of the Service in front of its metrics,
/// which Prometheus makes the labels `namespace` and `job` of.
pub fn groups(namespace: &str, service: &str) -> Vec<Value> {
    let of = |series: &str| format!("{series}{{namespace={},job={}}}", quote(namespace), quote(service));
    let rules = rules(of).map(|rule| {
        json!({
            "alert": rule.name,
            "expr": rule.expr,
            "for": rule.pending,
            "labels": {"namespace": namespace, "severity": rule.severity.name()},
            "annotations": {
                "summary": rule.summary,
                "description": rule.description,
                "runbook_url": format!("{GUIDE}#{}", rule.name.to_lowercase()),
            },
        })
    });
    vec![json!({"name": format!("modelship.{namespace}.operator"), "rules": rules})]
}

fn rules(of: impl Fn(&str) -> String) -> [Rule; 4] {
    let leader = of("modelship_leader");
    [
        Rule {
            name: "ModelshipDown",
            severity: Severity::Critical,
            // Not by absent(): of several shards of a Prometheus only one knows the operator, and all would have to.
            expr: format!("count(last_over_time({leader}[1d])) > 0 unless count({leader} == 1) > 0"),
            pending: "5m",
            summary: "Modelship is not at work.",
            description: "Models go on serving, but no push is taken, nothing is put back, and the alerts ModelCrashLooping, \
                          RolloutFailed, VersionHeldBack and ImageNotResolved are silent.",
        },
        Rule {
            name: "ModelshipBlind",
            severity: Severity::Critical,
            expr: format!("min by (kind) ({}) == 0", of("modelship_watch_synced")),
            pending: "10m",
            summary: "Modelship does not get the list of {{ $labels.kind }}s.",
            description: "Until it has come, nothing is done for any model: see the operator's log, its /readyz and its rights.",
        },
        Rule {
            name: "ModelshipObjectUnreadable",
            severity: Severity::Warning,
            expr: format!("max by (kind) ({}) > 0", of("modelship_unreadable_objects")),
            pending: "10m",
            summary: "Modelship cannot read {{ $value }} objects of the kind {{ $labels.kind }}.",
            description: "They are passed over, and all others are looked after: the operator's log names them.",
        },
        Rule {
            name: "ModelshipTaskBroke",
            severity: Severity::Warning,
            expr: format!("sum by (task) (increase({}[1h])) > 0", of("modelship_broken_tasks_total")),
            pending: "0s",
            summary: "A part of Modelship broke off and began anew.",
            description: "It is a fault of Modelship's: please report what the operator's log says of the task {{ $labels.task }}.",
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_a_part_for_each_alert() {
        let guide = include_str!("../OPERATOR.md");
        let groups = groups("harbour", "modelship-metrics");
        let rules = groups[0]["rules"].as_array().unwrap();
        let names: Vec<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
        let headings: Vec<_> = guide.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, names);
    }
}
