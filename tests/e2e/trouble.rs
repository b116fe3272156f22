//! Models that do not come up: named, with the remedy; what served before serves on; once mended, all goes on by itself.

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use modelship::{api::conditions, resources::ChildKind};
use serde_json::json;

use crate::{asking::ROW, monitoring, stage::Stage};

#[tokio::test]
async fn a_model_on_another_port_than_declared_is_told_and_the_right_port_heals() {
    let stage = Stage::shared("port").await;
    let digest = stage.push_with("1", &["--port", "9090"]);
    let mut spec = stage.spec();
    spec["rollout"] = json!({"deadline": "10s"});
    stage.apply("churn", spec.clone()).await;
    let words = stage.told(conditions::STALLED, "True", "NotAnswering").await;
    assert!(words.contains("/ping on port 8080") && words.contains("spec.server.port"), "{words}");
    stage.told(conditions::READY, "False", "NotAnswering").await;
    spec["server"] = json!({"port": 9090});
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    assert_eq!(stage.ask("churn").await, "1");
    stage.end().await;
}

/// The kubelet ends the container before the roll-out's deadline; such servers then end with 0, as after a crash.
#[tokio::test]
async fn a_model_on_another_port_that_is_restarted_for_it_is_told_its_port_all_the_same() {
    let stage = Stage::shared("restart").await;
    stage.push_with("1", &["--port", "9090"]);
    let mut spec = stage.spec();
    spec["server"] = json!({"startupTimeout": "5s"});
    stage.apply("churn", spec).await;
    let words = stage.told(conditions::READY, "False", "CrashLooping").await;
    assert!(words.contains("/ping on port 8080") && words.contains("spec.server.port"), "{words}");
    stage.end().await;
}

#[tokio::test]
async fn a_crash_at_start_is_told_with_its_exit_code_and_the_next_push_heals() {
    let stage = Stage::shared("crash").await;
    stage.push_with("1", &["--crash"]);
    let mut spec = stage.spec();
    spec["rollout"] = json!({"deadline": "10s"});
    stage.apply("churn", spec).await;
    let words = stage.told(conditions::READY, "False", "CrashLooping").await;
    assert!(words.contains("exit code 1") && words.contains("kubectl logs"), "{words}");
    stage.told(conditions::STALLED, "True", "CrashLooping").await;
    let digest = stage.push("1");
    stage.serves("churn", &digest).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_never_gets_healthy_never_gets_to_users() {
    let stage = Stage::shared("sick").await;
    let first = stage.push("1");
    let mut spec = stage.spec();
    // Longer than a healthy version takes on a busy machine: one that is late would have its trouble told, too.
    spec["rollout"] = json!({"deadline": "60s"});
    stage.apply("churn", spec).await;
    stage.serves("churn", &first).await;
    // In time: that Prometheus has not picked a model up after a while would be told as well.
    monitoring::nudging(&stage, stage.told(conditions::MONITORING_READY, "True", "PickedUp")).await;
    let asker = stage.asker("churn", ROW).await;
    let sick = stage.push_with("2", &["--unhealthy"]);
    let words = stage.told(conditions::STALLED, "True", "NotAnswering").await;
    assert!(words.contains("/ping on port 8080"), "{words}");
    let status = stage.condition("churn", conditions::AVAILABLE, "True", "*").await;
    assert_eq!(status.stable.map(|stable| stable.digest), Some(first));
    assert_eq!(status.candidate.map(|candidate| candidate.digest), Some(sick));
    asker.answered(10).await;
    assert!(asker.stop().await.iter().all(|answer| answer == "1"), "users get the version before it");
    let third = stage.push("3");
    stage.serves("churn", &third).await;
    stage.only_pods_of("churn", &third).await;
    assert_eq!(stage.ask("churn").await, "3");
    let reasons: Vec<String> = stage.events("churn").await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["Deploying", "Serving", "RollingOut", "NotAnswering", "RollingOut", "Serving"]);
    stage.end().await;
}

#[tokio::test]
async fn an_image_for_a_platform_that_no_node_has_is_named_and_not_deployed() {
    let stage = Stage::shared("platform").await;
    stage.push_with("1", &["--platforms", "linux/s390x"]);
    stage.apply("churn", stage.spec()).await;
    let words = stage.told(conditions::READY, "False", "NoMatchingPlatform").await;
    assert!(words.contains("linux/s390x") && words.contains("docker buildx build --platform"), "{words}");
    stage.told(conditions::STALLED, "True", "NoMatchingPlatform").await;
    assert!(stage.child(ChildKind::Deployment, "churn").await.is_none());
    assert_eq!(stage.replica_sets_made(), 0);
    let digest = stage.push("1");
    stage.serves("churn", &digest).await;
    stage.end().await;
}

#[tokio::test]
async fn a_pod_that_fits_no_node_is_told_in_the_schedulers_words_and_a_smaller_request_heals() {
    let stage = Stage::shared("large").await;
    let digest = stage.push("1");
    let mut spec = stage.spec();
    spec["server"] = json!({"resources": {"requests": {"cpu": "1000"}}});
    stage.apply("churn", spec.clone()).await;
    let words = stage.told(conditions::READY, "False", "Unschedulable").await;
    assert!(words.contains("Insufficient cpu"), "{words}");
    spec["server"] = json!({"resources": {"requests": {"cpu": "1m"}}});
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    stage.end().await;
}

#[tokio::test]
async fn a_secret_that_is_missing_is_told_and_its_creation_heals() {
    let stage = Stage::shared("env").await;
    let digest = stage.push("1");
    let mut spec = stage.spec();
    spec["server"] = json!({"env": [{"name": "TINYMODEL_ANSWER", "valueFrom": {"secretKeyRef": {"name": "answer", "key": "text"}}}]});
    stage.apply("churn", spec).await;
    let words = stage.told(conditions::READY, "False", "ConfigurationMissing").await;
    assert!(words.contains("spec.server.env"), "{words}");
    let secret = json!({"metadata": {"name": "answer"}, "stringData": {"text": "17"}});
    let secret: Secret = serde_json::from_value(secret).expect("a Secret");
    stage.api().create(&PostParams::default(), &secret).await.expect("created");
    stage.serves("churn", &digest).await;
    assert_eq!(stage.ask("churn").await, "17");
    stage.end().await;
}
