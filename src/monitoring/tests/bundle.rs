use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::*;
use crate::{
    monitoring::{
        Reader,
        bindings::{Binding, Bound},
        surroundings::{Collector, Selects},
    },
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
    let main = |kind, monitors: &Selects, rules: &Selects, configs: &Selects| {
        Arc::new(Collector {
            kind,
            namespace: "monitoring".into(),
            name: "main".into(),
            monitors: monitors.clone(),
            rules: rules.clone(),
            configs: configs.clone(),
            ..Collector::default()
        })
    };
    let none = Selects::default();
    Surroundings {
        kinds: OptionalKind::ALL.into_iter().map(|kind| (kind, Presence::Ready)).collect(),
        collectors: vec![
            main(OptionalKind::Prometheus, &kps, &kps, &none),
            main(OptionalKind::Alertmanager, &none, &none, &kps),
        ],
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
    let around = Surroundings { collectors: Vec::new(), ..stack() };
    let bundle = made(json!({}), &around);
    assert!(bundle.shortcomings.iter().all(|shortcoming| shortcoming.reason == "NothingSelects"));
    assert!(
        bundle.shortcomings[0].message.contains("no Prometheus or PrometheusAgent object"),
        "{:?}",
        bundle.shortcomings
    );
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
    let expected = Expectation { scraped_by: main.clone(), evaluated_by: main, told: true };
    assert_eq!(said(Proof::Awaited).expectation, expected);
    for proof in [Proof::Seen, Proof::Awaited] {
        assert_eq!((said(proof).proof, said(proof).shortcomings.len()), (proof, 0));
    }
    for (proof, reason) in [
        (Proof::NotScraped, "NotScraped"),
        (Proof::ScrapeFails, "ScrapeFails"),
        (Proof::NotEvaluated, "NotEvaluated"),
        (Proof::OperatorNotScraped, "OperatorNotScraped"),
    ] {
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

fn selecting(kind: OptionalKind, name: &str, label: &str) -> Arc<Collector> {
    let selector = json!({"matchLabels": {"role": label}});
    let object = json!({"metadata": {"namespace": "edge", "name": name}, "spec": {
        "serviceMonitorSelector": selector, "serviceMonitorNamespaceSelector": {},
        "ruleSelector": selector, "ruleNamespaceSelector": {},
    }});
    Arc::new(Collector::of(kind, &serde_json::from_value(object).unwrap()))
}

/// No Prometheus: an agent scrapes, and a ruler evaluates.
fn divided() -> Surroundings {
    let agent = selecting(OptionalKind::PrometheusAgent, "agent", "scraped");
    let mut ruler = Collector::clone(&selecting(OptionalKind::ThanosRuler, "ruler", "ruled"));
    ruler.monitors = Selects::default();
    let agent = Collector { rules: Selects::default(), ..Collector::clone(&agent) };
    Surroundings { collectors: vec![Arc::new(agent), Arc::new(ruler)], ..stack() }
}

#[test]
fn an_agent_and_a_ruler_are_read_as_a_prometheus_is_and_never_asked() {
    let bundle = made(json!({}), &divided());
    assert_eq!(bundle.shortcomings, []);
    let label = |at: usize| bundle.children[at].body["metadata"]["labels"]["role"].clone();
    assert_eq!((label(0), label(1)), (json!("scraped"), json!("ruled")));
    for words in [&bundle.words, &bundle.seen] {
        assert!(words.contains("PrometheusAgent edge/agent selects its ServiceMonitor"), "{words}");
        assert!(words.contains("ThanosRuler edge/ruler selects its PrometheusRule"), "{words}");
    }
    assert_eq!(bundle.expectation, Expectation::default(), "they have no answer to such questions");
}

#[test]
fn beside_a_prometheus_that_selects_an_agent_and_a_ruler_are_left_to_select_for_themselves() {
    let mut around = stack();
    around.collectors.insert(1, selecting(OptionalKind::PrometheusAgent, "agent", "scraped"));
    around.collectors.insert(2, selecting(OptionalKind::ThanosRuler, "ruler", "ruled"));
    let labels = |bundle: &Bundle| {
        let roles = [0, 1].map(|at| bundle.children[at].body["metadata"]["labels"]["role"].clone());
        roles.map(|role| role.as_str().map(str::to_owned))
    };
    let bundle = made(json!({}), &around);
    assert_eq!(bundle.children[0].body["metadata"]["labels"]["release"], "kps");
    assert_eq!(labels(&bundle), [None, None]);
    assert!(!bundle.seen.contains("edge/"), "{}", bundle.seen);
    let elsewhere = Selects { objects: Some(LabelSelector::default()), namespaces: None };
    let main = Arc::make_mut(&mut around.collectors[0]);
    (main.monitors, main.rules) = (elsewhere.clone(), elsewhere);
    assert_eq!(labels(&made(json!({}), &around)), [Some("scraped".into()), Some("ruled".into())]);
}

#[test]
fn an_agent_that_selects_by_itself_is_told_after_the_prometheus_and_never_asked() {
    let mut around = stack();
    around.collectors.insert(1, selecting(OptionalKind::PrometheusAgent, "agent", "scraped"));
    Arc::make_mut(&mut around.collectors[1]).monitors.objects = Some(LabelSelector::default());
    let bundle = made(json!({}), &around);
    let main = vec![("monitoring".to_owned(), "main".to_owned())];
    assert_eq!(bundle.expectation.scraped_by, main);
    assert!(
        bundle.seen.starts_with(
            "Prometheus monitoring/main scrapes it; PrometheusAgent edge/agent selects its ServiceMonitor"
        ),
        "{}",
        bundle.seen
    );
    // Another of the same name is another: its answers are not looked for.
    around.without_containers = vec![("edge".into(), "agent".into())];
    assert!(made(json!({}), &around).shortcomings.is_empty());
}

#[test]
fn an_agents_definition_that_is_missing_or_may_not_be_read_is_no_fault_while_a_prometheus_selects() {
    for presence in [Presence::Missing, Presence::Forbidden, Presence::Failing] {
        let mut around = stack();
        for kind in [OptionalKind::PrometheusAgent, OptionalKind::ThanosRuler] {
            around.kinds.insert(kind, presence.clone());
        }
        assert_eq!(made(json!({}), &around).shortcomings, [], "{presence:?}");
        around.collectors.clear();
        let shortcomings = made(json!({}), &around).shortcomings;
        let told = shortcomings.iter().any(|told| told.message.contains("prometheusagents.monitoring.coreos.com"));
        assert_eq!(told, presence != Presence::Missing, "{presence:?}: {shortcomings:?}");
    }
}

#[test]
fn where_somebody_may_read_our_objects_by_means_of_their_own_nobody_is_said_not_to() {
    let bare = || {
        let mut around = Surroundings { collectors: Vec::new(), readers: vec![Reader::VictoriaMetrics], ..stack() };
        around.kinds.insert(OptionalKind::Prometheus, Presence::Missing);
        around
    };
    let bundle = made(mail(), &bare());
    assert_eq!(bundle.shortcomings, []);
    assert_eq!(bundle.unverified.len(), 3, "{:?}", bundle.unverified);
    for words in ["VMServiceScrapes", "VMRules", "VMAlertmanagerConfigs"] {
        assert!(bundle.unverified.iter().any(|told| told.contains(words)), "{words}: {:?}", bundle.unverified);
    }
    let words = &made(json!({}), &Surroundings { readers: vec![Reader::OpenTelemetry], ..bare() });
    assert!(words.unverified[0].contains("target allocator"), "{:?}", words.unverified);
    assert_eq!(words.shortcomings[0].reason, "NotInstalled", "nobody there evaluates rules");
    // Who is seen to select has no need of them.
    let seen = made(json!({}), &Surroundings { readers: vec![Reader::Alloy], ..stack() });
    assert!(seen.unverified.is_empty() && seen.shortcomings.is_empty());
    // What a team's own labels keep from being selected, others may take.
    let pinned = json!({"monitoring": {"labels": {"release": "other"}}});
    let bundle = made(pinned, &Surroundings { readers: vec![Reader::Alloy], ..stack() });
    assert!(bundle.unverified[0].contains("wants release=kps") && bundle.unverified[0].contains("Alloy"));
}

#[test]
fn a_prometheus_that_has_series_which_it_does_not_scrape_proves_that_somebody_does() {
    let mut around = stack();
    let main = Arc::make_mut(&mut around.collectors[0]);
    main.monitors = Selects::default();
    assert_eq!(made(json!({}), &around).shortcomings[0].reason, "NotSelected");
    around.proof = Proof::Seen;
    let seen = made(json!({}), &around);
    assert_eq!(seen.shortcomings, []);
    assert!(seen.seen.contains("somebody scrapes it, for Prometheus monitoring/main has its series"), "{}", seen.seen);
    assert!(seen.elsewhere.is_some_and(|words| words.starts_with("somebody scrapes it")));
    // An operator that has just started goes on saying so until it has heard more.
    let before = Surroundings { proof: Proof::Awaited, scraped_by_others: true, ..around.clone() };
    assert_eq!(made(json!({}), &before).shortcomings, []);
    let not = Surroundings { proof: Proof::NotEvaluated, scraped_by_others: true, ..around };
    assert!(made(json!({}), &not).shortcomings.iter().any(|told| told.reason == "NotSelected"));
}

fn bound(object: OptionalKind, name: &str, kind: OptionalKind, refused: Option<&str>) -> Bound {
    let binding =
        Binding { kind, namespace: "monitoring".into(), name: "main".into(), refused: refused.map(str::to_owned) };
    Bound { object, name: name.into(), binding }
}

#[test]
fn what_prometheus_operator_refuses_is_told_with_its_words() {
    let own = json!({"monitoring": {"extraRules": [{"alert": "Harvest", "expr": "vector(1)"}]}});
    let refused = |by, name: &str| {
        let bindings = vec![bound(OptionalKind::PrometheusRule, name, by, Some("InvalidConfiguration: no rule"))];
        made(own.clone(), &Surroundings { bindings, ..stack() }).shortcomings
    };
    let told = refused(OptionalKind::Prometheus, "grape-scorer-extra");
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told.reason, "NotAccepted");
    for words in ["PrometheusRule grape-scorer-extra", "Prometheus monitoring/main refuses it", "no rule"] {
        assert!(told.message.contains(words), "{}", told.message);
    }
    assert_eq!(refused(OptionalKind::ThanosRuler, NAME), [], "who does not select it any more has no say");
}

#[test]
fn one_that_accepts_an_object_is_enough() {
    let mut around = stack();
    let other = Collector { name: "other".into(), ..Collector::clone(&around.collectors[0]) };
    around.collectors.insert(1, Arc::new(other));
    around.bindings = vec![bound(OptionalKind::ServiceMonitor, NAME, OptionalKind::Prometheus, Some("no"))];
    assert_eq!(made(json!({}), &around).shortcomings, []);
}

#[test]
fn what_prometheus_operator_says_counts_where_its_objects_may_not_be_read() {
    let mut around = stack();
    around.collectors.clear();
    around.kinds.insert(OptionalKind::Prometheus, Presence::Forbidden);
    assert_eq!(made(json!({}), &around).shortcomings[0].reason, "Forbidden");
    around.bindings = [OptionalKind::ServiceMonitor, OptionalKind::PrometheusRule]
        .map(|object| bound(object, NAME, OptionalKind::Prometheus, None))
        .into();
    let bundle = made(json!({}), &around);
    assert_eq!(bundle.shortcomings, []);
    assert!(bundle.words.contains("Prometheus monitoring/main has accepted its ServiceMonitor"), "{}", bundle.words);
}

#[test]
fn a_prometheus_that_looks_for_endpoint_slices_without_finding_any_is_told_of_its_role() {
    let mut around = Surroundings { proof: Proof::NotScraped, ..stack() };
    let told = |around: &Surroundings| made(json!({}), around).shortcomings[0].message.contains("EndpointSlice");
    assert!(!told(&around));
    Arc::make_mut(&mut around.collectors[0]).slices = true;
    assert!(told(&around));
}

#[test]
fn where_nobody_scrapes_the_operator_the_alerts_that_are_silent_are_named_and_who_wants_none_of_them_is_left_alone() {
    const ALL: [&str; 4] = ["ModelCrashLooping", "RolloutFailed", "VersionHeldBack", "ImageNotResolved"];
    let silent = Surroundings { proof: Proof::OperatorNotScraped, ..stack() };
    let disabling = |names: &[&str]| json!({"monitoring": {"alerts": {"disabled": names}}});
    let message = made(disabling(&ALL[..1]), &silent).shortcomings[0].message.clone();
    assert!(message.contains("silent: RolloutFailed, VersionHeldBack, ImageNotResolved;"), "{message}");
    assert!(message.contains("must look into the operator's namespace"), "{message}");
    assert!(!made(disabling(&ALL), &stack()).expectation.told);
}
