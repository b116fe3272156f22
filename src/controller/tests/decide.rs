use serde_json::json;

use super::{
    world::{World, orphans},
    *,
};
use crate::rollout::fixtures::{NAME, PodOf, REPOSITORY, Rollout, built_for, digest, image, pushed, unreachable};

fn number(workload: &Workload) -> i64 {
    workload.revision.body["revision"].as_i64().unwrap()
}

fn template_of(workload: &Workload) -> &Value {
    &workload.deployment.body["spec"]["template"]
}

fn image_in(template: &Value) -> &str {
    template["spec"]["containers"][0]["image"].as_str().unwrap()
}

/// The image in the `number`th push, which its pods pull.
fn image_within(number: u8) -> String {
    format!("{REPOSITORY}@{}", pushed(number).platforms[0].1)
}

/// A later release of Modelship, whose pods have one label more.
fn later_release(
    owner: &Owner,
    spec: &ValidSpec,
    digest: &Digest,
    sidecar: &Sidecar,
    profile: &Map<String, Value>,
) -> Value {
    let mut rendered = template::render(owner, spec, digest, sidecar, profile);
    rendered["metadata"]["labels"]["cellar"] = json!("cool");
    rendered
}

/// A release from before stored templates had no track, and before replicas of one template were spread by themselves.
fn earlier_release(
    owner: &Owner,
    spec: &ValidSpec,
    digest: &Digest,
    sidecar: &Sidecar,
    profile: &Map<String, Value>,
) -> Value {
    let mut rendered = template::render(owner, spec, digest, sidecar, profile);
    rendered["metadata"]["labels"] = json!(owner.labels());
    let spread = &mut rendered["spec"]["topologySpreadConstraints"][0];
    spread["labelSelector"]["matchLabels"] = json!(owner.selector());
    spread.as_object_mut().unwrap().remove("matchLabelKeys");
    rendered
}

#[test]
fn without_a_known_version_there_is_a_service_and_no_workload() {
    let plan = World::new(json!({})).plan();
    assert_eq!((plan.service.kind, plan.service.name.as_str()), (ChildKind::Service, NAME));
    assert!(plan.workload.is_none() && plan.orphans.is_empty());
    assert_eq!(plan.progress, Progress::NotStarted);
}

#[test]
fn the_template_that_is_stored_is_the_one_that_is_deployed_and_pinned_by_digest() {
    let mut world = World::new(json!({}));
    world.push(pushed(1));
    let workload = world.plan().workload.unwrap();
    assert_eq!(workload.image, format!("{REPOSITORY}@{}", digest(1)));
    let mut deployed = template_of(&workload).clone();
    let track = deployed["metadata"]["labels"].as_object_mut().unwrap().remove(names::TRACK);
    assert_eq!((track, &deployed), (Some(json!("stable")), &workload.revision.body["data"]["template"]));
    assert_eq!(image_in(template_of(&workload)), image_within(1));
    assert_eq!((number(&workload), workload.hand_over), (1, None));
}

#[test]
fn a_new_version_gets_the_next_number_and_the_same_one_keeps_its_own() {
    let mut world = World::serving(json!({}));
    assert_eq!(number(&world.plan().workload.unwrap()), 1);
    world.push(pushed(2));
    world.turn();
    let workload = world.plan().workload.unwrap();
    assert_eq!((number(&workload), image_in(template_of(&workload))), (2, image_within(2).as_str()));
    assert_eq!(world.names(ChildKind::ControllerRevision).len(), 2);
}

#[test]
fn what_the_registry_said_of_a_version_is_stored_with_its_template_and_read_after_a_restart() {
    let mut world = World::new(json!({}));
    let image = built_for(1, &["linux/amd64", "linux/arm/v7"]);
    world.push(image.clone());
    world.turn();
    let stored = world.observe().stored(REPOSITORY);
    assert_eq!(stored.iter().map(|details| (**details).clone()).collect::<Vec<_>>(), [image]);
    assert_eq!(world.observe().stored("docker.io/another/one"), []);
}

#[test]
fn what_is_stored_of_a_version_counts_only_as_a_whole() {
    let spoilt: [fn(&mut Value); 4] = [
        |data| drop(data.as_object_mut().unwrap().remove("platforms")),
        |data| data["platforms"][0][0] = json!("no platform"),
        |data| data["platforms"][0][1] = json!("no digest"),
        |data| data["labels"] = json!("of a later release"),
    ];
    for spoil in spoilt {
        let mut world = World::new(json!({}));
        world.push(pushed(1));
        world.turn();
        let name = world.names(ChildKind::ControllerRevision)[0].to_owned();
        world.edit(ChildKind::ControllerRevision, &name, |revision| spoil(&mut revision["data"]));
        assert_eq!(world.observe().stored(REPOSITORY), []);
    }
}

