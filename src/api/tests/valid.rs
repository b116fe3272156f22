use serde_json::json;

use super::*;

fn parse(spec: Value) -> Result<ValidSpec, Vec<Invalid>> {
    ValidSpec::parse("churn", &spec)
}

#[test]
fn the_smallest_spec_is_an_image_alone() {
    let valid = parse(json!({"image": {"repository": "alice/churn-model"}})).unwrap();
    assert_eq!(valid.image.repository.to_string(), "docker.io/alice/churn-model");
    assert_eq!(valid.image.tag.to_string(), "latest");
    assert_eq!((valid.server.port, valid.service.port, valid.server.workers), (8080, 80, 1));
    assert_eq!(valid.server.health_path.as_deref(), Some("/ping"));
    assert_eq!(valid.deadline, Duration::from_secs(600));
    assert_eq!(valid.scale, Scale::Unset);
}

#[test]
fn workers_follow_the_cpu_limit_rounded_up() {
    let workers = |resources: Value| {
        parse(json!({"image": {"repository": "a/b"}, "server": {"resources": resources}})).unwrap().server.workers
    };
    assert_eq!(workers(json!({"limits": {"cpu": "1500m"}})), 2);
    assert_eq!(workers(json!({"limits": {"cpu": 4}, "requests": {"cpu": 1}})), 4);
    assert_eq!(workers(json!({"requests": {"cpu": "100m"}})), 1);
}

/// Each row: a spec that is wrong in one way, the field that must be named, and the remedy.
#[test]
fn every_wrong_field_is_named_with_its_remedy() {
    let image = json!({"repository": "alice/churn-model"});
    let pod = |template: Value| json!({"image": image, "podTemplate": template});
    let rows = [
        (json!({}), "spec", "needs image"),
        (
            json!({"image": {"repository": "alice/churn:latest"}}),
            "spec.image.repository",
            "put the tag under image.follow.tag",
        ),
        (json!({"image": {"repository": "a/b", "pin": "sha256:12"}}), "spec.image.pin", "sha256:"),
        (json!({"image": {"repository": "a/b", "follow": {"tag": "a b"}}}), "spec.image.follow.tag", "tag"),
        (json!({"image": {"repository": "a/b", "pollInterval": "1s"}}), "spec.image.pollInterval", "between 5s"),
        (json!({"image": image, "server": {"port": 70000}}), "spec.server.port", "1 to 65535"),
        (json!({"image": image, "server": {"port": 9801}}), "spec.server.port", "another port"),
        (json!({"image": image, "server": {"healthPath": "ping"}}), "spec.server.healthPath", "start with '/'"),
        (json!({"image": image, "server": {"env": [{"name": "A"}, {"name": "A"}]}}), "spec.server.env[1]", "keep one"),
        (
            json!({"image": image, "server": {"resources": {"limits": {"cpu": "two"}}}}),
            "spec.server.resources.limits.cpu",
            "500m",
        ),
        (
            json!({"image": image, "replicas": 2, "autoscaling": {"max": 3}, "server": {"resources": {"requests": {"cpu": 1}}}}),
            "spec.replicas",
            "either",
        ),
        (
            json!({"image": image, "autoscaling": {"min": 3, "max": 2}, "server": {"resources": {"requests": {"cpu": 1}}}}),
            "spec.autoscaling",
            "min (3)",
        ),
        (json!({"image": image, "autoscaling": {"max": 2}}), "spec.autoscaling", "requests.cpu"),
        (json!({"image": image, "rollout": {"deadline": "soon"}}), "spec.rollout.deadline", "such as 30s"),
        (pod(json!({"spec": {"containers": [{"image": "x"}]}})), "spec.podTemplate.spec.containers[0]", "needs a name"),
        (
            pod(json!({"spec": {"containers": [{"name": "model", "image": "x"}]}})),
            "spec.podTemplate.spec.containers[0].image",
            "spec.image",
        ),
        (
            pod(json!({"spec": {"containers": [{"name": "side", "ports": [{"name": "http", "containerPort": 1}]}]}})),
            "spec.podTemplate.spec.containers[0].ports[0].name",
            "use another",
        ),
        (
            pod(json!({"spec": {"containers": [{"name": "side", "ports": [{"containerPort": 9800}]}]}})),
            "spec.podTemplate.spec.containers[0].ports[0].containerPort",
            "use another",
        ),
        (
            pod(json!({"metadata": {"labels": {"modelship.dev/model": "x"}}})),
            "spec.podTemplate.metadata.labels",
            "leave it out",
        ),
        (pod(json!({"template": {}})), "spec.podTemplate.template", "metadata and spec"),
        (pod(json!({"metadata": "x"})), "spec.podTemplate.metadata", "must be an object with labels"),
        (pod(json!({"metadata": {"labels": "x"}})), "spec.podTemplate.metadata.labels", "{team: risk}"),
        (pod(json!({"metadata": {"annotations": ["x"]}})), "spec.podTemplate.metadata.annotations", "{note: text}"),
        (pod(json!({"spec": "x"})), "spec.podTemplate.spec", "the spec of a pod"),
        (pod(json!({"spec": {"nodeSelector": "x"}})), "spec.podTemplate.spec.nodeSelector", "{disk: ssd}"),
        (pod(json!({"spec": {"containers": {"name": "x"}}})), "spec.podTemplate.spec.containers", "must be a list"),
        (pod(json!({"spec": {"initContainers": 1}})), "spec.podTemplate.spec.initContainers", "must be a list"),
    ];
    for (spec, field, remedy) in rows {
        let found = parse(spec.clone()).expect_err(&format!("accepted: {spec}"));
        let hit = found.iter().find(|invalid| invalid.field == field);
        assert!(
            hit.is_some_and(|invalid| invalid.message.contains(remedy)),
            "{spec}\nwanted {field} … {remedy}\n{found:?}"
        );
    }
}

