//! An identical rebuild, then a clean-up of the registry: from what is pinned to what is told.

use serde_json::{Value, json};

use super::{
    world::{Turn, World},
    *,
};
use crate::{
    api::conditions::{IMAGE_PULLABLE, READY, find},
    rollout::fixtures::{NAME, PodOf, REPOSITORY, Rollout, answered, built_for, digest, image, pushed, same_images},
};

const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];

fn pulled(world: &World) -> String {
    template::pulled(&world.object(ChildKind::Deployment, NAME)["spec"]["template"]).unwrap().to_owned()
}

fn child(number: u8) -> String {
    format!("{REPOSITORY}@{}", pushed(number).platforms[0].1)
}

#[track_caller]
fn says(turn: &Turn, kind: &str, reason: &str, words: &str) {
    let said = find(&turn.status.conditions, kind).unwrap_or_else(|| panic!("{:#?}", turn.status.conditions));
    assert_eq!(said.reason, reason, "{}", said.message);
    assert!(said.message.contains(words), "no '{words}' in: {}", said.message);
}

/// A model that runs an index of two platforms; its pods pull the index.
fn on_an_index(fields: Value) -> World {
    let mut world = World::new(fields);
    world.push(built_for(1, &BOTH));
    world.turn();
    world.serve(1);
    assert_eq!(pulled(&world), image(1));
    world
}

/// The tag moves to another index of the same images.
fn rebuilt(world: &mut World) {
    let details = built_for(1, &BOTH);
    world.seen = answered(same_images(2, &details));
    world.seen.details.insert(digest(1), Ok(details));
}

#[test]
fn pods_pull_the_only_image_in_an_index_and_the_version_is_called_by_the_index() {
    let mut world = World::serving(json!({}));
    assert_eq!(pulled(&world), child(1));
    let pod = |number| {
        let mut pod = PodOf::ready(number).json("grape-scorer-0");
        pod["spec"]["containers"][1]["image"] = json!(child(number));
        pod
    };
    world.pods_as_stored(vec![pod(1)]);
    let turn = world.turn();
    assert_eq!(
        (turn.status.stable.as_ref().unwrap().digest.as_str(), turn.plan.unwrap().progress),
        (digest(1).as_str(), Progress::Complete)
    );
    assert_eq!(world.observe().pulled(REPOSITORY), Some(pushed(1).platforms[0].1.clone()));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::introducing(1));
    let turn = world.turn();
    assert_eq!(turn.status.stable.unwrap().digest, digest(1).as_str());
    assert_eq!(turn.status.candidate.unwrap().digest, digest(2).as_str());
}

#[test]
fn an_index_from_which_nodes_may_choose_is_pulled_as_it_is() {
    let mut world = World::new(json!({}));
    for (index, expected) in [
        (built_for(1, &BOTH), image(1)),
        (built_for(1, &["linux/amd64", "windows/amd64"]), image(1)),
        (pushed(1), child(1)),
    ] {
        world.push(index);
        assert_eq!(
            template::pulled(&world.plan().workload.unwrap().revision.body["data"]["template"]),
            Some(&*expected)
        );
    }
    let selector = json!({"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"});
    let mut selected = World::new(json!({"podTemplate": {"spec": {"nodeSelector": selector}}}));
    selected.push(built_for(1, &BOTH));
    selected.turn();
    assert_eq!(pulled(&selected), child(1), "no other node may take it");
    let mut single = World::new(json!({}));
    let mut alone = pushed(1);
    alone.platforms[0].1 = digest(1);
    single.push(alone);
    single.turn();
    assert_eq!(pulled(&single), image(1));
}

#[test]
fn what_runs_by_its_index_goes_on_doing_so_until_the_next_roll_out() {
    let mut world = World::new(json!({}));
    world.seen = answered(pushed(1));
    // An earlier release pulled the index.
    world.turn();
    let name = world.names(ChildKind::ControllerRevision)[0].to_owned();
    world.edit(ChildKind::ControllerRevision, &name, |stored| {
        template::pull(&mut stored["data"]["template"], &image(1))
    });
    world
        .edit(ChildKind::Deployment, NAME, |deployment| template::pull(&mut deployment["spec"]["template"], &image(1)));
    world.serve(1);
    assert_eq!((pulled(&world), world.plan().progress), (image(1), Progress::Complete));
    world.change(json!({"server": {"workers": 2}}));
    world.turn();
    assert_eq!(pulled(&world), child(1));
}

#[test]
fn a_rebuild_of_the_same_image_restarts_nothing_and_whoever_waits_for_it_finds_it() {
    for mut world in [World::serving(json!({})), on_an_index(json!({}))] {
        let before = pulled(&world);
        match before == image(1) {
            true => rebuilt(&mut world),
            false => world.push(same_images(2, &pushed(1))),
        }
        let turn = world.turn();
        assert_eq!((pulled(&world), turn.told()), (before, Vec::new()));
        assert_eq!(turn.status.same_image.as_deref(), Some(digest(2).as_str()));
        world.seen = Observation::default();
        assert_eq!(world.turn().status, turn.status, "an operator that starts anew takes nothing back");
        world.push(pushed(3));
        assert_eq!(world.turn().status.same_image, None);
    }
}

