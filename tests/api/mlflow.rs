//! A version's run decides whether users get it, on a real tracking server that wants a password.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use modelship::{
    api::{ModelDeploymentStatus, conditions},
    images::labels::RUN_ID,
    resources::ChildKind,
};
use serde_json::{Value, json};

use crate::{
    lifecycle::{repository, spec},
    support::{
        Kubelet, Mlflow, Operator, World,
        door::Door,
        eventually, kubelet,
        mlflow::{PASSWORD, USER},
        registry,
        world::CRD_UNCHANGED,
    },
};

async fn write_secret(world: &World, password: &str) {
    let body = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "dagshub"},
        "stringData": {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": password},
    });
    let secrets = world.api::<Secret>();
    secrets.patch("dagshub", &PatchParams::apply("user").force(), &Patch::Apply(&body)).await.expect("the Secret");
}

/// The `number`th push, by a new run with that F1.
async fn push(world: &World, mlflow: &Mlflow, number: &str, f1: f64) -> (String, String) {
    let run = mlflow.run("FINISHED", &[("f1_score", json!(f1)), ("loss", json!("NaN"))]).await;
    let label = format!("{RUN_ID}={run}");
    (registry::push_with(&repository(world), "latest", &["--answer", number, "--label", &label]), run)
}

async fn deployed(world: &World) -> String {
    let deployment = world.child(ChildKind::Deployment, "churn").await.unwrap_or_default();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    image.rsplit('@').next().unwrap_or_default().to_owned()
}

fn message<'a>(status: &'a ModelDeploymentStatus, kind: &str) -> &'a str {
    conditions::find(&status.conditions, kind).map_or("", |condition| &condition.message)
}

fn holds(status: &ModelDeploymentStatus, kind: &str) -> bool {
    conditions::find(&status.conditions, kind).is_some_and(|condition| condition.status == "True")
}

fn watched(world: &World, door: &Door) -> Value {
    let mut spec = spec(world);
    spec["mlflow"] = json!({
        "trackingURI": format!("http://{}/", door.address), "credentialsSecret": "dagshub",
        "require": {"f1_score": {"min": 0.8, "notBelowStableBy": "0.01"}},
    });
    spec
}

#[tokio::test]
async fn a_version_is_taken_by_its_runs_metrics_and_held_back_while_they_are_low_or_unknown() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let (world, mlflow) = (World::new("mlflow").await, Mlflow::start().await);
    let mut door = Door::to(&mlflow.host).await;
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    write_secret(&world, "wrong").await;
    let (first, run) = push(&world, &mlflow, "1", 0.9).await;
    let operator = Operator::start(&world);
    world.apply("churn", watched(&world, &door)).await;

    // A wrong password: nothing is deployed, and the Secret is named. Mending it heals.
    let status = world.condition("churn", conditions::RUN_RESOLVED, "False", "Unauthorized").await;
    assert!(message(&status, conditions::RUN_RESOLVED).contains("the credentials in the Secret dagshub"));
    world.condition("churn", conditions::READY, "False", "AwaitingMetrics").await;
    world.condition("churn", conditions::STALLED, "True", "AwaitingMetrics").await;
    assert_eq!(deployed(&world).await, "");
    write_secret(&world, PASSWORD).await;
    let status = world.serves("churn", &first).await;
    let stable = status.stable.as_ref().expect("a version");
    assert_eq!((stable.origin.run_id.as_deref(), stable.origin.metrics["f1_score"].as_str()), (Some(&*run), "0.9"));
    assert!(message(&status, conditions::RUN_RESOLVED).ends_with("no finite numbers: loss"));
    let page = operator.page();
    let gauge = page.lines().find(|line| line.starts_with("modelship_model_training_metric{"));
    assert!(gauge.is_some_and(|line| line.contains("metric=\"f1_score\"") && line.ends_with(" 0.9")), "{gauge:?}");

    // A worse one is refused, and users keep theirs.
    let (second, _) = push(&world, &mlflow, "2", 0.7).await;
    let status = world.condition("churn", conditions::VERSION_ACCEPTED, "False", "RequirementNotMet").await;
    assert!(message(&status, conditions::VERSION_ACCEPTED).contains("f1_score is 0.7, less than the 0.8 of min"));
    assert_eq!(status.candidate.as_ref().map(|candidate| candidate.digest.as_str()), Some(&*second));
    assert!(holds(&status, conditions::READY));
    assert_eq!(deployed(&world).await, first);
    let told = eventually("the event", || async {
        let events = world.events("churn").await;
        if events.iter().any(|(reason, _)| reason == "VersionRefused") { Ok(events) } else { Err(events) }
    })
    .await;
    let refusals = |events: &[(String, String)]| events.iter().filter(|(reason, _)| reason == "VersionRefused").count();
    assert_eq!(refusals(&told), 1);
    assert!(!told.iter().any(|(_, text)| text.contains("open-sesame")));

    // A restart writes nothing, and tells nothing again.
    operator.stop().await;
    let before = door.answered();
    let operator = Operator::start(&world);
    operator.at_rest(|| door.answered() > before).await;
    assert_eq!(operator.tap.writes(), []);
    assert_eq!(refusals(&world.events("churn").await), 1);

    // MLflow is away: the condition says so, and nothing changes. It comes back, and it goes on.
    door.shut().await;
    let (third, _) = push(&world, &mlflow, "3", 0.95).await;
    let status = world.condition("churn", conditions::RUN_RESOLVED, "False", "TrackingServerUnreachable").await;
    assert!(message(&status, conditions::RUN_RESOLVED).contains("the connection is refused"));
    world.condition("churn", conditions::VERSION_ACCEPTED, "False", "AwaitingMetrics").await;
    assert_eq!(deployed(&world).await, first);
    assert!(holds(&status, conditions::READY) && holds(&status, conditions::AVAILABLE));
    door.open().await;
    let status = world.serves("churn", &third).await;
    assert!(message(&status, conditions::VERSION_ACCEPTED).contains("f1_score is 0.95, where users get 0.9"));

    // What is known is not asked again, whatever else is changed.
    let passed = door.passed();
    let mut other = watched(&world, &door);
    other["service"] = json!({"port": 8000});
    world.apply("churn", other).await;
    eventually("the new port", || async {
        let service = world.child(ChildKind::Service, "churn").await.unwrap_or_default();
        if service["spec"]["ports"][0]["port"] == 8000 { Ok(()) } else { Err(service) }
    })
    .await;
    world.serves("churn", &third).await;
    assert_eq!(door.passed(), passed);
    operator.stop().await;
    world.end().await;
}
