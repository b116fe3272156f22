use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rollout::fixtures::{NAME, NAMESPACE, digest, image, sidecar, spec_json};

fn owner() -> Owner {
    Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: "1".into() }
}

fn rendered(fields: Value) -> Value {
    let stored = spec_json(fields);
    render(&owner(), &ValidSpec::parse(NAME, &stored).unwrap(), &digest(1), &sidecar(), &Map::new())
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
    for (timeout, direct, asked) in [("5m", 60, 100), ("1s", 1, 1), ("7s", 2, 3), ("2h", 1440, 2400)] {
        for (exporter, periods, period) in [(false, direct, 5), (true, asked, 3)] {
            let fields = json!({"server": {"startupTimeout": timeout}, "exporter": {"enabled": exporter}});
            let template = rendered(fields);
            let probe = &model_of(&template)["startupProbe"];
            let found = (&probe["failureThreshold"], &probe["periodSeconds"]);
            assert_eq!(found, (&json!(periods), &json!(period)), "{timeout}");
        }
    }
}

#[test]
fn a_pod_has_time_for_its_longest_request_before_it_is_killed() {
    assert_eq!(rendered(json!({}))["spec"]["terminationGracePeriodSeconds"], 75);
    assert_eq!(rendered(json!({"server": {"timeout": "10m"}}))["spec"]["terminationGracePeriodSeconds"], 615);
}

#[test]
fn replicas_are_spread_among_those_of_their_own_template_and_a_user_may_say_more() {
    let spread = |fields| rendered(fields)["spec"]["topologySpreadConstraints"].clone();
    let ours = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"modelship.dev/model": NAME}}, "matchLabelKeys": ["pod-template-hash"],
    });
    assert_eq!(spread(json!({})), json!([ours]));
    let strict = json!({"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"});
    let found = spread(json!({"podTemplate": {"spec": {"topologySpreadConstraints": [strict]}}}));
    assert_eq!(
        (found[0]["whenUnsatisfiable"].as_str(), &found[0]["matchLabelKeys"]),
        (Some("DoNotSchedule"), &ours["matchLabelKeys"])
    );
}

#[test]
fn the_inputs_are_the_users_words_and_the_image_and_nothing_else() {
    let hash = |fields| inputs_hash(&spec_json(fields), &image(1));
    let plain = hash(json!({}));
    // One more would change the hash of every model, and restart its pods.
    let none = json!({"image": image(1), "pullSecrets": null, "server": null, "podTemplate": null});
    assert_eq!(inputs(&spec_json(json!({})), &image(1)), none);
    assert_ne!(plain, inputs_hash(&spec_json(json!({})), &image(2)));
    for shapes in ["server", "podTemplate", "exporter"] {
        assert_ne!(plain, hash(json!({shapes: {"x": 1}})), "{shapes}");
    }
    assert_ne!(plain, hash(json!({"image": {"pullSecrets": [{"name": "x"}]}})));
    for does_not in [
        json!({"replicas": 3}),
        json!({"service": {"port": 1, "aliases": {"/predict": "/invocations"}, "networkPolicy": true}}),
        json!({"predictions": {"kind": "class"}}),
        json!({"image": {"pollInterval": "9s"}}),
    ] {
        assert_eq!(plain, hash(does_not.clone()), "{does_not}");
    }
}

#[test]
fn the_exporter_bears_the_port_that_the_service_leads_to_and_is_asked_after_the_model() {
    let template = rendered(json!({}));
    let containers = template["spec"]["containers"].as_array().unwrap();
    let exporter = containers.iter().find(|container| container["name"] == "exporter").unwrap();
    assert_eq!((&exporter["image"], &exporter["command"]), (&json!(sidecar().image), &json!(["/modelship-exporter"])));
    assert_eq!(exporter["ports"][0], json!({"name": "http", "containerPort": 9800, "protocol": "TCP"}));
    assert_eq!(exporter["ports"][1], json!({"name": "metrics", "containerPort": 9801, "protocol": "TCP"}));
    assert_eq!(exporter["resources"], json!({"requests": {"cpu": "10m", "memory": "24Mi"}}));
    let security = &exporter["securityContext"];
    assert_eq!((&security["runAsNonRoot"], &security["readOnlyRootFilesystem"]), (&json!(true), &json!(true)));
    assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
    let model = model_of(&template);
    for (probe, path) in [("startupProbe", "/startup"), ("readinessProbe", "/ready"), ("livenessProbe", "/live")] {
        assert_eq!(model[probe]["httpGet"], json!({"path": path, "port": 9802}), "{probe}");
    }
    assert_eq!(model["lifecycle"]["preStop"]["httpGet"], json!({"path": "/drained", "port": 9802}));
    assert_eq!(template["spec"]["shareProcessNamespace"], true);
    assert_eq!(template["spec"]["imagePullSecrets"], json!([{"name": "modelship-pull"}]));
}

