use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    monitoring::surroundings::Selects,
    rollout::fixtures::{NAME, NAMESPACE, spec},
};

fn owner() -> Owner {
    Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: "1".into() }
}

/// Everything is installed, and one of each selects `release: kps` in all namespaces.
fn stack() -> Surroundings {
    let selector = |value: Value| serde_json::from_value(value).unwrap();
    let kps = Selects {
        objects: Some(selector(json!({"matchLabels": {"release": "kps"}}))),
        namespaces: Some(selector(json!({}))),
    };
    let collector = Arc::new(Collector {
        namespace: "monitoring".into(),
        name: "main".into(),
        monitors: kps.clone(),
        rules: kps.clone(),
        configs: kps,
        prefix: String::new(),
    });
    Surroundings {
        kinds: OptionalKind::ALL.into_iter().map(|kind| (kind, Presence::Ready)).collect(),
        prometheuses: vec![collector.clone()],
        alertmanagers: vec![collector],
        ..Surroundings::default()
    }
}

fn made(fields: Value, around: &Surroundings) -> Bundle {
    bundle(&Renderer::default(), &owner(), &spec(fields), around, &MailDefaults::default(), &MailSecret::None).unwrap()
}

fn kinds(bundle: &Bundle) -> Vec<ChildKind> {
    bundle.children.iter().map(|child| child.kind).collect()
}

fn mail() -> Value {
    json!({"monitoring": {"email": {"to": ["a@example.org"], "from": "m@example.org", "smarthost": "relay:25"}}})
}

#[test]
fn with_all_installed_all_is_made_under_the_labels_that_are_selected() {
    let bundle = made(mail(), &stack());
    assert_eq!(
        kinds(&bundle),
        [ChildKind::ServiceMonitor, ChildKind::PrometheusRule, ChildKind::ConfigMap, ChildKind::AlertmanagerConfig]
    );
    assert_eq!(bundle.shortcomings, []);
    for child in bundle.children.iter().filter(|child| child.kind != ChildKind::ConfigMap) {
        assert_eq!(child.body["metadata"]["labels"]["release"], "kps", "{}", child.kind);
        assert_eq!(child.body["metadata"]["labels"]["modelship.dev/model"], NAME);
    }
    let promised = [
        "main selects its ServiceMonitor",
        "selects its PrometheusRule",
        "selects its AlertmanagerConfig",
        "-dashboard",
    ];
    assert!(promised.iter().all(|words| bundle.words.contains(words)), "{}", bundle.words);
    let seen = ["main scrapes it", "evaluates its rules", "selects its AlertmanagerConfig", "-dashboard"];
    assert!(seen.iter().all(|words| bundle.seen.contains(words)), "{}", bundle.seen);
}

#[test]
fn switched_off_there_is_nothing() {
    let off = spec(json!({"monitoring": {"enabled": false}}));
    assert_eq!(
        bundle(&Renderer::default(), &owner(), &off, &stack(), &MailDefaults::default(), &MailSecret::None),
        None
    );
}

#[test]
fn without_the_exporter_there_is_nothing_to_scrape() {
    let bundle = made(json!({"exporter": {"enabled": false}}), &stack());
    assert_eq!(kinds(&bundle), [ChildKind::PrometheusRule, ChildKind::ConfigMap]);
}

#[test]
fn a_kind_that_is_not_installed_is_named_and_the_rest_works() {
    let mut around = stack();
    around.kinds.insert(OptionalKind::ServiceMonitor, Presence::Missing);
    let bundle = made(json!({}), &around);
    assert_eq!(kinds(&bundle), [ChildKind::PrometheusRule, ChildKind::ConfigMap]);
    assert_eq!(bundle.shortcomings[0].reason, "NotInstalled");
    let message = &bundle.shortcomings[0].message;
    assert!(message.starts_with("CRD servicemonitors.monitoring.coreos.com is not installed"), "{message}");
}

#[test]
fn on_a_cluster_without_any_of_it_one_sentence_says_so() {
    let around = Surroundings {
        kinds: OptionalKind::ALL.into_iter().map(|kind| (kind, Presence::Missing)).collect(),
        ..Surroundings::default()
    };
    let bundle = made(json!({}), &around);
    assert_eq!((kinds(&bundle), bundle.shortcomings.len()), (vec![ChildKind::ConfigMap], 1));
}

