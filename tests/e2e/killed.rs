//! The operator's end, at the worst moments, and its absence: what users get goes on, and the end is the same.

use futures::StreamExt;
use k8s_openapi::{api::apps::v1::Deployment, jiff::Timestamp};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use modelship::{
    api::{conditions, names},
    resources::ChildKind,
};
use serde_json::json;

use crate::{
    monitoring, operator,
    stage::{PATIENCE, Stage, image},
    support::at_rest,
};

/// A model that serves its first version, and an operator that was never killed. The registry is asked again only after
/// that interval.
async fn serving(test: &str, interval: &str) -> (Stage, String) {
    let stage = Stage::alone(test).await;
    operator::renew(&stage).await;
    let first = stage.push("1");
    let mut spec = stage.spec();
    spec["image"]["pollInterval"] = json!(interval);
    stage.apply("churn", spec).await;
    stage.serves("churn", &first).await;
    assert_eq!(stage.replica_sets_made(), 1);
    (stage, first)
}

/// What an undisturbed roll-out ends with, made and deleted nothing twice.
async fn ends_as_undisturbed(stage: &Stage, second: &str, since: Timestamp) {
    let status = stage.serves("churn", second).await;
    assert_eq!(status.history.len(), 2);
    stage.only_pods_of("churn", second).await;
    assert_eq!(stage.ask("churn").await, "2");
    stage.nodes_run("churn", &[second]).await;
    assert_eq!(stage.replica_sets_made(), 2, "one new ReplicaSet");
    let mut by_operator = operator::requests(&stage.namespace);
    by_operator.retain(|entry| entry.at() >= since && entry.resource() != "events");
    let made: Vec<_> = by_operator.iter().filter(|entry| entry.code() == 201).collect();
    assert!(made.len() == 1 && made[0].resource() == "controllerrevisions", "made: {made:#?}");
    let deleted: Vec<_> = by_operator.iter().filter(|entry| entry.verb() == "delete").collect();
    assert!(deleted.is_empty(), "deleted: {deleted:#?}");
    for (kind, count) in [
        (ChildKind::Deployment, 1),
        (ChildKind::Service, 2),
        (ChildKind::ConfigMap, 2),
        (ChildKind::ControllerRevision, 2),
        (ChildKind::PodDisruptionBudget, 0),
        (ChildKind::HorizontalPodAutoscaler, 0),
        (ChildKind::ServiceMonitor, 1),
        (ChildKind::PrometheusRule, 1),
    ] {
        let found: Vec<_> = stage.list(kind).await.iter().map(ResourceExt::name_any).collect();
        assert_eq!(found.len(), count, "{kind}: {found:?}");
    }
}

async fn wanted(stage: &Stage) -> String {
    let deployment = stage.child(ChildKind::Deployment, "churn").await.expect("the Deployment");
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("an image").to_owned()
}

#[tokio::test]
async fn killed_between_push_and_detection_the_push_is_rolled_out() {
    // Only a new start asks again today.
    let (stage, first) = serving("killpush", "24h").await;
    let since = Timestamp::now();
    let second = stage.push("2");
    assert!(wanted(&stage).await.ends_with(&first));
    operator::kill(&stage).await;
    ends_as_undisturbed(&stage, &second, since).await;
    stage.end().await;
}

#[tokio::test]
async fn killed_between_resolve_and_patch_the_stored_version_is_rolled_out() {
    let (stage, first) = serving("killresolve", "5s").await;
    let since = Timestamp::now();
    operator::take_rights_away(&stage).await;
    let second = stage.push("2");
    let words = stage.told(conditions::READY, "False", "Forbidden").await;
    assert!(words.contains("cannot patch resource \"deployments\""), "{words}");
    let revisions = stage.list(ChildKind::ControllerRevision).await;
    let of_second =
        |revision: &&DynamicObject| revision.data["data"]["image"].as_str().unwrap_or_default().ends_with(&second);
    let stored = revisions.iter().find(of_second).expect("decided on, and stored");
    let mut labels = stored.data["data"]["template"]["metadata"]["labels"].clone();
    // One stored template serves either track.
    labels[names::TRACK] = json!("stable");
    operator::kill(&stage).await;
    assert!(wanted(&stage).await.ends_with(&first));
    assert_eq!(stage.ask_once("churn").await, "1");
    operator::give_rights_back(&stage).await;
    ends_as_undisturbed(&stage, &second, since).await;
    let deployment = stage.child(ChildKind::Deployment, "churn").await.expect("the Deployment");
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"], labels);
    // Its counters knew of refusals.
    operator::renew(&stage).await;
    stage.end_hampered().await;
}

#[tokio::test]
async fn killed_right_after_the_patch_the_roll_out_is_seen_through() {
    let (stage, _) = serving("killpatch", "5s").await;
    let since = Timestamp::now();
    let victim = operator::id(&stage).await;
    let deployments: Api<Deployment> = stage.api();
    let mut changes =
        std::pin::pin!(watcher(deployments, watcher::Config::default()).default_backoff().touched_objects());
    let first_seen = changes.next().await.expect("a watch").expect("the Deployment");
    assert_eq!(first_seen.name_any(), "churn");
    let second = stage.push("2");
    loop {
        let seen = serde_json::json!(changes.next().await.expect("a watch").expect("the Deployment"));
        let image = seen["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        if image.ends_with(&second) {
            break;
        }
    }
    operator::kill_process(&victim);
    ends_as_undisturbed(&stage, &second, since).await;
    assert_ne!(operator::id(&stage).await, victim, "it was killed, and is back");
    stage.end().await;
}

#[tokio::test]
async fn while_the_operator_is_away_the_model_serves_and_survives_the_loss_of_its_pod() {
    let (stage, first) = serving("away", "5s").await;
    assert_eq!(stage.ask("churn").await, "1");
    // The last news of a model: how its answers are read, and that Prometheus has it.
    stage.reading_settled("churn").await;
    monitoring::nudging(&stage, stage.told(conditions::MONITORING_READY, "True", "PickedUp")).await;
    operator::stop(&stage).await;
    assert_eq!(stage.ask_once("churn").await, "1");
    let lost = stage.pods("churn").await.remove(0);
    let pods: Api<k8s_openapi::api::core::v1::Pod> = stage.api();
    pods.delete(&lost.name_any(), &DeleteParams::default()).await.expect("deleted");
    stage
        .eventually("another pod", || async {
            let pods = stage.all_pods("churn").await;
            let ready =
                pods.iter().flat_map(|pod| pod.status.iter().flat_map(|status| status.conditions.iter().flatten()));
            let ready = ready.filter(|condition| condition.type_ == "Ready" && condition.status == "True").count();
            let gone = pods.iter().all(|pod| pod.uid() != lost.uid());
            if gone && pods.len() == 1 && ready == 1 { Ok(()) } else { Err(pods) }
        })
        .await;
    stage.nodes_run("churn", &[&first]).await;
    assert!(stage.pods("churn").await.iter().all(|pod| image(pod).ends_with(&first)));
    assert_eq!(stage.ask("churn").await, "1");

    let since = Timestamp::now();
    operator::start(&stage).await;
    at_rest(PATIENCE, async || operator::metrics(&stage).await, || true).await;
    let mut writes = operator::requests(&stage.namespace);
    writes.retain(|entry| entry.at() >= since && !["get", "list", "watch"].contains(&entry.verb()));
    assert!(writes.is_empty(), "a return with all in place writes nothing: {writes:#?}");
    // And it is at work again.
    let second = stage.push("2");
    ends_as_undisturbed(&stage, &second, since).await;
    stage.end().await;
}