#[test]
fn a_reference_reaches_the_exporter_with_its_figures_as_numbers() {
    let settings = |predictions: Value| {
        let spec = json!({"image": {"repository": "a/b"}, "predictions": predictions});
        parse(spec).unwrap().predictions["reference"].clone()
    };
    let classes = json!({"classes": {"stay": 800, "churn": 200}});
    assert_eq!(settings(json!({"reference": classes})), classes);
    let ranges = json!({"bounds": ["-0.5", "0", "10"], "counts": [5, 10, 20, 3]});
    assert_eq!(
        settings(json!({"kind": "number", "reference": ranges})),
        json!({"bounds": [-0.5, 0.0, 10.0], "counts": [5, 10, 20, 3]})
    );
    assert_eq!(settings(json!({"kind": "number"})), Value::Null);
}

#[test]
fn a_reference_that_nothing_could_be_compared_with_is_refused_with_its_remedy() {
    let two = json!([{"name": "stay"}, {"name": "churn"}]);
    for (predictions, remedy) in [
        (json!({"reference": {}}), "either classes"),
        (json!({"kind": "number", "reference": {"bounds": ["0", "0"], "counts": [1, 1, 1]}}), "rising numbers"),
        (json!({"kind": "number", "reference": {"bounds": ["0"], "counts": [1]}}), "one more than bounds"),
        (json!({"kind": "number", "reference": {"bounds": ["0"], "counts": [1, -1]}}), "from 0"),
        (json!({"kind": "class", "reference": {"bounds": ["0"], "counts": [1, 1]}}), "set kind: number"),
        (json!({"kind": "number", "reference": {"classes": {"stay": 1}}}), "give reference.bounds"),
        (json!({"kind": "probability", "reference": {"classes": {"stay": 1}}}), "name them in classes"),
        (json!({"classes": two, "reference": {"classes": {"leave": 1}}}), "none of the names in predictions.classes"),
        (json!({"classes": two, "reference": {"classes": {"stay": 0}}}), "no count above 0"),
    ] {
        let found = parse(json!({"image": {"repository": "a/b"}, "predictions": predictions})).expect_err(remedy);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains(remedy), "{remedy}: {found:?}");
    }
    let figure = json!({"kind": "number", "reference": {"bounds": ["ten"], "counts": [1, 1]}});
    let found = parse(json!({"image": {"repository": "a/b"}, "predictions": figure})).unwrap_err();
    assert_eq!(found[0].field, "spec.predictions.reference.bounds[0]");
}

#[test]
fn a_name_that_no_service_can_bear_is_refused() {
    let spec = json!({"image": {"repository": "a/b"}});
    for name in ["9lives", "Churn", "a.b", "ends-", &"a".repeat(46)] {
        let found = ValidSpec::parse(name, &spec).expect_err(name);
        assert_eq!(found[0].field, "metadata.name");
    }
}

