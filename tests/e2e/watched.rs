//! A model is watched from its first minute, with no YAML beyond it: by the real prometheus-operator, Prometheus and
//! Alertmanager, and a mail server.

use std::collections::{BTreeMap, BTreeSet};

use modelship::{
    api::{ValidSpec, conditions},
    monitoring::{Subject, dashboard},
    resources::{ChildKind, Owner},
};
use serde_json::{Value, json};

use crate::{
    monitoring::{self, alerts, mails, query, rules, targets},
    stage::Stage,
    support::world::setting,
};

/// Watched as closely as the test's Prometheus looks.
fn spec(stage: &Stage, monitoring: Value) -> Value {
    let mut spec = stage.spec();
    spec["monitoring"] = json!({"scrapeInterval": "2s"});
    spec["monitoring"].as_object_mut().expect("fields").extend(monitoring.as_object().expect("fields").clone());
    spec
}

/// Waits until a condition of a model reads so; returns its words.
async fn told(stage: &Stage, model: &str, status: &str, reason: &str) -> String {
    let found = stage.condition(model, conditions::MONITORING_READY, status, reason).await;
    conditions::find(&found.conditions, conditions::MONITORING_READY).expect("the condition").message.clone()
}

#[tokio::test]
async fn two_models_are_scraped_and_have_their_rules_evaluated_each_under_its_own_name() {
    let stage = Stage::shared("watched").await;
    let digest = stage.push("1");
    for model in ["churn", "merlot"] {
        stage.apply(model, spec(&stage, json!({}))).await;
    }
    for model in ["churn", "merlot"] {
        stage.serves(model, &digest).await;
    }
    stage.ask("churn").await;
    let namespace = stage.namespace.as_str();
    monitoring::eventually(&stage, "both models to be targets that are up", || async {
        let targets = targets(namespace).await;
        let up = targets.iter().filter(|target| target.health == "up" && target.labels["job"] == "ml_model_exporter");
        let models: BTreeSet<&str> = up.map(|target| target.labels["model"].as_str()).collect();
        if models == BTreeSet::from(["churn", "merlot"]) { Ok(()) } else { Err(targets) }
    })
    .await;
    monitoring::eventually(&stage, "the rules to be evaluated", || async {
        let rules = rules(namespace).await;
        let well = |name: &str| {
            let named: Vec<_> = rules.iter().filter(|rule| rule.name == name).collect();
            named.len() == 2 && named.iter().all(|rule| rule.health == "ok" && rule.last_error.is_empty())
        };
        let all =
            ["HighErrorRatio", "HighLatency", "ModelDown", "HighMemory", "RolloutFailed", "model:http_requests:rate5m"];
        if all.into_iter().all(well) { Ok(()) } else { Err(rules) }
    })
    .await;
    // Prometheus itself has confirmed it to the operator.
    for model in ["churn", "merlot"] {
        let words = told(&stage, model, "True", "PickedUp").await;
        assert!(words.contains("Prometheus monitoring/main scrapes it"), "{words}");
    }
    // What was asked of one is not counted for the other.
    let asked =
        |model: &str| format!(r#"sum(http_requests_total{{namespace="{namespace}", model="{model}", code="200"}})"#);
    stage
        .eventually("the request to be counted", || async {
            let found = query(&asked("churn")).await;
            if found.first().is_some_and(|sample| sample.value() >= 1.0) { Ok(()) } else { Err(found) }
        })
        .await;
    assert_eq!(query(&asked("merlot")).await.first().map_or(0.0, monitoring::Sample::value), 0.0);
    // What only the operator knows.
    let ready = format!(r#"modelship_model_condition{{model_namespace="{namespace}", model="churn", type="Ready"}}"#);
    stage
        .eventually("the operator's own series", || async {
            let found = query(&ready).await;
            if found.first().is_some_and(|sample| sample.value() == 1.0) { Ok(()) } else { Err(found) }
        })
        .await;
    stage.end().await;
}

/// A query as Grafana sends it: with the board's constants, and a choice of everything.
fn filled(board: &Value, expression: &str) -> String {
    let mut variables = vec![("__rate_interval", "1m"), ("__range", "1h"), ("job", ".+"), ("instance", ".+")];
    for variable in board["templating"]["list"].as_array().expect("variables") {
        if variable["type"] == "constant" {
            let text = |field: &str| variable[field].as_str().expect("text");
            variables.push((text("name"), text("query")));
        }
    }
    // The name of one may begin another's.
    variables.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    variables.iter().fold(expression.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    })
}

/// Every query of a model's board, with the title of its panel.
fn queries(namespace: &str, model: &str, stored: &Value) -> Vec<(String, String)> {
    let owner = Owner { namespace: namespace.to_owned(), name: model.to_owned(), uid: String::new() };
    let spec = ValidSpec::parse(model, stored).expect("a valid spec");
    let monitoring = spec.monitoring.as_ref().expect("monitoring");
    let board = dashboard::board(&Subject { owner: &owner, spec: &spec, monitoring });
    let mut found = Vec::new();
    for panel in board["panels"].as_array().expect("panels") {
        let inner = panel["panels"].as_array().into_iter().flatten();
        for panel in [panel].into_iter().chain(inner) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let title = panel["title"].as_str().expect("a title").to_owned();
                found.push((title, filled(&board, target["expr"].as_str().expect("a query"))));
            }
        }
    }
    found
}

