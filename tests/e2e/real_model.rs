//! The main job: a real MLflow image, served and rolled out.

use std::process::Command;

use http::Request;
use modelship::{api::conditions, images::Digest, resources::ChildKind};

use crate::{
    asking, monitoring,
    stage::{PATIENCE, Stage, kubectl},
    support::world::setting,
};

const NAME: &str = "credit-scoring";
/// An application that the first model approves and the second declines.
pub const REQUEST: &str = include_str!("../demo/request.json");
pub const ANSWERS: [&str; 2] = [r#""approve""#, r#""decline""#];

/// Trains a variant, unless that was done before, and pushes its image as `latest`; returns the digest.
pub fn push(stage: &Stage, variant: &str) -> String {
    let target = format!("{}/{}:latest", setting("MODELSHIP_TEST_REGISTRY"), stage.repository());
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/model");
    let output = Command::new(tool).args([variant, &target]).output().expect("tests/images/model starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().last().expect("a digest").to_owned()
}

/// Through the API server, as `kubectl proxy` does it.
async fn ask_through_the_api_server(stage: &Stage) -> String {
    let path = format!("/api/v1/namespaces/{}/services/http:{NAME}:80/proxy/invocations", stage.namespace);
    let request = Request::post(path).header("content-type", "application/json").body(REQUEST.into());
    let body = stage.client.request_text(request.expect("a request")).await.expect("an answer");
    asking::prediction(&body).unwrap_or_else(|| panic!("no prediction: {body}"))
}

async fn every_image_is_a_digest(stage: &Stage) {
    let deployment = stage.child(ChildKind::Deployment, NAME).await.expect("the Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let containers = ["containers", "initContainers"].iter().filter_map(|list| pod[list].as_array()).flatten();
    let images: Vec<&str> = containers.filter_map(|container| container["image"].as_str()).collect();
    assert!(!images.is_empty());
    for image in images {
        let digest = image.split_once('@').and_then(|(_, digest)| Digest::parse(digest).ok());
        assert!(digest.is_some(), "{image} is not pinned");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_mlflow_model_serves_and_no_user_notices_the_next_push_but_by_its_answers() {
    let stage = Stage::shared("mlflow").await;
    let first = push(&stage, "v1");
    stage.apply(NAME, stage.spec()).await;
    let status = stage.serves(NAME, &first).await;
    assert_eq!(status.url, Some(format!("http://{NAME}.{}.svc/invocations", stage.namespace)));
    // In time: that Prometheus has not picked a model up after a while would be told among the events.
    monitoring::nudging(&stage, stage.condition(NAME, conditions::MONITORING_READY, "True", "PickedUp")).await;
    assert_eq!(ask_through_the_api_server(&stage).await, ANSWERS[0]);
    stage.nodes_run(NAME, &[&first]).await;
    every_image_is_a_digest(&stage).await;

    let askers = [stage.asker(NAME, REQUEST).await, stage.asker(NAME, REQUEST).await];
    askers[0].answered(10).await;
    let second = push(&stage, "v2");
    assert_ne!(first, second);
    stage.serves(NAME, &second).await;
    stage.only_pods_of(NAME, &second).await;
    for asker in &askers {
        asker.answered(2).await;
    }
    for asker in askers {
        let answers = asker.stop().await;
        let strange: Vec<_> = answers.iter().filter(|answer| !ANSWERS.contains(&answer.as_str())).collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert_eq!(answers.first().map(String::as_str), Some(ANSWERS[0]));
        assert_eq!(answers.last().map(String::as_str), Some(ANSWERS[1]));
    }
    let after = stage.asker(NAME, REQUEST).await;
    after.answered(10).await;
    assert!(after.stop().await.iter().all(|answer| answer == ANSWERS[1]), "the first version is gone for good");
    assert_eq!(ask_through_the_api_server(&stage).await, ANSWERS[1]);
    stage.nodes_run(NAME, &[&second]).await;
    every_image_is_a_digest(&stage).await;
    assert_eq!(stage.replica_sets_made(), 2);

    let reasons: Vec<String> = stage.events(NAME).await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["Deploying", "Serving", "RollingOut", "Serving"]);
    reads_well(&stage, &second);
    stage.end().await;
}

/// What a person sees.
fn reads_well(stage: &Stage, digest: &str) {
    let short = Digest::parse(digest).expect("a digest").short().to_owned();
    let rows = |wide: &[&str]| -> Vec<Vec<String>> {
        let table = kubectl(&[&["--namespace", &stage.namespace, "get", "mdl"], wide].concat());
        table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let plain = rows(&[]);
    assert_eq!(plain[0], ["NAME", "READY", "TAG", "DIGEST", "CANDIDATE", "REPLICAS", "AGE"]);
    assert_eq!(plain[1][..5], [NAME, "True", "latest", &short, "1/1"]);
    let wide = rows(&["--output", "wide"]);
    assert_eq!(wide[0][7..], ["URL", "COMMIT", "MONITORED", "REASON"]);
    // Nothing is being introduced; its image has no labels, and so no commit.
    assert_eq!(wide[1][6..], [&format!("http://{NAME}.{}.svc/invocations", stage.namespace), "True", "Serving"]);
    let resource = format!("mdl/{NAME}");
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    kubectl(&["--namespace", &stage.namespace, "wait", "--for=condition=Ready", &resource, &timeout]);
    let story = kubectl(&["--namespace", &stage.namespace, "describe", "mdl", NAME]);
    let told = ["Deploying", "Serving", "RollingOut"].map(|reason| story.contains(&format!("  {reason}  ")));
    assert_eq!(told, [true; 3], "{story}");
}