#[test]
fn a_return_to_an_earlier_version_raises_its_number_and_uses_its_template() {
    let mut world = World::serving(json!({}));
    let first = world.plan().workload.unwrap();
    world.push(pushed(2));
    world.turn();
    world.serve(2);
    world.push(pushed(1));
    world.render = later_release;
    let again = world.plan().workload.unwrap();
    assert_eq!((number(&again), &again.revision.name), (3, &first.revision.name));
    assert_eq!(template_of(&again), template_of(&first));
    world.turn();
    assert_eq!(number(&world.plan().workload.unwrap()), 3, "raised once");
    assert_eq!(world.names(ChildKind::ControllerRevision).len(), 2);
}

#[test]
fn a_later_release_deploys_the_stored_template_until_an_input_changes() {
    let mut world = World::serving(json!({}));
    let before = world.plan().workload.unwrap();
    world.render = later_release;
    let after = world.plan().workload.unwrap();
    assert_eq!(after.deployment, before.deployment, "an upgrade of Modelship restarts nothing");
    assert_eq!(after.revision, before.revision);
    world.push(pushed(2));
    let next = world.plan().workload.unwrap();
    assert_eq!(template_of(&next)["metadata"]["labels"]["cellar"], "cool", "the new shape comes with the next version");
}

#[test]
fn a_template_that_an_earlier_release_stored_with_its_track_is_deployed_and_kept_as_it_is() {
    let mut world = World::new(json!({}));
    world.render = earlier_release;
    world.push(pushed(1));
    world.turn();
    world.serve(1);
    let name = world.names(ChildKind::ControllerRevision)[0].to_owned();
    let stored = world.object(ChildKind::ControllerRevision, &name)["data"].clone();
    assert_eq!(stored["template"]["metadata"]["labels"][names::TRACK], "stable");
    let before = world.plan().workload.unwrap();
    world.render = template::render;
    let after = world.plan().workload.unwrap();
    assert_eq!((&after.deployment, &after.revision), (&before.deployment, &before.revision));
    assert_eq!(template_of(&after), &stored["template"], "its pods stay as they are");
    // Its number is raised, and nothing else may change.
    world.push(pushed(2));
    world.turn();
    world.push(pushed(1));
    world.turn();
    let again = world.object(ChildKind::ControllerRevision, &name);
    assert_eq!((&again["data"], &again["revision"]), (&stored, &json!(3)));
}

#[test]
fn what_another_release_has_stored_with_a_template_is_kept() {
    let mut world = World::serving(json!({}));
    let name = world.names(ChildKind::ControllerRevision)[0].to_owned();
    world.edit(ChildKind::ControllerRevision, &name, |stored| stored["data"]["cellar"] = json!({"deep": true}));
    let revision = world.plan().workload.unwrap().revision;
    assert_eq!(revision.body["data"]["cellar"]["deep"], true, "its data may not change, and it would be refused");
}

#[test]
fn what_does_not_shape_the_pod_makes_no_new_template() {
    let mut world = World::serving(json!({}));
    let before = world.plan().workload.unwrap();
    for fields in [
        json!({"service": {"port": 8000}}),
        json!({"replicas": 4}),
        json!({"rollout": {"deadline": "1h", "strategy": "Recreate"}}),
        json!({"image": {"pollInterval": "5m"}}),
        json!({"image": {"autoUpdate": false}}),
        json!({"image": {"pin": digest(1)}}),
        json!({"image": {"repository": "docker.io/vintner/wine-quality"}}),
    ] {
        world.change(fields.clone());
        let after = world.plan().workload.unwrap();
        assert_eq!(after.revision, before.revision, "{fields}");
        assert_eq!(template_of(&after), template_of(&before), "{fields}");
    }
}

#[test]
fn whatever_shapes_the_pod_makes_a_new_template() {
    let mut world = World::serving(json!({}));
    let before = world.plan().workload.unwrap();
    for fields in [
        json!({"server": {"timeout": "90s"}}),
        json!({"server": {"env": [{"name": "BARREL", "value": "oak"}]}}),
        json!({"image": {"pullSecrets": [{"name": "cellar-key"}]}}),
        json!({"podTemplate": {"spec": {"nodeSelector": {"grape": "riesling"}}}}),
    ] {
        world.change(fields.clone());
        let after = world.plan().workload.unwrap();
        assert_ne!(after.revision.name, before.revision.name, "{fields}");
        assert_ne!(template_of(&after), template_of(&before), "{fields}");
        assert_eq!(number(&after), 2);
    }
}

