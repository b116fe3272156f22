use serde_json::{Value, json};

use super::*;

/// The end of a path, and what is found there.
type Object = (&'static str, Value);

/// An API server that answers the ends of paths; all else is not there.
pub(in super::super) fn cluster(objects: Vec<Object>) -> Cluster {
    let answer = move |request: http::Request<kube::client::Body>| {
        let path = request.uri().path().to_owned();
        let missing =
            json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no"});
        let found = objects.iter().find(|(end, _)| path.ends_with(end));
        let (code, body) = found.map_or((404, missing), |(_, object)| {
            (object["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(200), object.clone())
        });
        let body = kube::client::Body::from(body.to_string().into_bytes());
        std::future::ready(http::Response::builder().status(code).body(body))
    };
    let owner = Owner { namespace: "cellar".into(), name: "grape-scorer".into(), uid: String::new() };
    Cluster { client: Client::new(tower::service_fn(answer), "cellar"), owner }
}

fn forbidden() -> Value {
    json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no"})
}

fn model() -> Object {
    let email = json!({"to": ["team@example.org"]});
    let ready = json!({"type": "MonitoringReady", "status": "True", "reason": "PickedUp", "message": "all well",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let model = json!({
        "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"namespace": "cellar", "name": "grape-scorer"},
        "spec": {"monitoring": {"email": email}}, "status": {"conditions": [ready]},
    });
    ("/modeldeployments/grape-scorer", model)
}

fn config() -> Object {
    let mail = json!({
        "to": "team@example.org", "from": "m@example.org", "smarthost": "smtp.example.org:587",
        "authUsername": "alice", "authPassword": {"name": "smtp", "key": "password"},
    });
    let config = json!({
        "metadata": {"namespace": "cellar", "name": "grape-scorer", "labels": {"release": "kps"}},
        "spec": {"receivers": [{"name": "email", "emailConfigs": [mail]}]},
    });
    ("/alertmanagerconfigs/grape-scorer", config)
}

fn secret() -> Object {
    ("/secrets/smtp", json!({"data": {"password": "b3Blbi1zZXNhbWU="}}))
}

fn alertmanagers(wants: &str) -> Object {
    let spec = json!({
        "alertmanagerConfigSelector": {"matchLabels": {"release": wants}},
        "alertmanagerConfigNamespaceSelector": {},
    });
    let metadata = json!({"namespace": "monitoring", "name": "main"});
    ("/alertmanagers", json!({"metadata": {}, "items": [{"metadata": metadata, "spec": spec}]}))
}

fn pods(ready: &str) -> Object {
    let pod = json!({
        "metadata": {"name": "alertmanager-main-0"}, "spec": {"containers": []},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "podIPs": [{"ip": "10.0.0.7"}]},
    });
    ("/namespaces/monitoring/pods", json!({"metadata": {}, "items": [pod]}))
}

/// What is printed until the way ends.
async fn told(objects: Vec<Object>) -> String {
    let mut out = Vec::new();
    let mut report = super::super::report::Report::new(&mut out);
    let outcome = super::super::walk(&cluster(objects), None, &mut report).await;
    report.failed(&outcome.expect_err("there is no pod to reach"));
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn each_hop_is_told_and_the_first_that_fails_ends_the_way_with_its_remedy() {
    let without_mail = (
        "/modeldeployments/grape-scorer",
        json!({
            "metadata": {"namespace": "cellar", "name": "grape-scorer"}, "spec": {}, "status": {},
        }),
    );
    let bare = ("/secrets/smtp", json!({"data": {"username": "YWxpY2U="}}));
    let none = ("/alertmanagers", json!({"metadata": {}, "items": []}));
    for (objects, good, failed) in [
        (vec![], 0, "this cluster knows no ModelDeployments"),
        (vec![without_mail], 0, "asks for no e-mail"),
        (vec![model()], 2, "AlertmanagerConfig cellar/grape-scorer is not there"),
        (vec![model(), config()], 3, "Secret cellar/smtp is not there"),
        (vec![model(), config(), bare], 3, "Secret cellar/smtp has no key password"),
        (vec![model(), config(), secret()], 4, "CRD alertmanagers.monitoring.coreos.com is not installed"),
        (vec![model(), config(), secret(), ("/alertmanagers", forbidden())], 4, "may not list alertmanagers"),
        (vec![model(), config(), secret(), none], 4, "there is no Alertmanager object"),
        (
            vec![model(), config(), secret(), alertmanagers("other")],
            4,
            "which has release=kps: monitoring/main wants release=other",
        ),
        (
            vec![model(), config(), secret(), alertmanagers("kps"), pods("False")],
            5,
            "no pod of Alertmanager monitoring/main is ready (1 are not)",
        ),
        (
            vec![model(), config(), secret(), alertmanagers("kps"), pods("True")],
            5,
            "cannot reach pod 'alertmanager-main-0'",
        ),
    ] {
        let told = told(objects).await;
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("ok ")).count(), good, "{told}");
        assert!(lines[good].starts_with("FAIL") && lines[good].contains(failed), "{told}");
        assert!(lines[good + 1].starts_with("      what to do: ") && lines.len() == good + 2, "{told}");
        assert!(!told.contains("sesame") && !told.contains("b3Blbi"), "{told}");
    }
}

#[tokio::test]
async fn a_secret_that_this_user_may_not_see_is_taken_to_be_there() {
    let objects = vec![model(), config(), ("/secrets/smtp", forbidden()), alertmanagers("kps"), pods("False")];
    let told = told(objects).await;
    assert!(told.contains("warn  this user may not see whether there is the key password of Secret smtp"), "{told}");
    assert!(told.contains("ok    Alertmanager monitoring/main selects it"), "{told}");
}

#[tokio::test]
async fn who_evaluates_the_rules_is_asked_by_the_labels_that_they_have() {
    let rule =
        ("/prometheusrules/grape-scorer", json!({"metadata": {"name": "grape-scorer", "labels": {"release": "kps"}}}));
    let prometheus = |name: &str, wants: &str| {
        let spec = json!({"ruleSelector": {"matchLabels": {"release": wants}}, "ruleNamespaceSelector": {}});
        json!({"metadata": {"namespace": "monitoring", "name": name}, "spec": spec})
    };
    let all =
        ("/prometheuses", json!({"metadata": {}, "items": [prometheus("main", "kps"), prometheus("other", "other")]}));
    let rulers = |answer: Value| ("/thanosrulers", answer);
    let ruler = rulers(json!({"metadata": {}, "items": [prometheus("ruler", "kps")]}));
    for (rulers, expected) in [
        (rulers(forbidden()), vec!["Prometheus monitoring/main"]),
        (ruler, vec!["Prometheus monitoring/main", "ThanosRuler monitoring/ruler"]),
    ] {
        let found = cluster(vec![rule.clone(), all.clone(), rulers]).evaluators().await.unwrap();
        let names = found.iter().map(|found| format!("{} {found}", found.kind.as_str())).collect::<Vec<_>>();
        assert_eq!(names, expected);
    }
    assert!(cluster(vec![all]).evaluators().await.unwrap().is_empty(), "there are no rules to evaluate");
}

#[tokio::test]
async fn a_ruler_that_evaluates_the_rules_is_not_denied_and_cannot_be_asked() {
    let rule = ("/prometheusrules/grape-scorer", json!({"metadata": {"name": "grape-scorer"}}));
    let spec = json!({"ruleSelector": {}, "ruleNamespaceSelector": {}});
    let ruler = json!({"metadata": {"namespace": "monitoring", "name": "ruler"}, "spec": spec});
    let rulers = ("/thanosrulers", json!({"metadata": {}, "items": [ruler]}));
    let prometheuses = ("/prometheuses", json!({"metadata": {}, "items": []}));
    let pods = Pods { doors: Vec::new(), addresses: Vec::new(), absent: 0 };
    let mail = Collector { namespace: "monitoring".into(), name: "mail".into(), ..Collector::default() };
    let said = super::super::heard(&cluster(vec![rule, prometheuses, rulers]), &mail, &pods).await.unwrap();
    let words = format!("{said:?}");
    assert!(words.starts_with("Doubtful(\"ThanosRuler monitoring/ruler cannot be asked"), "{words}");
}