#[test]
fn a_kind_that_modelship_may_not_list_is_named() {
    let mut around = stack();
    around.kinds.insert(OptionalKind::PrometheusRule, Presence::Forbidden);
    let bundle = made(json!({}), &around);
    assert_eq!(bundle.shortcomings[0].reason, "Forbidden");
    assert!(bundle.shortcomings[0].message.contains("prometheusrules.monitoring.coreos.com"));
    assert_eq!(kinds(&bundle), [ChildKind::ServiceMonitor, ChildKind::ConfigMap]);
}

#[test]
fn labels_that_nobody_selects_are_told_with_those_that_somebody_wants() {
    let bundle = made(json!({"monitoring": {"labels": {"release": "other"}}}), &stack());
    assert_eq!(bundle.shortcomings[0].reason, "NotSelected");
    let message = &bundle.shortcomings[0].message;
    assert!(message.contains("release=other") && message.contains("monitoring/main wants release=kps"), "{message}");
    assert_eq!(bundle.children[0].body["metadata"]["labels"]["release"], "other", "the user's word stands");
}

#[test]
fn a_cluster_with_definitions_and_no_prometheus_is_told_so_once() {
    let around = Surroundings { prometheuses: Vec::new(), ..stack() };
    let bundle = made(json!({}), &around);
    assert!(bundle.shortcomings.iter().all(|shortcoming| shortcoming.reason == "NothingSelects"));
    assert!(bundle.shortcomings[0].message.contains("no Prometheus object"), "{:?}", bundle.shortcomings);
}

#[test]
fn nothing_is_said_before_all_is_known() {
    let around = Surroundings { kinds: Default::default(), ..stack() };
    let bundle = made(json!({}), &around);
    assert!(bundle.pending && bundle.shortcomings.is_empty());
}

#[test]
fn a_mail_that_cannot_be_sent_keeps_nothing_else_from_being_made() {
    let bundle = made(json!({"monitoring": {"email": {"to": ["a@example.org"]}}}), &stack());
    assert_eq!(kinds(&bundle), [ChildKind::ServiceMonitor, ChildKind::PrometheusRule, ChildKind::ConfigMap]);
    assert_eq!(bundle.shortcomings[0].reason, "EmailIncomplete");
}

#[test]
fn every_series_carries_the_users_job_and_the_models_name() {
    let bundle = made(json!({"monitoring": {"job": "wine", "scrapeInterval": "2500ms"}}), &stack());
    let endpoint = &bundle.children[0].body["spec"]["endpoints"][0];
    assert_eq!((&endpoint["interval"], &endpoint["scrapeTimeout"]), (&json!("2500ms"), &json!("2500ms")));
    let set = |label: &str| {
        let rules = endpoint["relabelings"].as_array().unwrap();
        rules.iter().find(|rule| rule["targetLabel"] == label).unwrap()["replacement"].clone()
    };
    assert_eq!((set("job"), set("model")), (json!("wine"), json!(NAME)));
}

/// The exporter shows them, and Prometheus would call its container theirs.
#[test]
fn series_about_the_models_processes_carry_the_models_container() {
    let endpoint = &made(json!({}), &stack()).children[0].body["spec"]["endpoints"][0];
    let rules = endpoint["metricRelabelings"].as_array().unwrap();
    let [rule] = &rules[..] else { panic!("{rules:?}") };
    assert_eq!((&rule["targetLabel"], &rule["replacement"]), (&json!("container"), &json!("model")));
    assert_eq!(
        (&rule["sourceLabels"], &rule["regex"]),
        (&json!(["__name__"]), &json!("process_.+|python_.+|model_processes"))
    );
}