#[test]
fn a_collected_index_makes_room_for_the_same_image_when_it_is_the_models_turn() {
    let mut world = on_an_index(json!({}));
    world.in_turn = false;
    rebuilt(&mut world);
    world.seen.pullable = Some(false);
    let waits = world.turn();
    assert_eq!((pulled(&world), waits.told()), (image(1), vec!["DigestCollected"]));
    says(&waits, IMAGE_PULLABLE, "DigestCollected", "which takes its place: one model after another");
    says(&waits, READY, "Serving", "as ImagePullable says");
    assert!(world.turn().told().is_empty());
    world.in_turn = true;
    let moves = world.turn();
    assert_eq!((pulled(&world), moves.told()), (image(2), vec!["SameImage"]));
    says(&moves, READY, "SameImage", "serves meanwhile");
    assert!(moves.notes[0].text.contains("users get"), "{:?}", moves.notes);
    world.seen.pullable = Some(true);
    world.rollout(&Rollout::introducing(1));
    world.pods(&[PodOf::ready(1), PodOf::new(2)]);
    let rolls = world.turn();
    assert!(rolls.told().is_empty(), "{:?}", rolls.notes);
    says(&rolls, READY, "SameImage", "");
    let arrived = world.serve(2);
    assert_eq!(
        (arrived.told(), arrived.status.stable.as_ref().unwrap().digest.as_str()),
        (vec!["Serving"], digest(2).as_str())
    );
    assert!(find(&arrived.status.conditions, IMAGE_PULLABLE).is_none());
}

#[test]
fn nothing_is_promised_to_a_replica_that_another_digest_would_not_help() {
    let mut by_child = World::serving(json!({}));
    by_child.push(same_images(2, &pushed(1)));
    by_child.seen.pullable = Some(false);
    says(&by_child.turn(), IMAGE_PULLABLE, "DigestCollected", "push the image again");
    let mut denied = on_an_index(json!({"replicas": 2}));
    rebuilt(&mut denied);
    denied.rollout(&Rollout { available: 1, ..Rollout::complete(2) });
    denied.pods(&[PodOf::ready(1), PodOf::new(1).told("ImagePullBackOff", "failed to authorize: 403 Forbidden")]);
    let turn = denied.turn();
    let said = find(&turn.status.conditions, IMAGE_PULLABLE).unwrap();
    assert!(!said.message.contains("takes its place"), "{}", said.message);
    for world in [by_child, denied] {
        assert_eq!(world.plan().target.digest, Some(digest(1)));
    }
}

#[test]
fn a_push_back_to_what_serves_is_a_roll_out_and_nothing_was_lost() {
    let mut world = on_an_index(json!({}));
    world.push(pushed(2));
    world.seen.details.insert(digest(1), Ok(built_for(1, &BOTH)));
    world.turn();
    world.rollout(&Rollout::introducing(1));
    world.pods(&[PodOf::ready(1), PodOf::new(2).crashing(1)]);
    world.turn();
    world.push(same_images(3, &built_for(1, &BOTH)));
    let back = world.turn();
    assert_eq!((pulled(&world), back.told()), (image(3), vec!["RollingOut"]));
    for turn in [back, world.turn()] {
        says(&turn, READY, "RollingOut", "the one before it serves");
    }
}

#[test]
fn the_same_image_is_not_judged_again() {
    let require = json!({"mlflow": {"require": {"f1_score": {"min": 0.9}}}});
    let mut world = on_an_index(json!({}));
    world.change(require);
    rebuilt(&mut world);
    world.seen.pullable = Some(false);
    let turn = world.turn();
    assert_eq!((pulled(&world), turn.plan.unwrap().held), (image(2), None));
}

#[test]
fn recreate_stops_nothing_that_serves_for_the_same_image() {
    let mut world = on_an_index(json!({"rollout": {"strategy": "Recreate"}}));
    rebuilt(&mut world);
    world.seen.pullable = Some(false);
    says(&world.turn(), IMAGE_PULLABLE, "DigestCollected", "once no replica answers");
    assert_eq!(pulled(&world), image(1));
    world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
    world.pods(&[]);
    world.turn();
    assert_eq!(pulled(&world), image(2));
}

#[test]
fn a_replica_that_cannot_be_pulled_is_told_at_once_though_others_serve() {
    let mut world = on_an_index(json!({"replicas": 2}));
    let absent =
        "failed to pull and unpack image \"docker.io/vintner/wine-quality@sha256:1\": failed to resolve: not found";
    world.rollout(&Rollout { available: 1, ..Rollout::complete(2) });
    world.pods(&[PodOf::ready(1), PodOf::new(1).told("ImagePullBackOff", absent)]);
    let told = world.turn();
    assert_eq!(told.told(), ["ImagePullFailed"]);
    says(&told, READY, "Serving", "a further replica could not pull it");
    says(&told, IMAGE_PULLABLE, "ImagePullFailed", "pod grape-scorer-1");
    assert!(world.turn().told().is_empty());
    // The node's word is enough, before the registry is looked at again.
    rebuilt(&mut world);
    let moves = world.turn();
    assert_eq!((pulled(&world), moves.told()), (image(2), vec!["SameImage"]));
}