#[test]
fn five_templates_are_kept_and_always_the_wanted_one() {
    let mut world = World::serving(json!({}));
    let first = world.names(ChildKind::ControllerRevision)[0].to_owned();
    for push in 2..=6 {
        world.push(pushed(push));
        world.turn();
        let pruned = (push == 6).then_some(first.as_str());
        assert_eq!(world.names(ChildKind::ControllerRevision).contains(&first.as_str()), pruned.is_none(), "{push}");
        world.serve(push);
    }
    assert_eq!(world.names(ChildKind::ControllerRevision).len(), revision::LIMIT);
    assert!(world.plan().orphans.is_empty());
}

#[test]
fn the_template_of_what_users_get_is_kept_for_its_name_and_one_of_its_image_is_enough() {
    let mut world = World::serving(json!({}));
    let first = world.names(ChildKind::ControllerRevision)[0].to_owned();
    for push in 2..=9 {
        world.push(pushed(push));
        world.turn();
        world.rollout(&Rollout::introducing(1));
        let mut serves = PodOf::ready(1).json("grape-scorer-0");
        serves["spec"]["containers"][1]["image"] = json!(image_within(1));
        world.pods_as_stored(vec![serves]);
        let stable = world.turn().status.stable.unwrap();
        assert_eq!(stable.digest, digest(1).as_str(), "{push}");
    }
    assert!(world.names(ChildKind::ControllerRevision).contains(&first.as_str()));
    assert_eq!(world.names(ChildKind::ControllerRevision).len(), revision::LIMIT + 1);
    for workers in 2..=9 {
        world.change(json!({"server": {"workers": workers}}));
        world.turn();
        world.serve(9);
    }
    assert_eq!(world.names(ChildKind::ControllerRevision).len(), revision::LIMIT);
}

#[test]
fn a_return_to_the_oldest_kept_template_prunes_none() {
    let mut world = World::serving(json!({}));
    for push in 2..=5 {
        world.push(pushed(push));
        world.turn();
    }
    world.push(pushed(1));
    let plan = world.plan();
    assert_eq!(orphans(&plan), []);
    assert_eq!(number(plan.workload.as_ref().unwrap()), 6);
}

#[test]
fn while_no_version_is_known_nothing_is_pruned() {
    let mut world = World::serving(json!({}));
    for push in 2..=5 {
        world.push(pushed(push));
        world.turn();
    }
    world.change(json!({"image": {"repository": "ghcr.io/vintner/other"}}));
    world.seen = Observation { problem: Some(unreachable()), ..Observation::default() };
    let plan = world.plan();
    assert!(plan.workload.is_none() && plan.orphans.is_empty());
}

#[test]
fn what_was_decided_is_gone_on_with_after_a_crash_and_with_the_registry_away() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    let workload = world.plan().workload.unwrap();
    // The template was stored; then the controller died, before the Deployment.
    world.turn();
    let old = world.object(ChildKind::Deployment, NAME).clone();
    world.edit(ChildKind::Deployment, NAME, |live| {
        *live = old;
        live["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image(1));
    });
    world.seen = Observation { problem: Some(unreachable()), ..Observation::default() };
    let again = world.plan().workload.unwrap();
    assert_eq!((again.image, again.revision), (workload.image, workload.revision));
}

