use serde_json::{Value, json};

use super::*;
use crate::api::{Invalid, ValidSpec};

fn parse(monitoring: Value, predictions: Value) -> Result<Option<Monitoring>, Vec<Invalid>> {
    let spec = json!({"image": {"repository": "alice/churn"}, "monitoring": monitoring, "predictions": predictions});
    ValidSpec::parse("churn", &spec).map(|spec| spec.monitoring)
}

#[test]
fn a_model_is_monitored_unless_it_says_otherwise() {
    let monitoring = parse(json!({}), json!({})).unwrap().unwrap();
    assert_eq!(monitoring.job, "ml_model_exporter");
    assert_eq!((monitoring.scrape_interval.as_secs(), monitoring.scrape_timeout.as_secs()), (15, 10));
    assert_eq!(monitoring.dashboard.unwrap().labels["grafana_dashboard"], "1");
    assert_eq!(monitoring.alerts.scrape_duration, Duration::from_secs(5));
    assert!(monitoring.alerts.wants(Alert::HighLatency));
    assert_eq!(parse(json!({"enabled": false}), json!({})), Ok(None));
}

#[test]
fn a_scrape_times_out_before_the_next_begins() {
    let monitoring = parse(json!({"scrapeInterval": "2s"}), json!({})).unwrap().unwrap();
    assert_eq!(monitoring.scrape_timeout, Duration::from_secs(2));
}

#[test]
fn what_is_disabled_is_not_wanted() {
    let monitoring = parse(json!({"alerts": {"disabled": ["HighLatency"]}}), json!({})).unwrap().unwrap();
    assert!(!monitoring.alerts.wants(Alert::HighLatency) && monitoring.alerts.wants(Alert::HighErrorRatio));
}

#[test]
fn every_alert_there_is_can_be_disabled_at_once() {
    let crd = json!(crate::api::schema::crd());
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let disabled = &spec["properties"]["monitoring"]["properties"]["alerts"]["properties"]["disabled"];
    let alerts = disabled["items"]["enum"].as_array().unwrap().len();
    let most = disabled["maxItems"].as_u64().unwrap();
    assert!(most >= u64::try_from(alerts).unwrap(), "{most} of {alerts}");
}

#[test]
fn every_wrong_bound_is_named_with_its_remedy() {
    let alerts = |alerts: Value| json!({"alerts": alerts});
    let share = |share: Value| alerts(json!({"classShare": [share]}));
    let rule = |rule: Value| json!({"extraRules": [rule]});
    let rows = [
        (json!({"scrapeInterval": "10m"}), "scrapeInterval", "between 1s and 300s"),
        (alerts(json!({"latencyP95": "10s"})), "alerts.latencyP95", "could never fire"),
        (alerts(json!({"latencyP95": "0s"})), "alerts.latencyP95", "above 0s"),
        (alerts(json!({"errorRatio": "-5%"})), "alerts.errorRatio", "such as 5%"),
        (alerts(json!({"errorRatio": "0%"})), "alerts.errorRatio", "more than 0%"),
        (alerts(json!({"objective": "100%"})), "alerts.objective", "nothing at all may fail"),
        (alerts(json!({"highTraffic": "many"})), "alerts.highTraffic", "such as 100/s"),
        (alerts(json!({"highTraffic": "100/20s"})), "alerts.highTraffic", "shorter than two scrapes"),
        (alerts(json!({"noTraffic": "20s"})), "alerts.noTraffic", "shorter than two scrapes"),
        (alerts(json!({"restarts": 0})), "alerts.restarts", "above 0"),
        (alerts(json!({"scrapeDuration": "10s"})), "alerts.scrapeDuration", "gives a scrape up"),
        (alerts(json!({"drift": {"psi": "-1"}})), "alerts.drift.psi", "more than 0"),
        (alerts(json!({"drift": {"psi": "20"}})), "alerts.drift.psi", "could never fire"),
        (alerts(json!({"drift": {"window": "5s"}})), "alerts.drift.window", "two scrapes"),
        (share(json!({"class": "leave", "above": "40%"})), "alerts.classShare[0].class", "they are stay, churn"),
        (share(json!({"above": "40%"})), "alerts.classShare[0]", "exactly one"),
        (share(json!({"class": "churn", "above": "0%"})), "alerts.classShare[0].above", "more than 0%"),
        (share(json!({"scoreAbove": "0", "above": "40%"})), "alerts.classShare[0].scoreAbove", "0.05"),
        (share(json!({"scoreAbove": "0.83", "above": "40%"})), "alerts.classShare[0].scoreAbove", "0.05"),
        (json!({"email": {"to": []}}), "email.to", "at least one"),
        (json!({"email": {"to": ["The Team <team@example.org>"]}}), "email.to", "plain address"),
        (json!({"email": {"to": ["a@example.org"], "smarthost": "smtp"}}), "email.smarthost", "587"),
        (rule(json!({"expr": "up"})), "extraRules[0]", "exactly one of alert and record"),
        (rule(json!({"alert": "A", "expr": "rate("})), "extraRules[0]", "cannot be read"),
        (rule(json!({"alert": "A"})), "extraRules[0]", "needs expr"),
        (rule(json!({"record": "a b", "expr": "up"})), "extraRules[0]", "no name"),
        (rule(json!({"alert": "A", "expr": "up", "for": "soon"})), "extraRules[0]", "such as 30s"),
        (rule(json!({"alert": "A", "expr": "up", "severity": "page"})), "extraRules[0]", "severity"),
        (rule(json!({"alert": "A", "expr": "up", "labels": {"a-b": "c"}})), "extraRules[0]", "labels"),
        (rule(json!({"record": "a", "expr": "up", "labels": {"__name__": "b"}})), "extraRules[0]", "labels"),
        (rule(json!({"alert": "A", "expr": "up", "annotations": {"note": "{{ $vale }}"}})), "extraRules[0]", "$vale"),
        (json!({"extraPanels": [{"type": "stat"}]}), "extraPanels[0]", "type and title"),
        (json!({"labels": {"modelship.dev/model": "merlot"}}), "labels", "Modelship's own"),
        (json!({"labels": {"release": "the stack"}}), "labels", "'the stack' is not a label's value"),
        (json!({"labels": {"release": "s".repeat(64)}}), "labels.release", "63"),
        (json!({"labels": {"release/": "a"}}), "labels", "'release/' is not a label's name"),
        (json!({"dashboard": {"labels": {"modelship.dev/model": "merlot"}}}), "dashboard.labels", "Modelship's own"),
        (
            json!({"dashboard": {"labels": {"app.kubernetes.io/managed-by": "helm"}}}),
            "dashboard.labels",
            "Modelship's own",
        ),
        (
            json!({"dashboard": {"labels": {"grafana_dashboard": "yes!"}}}),
            "dashboard.labels",
            "'yes!' is not a label's value",
        ),
    ];
    let predictions = json!({"classes": [{"value": "0", "name": "stay"}, {"value": "1", "name": "churn"}]});
    for (monitoring, field, words) in rows {
        let faults = parse(monitoring.clone(), predictions.clone()).expect_err(&monitoring.to_string());
        let fault = &faults[0];
        assert_eq!(fault.field, format!("spec.monitoring.{field}"), "{monitoring}: {fault}");
        assert!(fault.message.contains(words), "{monitoring}: {fault}");
    }
}

#[test]
fn a_board_may_bear_the_recommended_labels_that_are_not_ours() {
    let labels = json!({"dashboard": {"labels": {"app.kubernetes.io/part-of": "grafana"}}});
    assert!(parse(labels, json!({})).is_ok());
}
