use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rollout::fixtures::{NAME, NAMESPACE, digest, image, spec_json};

fn owner() -> Owner {
    Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: "1".into() }
}

fn rendered(fields: Value) -> Value {
    let stored = spec_json(fields);
    render(&owner(), &ValidSpec::parse(NAME, &stored).unwrap(), &digest(1))
}

fn model_of(template: &Value) -> &Value {
    template["spec"]["containers"].as_array().unwrap().iter().find(|container| container["name"] == "model").unwrap()
}

fn variables(fields: Value) -> Vec<(String, Option<String>)> {
    let template = rendered(json!({"server": fields}));
    let variables = model_of(&template)["env"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    variables.iter().map(|variable| (text(&variable["name"]).unwrap(), text(&variable["value"]))).collect()
}

#[test]
fn an_mlflow_server_is_told_its_workers_and_others_are_told_nothing() {
    let told = |workers: &str| {
        vec![
            ("MLFLOW_MODELS_WORKERS".to_owned(), Some(workers.to_owned())),
            ("GUNICORN_CMD_ARGS".to_owned(), Some(format!("--workers={workers}"))),
        ]
    };
    assert_eq!(variables(json!({})), told("1"));
    assert_eq!(variables(json!({"workers": 5})), told("5"));
    assert_eq!(variables(json!({"resources": {"limits": {"cpu": "2500m"}}})), told("3"));
    assert_eq!(variables(json!({"type": "http"})), []);
    assert_eq!(model_of(&rendered(json!({"server": {"type": "http"}}))).get("env"), None);
    assert_eq!(variables(json!({"type": "openInference"})), []);
}

#[test]
fn a_users_variable_wins_over_ours() {
    let found = variables(json!({"env": [{"name": "GUNICORN_CMD_ARGS", "value": "--threads=2"}]}));
    let args: Vec<_> = found.iter().filter(|(name, _)| name == "GUNICORN_CMD_ARGS").collect();
    assert_eq!(args, [&("GUNICORN_CMD_ARGS".to_owned(), Some("--threads=2".to_owned()))]);
}

#[test]
fn the_start_up_probe_lasts_as_long_as_the_start_up_timeout() {
    for (timeout, periods) in [("5m", 60), ("1s", 1), ("6s", 2), ("2h", 1440)] {
        let template = rendered(json!({"server": {"startupTimeout": timeout}}));
        let probe = &model_of(&template)["startupProbe"];
        assert_eq!((&probe["failureThreshold"], &probe["periodSeconds"]), (&json!(periods), &json!(5)), "{timeout}");
    }
}

#[test]
fn a_pod_has_time_for_its_longest_request_before_it_is_killed() {
    assert_eq!(rendered(json!({}))["spec"]["terminationGracePeriodSeconds"], 75);
    assert_eq!(rendered(json!({"server": {"timeout": "10m"}}))["spec"]["terminationGracePeriodSeconds"], 615);
}

#[test]
fn the_inputs_are_the_users_words_and_the_image_and_nothing_else() {
    let hash = |fields| inputs_hash(&spec_json(fields), &image(1));
    let plain = hash(json!({}));
    assert_ne!(plain, inputs_hash(&spec_json(json!({})), &image(2)));
    for shapes in ["server", "podTemplate"] {
        assert_ne!(plain, hash(json!({shapes: {"x": 1}})), "{shapes}");
    }
    assert_ne!(plain, hash(json!({"image": {"pullSecrets": [{"name": "x"}]}})));
    for does_not in [json!({"replicas": 3}), json!({"service": {"port": 1}}), json!({"image": {"pollInterval": "9s"}})]
    {
        assert_eq!(plain, hash(does_not.clone()), "{does_not}");
    }
}

/// Pieces of podTemplates, some of which try what is forbidden.
fn container() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["model", "exporter", "tasting-notes", "uncork"]);
    let image = prop::option::of(prop::sample::select(vec!["busybox", "vintner/other:latest"]));
    let port =
        prop::option::of((prop::sample::select(vec!["http", "notes"]), prop::sample::select(vec![8080, 9800, 7000])));
    (name, image, port).prop_map(|(name, image, port)| {
        let mut container = json!({"name": name});
        if let Some(image) = image {
            container["image"] = json!(image);
        }
        if let Some((name, number)) = port {
            container["ports"] = json!([{"name": name, "containerPort": number}]);
        }
        container
    })
}

proptest! {
    #[test]
    fn whatever_a_pod_template_says_the_model_runs_by_digest_behind_its_port(
        containers in prop::collection::vec(container(), 0..4),
        init in prop::collection::vec(container(), 0..2),
        labels in prop::option::of(prop::sample::select(vec!["team", "modelship.dev/model", "app.kubernetes.io/managed-by"])),
    ) {
        let mut pod = json!({"spec": {"containers": containers, "initContainers": init}});
        if let Some(label) = labels {
            pod["metadata"] = json!({"labels": {label: "cellar"}});
        }
        let stored = spec_json(json!({"podTemplate": pod}));
        let Ok(spec) = ValidSpec::parse(NAME, &stored) else { return Ok(()) };
        let template = render(&owner(), &spec, &digest(1));
        let model = model_of(&template);
        prop_assert_eq!(&model["image"], &json!(image(1)));
        prop_assert_eq!(&model["ports"][0], &json!({"name": "http", "containerPort": 8080, "protocol": "TCP"}));
        for (label, value) in owner().selector() {
            prop_assert_eq!(&template["metadata"]["labels"][label], &json!(value));
        }
        let all = template["spec"]["containers"].as_array().unwrap();
        prop_assert_eq!(all.iter().filter(|container| container["name"] == "model").count(), 1);
        let taken = all.iter().flat_map(|container| container["ports"].as_array().cloned().unwrap_or_default());
        prop_assert_eq!(taken.filter(|port| port["name"] == "http").count(), 1);
        for container in all {
            prop_assert!(container["name"] == "model" || container["name"] != "exporter" || container.get("image").is_none());
        }
    }
}