#[test]
fn a_name_that_no_secret_or_service_account_can_have_is_refused() {
    let image = json!({"repository": "a/b"});
    for name in ["Docker Hub", "a/b", "../configmaps/a", "a?watch=true", "a_b", "-a", "a.", "ä"] {
        let from = |kind: &str| json!([{"name": "A", "valueFrom": {kind: {"name": name, "key": "k"}}}]);
        let mlflow = json!({"trackingURI": "https://dagshub.com/a/b.mlflow", "credentialsSecret": name});
        for (spec, field) in [
            (
                json!({"image": {"repository": "a/b", "pullSecrets": [{"name": name}]}}),
                "spec.image.pullSecrets[0].name",
            ),
            (json!({"image": image, "server": {"serviceAccount": name}}), "spec.server.serviceAccount"),
            (json!({"image": image, "server": {"env": from("secretKeyRef")}}), "spec.server.env[0].valueFrom"),
            (json!({"image": image, "server": {"env": from("configMapKeyRef")}}), "spec.server.env[0].valueFrom"),
            (json!({"image": image, "mlflow": mlflow}), "spec.mlflow.credentialsSecret"),
            (
                json!({"image": image, "monitoring": {"email": {"to": ["a@b"], "secret": name}}}),
                "spec.monitoring.email.secret",
            ),
        ] {
            let found = parse(spec).expect_err(field);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].field, field);
            assert!(found[0].message.contains("lower-case letters, digits, '-' and '.'"), "{found:?}");
        }
    }
    for name in ["dockerhub", "a", "team-a.smtp", "1"] {
        assert!(parse(json!({"image": {"repository": "a/b", "pullSecrets": [{"name": name}]}})).is_ok(), "{name}");
    }
}

/// Written under an older schema, or none: what the API server would refuse of a child is told of the field that it comes from.
#[test]
fn what_no_child_could_hold_is_told_of_its_field_with_its_value() {
    let image = json!({"repository": "a/b"});
    let (long, key) = ("x".repeat(64), json!({"secretKeyRef": {"name": "a", "key": "a/b"}}));
    for (fields, field, value) in [
        (json!({"service": {"annotations": {"a b": "x"}}}), "spec.service.annotations", "'a b'"),
        (json!({"service": {"annotations": {"x_y/z": "x"}}}), "spec.service.annotations", "'x_y/z'"),
        (json!({"monitoring": {"labels": {"team": "a b"}}}), "spec.monitoring.labels", "'a b'"),
        (json!({"monitoring": {"labels": {long.clone(): "a"}}}), "spec.monitoring.labels", &format!("'{long}'")),
        (
            json!({"podTemplate": {"metadata": {"labels": {"team": "a b"}}}}),
            "spec.podTemplate.metadata.labels",
            "'a b'",
        ),
        (json!({"podTemplate": {"metadata": {"labels": {"-a": "b"}}}}), "spec.podTemplate.metadata.labels", "'-a'"),
        (
            json!({"podTemplate": {"metadata": {"annotations": {"a/b/c": "x"}}}}),
            "spec.podTemplate.metadata.annotations",
            "'a/b/c'",
        ),
        (json!({"server": {"env": [{"name": "GRÖSSE", "value": "1"}]}}), "spec.server.env[0]", "'GRÖSSE'"),
        (json!({"server": {"env": [{"name": "A", "valueFrom": key}]}}), "spec.server.env[0].valueFrom", "'a/b'"),
        (json!({"server": {"resources": {"limits": {"gpu": 1}}}}), "spec.server.resources.limits.gpu", "'gpu'"),
        (json!({"exporter": {"resources": {"requests": {"CPU": 1}}}}), "spec.exporter.resources.requests.CPU", "'CPU'"),
    ] {
        let mut spec = json!({"image": image});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let found = parse(spec).expect_err(field);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].field == field && found[0].message.starts_with(value), "{found:?}");
    }
    let right = json!({
        "image": image,
        "service": {"annotations": {"Example.org/Internal": "any text, ü", "a": ""}},
        "server": {
            "env": [{"name": "a.b-c d", "valueFrom": {"secretKeyRef": {"name": "a", "key": "data.yaml"}}}],
            "resources": {"limits": {"nvidia.com/gpu": 1, "hugepages-2Mi": "4Mi", "ephemeral-storage": "1Gi"}},
        },
        "podTemplate": {"metadata": {"labels": {"example.org/team": "", "gone": null}}},
    });
    assert!(parse(right.clone()).is_ok(), "{:?}", parse(right));
}

#[test]
fn resources_of_an_exporter_that_is_off_reach_no_container_and_are_no_fault() {
    let exporter = json!({"enabled": false, "resources": {"limits": {"gpu": 1}}});
    let valid = parse(json!({"image": {"repository": "a/b"}, "exporter": exporter})).unwrap();
    assert_eq!(valid.exporter, None);
    assert!(valid.idle[0].starts_with("spec.exporter.resources:"), "{:?}", valid.idle);
}