/// Panels that are empty while all is well: they show what went wrong, or what this model does not have.
const MAY_BE_EMPTY: [&str; 0] = [];

#[tokio::test]
async fn every_panel_of_a_loaded_models_board_has_data_and_none_of_an_idle_ones_errs() {
    let stage = Stage::shared("drawn").await;
    let profile = json!({"version": 1, "kind": "class", "metrics": {"f1_score": 0.875}});
    let digest = stage.push_with("1", &["--label", &format!("dev.modelship.profile={profile}")]);
    let mut loaded = spec(&stage, json!({}));
    loaded["predictions"] = json!({
        "kind": "class", "classes": [{"value": "1", "name": "yes"}, {"value": "0", "name": "no"}],
        "reference": {"classes": {"yes": 20, "no": 80}},
    });
    loaded["server"] = json!({"resources": {"limits": {"memory": "256Mi", "cpu": "1"}}});
    let idle = spec(&stage, json!({}));
    stage.apply("churn", loaded.clone()).await;
    stage.apply("merlot", idle.clone()).await;
    for model in ["churn", "merlot"] {
        stage.serves(model, &digest).await;
    }
    let asker = stage.asker("churn", crate::asking::ROW).await;
    let namespace = stage.namespace.as_str();
    let wanted = queries(namespace, "churn", &loaded);
    assert!(wanted.len() >= 20, "{wanted:?}");
    monitoring::eventually(&stage, "every panel to have data", || async {
        let mut with_data: BTreeMap<&str, bool> = BTreeMap::new();
        for (title, expression) in &wanted {
            let data = !query(expression).await.is_empty();
            *with_data.entry(title).or_default() |= data;
        }
        let empty: Vec<&str> = with_data
            .into_iter()
            .filter(|(title, data)| !data && !MAY_BE_EMPTY.contains(title))
            .map(|(title, _)| title)
            .collect();
        if empty.is_empty() { Ok(()) } else { Err(empty) }
    })
    .await;
    // A query that errs fails the test.
    for (_, expression) in queries(namespace, "merlot", &idle) {
        query(&expression).await;
    }
    asker.stop().await;
    stage.end().await;
}

#[tokio::test]
async fn a_failed_roll_out_is_mailed_in_plain_words_and_its_repair_ends_the_alert() {
    let stage = Stage::shared("alarmed").await;
    let namespace = stage.namespace.as_str();
    let team = format!("team@{namespace}.test");
    let email = json!({"to": [team], "from": "alerts@example.test", "smarthost": setting("MODELSHIP_TEST_SMTP"), "requireTLS": false});
    // The container that crashes is another alert, which would be mailed first.
    let mut alarmed = spec(&stage, json!({"email": email, "alerts": {"disabled": ["ModelCrashLooping"]}}));
    alarmed["rollout"] = json!({"deadline": "5s"});
    let good = stage.push("1");
    stage.apply("churn", alarmed).await;
    stage.serves("churn", &good).await;
    let words = told(&stage, "churn", "True", "PickedUp").await;
    assert!(words.contains("Alertmanager monitoring/main selects its AlertmanagerConfig"), "{words}");
    stage.push_with("2", &["--crash"]);
    stage.condition("churn", conditions::STALLED, "True", "CrashLooping").await;
    let mail = monitoring::eventually(&stage, "the mail", || async { mails(&team).pop().ok_or("no mail") }).await;
    assert_eq!(mail.from, "alerts@example.test");
    assert!(mail.subject.starts_with(&format!("Model {namespace}/churn did not take its new version")), "{mail:#?}");
    let words = mail.words();
    for wanted in ["did not take its new version", "kubectl", "runbooks/RolloutFailed.md", "/d/ms-", "Since "] {
        assert!(words.contains(wanted), "{wanted}: {mail:#?}");
    }
    let again = stage.push("4");
    stage.serves("churn", &again).await;
    monitoring::eventually(&stage, "the alert to be over", || async {
        let mut left = alerts(namespace).await;
        left.retain(|alert| alert.labels["alertname"] == "RolloutFailed");
        let rules = rules(namespace).await;
        let fires = |rule: &monitoring::Rule| rule.name == "RolloutFailed" && rule.state.as_deref() != Some("inactive");
        if left.is_empty() && !rules.iter().any(fires) { Ok(()) } else { Err(left) }
    })
    .await;
    stage.end().await;
}

#[tokio::test]
async fn a_mail_that_lacks_its_secret_is_told_and_healed_by_it() {
    let stage = Stage::shared("secretive").await;
    let digest = stage.push("1");
    let email = json!({"to": ["team@example.test"], "from": "a@example.test", "smarthost": "smtp.example.test:587", "secret": "smtp"});
    stage.apply("churn", spec(&stage, json!({"email": email}))).await;
    stage.serves("churn", &digest).await;
    let words = told(&stage, "churn", "False", "EmailSecretMissing").await;
    assert!(words.contains(&format!("Secret {}/smtp is not there", stage.namespace)), "{words}");
    assert!(stage.child(ChildKind::AlertmanagerConfig, "churn").await.is_none());
    monitoring::create(&stage, "v1", "Secret", "smtp", json!({"stringData": {"username": "alice"}})).await;
    stage
        .eventually("the key that is missing to be named", || async {
            let words = told(&stage, "churn", "False", "EmailIncomplete").await;
            if words.contains("has no key password") { Ok(()) } else { Err(words) }
        })
        .await;
    stage.end().await;
}
