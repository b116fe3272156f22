use clap::Parser as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    forward::tests::{api_error, pod},
    *,
};
use crate::outside::tests::{Fault, Server};

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
    assert!(matches!(target.reach, Reach::Direct { host, port: 8080, tls: None } if host == "::1"));
}

#[test]
fn a_wrong_url_or_path_is_refused_with_an_example() {
    for (url, path, words) in [
        ("model.test/invocations", None, "write it in full, such as http://"),
        ("ftp://model.test", None, "starts with neither http:// nor https://"),
        ("http://model.test", Some("predict"), "is not a path"),
        ("http://model.test", Some("/a b"), "is not a path"),
    ] {
        let message = Target::of_url(url, path).err().unwrap();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_url_with_https_is_spoken_to_by_tls_if_its_certificate_is_believed() {
    let server = Server::start(Fault::None).await;
    let mut target = Target::of_url(&format!("https://{}/invocations", server.host), None).unwrap();
    assert_eq!(target.described, format!("https://{}/invocations", server.host));
    let words = target.connect().await.err().unwrap();
    assert!(words.contains("an authority that Modelship does not know"), "{words}");
    let mut authorities = rustls::RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_slice(server.authority.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth();
    if let Reach::Direct { tls, .. } = &mut target.reach {
        *tls = Some(TlsConnector::from(Arc::new(config)));
    }
    let mut stream = target.connect().await.map_err(|words| panic!("{words}")).unwrap().stream;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: m\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let plain = Server::start(Fault::NoTls).await;
    let words = Target::of_url(&format!("https://{}", plain.host), None).unwrap().connect().await.err().unwrap();
    assert!(words.contains("does not speak TLS"), "{words}");
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
    let target =
        Target::of_model(cluster(&[MODEL]), true, "shop", "churn", Wish { path: Some("/predict"), ..Wish::default() })
            .await
            .unwrap();
    assert_eq!((target.authority.as_str(), target.path.as_str()), ("churn.shop.svc:81", "/predict"));
    assert!(matches!(target.reach, Reach::Direct { port: 81, .. }));
    assert_eq!((target.classes[0].name.as_str(), target.note), ("stays", None));
}

#[tokio::test]
async fn from_elsewhere_requests_go_to_the_ready_pods() {
    let objects: &[_] = &[MODEL, SERVICE, ("/namespaces/shop/pods", pods)];
    let target = Target::of_model(cluster(objects), false, "shop", "churn", Wish::default()).await.unwrap();
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
        let message = Target::of_model(cluster(objects), false, "shop", "churn", Wish::default()).await.err().unwrap();
        assert!(message.contains(right), "{message}");
    }
}

#[tokio::test]
async fn a_service_without_ready_pods_is_told() {
    let objects: &[_] = &[MODEL, SERVICE, ("/pods", || json!({"metadata": {}, "items": [pod("False", true)]}))];
    let message = Target::of_model(cluster(objects), false, "shop", "churn", Wish::default()).await.err().unwrap();
    assert!(message.contains("is ready to answer (1 found by modelship.dev/model=churn)"), "{message}");
}

/// The model without names in its spec, whose version names its classes.
fn described() -> serde_json::Value {
    let mut model = model();
    model["spec"] = json!({});
    let digest = crate::images::Digest::of("1").to_string();
    model["status"]["stable"] = json!({"repository": "docker.io/a/churn", "digest": digest, "short": "6b86b273ff34", "classes": ["stay", "churn"]});
    model
}

fn revisions() -> serde_json::Value {
    let stored = |seed: &str, profile: serde_json::Value| {
        let image = format!("docker.io/a/churn@{}", crate::images::Digest::of(seed));
        let labels = json!({"values": {"dev.modelship.profile": profile.to_string()}});
        json!({"metadata": {"name": seed}, "revision": 1,
            "data": {"inputsHash": "1", "image": image, "template": {}, "labels": labels}})
    };
    let classes = json!([{"name": "stay", "value": "0"}, {"name": "churn", "value": "1"}]);
    let example = json!({"body": {"inputs": [[41]]}, "path": "/predict"});
    json!({"metadata": {}, "items": [
        stored("2", json!({"version": 1, "kind": "number", "example": {"body": "of another version"}})),
        stored("1", json!({"version": 1, "kind": "class", "classes": classes, "example": example})),
    ]})
}

const DESCRIBED: Object = ("/namespaces/shop/modeldeployments/churn", described);
const REVISIONS: Object = ("/namespaces/shop/controllerrevisions", revisions);

async fn inside(objects: &'static [Object], wish: Wish<'_>) -> Result<Target, String> {
    Target::of_model(cluster(objects), true, "shop", "churn", wish).await
}

#[tokio::test]
async fn the_versions_own_example_is_sent_where_it_says_unless_a_path_is_given() {
    let wish = |path| Wish { path, example: true, profile: None };
    let mut target = inside(&[DESCRIBED, REVISIONS], wish(None)).await.unwrap();
    assert_eq!(target.path, "/invocations");
    assert_eq!((target.example().unwrap(), target.path.as_str()), (r#"{"inputs":[[41]]}"#.into(), "/predict"));
    assert_eq!(target.classes[1].name, "churn");
    let mut target = inside(&[DESCRIBED, REVISIONS], wish(Some("/other"))).await.unwrap();
    assert_eq!((target.example().is_ok(), target.path.as_str()), (true, "/other"));
}

#[tokio::test]
async fn classes_are_named_by_the_spec_or_else_by_the_version_as_far_as_the_user_may_know_it() {
    let classes = async |objects| inside(objects, Wish::default()).await.unwrap().classes;
    assert_eq!(classes(&[MODEL, REVISIONS]).await[0].name, "stays");
    assert_eq!(classes(&[DESCRIBED, REVISIONS]).await[0].value.as_deref(), Some("0"));
    assert!(classes(&[DESCRIBED]).await.is_empty(), "no reason to refuse a request");
}

#[tokio::test]
async fn without_an_example_it_is_told_what_to_give() {
    let wish = |profile| Wish { path: None, example: true, profile };
    let refused = inside(&[DESCRIBED], wish(None)).await.err().unwrap();
    assert!(
        refused.contains("may not list controllerrevisions.apps") && refused.ends_with("or give -f FILE"),
        "{refused}"
    );
    let none: &[_] = &[DESCRIBED, ("/controllerrevisions", || json!({"metadata": {}, "items": []}))];
    let message = inside(none, wish(None)).await.unwrap().example().unwrap_err();
    assert!(message.contains("the image of 'churn' at 6b86b273ff34 brings no example along"), "{message}");
    let profile = Meaning::of_profile(r#"{"version": 1, "kind": "class"}"#, "the file");
    let message = inside(none, wish(Some(profile))).await.unwrap().example().unwrap_err();
    assert_eq!(message, NO_EXAMPLE);
    let message = Target::of_url("http://a", None).unwrap().example().unwrap_err();
    assert!(message.contains("give -f FILE, or --profile FILE"), "{message}");
}

#[tokio::test]
async fn a_profile_from_a_file_stands_in_for_what_the_version_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.json");
    std::fs::write(
        &file,
        r#"{"version": 1, "kind": "class", "classes": [{"name": "a", "value": "0"}], "example": {"body": [7]}}"#,
    )
    .unwrap();
    let line = ["x", "--url", "http://model.test/invocations", "--profile", file.to_str().unwrap()];
    let mut target = Target::find(&Line::try_parse_from(line).unwrap().target, true).await.unwrap();
    assert_eq!((target.example().unwrap(), target.classes[0].name.as_str()), ("[7]".into(), "a"));
    std::fs::write(&file, r#"{"version": 9}"#).unwrap();
    let message = Target::find(&Line::try_parse_from(line).unwrap().target, true).await.err().unwrap();
    assert!(message.contains("is of version 9"), "{message}");
}
