//! A registry that wants a name and a password, from the operator and from the node.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use modelship::{api::conditions, resources::ChildKind};
use serde_json::{Value, json};

use crate::{
    stage::Stage,
    support::{registry, world::setting},
};

/// As image names call the registry; nodes and the operator know where it is.
const HOST: &str = "private.example.test";

fn push(stage: &Stage, answer: &str) -> String {
    let options = ["--answer", answer, "--user", "alice:open-sesame"];
    let pushed =
        registry::push_to(&setting("MODELSHIP_TEST_PRIVATE_REGISTRY"), &stage.repository(), "latest", &options);
    pushed["digest"].as_str().expect("a digest").to_owned()
}

fn spec(stage: &Stage) -> Value {
    let mut spec = stage.spec();
    spec["image"]["repository"] = json!(format!("{HOST}/{}", stage.repository()));
    spec
}

async fn create_secret(stage: &Stage) {
    let config = json!({"auths": {HOST: {"username": "alice", "password": "open-sesame"}}}).to_string();
    let secret = json!({
        "metadata": {"name": "hub"}, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config},
    });
    let secret: Secret = serde_json::from_value(secret).expect("a Secret");
    stage.api().create(&PostParams::default(), &secret).await.expect("created");
}

#[tokio::test]
async fn a_private_image_is_refused_without_its_secret_and_runs_with_it() {
    let stage = Stage::shared("secret").await;
    let first = push(&stage, "1");
    let mut spec = spec(&stage);
    stage.apply("churn", spec.clone()).await;
    let words = stage.told(conditions::READY, "False", "Unauthorized").await;
    assert!(words.contains(HOST) && words.contains("pullSecrets"), "{words}");
    assert!(stage.child(ChildKind::Deployment, "churn").await.is_none(), "nothing is deployed that no node could pull");
    create_secret(&stage).await;
    spec["image"]["pullSecrets"] = json!([{"name": "hub"}]);
    stage.apply("churn", spec).await;
    stage.serves("churn", &first).await;
    stage.nodes_run("churn", &[&first]).await;
    assert_eq!(stage.ask("churn").await, "1");
    let second = push(&stage, "2");
    stage.serves("churn", &second).await;
    stage.only_pods_of("churn", &second).await;
    assert_eq!(stage.ask("churn").await, "2");
    stage.end().await;
}

#[tokio::test]
async fn the_pull_secrets_of_a_service_account_do_as_well() {
    let stage = Stage::shared("account").await;
    let digest = push(&stage, "1");
    create_secret(&stage).await;
    let account = json!({"metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "hub"}]});
    let account: ServiceAccount = serde_json::from_value(account).expect("a ServiceAccount");
    stage.api().create(&PostParams::default(), &account).await.expect("created");
    let mut spec = spec(&stage);
    spec["server"] = json!({"serviceAccount": "puller"});
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    stage.nodes_run("churn", &[&digest]).await;
    assert_eq!(stage.ask("churn").await, "1");
    stage.end().await;
}
