use clap::Parser as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;

use super::{
    forward::tests::{api_error, pod},
    *,
};

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    target: Arguments,
}

fn status(conditions: &[(&str, &str)], url: Option<&str>) -> ModelDeploymentStatus {
    let condition = |(kind, status): &(&str, &str)| -> Condition {
        serde_json::from_value(json!({
            "type": kind, "status": status, "reason": "Pulling", "message": "the image is being pulled",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    };
    ModelDeploymentStatus {
        conditions: conditions.iter().map(condition).collect(),
        url: url.map(str::to_owned),
        ..ModelDeploymentStatus::default()
    }
}

#[test]
fn a_url_keeps_its_path_and_query_unless_another_path_is_given() {
    let target = Target::of_url("http://model.test:8080/invocations?a=1", None).unwrap();
    assert_eq!((target.authority.as_str(), target.path.as_str()), ("model.test:8080", "/invocations?a=1"));
    assert_eq!(Target::of_url("http://model.test", Some("/predict")).unwrap().path, "/predict");
    assert_eq!(Target::of_url("http://model.test", None).unwrap().path, "/");
}

#[test]
fn an_ipv6_address_has_brackets_in_the_header_alone() {
    let target = Target::of_url("http://[::1]:8080/", None).unwrap();
    assert_eq!(target.authority, "[::1]:8080");
    assert!(matches!(target.reach, Reach::Direct { host, port: 8080 } if host == "::1"));
}

#[test]
fn a_wrong_url_or_path_is_refused_with_an_example() {
    for (url, path, words) in [
        ("model.test/invocations", None, "write it in full, such as http://"),
        ("https://model.test", None, "does not start with http://"),
        ("http://model.test", Some("predict"), "is not a path"),
        ("http://model.test", Some("/a b"), "is not a path"),
    ] {
        let message = Target::of_url(url, path).err().unwrap();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn either_a_name_or_a_url_is_asked_for() {
    assert!(Line::try_parse_from(["x"]).is_err());
    assert!(Line::try_parse_from(["x", "churn", "--url", "http://a"]).is_err());
    assert!(Line::try_parse_from(["x", "--url", "http://a", "-n", "b"]).is_err());
    let Line { target } = Line::try_parse_from(["x", "churn", "-n", "b", "--context", "c"]).unwrap();
    assert_eq!((target.name.as_deref(), target.context.as_deref()), (Some("churn"), Some("c")));
}

#[test]
fn a_model_that_is_not_ready_is_told_in_the_conditions_own_words() {
    let error = serving("churn", "shop", &status(&[("Ready", "False")], None)).unwrap_err();
    assert!(error.contains("Pulling: the image is being pulled") && error.contains("shop"), "{error}");
    let error = serving("churn", "shop", &ModelDeploymentStatus::default()).unwrap_err();
    assert!(error.contains("is the operator running?"), "{error}");
}

#[test]
fn a_model_that_serves_during_a_roll_out_gets_traffic_and_a_remark() {
    let rolling = status(&[("Ready", "False"), ("Available", "True")], Some("http://churn.shop.svc/invocations"));
    let (url, note) = serving("churn", "shop", &rolling).unwrap();
    assert_eq!(url, "http://churn.shop.svc/invocations");
    assert!(note.unwrap().contains("the image is being pulled"));
    let ready = status(&[("Ready", "True"), ("Available", "True")], Some("http://churn.shop.svc/invocations"));
    assert_eq!(serving("churn", "shop", &ready).unwrap().1, None);
}

#[test]
fn a_missing_model_and_a_cluster_without_modelship_are_told_apart() {
    let message = missing_model(&api_error(404, Some("churn")), "shop", "churn");
    assert!(message.contains("there is no ModelDeployment 'churn' in namespace 'shop'"), "{message}");
    let message = missing_model(&api_error(404, None), "shop", "churn");
    assert!(message.contains("install Modelship"), "{message}");
}

#[test]
fn a_wrong_context_is_told_with_those_that_exist() {
    let kubeconfig: Kubeconfig =
        serde_json::from_value(json!({"contexts": [{"name": "staging"}, {"name": "live"}]})).unwrap();
    let message = unknown_context("life", &kubeconfig);
    assert!(message.contains("no context 'life'; it has: staging, live"), "{message}");
}

#[test]
fn the_names_of_classes_come_from_the_spec_even_if_the_rest_of_it_is_odd() {
    let model = |spec: serde_json::Value| StoredModelDeployment {
        metadata: Default::default(),
        spec: (&spec).into(),
        status: Default::default(),
    };
    let named = json!({"image": 7, "predictions": {"classes": [{"name": "stays", "value": "0"}]}});
    assert_eq!(classes(&model(named))[0].name, "stays");
    assert!(classes(&model(json!({}))).is_empty() && classes(&model(json!({"predictions": 1}))).is_empty());
}

/// The end of a path, and what is found there.
type Object = (&'static str, fn() -> serde_json::Value);

/// An API server that answers paths below a namespace's; all else is forbidden.
fn cluster(objects: &'static [Object]) -> Client {
    let answer = move |request: http::Request<kube::client::Body>| {
        let path = request.uri().path().to_owned();
        let found = objects.iter().find(|(end, _)| path.ends_with(end));
        let (code, body) = match found {
            Some((_, object)) => (200, object()),
            None => (403, json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no"})),
        };
        let body = kube::client::Body::from(body.to_string().into_bytes());
        std::future::ready(http::Response::builder().status(code).body(body))
    };
    Client::new(tower::service_fn(answer), "shop")
}

fn model() -> serde_json::Value {
    let url = "http://churn.shop.svc:81/invocations";
    let ready = json!({"type": "Ready", "status": "True", "reason": "Serving", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    json!({"apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "churn"},
        "spec": {"predictions": {"classes": [{"name": "stays"}]}}, "status": {"url": url, "conditions": [ready]}})
}

fn service() -> serde_json::Value {
    json!({"spec": {"selector": {"modelship.dev/model": "churn"}, "ports": [{"name": "http", "port": 81}]}})
}

fn pods() -> serde_json::Value {
    json!({"metadata": {}, "items": [pod("True", false), pod("False", false), pod("True", true)]})
}

const MODEL: Object = ("/namespaces/shop/modeldeployments/churn", model);
const SERVICE: Object = ("/namespaces/shop/services/churn", service);

#[tokio::test]
async fn from_inside_the_cluster_requests_go_to_the_service() {
    let target = Target::of_model(cluster(&[MODEL]), true, "shop", "churn", Some("/predict")).await.unwrap();
    assert_eq!((target.authority.as_str(), target.path.as_str()), ("churn.shop.svc:81", "/predict"));
    assert!(matches!(target.reach, Reach::Direct { port: 81, .. }));
    assert_eq!((target.classes[0].name.as_str(), target.note), ("stays", None));
}

#[tokio::test]
async fn from_elsewhere_requests_go_to_the_ready_pods() {
    let objects: &[_] = &[MODEL, SERVICE, ("/namespaces/shop/pods", pods)];
    let target = Target::of_model(cluster(objects), false, "shop", "churn", None).await.unwrap();
    assert!(matches!(&target.reach, Reach::Forward(_)));
    assert!(target.described.ends_with("/invocations by port-forwards to 2 pods"), "{}", target.described);
    let message = target.connect().await.err().unwrap();
    assert!(message.contains("may not create (and get) pods/portforward in namespace 'shop'"), "{message}");
}

#[tokio::test]
async fn whatever_the_user_may_not_do_is_named() {
    for (objects, right) in [
        (&[][..], "may not get modeldeployments.modelship.dev"),
        (&[MODEL], "may not get services"),
        (&[MODEL, SERVICE], "may not list pods"),
    ] {
        let message = Target::of_model(cluster(objects), false, "shop", "churn", None).await.err().unwrap();
        assert!(message.contains(right), "{message}");
    }
}

#[tokio::test]
async fn a_service_without_ready_pods_is_told() {
    let objects: &[_] = &[MODEL, SERVICE, ("/pods", || json!({"metadata": {}, "items": [pod("False", true)]}))];
    let message = Target::of_model(cluster(objects), false, "shop", "churn", None).await.err().unwrap();
    assert!(message.contains("is ready to answer (1 found by modelship.dev/model=churn)"), "{message}");
}
