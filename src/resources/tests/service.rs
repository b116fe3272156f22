use serde_json::{Value, json};

use super::*;
use crate::rollout::fixtures::spec;

fn url_of(server: &str, predictions: Value) -> String {
    let owner = Owner { namespace: "shop".into(), name: "churn".into(), uid: "1".into() };
    url(&owner, &spec(json!({"server": {"type": server, "healthPath": "/health"}, "predictions": predictions})))
}

#[test]
fn a_server_without_a_path_of_its_own_is_asked_where_predictions_are_said_to_be_answered() {
    let infer = "/v2/models/churn/infer";
    for (server, said, expected) in [
        ("http", None, "/"),
        ("http", Some("/predict"), "/predict"),
        ("openInference", None, "/v2/models"),
        ("openInference", Some(infer), infer),
        ("mlflow", None, "/invocations"),
        // The proxy of an MLflow image forwards no other path.
        ("mlflow", Some("/predict"), "/invocations"),
    ] {
        let predictions = said.map_or(json!({}), |path| json!({"requestPath": path}));
        assert_eq!(url_of(server, predictions), format!("http://churn.shop.svc{expected}"), "{server} {said:?}");
    }
}

#[test]
fn a_port_of_the_nodes_is_asked_for_only_where_the_user_does() {
    let owner = Owner { namespace: "shop".into(), name: "churn".into(), uid: "1".into() };
    let asked = |service: Value| {
        let child = build(&owner, &spec(json!({"service": service})));
        child.body["spec"]["ports"][0].get("nodePort").cloned()
    };
    assert_eq!(asked(json!({"type": "NodePort", "nodePort": 30080})), Some(json!(30080)));
    assert_eq!(asked(json!({"type": "LoadBalancer", "nodePort": 30080})), Some(json!(30080)));
    for none in [json!({}), json!({"type": "NodePort"}), json!({"type": "LoadBalancer"}), json!({"nodePort": 30080})] {
        assert_eq!(asked(none), None, "the API server's own choice is left alone");
    }
}
