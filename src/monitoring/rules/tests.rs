use serde_json::{Value, json};

use super::*;
use crate::{api::ValidSpec, resources::Owner};

const ALL: Sources = Sources { cadvisor: true };

fn with<T>(monitoring: &Value, more: &Value, read: impl FnOnce(&Subject) -> T) -> T {
    let mut stored = json!({"image": {"repository": "alice/grapes"}, "monitoring": monitoring});
    stored.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let owner = Owner { namespace: "tasting-room".into(), name: "grape-scorer".into(), uid: String::new() };
    let spec = ValidSpec::parse(&owner.name, &stored).unwrap();
    read(&Subject { owner: &owner, spec: &spec, monitoring: spec.monitoring.as_ref().unwrap() })
}

fn made(monitoring: &Value) -> Vec<Value> {
    with(monitoring, &json!({}), |subject| groups(subject, ALL))
}

fn rules(groups: &[Value]) -> Vec<Value> {
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn names(groups: &[Value]) -> Vec<String> {
    let mut names: Vec<_> = rules(groups).iter().filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect();
    names.dedup();
    names
}

/// Every alert there is.
fn everything() -> Value {
    json!({"alerts": {
        "highTraffic": "100/s", "trafficDetected": true, "noTraffic": "30m", "objective": "99.5%",
        "classShare": [{"class": "race/ethnicity", "above": "40%"}, {"scoreAbove": "0.8", "above": "40%"}],
    }})
}

#[test]
fn every_alert_is_there_when_it_is_switched_on() {
    let mut made = names(&made(&everything()));
    let mut all: Vec<String> = catalogue::ALL.iter().map(|alert| format!("{alert:?}")).collect();
    made.sort();
    all.sort();
    made.dedup();
    assert_eq!(made, all);
}

#[test]
fn those_that_need_a_bound_of_the_users_are_off_by_themselves() {
    let made = names(&made(&json!({})));
    for off in ["HighTraffic", "TrafficDetected", "NoTraffic", "ErrorBudgetBurn", "HighClassShare"] {
        assert!(!made.contains(&off.to_owned()), "{off}");
    }
    assert_eq!(made.len(), 13);
}

#[test]
fn each_alert_can_be_left_out() {
    for alert in catalogue::ALL {
        let name = format!("{alert:?}");
        let mut monitoring = everything();
        monitoring["alerts"]["disabled"] = json!([name]);
        let made = names(&made(&monitoring));
        assert!(!made.contains(&name) && made.len() >= 15, "{name}: {made:?}");
    }
}

#[test]
fn without_an_exporter_only_what_others_tell_is_left() {
    let made = with(&everything(), &json!({"exporter": {"enabled": false}}), |subject| groups(subject, ALL));
    let told = ["ModelCrashLooping", "RolloutFailed", "VersionHeldBack", "ImageNotResolved"];
    assert_eq!(names(&made), [&["HighMemory", "CpuThrottled", "ModelDown"], &told[..]].concat());
    let text = json!(made).to_string();
    assert!(!text.contains("model_up") && !text.contains("http_request"), "{text}");
}

#[test]
fn without_the_kubelets_series_no_alert_asks_for_them() {
    let made = with(&everything(), &json!({}), |subject| groups(subject, Sources { cadvisor: false }));
    let text = json!(made).to_string();
    assert!(!text.contains("container_") && names(&made).contains(&"HighLatency".to_owned()), "{text}");
}

#[test]
fn every_rule_is_of_this_model_alone() {
    for rule in rules(&made(&everything())) {
        assert_eq!(rule["labels"]["namespace"], "tasting-room", "{rule}");
        assert_eq!(rule["labels"]["model"], "grape-scorer", "{rule}");
        let expr = rule["expr"].as_str().unwrap().replace("{5}", "");
        // Each selector by itself: one that forgot the model would take in all of them.
        let selectors: Vec<&str> = expr.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        assert!(!selectors.is_empty(), "{expr}");
        for selector in selectors {
            let both = selector.contains("namespace=\"tasting-room\"") && selector.contains("\"grape-scorer");
            assert!(both, "{selector} in {expr}");
        }
    }
}

#[test]
fn every_alert_says_what_is_wrong_how_bad_and_where_to_read_on() {
    for rule in rules(&made(&everything())).iter().filter(|rule| rule["alert"].is_string()) {
        let said = |name: &str| rule["annotations"][name].as_str().unwrap_or_default();
        assert!(said("summary").starts_with("Model tasting-room/grape-scorer "), "{rule}");
        assert!(said("summary").ends_with('.') && !said("summary").contains(". "), "{rule}");
        assert!(said("description").contains("First: ") && !said("description").contains("  "), "{rule}");
        // kubectl would choose one of its pods, and of two take the healthy one.
        assert!(!said("description").contains(" deployment/"), "{rule}");
        assert!(said("runbook_url").ends_with(&format!("/{}.md", rule["alert"].as_str().unwrap())), "{rule}");
        // printf tasting-room/grape-scorer | sha256sum
        assert_eq!(said("dashboard"), "/d/ms-67e87b33240315dd93a4fa3ccca3f43a", "{rule}");
        assert!(["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
    }
}

#[test]
fn without_a_dashboard_none_is_linked() {
    for rule in rules(&made(&json!({"dashboard": {"enabled": false}}))) {
        assert_eq!(rule["annotations"]["dashboard"], Value::Null);
    }
}

#[test]
fn groups_have_names_of_their_own() {
    let extra = json!({"extraRules": [{"alert": "Mine", "expr": "up == 0"}]});
    let names: Vec<Value> = made(&extra).iter().map(|group| group["name"].clone()).collect();
    let expected = ["records", "alerts", "extra"].map(|group| format!("modelship.tasting-room.grape-scorer.{group}"));
    assert_eq!(names, expected);
}

#[test]
fn rare_scrapes_make_for_longer_windows() {
    let text = json!(made(&json!({"scrapeInterval": "2m"}))).to_string();
    assert!(text.contains("[8m]") && !text.contains("[5m]"), "{text}");
    let text = json!(made(&json!({"scrapeInterval": "2s"}))).to_string();
    assert!(text.contains("[5m]") && !text.contains("[8s]"), "{text}");
}

#[test]
fn rules_of_the_users_own_get_the_labels_they_lack() {
    let extra = json!([
        {"alert": "Mine", "expr": "up == 0", "for": "30m", "labels": {"model": "all", "team": "cellar"}},
        {"record": "mine:up", "expr": "sum(up)"},
    ]);
    let made = made(&json!({"extraRules": extra}));
    let [alert, record] = <[Value; 2]>::try_from(made.last().unwrap()["rules"].as_array().unwrap().clone()).unwrap();
    assert_eq!(alert["labels"], json!({"namespace": "tasting-room", "model": "all", "team": "cellar"}));
    assert_eq!(alert["for"], "30m");
    assert_eq!(record["labels"], json!({"namespace": "tasting-room", "model": "grape-scorer"}));
}

#[test]
fn a_modest_objective_has_no_rule_that_could_never_fire() {
    let windows = |objective: &str| {
        let made = made(&json!({"alerts": {"objective": objective}}));
        rules(&made).iter().filter_map(|rule| rule["labels"]["window"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(windows("99.9%"), ["1h", "6h", "1d", "3d"]);
    assert_eq!(windows("90%"), ["6h", "1d", "3d"]);
    assert_eq!(windows("50%"), ["3d"]);
}

#[test]
fn every_rule_has_its_tests_for_promtool() {
    for (exporter, sources) in [(true, ALL), (false, ALL), (true, Sources { cadvisor: false })] {
        let more = json!({"exporter": {"enabled": exporter}});
        let [rules, tested] = with(&everything(), &more, |subject| promtool::told_apart(subject, sources));
        assert_eq!(rules, tested);
    }
}