#[test]
fn an_image_that_was_edited_by_hand_is_not_what_runs() {
    let mut world = World::serving(json!({}));
    world.edit(ChildKind::Deployment, NAME, |live| {
        live["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image(7));
    });
    world.seen = Observation::default();
    assert_eq!(world.plan().workload.unwrap().image, image(1));
}

#[test]
fn replicas_are_sent_only_when_they_are_set() {
    let replicas = |fields| {
        let mut world = World::new(fields);
        world.push(pushed(1));
        world.plan().workload.unwrap().deployment.body["spec"].get("replicas").cloned()
    };
    let cpu = json!({"resources": {"requests": {"cpu": "1"}}});
    assert_eq!(replicas(json!({})), None);
    assert_eq!(replicas(json!({"replicas": 0})), Some(json!(0)));
    assert_eq!(replicas(json!({"autoscaling": {"max": 3}, "server": cpu})), None);
}

#[test]
fn the_live_number_of_replicas_is_handed_over_when_modelship_stops_sending_it() {
    let server = json!({"resources": {"requests": {"cpu": "1"}}});
    for fields in [json!({"server": server}), json!({"server": server, "autoscaling": {"min": 2, "max": 9}})] {
        let mut world = World::serving(json!({"replicas": 5, "server": server}));
        assert_eq!(world.plan().workload.unwrap().hand_over, None);
        world.change(fields);
        assert_eq!(world.plan().workload.unwrap().hand_over, Some(5));
        world.turn();
        assert_eq!(world.plan().workload.unwrap().hand_over, None, "handed over once");
        assert_eq!(world.object(ChildKind::Deployment, NAME)["spec"]["replicas"], 5);
    }
}

#[test]
fn replicas_that_were_never_sent_are_not_handed_over() {
    let mut world = World::serving(json!({}));
    world.rollout(&Rollout::complete(4));
    assert_eq!(world.plan().workload.unwrap().hand_over, None);
    world.change(json!({"replicas": 2}));
    assert_eq!(world.plan().workload.unwrap().hand_over, None);
}

#[test]
fn a_budget_and_an_autoscaler_that_are_switched_off_are_orphans() {
    let server = json!({"resources": {"requests": {"cpu": "1"}}});
    let mut world = World::serving(json!({"server": server, "autoscaling": {"min": 2, "max": 3}}));
    assert!(world.plan().budget.is_some() && world.plan().autoscaler.is_some());
    world.change(json!({"server": server, "autoscaling": {"min": 1, "max": 3}}));
    assert_eq!(orphans(&world.plan()), [(ChildKind::PodDisruptionBudget, NAME)]);
    world.change(json!({"server": server, "replicas": 2}));
    assert_eq!(orphans(&world.plan()), [(ChildKind::HorizontalPodAutoscaler, NAME)]);
    world.change(json!({"server": server}));
    assert_eq!(
        orphans(&world.plan()),
        [(ChildKind::PodDisruptionBudget, NAME), (ChildKind::HorizontalPodAutoscaler, NAME)]
    );
    world.turn();
    assert!(world.plan().orphans.is_empty());
}

#[test]
fn a_network_policy_comes_and_goes_and_the_pods_stay_as_they_are() {
    let mut world = World::serving(json!({}));
    let template = world.plan().workload.unwrap().revision.name;
    assert_eq!(world.plan().network_policy, None);
    world.change(json!({"service": {"networkPolicy": true}}));
    assert!(world.plan().network_policy.is_some());
    world.turn();
    world.change(json!({"service": {"networkPolicy": true}, "exporter": {"enabled": false}}));
    assert!(orphans(&world.plan()).contains(&(ChildKind::NetworkPolicy, NAME)), "the one port is for users");
    world.change(json!({"service": {"networkPolicy": false}}));
    assert_eq!(orphans(&world.plan()), [(ChildKind::NetworkPolicy, NAME)]);
    assert_eq!(world.plan().workload.unwrap().revision.name, template);
}

#[test]
fn what_is_being_deleted_is_not_deleted_again() {
    let mut world = World::serving(json!({"replicas": 2}));
    world.change(json!({"replicas": 1}));
    assert_eq!(world.plan().orphans.len(), 1);
    world.edit(ChildKind::PodDisruptionBudget, NAME, |live| {
        live["metadata"]["deletionTimestamp"] = json!("2026-03-01T00:00:00Z");
    });
    assert!(world.plan().orphans.is_empty());
}

#[test]
fn a_namesake_of_another_owner_is_neither_ours_nor_an_orphan() {
    let mut world = World::serving(json!({"replicas": 2}));
    for kind in [ChildKind::PodDisruptionBudget, ChildKind::Deployment] {
        world.edit(kind, NAME, |live| live["metadata"]["ownerReferences"][0]["uid"] = json!("somebody-else"));
    }
    world.change(json!({"replicas": 1}));
    let plan = world.plan();
    assert!(plan.orphans.is_empty());
    assert_eq!(plan.progress, Progress::NotStarted, "their Deployment says nothing of ours");
}

#[test]
fn what_no_release_of_ours_names_so_is_kept_whoever_owns_it() {
    let mut world = World::serving(json!({"replicas": 2, "service": {"networkPolicy": true}}));
    let watched = json!({"monitoring": {"enabled": false}, "exporter": {"enabled": false}});
    let strangers = [
        (ChildKind::ConfigMap, "grape-scorer-exporter", "grape-scorer-versions"),
        (ChildKind::Service, "grape-scorer-metrics", "grape-scorer-candidate"),
        (ChildKind::PodDisruptionBudget, NAME, "grape-scorer-candidate"),
        (ChildKind::NetworkPolicy, NAME, "grape-scorer-candidate"),
    ];
    for (kind, name, other) in strangers {
        world.copy(kind, name, other);
    }
    assert_eq!(orphans(&world.plan()), [], "a later release may have made them");
    world.change(watched);
    let unwanted = orphans(&world.plan()).into_iter().map(|(kind, name)| (kind, name.to_owned())).collect::<Vec<_>>();
    for (kind, name, other) in strangers {
        assert!(unwanted.contains(&(kind, name.to_owned())), "{kind} {name}");
        assert!(!unwanted.contains(&(kind, other.to_owned())), "{kind} {other}");
    }
}

#[test]
fn children_that_have_lost_their_owner_are_ours_and_are_gone_on_with() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.serve(2);
    let before = world.plan();
    let all = world.everything();
    for (kind, name) in &all {
        world.edit(*kind, name, |live| drop(live["metadata"].as_object_mut().unwrap().remove("ownerReferences")));
    }
    world.seen = Observation::default();
    let after = world.plan();
    let workload = after.workload.as_ref().expect("the stored template says what runs");
    assert_eq!((&workload.image, number(workload)), (&image(2), 2));
    assert_eq!(template_of(workload), template_of(before.workload.as_ref().unwrap()), "no pod is restarted");
    assert_eq!((&after.progress, world.observe().live.len()), (&Progress::Complete, all.len()));
    assert_eq!(orphans(&after), []);
}

