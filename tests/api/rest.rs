//! At rest it costs nothing: no read and no write but watches and the lease, by the API server's own audit log.
//!
//! The operator has a thread of its own here: it would lose its lease while a long log is read again and again.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;
use modelship::api::conditions;
use serde_json::json;

use crate::{
    lifecycle::{repository, spec},
    support::{
        Kubelet, Operator, Options, World, audit, eventually, kubelet, registry,
        world::{CRD_UNCHANGED, setting},
    },
};

/// Two minutes; shorter windows are for work on this test alone.
fn window() -> Duration {
    let seconds = std::env::var("MODELSHIP_TEST_REST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    Duration::from_secs(seconds)
}

/// Requests of an operator that began within a span of time, watches and the lease left out, by verb and resource.
fn requests(user: &str, from: Timestamp, to: Timestamp) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in audit::entries(user) {
        if (from..=to).contains(&entry.at()) && entry.verb() != "watch" && entry.resource() != "leases" {
            *counts.entry(format!("{} {}", entry.verb(), entry.resource())).or_default() += 1;
        }
    }
    counts
}

async fn at_rest(world: &World, operator: Operator) {
    let _unchanged = CRD_UNCHANGED.read().await;
    let user = format!("operator-{}", world.namespace);
    // What the last change still causes is over when nothing was asked for three seconds.
    let quiet = Duration::from_secs(3);
    eventually("the operator to come to rest", || async {
        let now = Timestamp::now();
        let recent = requests(&user, now - quiet, now);
        if recent.is_empty() { Ok(()) } else { Err(recent) }
    })
    .await;
    let from = Timestamp::now();
    tokio::time::sleep(window()).await;
    let counted = requests(&user, from, Timestamp::now());
    assert!(!requests(&user, Timestamp::UNIX_EPOCH, from).is_empty(), "the audit log knows this operator");
    assert_eq!(counted, BTreeMap::new(), "{user} made requests at rest");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_healthy_model_costs_no_request() {
    let world = World::new("resthealthy").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    at_rest(&world, operator).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_private_model_costs_no_request() {
    let world = World::new("restprivate").await;
    let url = setting("MODELSHIP_TEST_PRIVATE_REGISTRY");
    let pushed =
        registry::push_to(&url, &repository(&world), "latest", &["--answer", "1", "--user", "alice:open-sesame"]);
    let host = url.trim_start_matches("http://");
    let config = json!({"auths": {host: {"username": "alice", "password": "open-sesame"}}}).to_string();
    let secret = serde_json::from_value(json!({
        "metadata": {"name": "hub"}, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config},
    }))
    .expect("a Secret");
    let secrets = world.api::<k8s_openapi::api::core::v1::Secret>();
    secrets.create(&Default::default(), &secret).await.expect("created");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let image = json!({"repository": format!("{host}/{}", repository(&world)), "pollInterval": "5s", "pullSecrets": [{"name": "hub"}]});
    world.apply("churn", json!({"image": image})).await;
    world.serves("churn", pushed["digest"].as_str().expect("a digest")).await;
    at_rest(&world, operator).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_registry_costs_no_request() {
    let world = World::new("restdead").await;
    let away = Options { docker_hub: "http://127.0.0.1:9".into(), ..Options::default() };
    let operator = Operator::start_with(&world, away);
    world.apply("churn", spec(&world)).await;
    world.condition("churn", conditions::READY, "False", "RegistryUnreachable").await;
    at_rest(&world, operator).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_crash_looping_model_costs_no_request() {
    let world = World::new("restcrash").await;
    registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::crashing);
    let operator = Operator::start(&world);
    let mut impatient = spec(&world);
    impatient["rollout"] = json!({"deadline": "5s"});
    world.apply("churn", impatient).await;
    world.condition("churn", conditions::STALLED, "True", "CrashLooping").await;
    at_rest(&world, operator).await;
    world.end().await;
}
