//! `modelship wait` follows a model until there is a verdict.

use std::process::{Output, Stdio};

use modelship::api::conditions;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::{
    lifecycle::{repository, spec},
    support::{
        Kubelet, Operator, World, audit, eventually, kubelet, registry,
        world::{CRD_UNCHANGED, setting},
    },
};

fn wait(world: &World, arguments: &[&str]) -> Child {
    wait_by(world, arguments, &[])
}

fn wait_by(world: &World, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelship"));
    command.args(["wait", "churn", "--namespace", &world.namespace]).args(arguments);
    command.env("KUBECONFIG", setting("MODELSHIP_TEST_KUBECONFIG")).env("DOCKER_CONFIG", "/nowhere");
    command
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("modelship starts")
}

async fn end(child: Child) -> (i32, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().await.expect("an end");
    (status.code().expect("an exit code"), String::from_utf8([stdout, stderr].concat()).expect("text"))
}

/// How often the models of the namespace were listed, but for the operator's lists.
fn lists(world: &World) -> usize {
    let by_others = audit::entries(&world.namespace).into_iter().filter(|entry| !entry.impersonated());
    by_others.filter(|entry| entry.resource() == "modeldeployments" && entry.verb() == "list").count()
}

/// The operator has a thread of its own: the test reads the audit log, which may be long, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_ends_once_users_get_the_version_and_has_listed_the_model_once() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("waits").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    // Its digest is known by the commit's tag, before the tag that is followed moves.
    let second = registry::push(&repository(&world), "commit", "2");
    assert_eq!(lists(&world), 0);
    let waiting = wait(&world, &["--digest", &second, "--timeout", "60s"]);
    eventually("the wait to look", || async { if lists(&world) > 0 { Ok(()) } else { Err("not yet") } }).await;
    assert_eq!(registry::push(&repository(&world), "latest", "2"), second);
    let (code, told) = end(waiting).await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains(&format!("modeldeployment.modelship.dev/churn serves {second}")), "{told}");
    assert!(told.contains("the cluster has not seen it yet"), "{told}");
    assert_eq!(lists(&world), 1);
    // The version before is not what users get any more, and does not come back by itself.
    let (code, told) = end(wait(&world, &["--digest", &first, "--timeout", "1s"])).await;
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("after 1s, churn does not serve"), "{told}");
    let (code, told) = end(wait(&world, &["--tag", "latest"])).await;
    assert_eq!(code, 0, "{told}");
    operator.stop().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_push_that_the_cluster_has_not_seen_yet_is_what_is_waited_for() {
    let world = World::new("pushed").await;
    let host = setting("MODELSHIP_TEST_REGISTRY").trim_start_matches("http://").to_owned();
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut spec = spec(&world);
    spec["image"] = json!({"repository": format!("{host}/{}", repository(&world)), "pollInterval": "15s"});
    world.apply("churn", spec).await;
    world.serves("churn", &first).await;
    let second = registry::push(&repository(&world), "latest", "2");
    let (code, told) = end(wait(&world, &["--timeout", "90s"])).await;
    assert_eq!(code, 0, "{told}");
    let name = format!("{host}/{}:latest", repository(&world));
    assert!(told.contains(&format!("churn serves {second}, which {name} holds")), "{told}");
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_version_that_is_stuck_ends_it_with_the_reason() {
    let world = World::new("stuck-wait").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::crashing);
    let operator = Operator::start(&world);
    let mut spec = spec(&world);
    spec["rollout"] = json!({"deadline": "5s"});
    world.apply("churn", spec).await;
    // The deadline may pass before the crash is known, and the version would then be stuck for another reason.
    world.condition("churn", conditions::READY, "False", "CrashLooping").await;
    let (code, told) = end(wait(&world, &["--digest", &digest, "--timeout", "60s"])).await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(&format!("churn does not get {digest}: CrashLooping: ")), "{told}");
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn the_cluster_is_asked_by_a_proxy_unless_it_is_excepted() {
    let world = World::new("behind-a-proxy").await;
    // Nothing listens there.
    let proxy = ("HTTPS_PROXY", "http://127.0.0.1:9");
    let (code, told) = end(wait_by(&world, &["--timeout", "2s"], &[proxy])).await;
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("the cluster does not answer"), "{told}");
    let (code, told) = end(wait_by(&world, &["--timeout", "60s"], &[proxy, ("NO_PROXY", "127.0.0.1")])).await;
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("there is no ModelDeployment 'churn'"), "{told}");
    world.end().await;
}

#[tokio::test]
async fn without_the_model_there_is_nothing_to_wait_for() {
    let world = World::new("nobody").await;
    let (code, told) = end(wait(&world, &["--timeout", "60s"])).await;
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("there is no ModelDeployment 'churn'"), "{told}");
    world.end().await;
}