#[test]
fn the_dashboard_lies_where_grafanas_sidecar_looks_under_a_key_of_its_own() {
    let bundle = made(json!({"monitoring": {"dashboard": {"folder": "Wines"}}}), &stack());
    let board = bundle.children.iter().find(|child| child.kind == ChildKind::ConfigMap).unwrap();
    assert_eq!(board.name, "grape-scorer-dashboard");
    assert_eq!(board.body["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(board.body["metadata"]["annotations"]["grafana_folder"], "Wines");
    let text = board.whole()["data"]["tasting-room.grape-scorer.json"].as_str().unwrap().to_owned();
    assert!(text.starts_with('{') && text.len() > 10_000, "{text}");
}

#[test]
fn what_prometheus_itself_says_counts() {
    let main = vec![("monitoring".to_owned(), "main".to_owned())];
    let said = |proof| made(json!({}), &Surroundings { proof, ..stack() });
    let expected = Expectation { scraped_by: main.clone(), evaluated_by: main };
    assert_eq!(said(Proof::Awaited).expectation, expected);
    for proof in [Proof::Seen, Proof::Awaited] {
        assert_eq!((said(proof).proof, said(proof).shortcomings.len()), (proof, 0));
    }
    for (proof, reason) in
        [(Proof::NotScraped, "NotScraped"), (Proof::ScrapeFails, "ScrapeFails"), (Proof::NotEvaluated, "NotEvaluated")]
    {
        let bundle = said(proof);
        assert_eq!(bundle.shortcomings[0].reason, reason);
        assert!(bundle.shortcomings[0].message.contains("monitoring/main"), "{:?}", bundle.shortcomings);
    }
}

#[test]
fn where_nobody_has_the_metrics_of_containers_their_alerts_are_left_out_and_that_is_told() {
    let without = Surroundings { without_containers: vec![("monitoring".into(), "main".into())], ..stack() };
    let rules = |bundle: &Bundle| bundle.children[1].whole()["spec"]["groups"].to_string();
    assert!(rules(&made(json!({}), &stack())).contains("HighMemory"));
    let bundle = made(json!({}), &without);
    assert!(!rules(&bundle).contains("HighMemory") && !rules(&bundle).contains("CpuThrottled"));
    assert_eq!(bundle.shortcomings[0].reason, "NoContainerMetrics");
    let disabled = json!({"monitoring": {"alerts": {"disabled": ["HighMemory", "CpuThrottled"]}}});
    assert_eq!(made(disabled, &without).shortcomings, [], "nobody misses what nobody wants");
}

#[test]
fn the_users_own_rules_are_in_an_object_of_their_own() {
    let bundle = made(json!({"monitoring": {"extraRules": [{"alert": "Harvest", "expr": "vector(1)"}]}}), &stack());
    let rules: Vec<&Child> = bundle.children.iter().filter(|child| child.kind == ChildKind::PrometheusRule).collect();
    assert_eq!(rules.iter().map(|child| child.name.as_str()).collect::<Vec<_>>(), [NAME, "grape-scorer-extra"]);
    let holds = |child: &Child| child.whole()["spec"].to_string().contains("Harvest");
    assert!(!holds(rules[0]) && holds(rules[1]));
    let without = spec(json!({}));
    assert!(!wants(&owner(), &without, ChildKind::PrometheusRule, "grape-scorer-extra"));
    assert!(wants(&owner(), &without, ChildKind::PrometheusRule, NAME));
}

#[test]
fn no_label_of_the_users_takes_the_place_of_ours() {
    let theirs = std::collections::BTreeMap::from([
        ("modelship.dev/model".to_owned(), "merlot".to_owned()),
        ("app.kubernetes.io/managed-by".to_owned(), "helm".to_owned()),
        ("grafana_dashboard".to_owned(), "2".to_owned()),
    ]);
    let mut spec = spec(mail());
    let monitoring = spec.monitoring.as_mut().unwrap();
    monitoring.labels = Some(theirs.clone());
    monitoring.dashboard.as_mut().unwrap().labels = theirs;
    let bundle =
        bundle(&Renderer::default(), &owner(), &spec, &stack(), &MailDefaults::default(), &MailSecret::None).unwrap();
    assert_eq!(bundle.children.len(), 4);
    for child in bundle.children {
        let labels = &child.body["metadata"]["labels"];
        let found =
            ["modelship.dev/model", "app.kubernetes.io/managed-by", "grafana_dashboard"].map(|key| &labels[key]);
        assert_eq!(found, [NAME, "modelship", "2"], "by {} our watch would lose it", child.kind);
    }
}
