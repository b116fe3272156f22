//! Events through the real pipeline: which are told at each step, and that the rest is silence.

use serde_json::json;

use crate::{
    api::conditions::{AVAILABLE, READY, find},
    controller::{
        apply::Obstacle,
        decide::world::{Turn, World},
    },
    images::{Observation, Problem, problem::reason},
    resources::ChildKind,
    rollout::fixtures::{NAME, PodOf, Rollout, built_for, digest, pushed, unreachable},
};

#[track_caller]
fn tells(turn: &Turn, expected: &[(bool, &str, &str)]) {
    let told: Vec<(bool, &str)> = turn.notes.iter().map(|note| (note.warning, note.reason.as_str())).collect();
    let wanted: Vec<(bool, &str)> = expected.iter().map(|(warning, reason, _)| (*warning, *reason)).collect();
    assert_eq!(told, wanted, "{:#?}", turn.notes);
    for (note, (_, _, words)) in turn.notes.iter().zip(expected) {
        assert!(note.text.contains(words), "no '{words}' in: {}", note.text);
    }
}

/// The same facts once more: nothing is told.
#[track_caller]
fn silent(world: &mut World) {
    tells(&world.turn(), &[]);
}

const CALM: bool = false;
const WARNING: bool = true;

#[test]
fn from_nothing_to_serving_in_two_events() {
    let mut world = World::new(json!({}));
    silent(&mut world);
    world.push(pushed(1));
    tells(&world.turn(), &[(CALM, "Deploying", digest(1).short())]);
    silent(&mut world);
    world.rollout(&Rollout::introducing(0));
    world.pods(&[PodOf::new(1).waiting("ContainerCreating")]);
    silent(&mut world);
    world.pods(&[PodOf::new(1).state(json!({"running": {}}), json!({}))]);
    silent(&mut world);
    tells(&world.serve(1), &[(CALM, "Serving", "http://grape-scorer.tasting-room.svc/invocations")]);
    silent(&mut world);
}

#[test]
fn a_push_is_told_when_it_begins_and_when_users_get_it() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    let begins = world.turn();
    tells(&begins, &[(CALM, "RollingOut", digest(2).short())]);
    assert!(begins.notes[0].text.contains(digest(1).short()), "{}", begins.notes[0].text);
    silent(&mut world);
    world.rollout(&Rollout::introducing(1));
    world.pods(&[PodOf::ready(1), PodOf::new(2)]);
    silent(&mut world);
    tells(&world.serve(2), &[(CALM, "Serving", digest(2).short())]);
    silent(&mut world);
}

#[test]
fn a_roll_out_that_nobody_watched_is_told_by_its_end() {
    let mut world = World::serving(json!({}));
    let before = world.status.clone();
    world.push(pushed(2));
    world.turn();
    world.serve(2);
    world.status = before;
    tells(&world.turn(), &[(CALM, "Serving", digest(2).short())]);
}

#[test]
fn a_push_that_is_no_new_model_is_not_told() {
    let mut world = World::serving(json!({}));
    world.seen.latest = Some(crate::rollout::fixtures::same_images(2, &pushed(1)));
    silent(&mut world);
    world.seen.details.clear();
    silent(&mut world);
}

#[test]
fn trouble_is_told_when_it_is_seen_and_once_more_when_the_deadline_has_passed() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::introducing(1));
    let ended = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
    world.pods(&[PodOf::ready(1), PodOf::new(2).state(ended.clone(), json!({}))]);
    tells(&world.turn(), &[(WARNING, "CrashLooping", "exit code 1")]);
    // The kubelet goes round its loop.
    for state in [json!({"waiting": {"reason": "CrashLoopBackOff"}}), json!({"running": {}}), ended.clone()] {
        world.pods(&[PodOf::ready(1), PodOf::new(2).state(state, ended.clone())]);
        silent(&mut world);
    }
    world.rollout(&Rollout::overdue(1));
    tells(&world.turn(), &[(WARNING, "CrashLooping", "the deadline has passed")]);
    silent(&mut world);
    world.push(pushed(3));
    tells(&world.turn(), &[(CALM, "RollingOut", digest(3).short())]);
    tells(&world.serve(3), &[(CALM, "Serving", digest(3).short())]);
}