#[test]
fn what_lacks_our_hash_or_bears_a_name_that_we_give_to_nothing_is_not_taken_for_ours() {
    let mut world = World::serving(json!({}));
    world.copy(ChildKind::ConfigMap, "grape-scorer-exporter", "grape-scorer-tasting");
    for (kind, name) in [(ChildKind::Deployment, NAME), (ChildKind::ConfigMap, "grape-scorer-tasting")] {
        world.edit(kind, name, |live| drop(live["metadata"].as_object_mut().unwrap().remove("ownerReferences")));
    }
    world.edit(ChildKind::Deployment, NAME, |live| live["metadata"]["annotations"] = json!({}));
    let found = world.observe();
    assert!(found.deployment.is_none(), "a user's own may bear our labels");
    assert!(found.live.iter().all(|live| live.name != "grape-scorer-tasting"));
}

#[test]
fn a_deployment_with_the_wanted_image_and_another_template_is_still_to_be_rolled() {
    let mut world = World::serving(json!({}));
    assert_eq!(world.plan().progress, Progress::Complete);
    world.change(json!({"server": {"env": [{"name": "BARREL", "value": "oak"}]}}));
    assert_eq!(world.plan().progress, Progress::Rolling { why: None });
    world.turn();
    world.rollout(&Rollout::introducing(1));
    world.pods(&[PodOf::ready(1), PodOf::new(1)]);
    assert_eq!(world.plan().progress, Progress::Rolling { why: None });
    world.rollout(&Rollout::complete(1));
    assert_eq!(world.plan().progress, Progress::Complete);
}

#[test]
fn the_same_facts_give_the_same_plan() {
    let world = World::serving(json!({"replicas": 3}));
    assert_eq!(format!("{:?}", world.plan()), format!("{:?}", world.plan()));
}

#[test]
fn an_image_for_nodes_that_an_autoscaler_has_yet_to_bring_is_deployed_where_they_are_asked_for() {
    let mut world = World::new(json!({"podTemplate": {"spec": {"nodeSelector": {"kubernetes.io/arch": "amd64"}}}}));
    world.nodes = vec!["arm64"];
    world.push(pushed(1));
    assert!(world.plan().workload.is_some(), "no pod, no node");
    let mut unasked = World::new(json!({}));
    unasked.nodes = vec!["arm64"];
    unasked.push(pushed(1));
    let plan = unasked.plan();
    assert!(plan.workload.is_none());
    assert_eq!(plan.target.unresolved.unwrap().reason, "NoMatchingPlatform");
}

#[test]
fn a_new_version_is_kept_to_the_nodes_that_can_run_it_and_what_runs_is_left_alone() {
    let selector = |world: &World| template_of(&world.plan().workload.unwrap())["spec"]["nodeSelector"].clone();
    let mut world = World::serving(json!({}));
    assert_eq!(selector(&world), Value::Null);
    world.nodes = vec!["amd64", "arm64"];
    assert_eq!(selector(&world), Value::Null, "a node that joins restarts nothing");
    world.push(pushed(2));
    assert_eq!(selector(&world), json!({"kubernetes.io/arch": "amd64"}));
    world.push(built_for(2, &["linux/amd64", "linux/arm64"]));
    assert_eq!(selector(&world), Value::Null, "all of them can");
}
