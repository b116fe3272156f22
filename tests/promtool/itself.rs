//! What is told of the operator itself: ModelshipDown (after 5m), ModelshipBlind (after 10m), ModelshipObjectUnreadable (after
//! 10m), ModelshipTaskBroke.

use modelship::monitoring::rules::itself;
use serde_json::{Value, json};

use super::support::check_groups;

const OWN: &str = r#"namespace="harbour",job="modelship-metrics""#;

/// After 30 minutes with a sample each 15 s, these alerts fire and no others.
fn case(name: &str, series: &[(&str, &str)], fires: &[&str]) -> Value {
    let series = series.iter().map(|(series, values)| json!({"series": series.replace("OWN", OWN), "values": values}));
    let samples = fires.iter().map(|alert| json!({"labels": format!("{{alertname=\"{alert}\"}}"), "value": 1}));
    json!({
        "name": name,
        "interval": "15s",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": [{
            "expr": "count by (alertname) (ALERTS{alertstate=\"firing\",namespace=\"harbour\"})",
            "eval_time": "30m",
            "exp_samples": samples.collect::<Vec<_>>(),
        }],
    })
}

#[test]
fn the_operator_is_watched_itself() {
    let leader = |values| ("modelship_leader{OWN,pod=\"a\"}", values);
    let kind = |values| ("modelship_watch_synced{OWN,pod=\"a\",kind=\"Pod\"}", values);
    let unreadable = |values| ("modelship_unreadable_objects{OWN,pod=\"a\",kind=\"Pod\"}", values);
    let broken = |values| ("modelship_broken_tasks_total{OWN,pod=\"a\",task=\"turns\"}", values);
    check_groups(
        &itself::groups("harbour", "modelship-metrics"),
        vec![
            case("it was never there, as for most shards of a Prometheus", &[], &[]),
            case("it is at work", &[leader("1x120"), kind("1x120"), unreadable("0x120"), broken("0x120")], &[]),
            case("it has gone six minutes ago", &[leader("1x92 stale")], &["ModelshipDown"]),
            case("it has gone four minutes ago", &[leader("1x104 stale")], &[]),
            case("it stands by, and nobody leads", &[leader("1x20 0x100")], &["ModelshipDown"]),
            case(
                "another one has taken over",
                &[leader("1x20 0x100"), ("modelship_leader{OWN,pod=\"b\"}", "0x20 1x100")],
                &[],
            ),
            case(
                "another installation is at work",
                &[leader("1x20 0x100"), (r#"modelship_leader{namespace="quay",job="modelship-metrics"}"#, "1x120")],
                &["ModelshipDown"],
            ),
            case("a list does not come", &[leader("1x120"), kind("1x20 0x100")], &["ModelshipBlind"]),
            case("a list comes late", &[leader("1x120"), kind("0x90 1x30")], &[]),
            case("an object is passed over", &[leader("1x120"), unreadable("2x120")], &["ModelshipObjectUnreadable"]),
            case("a task broke off", &[leader("1x120"), broken("0x60 1x60")], &["ModelshipTaskBroke"]),
            case("a task broke off before it was scraped first", &[leader("1x120"), broken("1x120")], &[]),
        ],
    );
}