#[test]
fn the_same_trouble_of_another_pod_is_no_news() {
    let mut world = World::serving(json!({"replicas": 3}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout { wanted: 3, ..Rollout::introducing(3) });
    world.pods(&[PodOf::new(2).crashing(1), PodOf::new(2).crashing(1)]);
    tells(&world.turn(), &[(WARNING, "CrashLooping", "grape-scorer-0")]);
    world.pods(&[PodOf::ready(2), PodOf::new(2).crashing(1)]);
    let turn = world.turn();
    tells(&turn, &[]);
    let words = &crate::api::conditions::find(&turn.status.conditions, "Ready").unwrap().message;
    assert!(words.contains("(pod grape-scorer-1, "), "status names the one that crashes now: {words}");
    world.pods(&[PodOf::ready(2), PodOf::new(2).crashing(3)]);
    tells(&world.turn(), &[(WARNING, "CrashLooping", "exit code 3")]);
}

#[test]
fn a_deadline_that_passes_without_a_known_trouble_is_told_once() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::overdue(1));
    world.pods(&[PodOf::ready(1), PodOf::new(2).state(json!({"running": {}}), json!({}))]);
    tells(&world.turn(), &[(WARNING, "NotAnswering", "GET /ping")]);
    silent(&mut world);
}

#[test]
fn refused_pods_are_told_once() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::refused(1, "exceeded quota: vineyard"));
    tells(&world.turn(), &[(WARNING, "PodsRefused", "exceeded quota: vineyard")]);
    silent(&mut world);
}

#[test]
fn a_registry_that_goes_and_comes_back_is_told_twice_while_what_runs_stays() {
    let mut world = World::serving(json!({}));
    world.registry_fails(unreachable());
    tells(&world.turn(), &[(WARNING, "RegistryUnreachable", "what runs stays")]);
    silent(&mut world);
    world.seen.problem = None;
    tells(&world.turn(), &[(CALM, "ImageResolved", "")]);
    silent(&mut world);
}

#[test]
fn a_registry_that_refuses_from_the_start_is_told_once() {
    for why in [reason::UNAUTHORIZED, reason::REGISTRY_UNREACHABLE] {
        let mut world = World::new(json!({}));
        silent(&mut world);
        world.registry_fails(Problem::new(why, "name a pull secret"));
        tells(&world.turn(), &[(WARNING, why, "name a pull secret")]);
        silent(&mut world);
        world.seen.problem = None;
        world.push(pushed(1));
        let turn = world.turn();
        assert!(turn.told().contains(&"Deploying"), "{:?}", turn.told());
    }
}

#[test]
fn an_image_for_no_node_is_told_once() {
    let mut world = World::new(json!({}));
    world.push(built_for(1, &["linux/arm64"]));
    tells(&world.turn(), &[(WARNING, "NoMatchingPlatform", "docker buildx")]);
    silent(&mut world);
}

#[test]
fn a_wrong_spec_is_told_once_and_so_is_its_mending() {
    let mut world = World::serving(json!({}));
    world.change(json!({"server": {"port": 9800}}));
    tells(&world.turn(), &[(WARNING, "InvalidSpec", "spec.server.port")]);
    silent(&mut world);
    world.change(json!({}));
    tells(&world.turn(), &[(CALM, "Serving", digest(1).short())]);
    silent(&mut world);
}

#[test]
fn a_version_that_breaks_after_its_introduction_is_told_by_effect_and_cause() {
    let mut world = World::serving(json!({}));
    world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
    world.pods(&[PodOf::new(1)]);
    tells(&world.turn(), &[(WARNING, "Unavailable", "no replica answers")]);
    silent(&mut world);
    world.pods(&[PodOf::new(1).crashing(1)]);
    tells(&world.turn(), &[(WARNING, "CrashLooping", "exit code 1")]);
    silent(&mut world);
    tells(&world.serve(1), &[(CALM, "Serving", digest(1).short())]);
}

#[test]
fn scaling_is_no_news_and_zero_on_purpose_is_no_warning() {
    let mut world = World::serving(json!({}));
    world.change(json!({"replicas": 3}));
    world.turn();
    world.rollout(&Rollout { wanted: 3, available: 1, ..Rollout::complete(3) });
    silent(&mut world);
    world.change(json!({"replicas": 0}));
    silent(&mut world);
    world.pods(&[]);
    world.rollout(&Rollout::complete(0));
    silent(&mut world);
    world.change(json!({"replicas": 1}));
    silent(&mut world);
    world.rollout(&Rollout { wanted: 1, ..Rollout::complete(0) });
    silent(&mut world);
    tells(&world.serve(1), &[(CALM, "Serving", "")]);
}

#[test]
fn an_obstacle_is_told_once() {
    let mut world = World::serving(json!({}));
    world.obstacles = vec![crate::controller::apply::Obstacle {
        reason: "NameConflict",
        message: "Service grape-scorer exists and does not belong to this ModelDeployment".into(),
        passing: false,
    }];
    tells(&world.turn(), &[(WARNING, "NameConflict", "does not belong")]);
    silent(&mut world);
}

