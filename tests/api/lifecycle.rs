//! From the first apply to later versions, undisturbed.

use modelship::resources::ChildKind;
use serde_json::{Value, json};

use crate::support::{Kubelet, Operator, World, eventually, kubelet, registry};

/// A spec that follows `alice/<namespace>:latest`, so that no two tests share a tag.
pub fn spec(world: &World) -> Value {
    json!({"image": {"repository": repository(world), "pollInterval": "5s"}})
}

pub fn repository(world: &World) -> String {
    format!("alice/{}", world.namespace)
}

#[tokio::test]
async fn a_model_gets_its_children_and_serves_its_digest() {
    let world = World::new("first").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.serves("churn", &digest).await;
    assert_eq!(status.url.as_deref(), Some(format!("http://churn.{}.svc/invocations", world.namespace).as_str()));
    assert_eq!(status.available.as_deref(), Some("1/1"));
    let deployment = world.child(ChildKind::Deployment, "churn").await.expect("a Deployment");
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("an image");
    assert_eq!(image, format!("docker.io/{}@{digest}", repository(&world)));
    assert_eq!(deployment["metadata"]["ownerReferences"][0]["kind"], "ModelDeployment");
    let service = world.child(ChildKind::Service, "churn").await.expect("a Service");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    // An event comes after the status that it tells of; the end waits for it.
    operator.stop().await;
    let reasons: Vec<String> = world.events("churn").await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["Deploying", "Serving"]);
    world.end().await;
}

#[tokio::test]
async fn the_next_push_under_the_same_tag_rolls_out() {
    let world = World::new("push").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    let second = registry::push(&repository(&world), "latest", "2");
    let status = world.serves("churn", &second).await;
    let digests: Vec<&str> = status.history.iter().map(|past| past.digest.as_str()).collect();
    assert_eq!(digests, [second.as_str(), first.as_str()]);
    assert_eq!(world.replica_sets().await.len(), 2);
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_network_policy_comes_and_goes_without_a_roll_out() {
    let world = World::new("shield").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut wanted = spec(&world);
    wanted["service"] = json!({"networkPolicy": true});
    world.apply("churn", wanted).await;
    world.serves("churn", &digest).await;
    let policy = world.child(ChildKind::NetworkPolicy, "churn").await.expect("a NetworkPolicy");
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"], json!({"modelship.dev/model": "churn"}));
    let open = &policy["spec"]["ingress"][0];
    assert_eq!((&open["from"], &open["ports"][0]["port"]), (&Value::Null, &json!(9800)), "users get in from anywhere");
    world.apply("churn", spec(&world)).await;
    eventually("the policy to go", || async {
        world.child(ChildKind::NetworkPolicy, "churn").await.map_or(Ok(()), Err)
    })
    .await;
    assert_eq!(world.replica_sets().await.len(), 1);
    operator.stop().await;
    world.end().await;
}
