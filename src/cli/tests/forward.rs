use http::StatusCode;
use serde_json::json;

use super::*;

pub fn pod(ready: &str, init: bool) -> Pod {
    let ports = json!([{"name": "metrics", "containerPort": 9801}, {"name": "http", "containerPort": 9800}]);
    let (inits, containers) = match init {
        true => (json!([{"name": "exporter", "ports": ports}]), json!([{"name": "model"}])),
        false => (json!([]), json!([{"name": "model"}, {"name": "exporter", "ports": ports}])),
    };
    serde_json::from_value(json!({
        "metadata": {"name": "churn-1"},
        "spec": {"initContainers": inits, "containers": containers},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }))
    .unwrap()
}

pub fn api_error(code: u16, object: Option<&str>) -> kube::Error {
    let details = object.map(|name| json!({"name": name}));
    let status = json!({"status": "Failure", "code": code, "message": "no", "details": details});
    kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
}

#[test]
fn a_pod_is_reached_on_its_http_port_wherever_the_exporter_runs() {
    let port = IntOrString::String("http".into());
    let wanted = Some(("churn-1".to_owned(), 9800));
    assert_eq!(reachable(&pod("True", false), &port), wanted);
    assert_eq!(reachable(&pod("True", true), &port), wanted);
    assert_eq!(reachable(&pod("True", false), &IntOrString::Int(8080)), Some(("churn-1".to_owned(), 8080)));
}

#[test]
fn a_pod_that_is_unready_or_ending_gets_no_traffic() {
    let port = IntOrString::String("http".into());
    assert_eq!(reachable(&pod("False", false), &port), None);
    let mut ending = pod("True", false);
    ending.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(reachable(&ending, &port), None);
}

#[test]
fn the_service_says_which_pods_and_which_port() {
    let service: Service = serde_json::from_value(json!({"spec": {
        "selector": {"modelship.dev/model": "churn", "modelship.dev/track": "stable"},
        "ports": [{"name": "other", "port": 1, "targetPort": 1}, {"name": "http", "port": 80, "targetPort": "http"}],
    }}))
    .unwrap();
    assert_eq!(selector(&service).unwrap(), "modelship.dev/model=churn,modelship.dev/track=stable");
    assert_eq!(target_port(&service), IntOrString::String("http".into()));
    assert_eq!(selector(&Service::default()), None);
}

#[test]
fn a_refusal_names_the_right_that_is_missing() {
    let message = refused(&api_error(403, None), "list pods", "shop");
    assert!(message.contains("may not list pods in namespace 'shop'"), "{message}");
    let switch = kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(StatusCode::FORBIDDEN));
    assert!(refused(&switch, "create pods/portforward", "shop").contains("may not create pods/portforward"));
    assert!(refused(&api_error(401, None), "list pods", "shop").contains("log in again"));
}

/// A cluster whose pods are the stable one and one more that has another name in every list, as in a roll-out.
async fn rolling() -> Forward {
    let lists = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |request: http::Request<kube::client::Body>| {
        let service = json!({"spec": {"selector": {"app": "churn"}, "ports": [{"name": "http", "port": 80}]}});
        let (code, body) = match request.uri().path() {
            path if path.ends_with("/services/churn") => (200, service),
            path if path.ends_with("/pods") => {
                let mut other = pod("True", false);
                let number = lists.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                other.metadata.name = Some(format!("list-{number}"));
                (200, json!({"metadata": {}, "items": [pod("True", false), other]}))
            }
            _ => (500, json!({"kind": "Status", "status": "Failure", "code": 500, "message": "gone"})),
        };
        let body = kube::client::Body::from(body.to_string().into_bytes());
        std::future::ready(http::Response::builder().status(code).body(body))
    };
    let client = Client::new(tower::service_fn(answer), "shop");
    let (forward, found) = Forward::find(client, "shop", "churn").await.unwrap();
    assert_eq!(found, 2);
    forward
}

async fn chosen(forward: &Forward) -> String {
    forward.choose().await.unwrap().0
}

#[tokio::test(start_paused = true)]
async fn connections_take_pods_in_turn_and_a_roll_out_is_noticed() {
    let forward = rolling().await;
    let mut turns = [chosen(&forward).await, chosen(&forward).await];
    assert_eq!(chosen(&forward).await, turns[0]);
    turns.sort();
    assert_eq!(turns, ["churn-1", "list-0"]);
    tokio::time::advance(LIST_MAX_AGE + Duration::from_millis(1)).await;
    let mut turns = [chosen(&forward).await, chosen(&forward).await];
    turns.sort();
    assert_eq!(turns, ["churn-1", "list-1"]);
}

#[tokio::test]
async fn a_pod_that_cannot_be_reached_is_passed_over_once() {
    let forward = rolling().await;
    let message = forward.connect().await.err().unwrap();
    assert!(message.starts_with("cannot reach pod '"), "{message}");
    // The one that failed is out until the next list.
    assert_eq!(chosen(&forward).await, chosen(&forward).await);
}