#[test]
fn without_the_exporter_the_model_bears_the_port_and_is_asked_itself() {
    let template = rendered(json!({"exporter": {"enabled": false}}));
    assert_eq!(template["spec"]["containers"].as_array().unwrap().len(), 1);
    let model = model_of(&template);
    assert_eq!(model["readinessProbe"]["httpGet"], json!({"path": "/ping", "port": "http"}));
    assert_eq!(model["livenessProbe"]["tcpSocket"], json!({"port": "http"}));
    assert_eq!(model["lifecycle"]["preStop"], json!({"sleep": {"seconds": 5}}));
    for absent in ["volumes", "shareProcessNamespace", "imagePullSecrets"] {
        assert_eq!(template["spec"].get(absent), None, "{absent}");
    }
}

#[test]
fn a_page_on_another_port_is_told_with_its_path_or_the_usual_one() {
    let arguments = |server: Value| {
        let template = rendered(json!({"server": server}));
        let all = template["spec"]["containers"][1]["args"].as_array().unwrap().clone();
        let told = all.iter().filter_map(Value::as_str).filter(|argument| argument.contains("metrics"));
        told.map(str::to_owned).collect::<Vec<_>>()
    };
    let [path, port] = ["--model-metrics-path", "--model-metrics-port"];
    assert_eq!(arguments(json!({"metricsPort": 8002})), [format!("{path}=/metrics"), format!("{port}=8002")]);
    let triton = json!({"port": 8000, "metricsPort": 8000, "metricsPath": "/own"});
    assert_eq!(arguments(triton), [format!("{path}=/own"), format!("{port}=8000")]);
    assert_eq!(arguments(json!({"metricsPath": "/own"})), [format!("{path}=/own")]);
    assert_eq!(arguments(json!({})), [""; 0]);
}

#[test]
fn the_exporter_is_told_of_the_server_as_the_user_describes_it() {
    let server = json!({
        "type": "http", "port": 5001, "healthPath": "/up", "timeout": "2m", "metricsPath": "/stats",
        "pythonMetrics": true, "shareProcessNamespace": false,
    });
    let template = rendered(json!({"server": server}));
    let containers = template["spec"]["containers"].as_array().unwrap();
    let arguments = json!([
        "--upstream=127.0.0.1:5001",
        "--timeout=120s",
        "--settings=/etc/modelship/exporter",
        "--health-path=/up",
        "--model-metrics-path=/stats",
        "--python-metrics=/run/modelship/python",
    ]);
    assert_eq!(containers[1]["args"], arguments);
    assert_eq!(template["spec"].get("shareProcessNamespace"), None);
    let model = model_of(&template);
    let variable = |name: &str| {
        let variables = model["env"].as_array().unwrap();
        variables.iter().find(|variable| variable["name"] == name).map(|variable| variable["value"].clone())
    };
    assert_eq!(variable("PYTHONPATH"), Some(json!("/run/modelship/sitecustomize")));
    let mounted = |container: &Value| -> Vec<Value> {
        container["volumeMounts"].as_array().unwrap().iter().map(|mount| mount["mountPath"].clone()).collect()
    };
    assert_eq!(mounted(model), ["/run/modelship/python", "/run/modelship/sitecustomize"]);
    assert_eq!(mounted(&containers[1]), ["/etc/modelship/exporter", "/run/modelship/python"]);
}

