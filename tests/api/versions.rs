//! Which version runs, whatever happens meanwhile.

use std::sync::OnceLock;

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use modelship::{
    api::{ValidSpec, conditions},
    images::Digest,
    resources::{ChildKind, Owner, exporter::Sidecar, template},
};
use serde_json::{Map, Value, json};

use crate::{
    autoscaling::unmeasured,
    lifecycle::{repository, spec},
    support::{Kubelet, Operator, Options, Tap, World, eventually, kubelet, registry, world::setting},
};

#[tokio::test]
async fn a_push_while_the_controller_is_down_is_rolled_out_at_its_start() {
    let world = World::new("missed").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    operator.kill().await;
    let second = registry::push(&repository(&world), "latest", "2");
    let operator = Operator::start(&world);
    world.serves("churn", &second).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_restart_with_all_in_place_writes_nothing() {
    let world = World::new("restart").await;
    // What the autoscaler says must be the same before and after.
    let _alone = unmeasured(&world).await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut wanted = spec(&world);
    // With amounts that the server writes in another way, and every kind of child.
    wanted["server"] = json!({"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 2}}});
    wanted["autoscaling"] = json!({"min": 2, "max": 3});
    wanted["podTemplate"] = json!({"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}});
    world.apply("churn", wanted).await;
    world.serves("churn", &digest).await;
    eventually("two replicas", || async {
        let available = world.status("churn").await.available;
        if available.as_deref() == Some("2/2") { Ok(()) } else { Err(available) }
    })
    .await;
    world.condition("churn", conditions::SPEC_IN_EFFECT, "False", "WithoutEffect").await;
    operator.stop().await;
    let events = world.events("churn").await.len();
    let operator = Operator::start(&world);
    operator.at_rest(|| true).await;
    assert_eq!(operator.tap.writes(), []);
    assert_eq!(world.events("churn").await.len(), events);
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_pinned_model_runs_its_digest_until_the_pin_is_lifted() {
    let world = World::new("pin").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    let second = registry::push(&repository(&world), "latest", "2");
    world.serves("churn", &second).await;
    let mut pinned = spec(&world);
    pinned["image"]["pin"] = json!(first);
    world.apply("churn", pinned).await;
    world.serves("churn", &first).await;
    // Going back re-uses the stored template, and so the ReplicaSet.
    assert_eq!(world.replica_sets().await.len(), 2);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &second).await;
    assert_eq!(world.replica_sets().await.len(), 2);
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn without_auto_update_the_running_version_stays() {
    let world = World::new("manual").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut manual = spec(&world);
    manual["image"]["autoUpdate"] = json!(false);
    world.apply("churn", manual.clone()).await;
    world.serves("churn", &first).await;
    registry::push(&repository(&world), "latest", "2");
    // Another change of the spec is taken, the push is not.
    manual["service"] = json!({"port": 8000});
    world.apply("churn", manual).await;
    eventually("the new port", || async {
        let service = world.child(ChildKind::Service, "churn").await.unwrap_or_default();
        if service["spec"]["ports"][0]["port"] == 8000 { Ok(()) } else { Err(service) }
    })
    .await;
    registry_was_asked_again(&operator).await;
    world.serves("churn", &first).await;
    operator.stop().await;
    world.end().await;
}

/// Waits until the poller has asked once more: what it heard has had its chance to change something.
async fn registry_was_asked_again(operator: &Operator) {
    let heads = || {
        let page = operator.page();
        let head = page.lines().find(|line| line.contains(r#"method="HEAD""#) && line.contains(r#"code="200""#));
        head.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let before = heads();
    eventually("two more polls", || async { if heads() >= before + 2 { Ok(()) } else { Err(heads()) } }).await;
}

#[tokio::test]
async fn a_new_attestation_is_not_a_new_model() {
    let world = World::new("attest").await;
    let index = |n: &str| {
        let options = ["--answer", "1", "--platforms", "linux/amd64,linux/arm64", "--attestation", n];
        registry::push_with(&repository(&world), "latest", &options)
    };
    let first = index("1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    let moved = index("2");
    assert_ne!(first, moved, "the index itself did change");
    registry_was_asked_again(&operator).await;
    world.serves("churn", &first).await;
    assert_eq!(world.replica_sets().await.len(), 1);
    operator.stop().await;
    world.end().await;
}

/// The digest that no node can pull any more.
static COLLECTED: OnceLock<String> = OnceLock::new();

fn collected(image: &str) -> Value {
    if !COLLECTED.get().is_some_and(|gone| image.ends_with(gone)) {
        return kubelet::serving(image);
    }
    let words = format!("failed to pull and unpack image \"{image}\": failed to resolve reference: {image}: not found");
    json!({
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "model", "image": image, "imageID": "", "ready": false, "started": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": words}},
        }],
    })
}

#[tokio::test]
async fn an_identical_rebuild_takes_the_place_of_what_a_replica_cannot_pull_any_more() {
    let world = World::new("rebuilt").await;
    let index = |answer: &str, platforms: &str, n: &str| {
        let options = ["--answer", answer, "--platforms", platforms, "--attestation", n];
        registry::push_to(&setting("MODELSHIP_TEST_REGISTRY"), &repository(&world), "latest", &options)
    };
    let digest = |pushed: &Value| pushed["digest"].as_str().expect("a digest").to_owned();
    let first = digest(&index("1", "linux/amd64,linux/arm64", "1"));
    let kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    let second = digest(&index("1", "linux/amd64,linux/arm64", "2"));
    eventually("the same image to be known", || async {
        let status = world.status("churn").await;
        if status.same_image.as_ref() == Some(&second) { Ok(()) } else { Err(status.same_image) }
    })
    .await;
    drop(kubelet);
    COLLECTED.set(first.clone()).expect("set once");
    let _kubelet = Kubelet::start(&world, collected);
    let mut scaled = spec(&world);
    scaled["replicas"] = json!(2);
    world.apply("churn", scaled).await;
    let status = world.serves("churn", &second).await;
    assert!(conditions::find(&status.conditions, conditions::IMAGE_PULLABLE).is_none(), "{:?}", status.conditions);
    // The only image in an index is pulled by its own digest, which outlives the index.
    let third = index("2", "linux/amd64", "1");
    world.serves("churn", &digest(&third)).await;
    let deployment = world.child(ChildKind::Deployment, "churn").await.expect("a Deployment");
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("an image");
    assert!(image.ends_with(third["platforms"]["linux/amd64"].as_str().expect("a digest")), "{image} of {third}");
    operator.stop().await;
    let told = world.events("churn").await;
    let moved = told.iter().find(|(reason, _)| reason == "SameImage");
    assert!(moved.is_some_and(|(_, words)| words.contains("can no longer be pulled")), "{told:?}");
    world.end().await;
}

#[tokio::test]
async fn deletion_in_the_middle_of_a_roll_out_leaves_nothing() {
    let world = World::new("gone").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    // The next version never becomes ready.
    drop(kubelet);
    registry::push(&repository(&world), "latest", "2");
    world.condition("churn", conditions::PROGRESSING, "True", "*").await;
    let models: Api<modelship::api::StoredModelDeployment> = world.api();
    models.delete("churn", &DeleteParams::foreground()).await.expect("deleted");
    eventually("everything to be gone", || async {
        let mut left = Vec::new();
        for kind in ChildKind::CORE {
            left.extend(world.list(kind).await.iter().map(ResourceExt::name_any));
        }
        let model = models.get_opt("churn").await.expect("an answer");
        if left.is_empty() && model.is_none() { Ok(()) } else { Err(left) }
    })
    .await;
    operator.stop().await;
    world.end().await;
}

/// Stands in for a later release, whose templates have a label more.
fn later_release(
    owner: &Owner,
    spec: &ValidSpec,
    digest: &Digest,
    sidecar: &Sidecar,
    profile: &Map<String, Value>,
) -> Value {
    let mut rendered = template::render(owner, spec, digest, sidecar, profile);
    rendered["metadata"]["labels"]["example.org/later"] = json!("true");
    rendered
}

#[tokio::test]
async fn an_upgrade_of_modelship_restarts_nothing_until_the_next_roll_out() {
    let world = World::new("upgrade").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    operator.stop().await;

    let tap = Tap::default();
    let options = Options { tap: tap.clone(), render: later_release, ..Options::default() };
    let operator = Operator::start_with(&world, options);
    registry_was_asked_again(&operator).await;
    assert_eq!(world.replica_sets().await.len(), 1);
    assert_eq!(tap.writes(), []);
    let second = registry::push(&repository(&world), "latest", "2");
    world.serves("churn", &second).await;
    let deployment = world.child(ChildKind::Deployment, "churn").await.expect("a Deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["example.org/later"], "true", "the new shape comes with the next roll-out");
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn another_tag_that_does_not_exist_is_told_and_the_old_version_serves_on() {
    let world = World::new("notag").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    let mut other = spec(&world);
    other["image"]["follow"] = json!({"tag": "v2"});
    world.apply("churn", other).await;
    let status = world.condition("churn", conditions::READY, "False", "TagNotFound").await;
    assert_eq!(status.stable.map(|stable| stable.digest), Some(first));
    assert_eq!(status.tag.as_deref(), Some("latest"), "the tag that what runs came from");
    world.condition("churn", conditions::AVAILABLE, "True", "*").await;
    // Pushing it heals.
    let second = registry::push(&repository(&world), "v2", "2");
    let status = world.serves("churn", &second).await;
    assert_eq!(status.tag.as_deref(), Some("v2"));
    operator.stop().await;
    world.end().await;
}

/// With the strategy that stops the old version first, and a digest that nobody has pushed.
#[tokio::test]
async fn a_mistyped_pin_stops_nothing_and_its_correction_is_taken() {
    let world = World::new("nopin").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut pinned = spec(&world);
    pinned["rollout"] = json!({"strategy": "Recreate"});
    world.apply("churn", pinned.clone()).await;
    world.serves("churn", &first).await;
    let second = registry::push(&repository(&world), "candidate", "2");
    pinned["image"]["pin"] = json!(format!("sha256:{}", "0".repeat(64)));
    world.apply("churn", pinned.clone()).await;
    let status = world.condition("churn", conditions::READY, "False", "NotInMirror").await;
    assert_eq!(status.stable.and_then(|stable| stable.tag).as_deref(), Some("latest"));
    assert_eq!(status.candidate, None);
    world.condition("churn", conditions::AVAILABLE, "True", "*").await;
    assert_eq!(world.replica_sets().await.len(), 1, "nothing was rolled out");
    pinned["image"]["pin"] = json!(second);
    world.apply("churn", pinned).await;
    let status = world.serves("churn", &second).await;
    assert_eq!(status.stable.and_then(|stable| stable.tag), None, "no tag that is followed has named it");
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_model_that_never_gets_ready_is_stuck_and_the_old_version_serves_on() {
    let world = World::new("stuck").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut impatient = spec(&world);
    impatient["rollout"] = json!({"deadline": "5s"});
    world.apply("churn", impatient.clone()).await;
    world.serves("churn", &first).await;
    drop(kubelet);
    let _kubelet = Kubelet::start(&world, kubelet::crashing);
    registry::push(&repository(&world), "latest", "2");
    let status = world.condition("churn", conditions::STALLED, "True", "CrashLooping").await;
    assert_eq!(status.stable.map(|stable| stable.digest), Some(first.clone()));
    assert!(status.candidate.is_some());
    world.condition("churn", conditions::AVAILABLE, "True", "*").await;
    world.condition("churn", conditions::READY, "False", "CrashLooping").await;
    // A person's pin wins over the unfinished roll-out at once.
    impatient["image"]["pin"] = json!(first);
    world.apply("churn", impatient).await;
    world.serves("churn", &first).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn scaling_by_the_scale_subresource_reaches_the_deployment() {
    let world = World::new("scalesub").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let models: Api<modelship::api::StoredModelDeployment> = world.api();
    let patch = json!({"spec": {"replicas": 3}});
    models.patch_scale("churn", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("scaled");
    eventually("three replicas", || async {
        let status = world.status("churn").await;
        if status.replicas == Some(3) && status.available.as_deref() == Some("3/3") { Ok(()) } else { Err(status) }
    })
    .await;
    operator.stop().await;
    world.end().await;
}