#[test]
fn what_only_takes_time_is_no_trouble() {
    for reason in ["WaitingForDeletion", "HandingOver"] {
        let mut world = World::serving(json!({}));
        let message = "Service grape-scorer was handed over".into();
        world.obstacles = vec![crate::controller::apply::Obstacle { reason, message, passing: true }];
        silent(&mut world);
    }
}

#[test]
fn a_pin_is_a_roll_out_like_any_other() {
    let mut world = World::serving(json!({}));
    world.change(json!({"image": {"pin": digest(4)}}));
    let begins = world.turn();
    tells(&begins, &[(CALM, "RollingOut", digest(4).short())]);
    assert!(!begins.notes[0].text.contains("latest"), "it came from no tag: {}", begins.notes[0].text);
    tells(&world.serve(4), &[(CALM, "Serving", digest(4).short())]);
}

#[test]
fn what_keeps_new_versions_out_is_told_when_it_begins_to_and_with_each_push_and_not_when_the_operator_starts_anew() {
    let mut world = World::serving(json!({}));
    world.change(json!({"image": {"autoUpdate": false}}));
    tells(&world.turn(), &[(CALM, "UpdatesOff", "keeps every push out")]);
    silent(&mut world);
    world.push(pushed(2));
    tells(&world.turn(), &[(CALM, "UpdatesOff", digest(2).short())]);
    silent(&mut world);
    let status = world.status.clone();
    world.seen = Observation::default();
    silent(&mut world);
    assert_eq!(world.status, status, "what the registry has not said yet changes nothing");
    world.push(pushed(2));
    silent(&mut world);
    // A pod that stops to answer for a while has nothing to do with it.
    world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
    tells(&world.turn(), &[(WARNING, "Unavailable", "")]);
    tells(&world.serve(1), &[(CALM, "Serving", "")]);
    world.change(json!({"image": {"pin": digest(1)}}));
    tells(&world.turn(), &[(CALM, "Pinned", "keeps every push out")]);
    silent(&mut world);
    world.change(json!({}));
    tells(&world.turn(), &[(CALM, "RollingOut", digest(2).short())]);
}

/// Replicas, pods and attempts come and go by themselves; a text that held them would be told again and again.
#[test]
fn no_text_holds_what_changes_by_itself() {
    let mut world = World::serving(json!({"replicas": 3}));
    world.push(pushed(2));
    world.turn();
    for (existing, available) in [(4, 3), (4, 2), (3, 1), (5, 3)] {
        world.rollout(&Rollout { wanted: 3, existing, available, ..Rollout::introducing(3) });
        for message in ["back-off 10s", "back-off 5m0s restarting failed container=model pod=grape-scorer-1"] {
            let waiting = json!({"waiting": {"reason": "ContainerCreating", "message": message}});
            world.pods(&[PodOf::ready(1), PodOf::new(2).state(waiting, json!({}))]);
            silent(&mut world);
        }
    }
}

#[test]
fn making_room_for_the_next_version_as_asked_is_no_warning() {
    let mut world = World::serving(json!({"rollout": {"strategy": "Recreate"}}));
    world.push(pushed(2));
    let begins = world.turn();
    tells(&begins, &[(CALM, "RollingOut", digest(2).short())]);
    let words = format!("{} stops first", digest(1).short());
    assert!(begins.notes[0].text.contains(&words), "{}", begins.notes[0].text);
    world.rollout(&Rollout { wanted: 1, ..Rollout::complete(0) });
    world.pods(&[PodOf::ready(1).leaving()]);
    silent(&mut world);
    tells(&world.serve(2), &[(CALM, "Serving", digest(2).short())]);
}

#[test]
fn a_deployment_that_is_being_deleted_speaks_for_its_pods_until_it_is_gone() {
    let mut world = World::serving(json!({}));
    let stable = world.turn().status.stable;
    assert!(stable.is_some());
    world.edit(ChildKind::Deployment, NAME, |deployment| {
        deployment["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    world.obstacles = vec![Obstacle { reason: "WaitingForDeletion", message: "being deleted".into(), passing: true }];
    let status = world.turn().status;
    let said = |kind| find(&status.conditions, kind).map(|found| (found.status.as_str(), found.reason.as_str()));
    assert_eq!(said(READY), Some(("False", "WaitingForDeletion")));
    assert_eq!(said(AVAILABLE), Some(("True", "Available")));
    assert_eq!(status.stable, stable, "users get it still");
}