#[test]
fn a_field_of_a_wrong_shape_is_named_with_what_belongs_there() {
    for (spec, field, words) in [
        (json!({"image": {"repository": "a/b"}, "replicas": "2"}), "spec.replicas", "\"2\" must be a whole number"),
        (json!({"image": "a/b"}), "spec.image", "\"a/b\" must be an object"),
        (json!({"image": {"repository": "a/b", "pullSecrets": ["hub"]}}), "spec.image.pullSecrets[0]", "an object"),
        (json!({"image": {"repository": "a/b", "pullSecrets": [{}]}}), "spec.image.pullSecrets[0]", "needs name"),
        (json!({"image": {"repository": "a/b", "autoUpdate": "no"}}), "spec.image.autoUpdate", "true or false"),
        (
            json!({"image": {"repository": "a/b"}, "service": {"annotations": {"a": true}}}),
            "spec.service.annotations.a",
            "true must be text",
        ),
        (
            json!({"image": {"repository": "a/b"}, "monitoring": {"alerts": {"disabled": ["Noise"]}}}),
            "spec.monitoring.alerts.disabled[0]",
            "'Noise' is none of HighTraffic, ",
        ),
        (
            json!({"image": {"repository": "a/b"}, "mlflow": {"require": {"f1": {"least": 1}}}}),
            "spec",
            "unknown field `least`",
        ),
    ] {
        let found = parse(spec).expect_err(field);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].field == field && found[0].message.contains(words), "{found:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let found = parse(json!({
        "image": {"repository": "a/b:c", "pollInterval": "x"},
        "server": {"port": 0},
    }))
    .unwrap_err();
    assert_eq!(found.len(), 3, "{found:?}");
}

/// What stands at `tests/golden/refused.json` is refused here and by the API server, in the same sense: the words are
/// those of the CRD's rules, which tests/api hears from a real API server.
#[test]
fn what_the_crd_refuses_is_refused_here_too_and_the_other_way_round() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../../../tests/golden/refused.json")).unwrap();
    let crd = json!(crate::api::schema::crd());
    let mut rules = Vec::new();
    messages(&crd, &mut rules);
    for row in &rows {
        let text = |field: &str| row[field].as_str().unwrap();
        let name = row["name"].as_str().unwrap_or("grape-scorer");
        let found = ValidSpec::parse(name, &row["spec"]).expect_err(text("case"));
        assert!(found.iter().any(|invalid| invalid.field == text("field")), "{}: {found:?}", text("case"));
        assert_eq!(found.len(), 1, "{}: wrong in one way only: {found:?}", text("case"));
        let by_rule = row["by"] != "schema";
        let said = rules.iter().any(|rule| rule.contains(text("words")));
        assert_eq!(said, by_rule, "{}: '{}' is no rule's message", text("case"), text("words"));
    }
    for rule in &rules {
        assert!(rows.iter().any(|row| rule.contains(row["words"].as_str().unwrap())), "no row for the rule: {rule}");
    }
}

/// The messages of all rules of the CRD.
fn messages(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for rule in map.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                found.push(rule["message"].as_str().unwrap().to_owned());
            }
            map.values().for_each(|value| messages(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| messages(value, found)),
        _ => {}
    }
}

#[test]
fn a_null_that_would_remove_what_we_stand_on_is_refused() {
    let image = json!({"repository": "alice/churn-model"});
    for (template, field) in [
        (json!({"metadata": null}), "spec.podTemplate.metadata"),
        (json!({"metadata": {"labels": null}}), "spec.podTemplate.metadata.labels"),
        (json!({"spec": null}), "spec.podTemplate.spec"),
        (json!({"spec": {"containers": null}}), "spec.podTemplate.spec.containers"),
        (
            json!({"spec": {"containers": [{"name": "model", "ports": null}]}}),
            "spec.podTemplate.spec.containers[0].ports",
        ),
        (
            json!({"spec": {"containers": [{"name": "model", "image": null}]}}),
            "spec.podTemplate.spec.containers[0].image",
        ),
    ] {
        let found = parse(json!({"image": image, "podTemplate": template})).expect_err(field);
        assert_eq!(found.iter().map(|invalid| invalid.field.as_str()).collect::<Vec<_>>(), [field]);
    }
    assert!(parse(json!({"image": image, "podTemplate": null})).is_ok(), "a null is an absent field");
    assert!(parse(json!({"image": image, "podTemplate": {"spec": {"topologySpreadConstraints": null}}})).is_ok());
}
