use serde_json::json;

use super::*;

fn deployment(image: &str, intent: &str) -> Value {
    json!({
        "metadata": {"namespace": "tasting-room", "name": "grape-scorer", "annotations": {names::INTENT: intent}},
        "spec": {"template": {"metadata": {"labels": {"a": image}}, "spec": {"containers": [
            {"name": "model", "image": image},
            {"name": "exporter", "image": "x"},
        ]}}},
    })
}

fn told(wanted: Value, live: &Value) -> String {
    let child = Child::seal(ChildKind::Deployment, wanted);
    let field = telling(&child, live).unwrap().to_string();
    let version_of = |image: &str| image.ends_with("@sha256:c").then(|| "docker.io/vintner/wine@sha256:i".to_owned());
    put_back(&child, live, &field, version_of).text
}

#[test]
fn a_rollout_undo_is_answered_with_the_image_and_the_pin_that_does_the_same() {
    let digest = format!("sha256:{}", "4".repeat(64));
    let live = deployment(&format!("docker.io/vintner/wine@{digest}"), "of-then");
    let words = told(deployment("docker.io/vintner/wine@sha256:5", "of-now"), &live);
    assert!(words.starts_with("spec.template.spec.containers[model].image of Deployment grape-scorer"), "{words}");
    assert!(words.contains(&format!("set spec.image.pin: {digest} in the ModelDeployment grape-scorer")), "{words}");
    assert!(!words.contains(names::INTENT) && words.len() < 500, "{words}");
    let words = told(deployment("docker.io/vintner/wine@sha256:5", "of-now"), &deployment("busybox:latest", "of-now"));
    assert!(words.contains("set spec.image.pin: sha256:…"), "{words}");
    let child = deployment("docker.io/vintner/wine@sha256:c", "of-then");
    let words = told(deployment("docker.io/vintner/wine@sha256:5", "of-now"), &child);
    assert!(words.contains("set spec.image.pin: sha256:i in"), "a version is called by its index: {words}");
}

#[test]
fn an_undo_to_the_same_image_is_answered_with_what_it_changed() {
    let image = "docker.io/vintner/wine@sha256:5";
    let mut wanted = deployment(image, "of-now");
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "BARREL", "value": "oak"}]);
    let words = told(wanted, &deployment(image, "of-then"));
    assert!(words.starts_with("spec.template.spec.containers[model].env[BARREL]"), "{words}");
    assert!(words.ends_with("change the ModelDeployment instead"), "{words}");
}

#[test]
fn a_webhook_that_does_not_answer_is_named_and_the_rest_of_its_words_left_out() {
    let of = |message: &str| Error::Refused { what: "apply".into(), code: 500, message: message.into() };
    let child = Child::seal(ChildKind::ConfigMap, json!({"metadata": {"name": "grape-scorer-dashboard"}}));
    let said = |error: &Error| refused((child.kind, &child.name), error);
    let refused_connection = said(&of(
        r#"Internal error occurred: failed calling webhook "a.example.org": failed to call webhook: Post "https://x": dial tcp 10.0.0.1:443: connect: connection refused"#,
    ));
    let late = said(&of(
        r#"Internal error occurred: failed calling webhook "a.example.org": failed to call webhook: Post "https://x": context deadline exceeded"#,
    ));
    assert_eq!(refused_connection, late, "it must not change from try to try");
    assert_eq!((late.reason, late.passing), ("ApiServerError", true));
    assert!(
        late.message.contains("ConfigMap grape-scorer-dashboard: its admission webhook a.example.org"),
        "{}",
        late.message
    );
    let verdict =
        said(&Error::Refused { what: "apply".into(), code: 422, message: "metadata.labels: Invalid value".into() });
    assert_eq!((verdict.reason, verdict.passing), ("Rejected", false));
    assert!(verdict.message.contains("metadata.labels: Invalid value"));
}

#[test]
fn a_policy_of_the_cluster_that_refuses_is_no_missing_right_and_no_fault_of_the_template() {
    let policy = "deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'freeze' with binding 'all' denied request: \
                  spec.template must not change";
    let webhook = "admission webhook \"validate.example.org\" denied the request: spec.template lacks a label";
    let of = |code: u16, message: &str| {
        let error = Error::Refused { what: "apply".into(), code, message: message.into() };
        let obstacle = refused((ChildKind::Deployment, "a"), &error);
        (obstacle.reason, obstacle.message.rsplit_once(" (").unwrap().1.to_owned())
    };
    for (code, message) in [(422, policy), (403, policy), (403, webhook), (400, webhook)] {
        let expected = ("Rejected", "satisfy that policy in the spec, or ask who keeps it)".to_owned());
        assert_eq!(of(code, message), expected, "{code} {message}");
    }
    assert_eq!(of(403, "exceeded quota: compute").0, "Forbidden");
    assert_eq!(of(422, "spec.template.spec.containers: Required value").0, "InvalidPodTemplate");
}