#[test]
fn the_folder_of_our_module_leads_every_python_path_and_takes_the_place_of_none() {
    const OURS: &str = "/run/modelship/sitecustomize";
    let paths = |env: Value, patch: Value| {
        let server = json!({"type": "http", "pythonMetrics": true, "env": env});
        let pod = json!({"spec": {"containers": [{"name": "model", "env": patch}]}});
        let template = rendered(json!({"server": server, "podTemplate": pod}));
        let all = model_of(&template)["env"].as_array().unwrap().clone();
        all.into_iter()
            .filter(|variable| variable["name"].as_str().unwrap().ends_with("PYTHONPATH"))
            .collect::<Vec<_>>()
    };
    let path = |value: &str| json!({"name": "PYTHONPATH", "value": value});
    assert_eq!(paths(json!([]), json!([])), [path(OURS)]);
    assert_eq!(paths(json!([path("/app")]), json!([])), [path(&format!("{OURS}:/app"))]);
    assert_eq!(paths(json!([]), json!([path("/later")])), [path(&format!("{OURS}:/later"))]);
    let from = json!({"configMapKeyRef": {"name": "cellar", "key": "path"}});
    let theirs = json!({"name": "PYTHONPATH", "valueFrom": from});
    let found = paths(json!([theirs]), json!([]));
    assert_eq!(found[0], json!({"name": "MODELSHIP_USERS_PYTHONPATH", "valueFrom": from}));
    assert_eq!(found[1], path(&format!("{OURS}:$(MODELSHIP_USERS_PYTHONPATH)")));
    assert_eq!(found.len(), 2);
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
        exported in any::<bool>(),
        labels in prop::option::of(prop::sample::select(vec!["team", "modelship.dev/model", "app.kubernetes.io/managed-by"])),
    ) {
        let mut pod = json!({"spec": {"containers": containers, "initContainers": init}});
        if let Some(label) = labels {
            pod["metadata"] = json!({"labels": {label: "cellar"}});
        }
        let stored = spec_json(json!({"podTemplate": pod, "exporter": {"enabled": exported}}));
        let Ok(spec) = ValidSpec::parse(NAME, &stored) else { return Ok(()) };
        let template = render(&owner(), &spec, &digest(1), &sidecar(), &Map::new());
        let model = model_of(&template);
        prop_assert_eq!(&model["image"], &json!(image(1)));
        let name = if exported { "model" } else { "http" };
        prop_assert_eq!(&model["ports"][0], &json!({"name": name, "containerPort": 8080, "protocol": "TCP"}));
        for (label, value) in owner().template_labels() {
            prop_assert_eq!(&template["metadata"]["labels"][label], &json!(value));
        }
        let all = template["spec"]["containers"].as_array().unwrap();
        prop_assert_eq!(all.iter().filter(|container| container["name"] == "model").count(), 1);
        let taken = all.iter().flat_map(|container| container["ports"].as_array().cloned().unwrap_or_default());
        prop_assert_eq!(taken.filter(|port| port["name"] == "http").count(), 1);
        for container in all.iter().filter(|container| container["name"] == "exporter") {
            let image = exported.then(|| json!(sidecar().image));
            prop_assert_eq!(container.get("image"), image.as_ref());
        }
    }
}

#[test]
fn the_exporter_alone_is_told_what_the_version_says_of_its_predictions() {
    let profile = json!({"kind": "class", "path": "$.label", "classes": [{"name": "$(HOME) $$", "value": "0"}]});
    let spec = |fields| ValidSpec::parse(NAME, &spec_json(fields)).unwrap();
    let render = |spec| render(&owner(), &spec, &digest(1), &sidecar(), profile.as_object().unwrap());
    let template = render(spec(json!({})));
    let variables = template["spec"]["containers"][1]["env"].as_array().unwrap();
    assert_eq!((variables.len(), &variables[0]["name"]), (1, &json!("MODELSHIP_PROFILE")));
    let value = variables[0]["value"].as_str().unwrap();
    assert!(!value.replace("$$", "").contains('$'), "Kubernetes would put something in its place: {value}");
    assert_eq!(serde_json::from_str::<Value>(&value.replace("$$", "$")).unwrap(), profile);
    let names = |template: &Value| model_of(template)["env"].to_string();
    assert!(!names(&template).contains("MODELSHIP_PROFILE"));
    let without = render(spec(json!({"exporter": {"enabled": false}})));
    assert!(!without.to_string().contains("MODELSHIP_PROFILE"));
    let nothing = rendered(json!({}));
    assert_eq!(nothing["spec"]["containers"][1].get("env"), None, "no claim that nobody else may set one");
}
