//! The truth table, row by row, through the real pipeline.

use serde_json::{Value, json};

use super::*;
use crate::{
    api::{ModelDeploymentStatus, conditions::find},
    controller::decide::world::World,
    images::Observation,
    resources::ChildKind,
    rollout::fixtures::{NAME, PodOf, Rollout, built_for, digest, pushed, unreachable},
};

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

/// Ready, Available, Progressing, ImageResolved, Reconciling, Stalled; `None` when the condition is absent.
#[track_caller]
fn reads(status: &ModelDeploymentStatus, generation: i64, expected: [Option<bool>; 6]) {
    let all = [READY, AVAILABLE, PROGRESSING, IMAGE_RESOLVED, RECONCILING, STALLED];
    let found = all.map(|kind| find(&status.conditions, kind).map(|condition| condition.status == "True"));
    assert_eq!(found, expected, "{:#?}", status.conditions);
    assert_eq!(status.observed_generation, Some(generation));
    for condition in &status.conditions {
        assert_eq!(condition.observed_generation, Some(generation), "{}", condition.type_);
        assert!(["True", "False"].contains(&condition.status.as_str()));
        assert!(!condition.reason.is_empty() && !condition.message.is_empty(), "{condition:?}");
    }
}

#[track_caller]
fn because(status: &ModelDeploymentStatus, kind: &str, reason: &str, words: &str) {
    let condition = find(&status.conditions, kind).unwrap();
    assert_eq!(condition.reason, reason, "{kind}: {}", condition.message);
    assert!(condition.message.contains(words), "no '{words}' in: {}", condition.message);
}

const FIRST_PULL: [Option<bool>; 6] = [NO, NO, YES, YES, YES, None];
const SERVING: [Option<bool>; 6] = [YES, YES, NO, YES, None, None];
const ROLLING: [Option<bool>; 6] = [NO, YES, YES, YES, YES, None];
const STUCK: [Option<bool>; 6] = [NO, YES, NO, YES, None, YES];
const REGISTRY_DOWN: [Option<bool>; 6] = [YES, YES, NO, NO, None, None];

fn stable(status: &ModelDeploymentStatus) -> Option<&str> {
    status.stable.as_ref().map(|version| version.digest.as_str())
}

fn candidate(status: &ModelDeploymentStatus) -> Option<&str> {
    status.candidate.as_ref().map(|version| version.digest.as_str())
}

#[test]
fn ready_is_there_from_the_first_turn_and_nothing_is_resolved_yet() {
    let status = World::new(json!({})).turn().status;
    reads(&status, 1, [NO, NO, YES, NO, YES, None]);
    because(&status, READY, "Resolving", "asking the registry");
}

#[test]
fn row_first_pull() {
    let mut world = World::new(json!({}));
    world.push(pushed(1));
    let at_once = world.turn().status;
    reads(&at_once, 1, FIRST_PULL);
    assert_eq!((stable(&at_once), candidate(&at_once)), (None, Some(digest(1).as_str())));
    let unseen = world.turn().status;
    reads(&unseen, 1, FIRST_PULL);
    world.rollout(&Rollout::introducing(0));
    world.pods(&[PodOf::new(1).waiting("ContainerCreating")]);
    let pulling = world.turn().status;
    reads(&pulling, 1, FIRST_PULL);
    because(&pulling, READY, "Deploying", "starting");
    assert_eq!(pulling.available.as_deref(), Some("0/1"));
}

#[test]
fn row_serving() {
    let mut world = World::serving(json!({}));
    let status = world.turn().status;
    reads(&status, 1, SERVING);
    because(&status, READY, "Serving", "serves");
    assert_eq!((stable(&status), candidate(&status)), (Some(digest(1).as_str()), None));
    assert_eq!(status.url.as_deref(), Some("http://grape-scorer.tasting-room.svc/invocations"));
}

#[test]
fn row_rolling_while_the_old_version_serves() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    let decided = world.turn().status;
    reads(&decided, 1, ROLLING);
    reads(&world.turn().status, 1, ROLLING);
    world.rollout(&Rollout::introducing(1));
    world.pods(&[PodOf::ready(1), PodOf::new(2)]);
    let rolling = world.turn().status;
    reads(&rolling, 1, ROLLING);
    because(&rolling, READY, "RollingOut", "the one before it serves");
    for status in [decided, rolling] {
        assert_eq!((stable(&status), candidate(&status)), (Some(digest(1).as_str()), Some(digest(2).as_str())));
    }
    world.pods(&[PodOf::ready(1), PodOf::new(2).crashing(1)]);
    let crashing = world.turn().status;
    reads(&crashing, 1, ROLLING);
    because(&crashing, PROGRESSING, "CrashLooping", "exit code 1");
}

#[test]
fn what_no_service_leads_to_is_not_available() {
    let mut world = World::serving(json!({}));
    world.obstacles =
        vec![Obstacle { reason: "Contested", message: "spec.selector.x of Service".into(), passing: false }];
    world.cut_off = true;
    let status = world.turn().status;
    because(&status, AVAILABLE, "NoEndpoints", "does not lead to them");
    because(&status, READY, "Contested", "spec.selector.x");
    world.cut_off = false;
    because(&world.turn().status, AVAILABLE, "Available", "answers");
}

#[test]
fn row_rolling_begins_with_the_turn_that_changes_the_spec_even_when_the_image_stays() {
    let mut world = World::serving(json!({}));
    world.change(json!({"server": {"env": [{"name": "BARREL", "value": "oak"}]}}));
    let status = world.turn().status;
    reads(&status, 2, ROLLING);
    assert_eq!((stable(&status), candidate(&status)), (Some(digest(1).as_str()), None));
    reads(&world.turn().status, 2, ROLLING);
    reads(&world.serve(1).status, 2, SERVING);
}

#[test]
fn a_spec_that_changes_no_pod_leaves_the_model_ready() {
    let mut world = World::serving(json!({}));
    world.change(json!({"service": {"port": 8000}, "rollout": {"deadline": "20m"}}));
    reads(&world.turn().status, 2, SERVING);
}

#[test]
fn row_stuck_or_failed_while_the_old_version_serves() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::overdue(1));
    for (pod, reason) in [
        (PodOf::new(2).crashing(1), "CrashLooping"),
        (PodOf::new(2).unschedulable("no GPU"), "Unschedulable"),
        (PodOf::new(2).state(json!({"running": {}}), json!({})), "NotAnswering"),
    ] {
        world.pods(&[PodOf::ready(1), pod]);
        let status = world.turn().status;
        reads(&status, 1, STUCK);
        because(&status, STALLED, reason, "");
        because(&status, READY, reason, "");
        assert_eq!((stable(&status), candidate(&status)), (Some(digest(1).as_str()), Some(digest(2).as_str())));
    }
}

#[test]
fn a_new_spec_wins_over_a_stuck_roll_out() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::overdue(1));
    world.pods(&[PodOf::ready(1), PodOf::new(2).crashing(1)]);
    reads(&world.turn().status, 1, STUCK);
    world.change(json!({"image": {"pin": digest(1)}}));
    reads(&world.turn().status, 2, ROLLING);
    // The Deployment's controller has seen it, and still speaks of the version in between.
    world.rollout(&Rollout::overdue(1));
    reads(&world.turn().status, 2, ROLLING);
    reads(&world.serve(1).status, 2, SERVING);
}

#[test]
fn row_registry_down_while_serving() {
    let mut world = World::serving(json!({}));
    world.registry_fails(unreachable());
    let status = world.turn().status;
    reads(&status, 1, REGISTRY_DOWN);
    because(&status, IMAGE_RESOLVED, "RegistryUnreachable", "what runs stays");
    because(&status, READY, "Serving", "serves");
    assert_eq!(stable(&status), Some(digest(1).as_str()));
}

#[test]
fn row_pinned_while_serving() {
    let mut world = World::serving(json!({"image": {"pin": digest(1)}}));
    let status = world.turn().status;
    reads(&status, 1, SERVING);
    because(&status, READY, "Pinned", "spec.image.pin keeps every push out");
}

#[test]
fn row_auto_update_off_while_serving() {
    let mut world = World::serving(json!({"image": {"autoUpdate": false}}));
    because(&world.turn().status, READY, "UpdatesOff", "keeps every push out");
    world.push(pushed(2));
    let status = world.turn().status;
    reads(&status, 1, SERVING);
    because(&status, READY, "UpdatesOff", &format!("the tag latest holds {}", digest(2).short()));
    assert_eq!(stable(&status), Some(digest(1).as_str()));
}

#[test]
fn nodes_that_cannot_run_the_image_are_named_and_whether_pods_are_kept_from_them() {
    let words = |fields: Value, nodes: &[&'static str]| {
        let mut world = World::new(fields);
        world.nodes = nodes.to_vec();
        world.push(pushed(1));
        world.turn();
        let words = |status: &ModelDeploymentStatus| find(&status.conditions, IMAGE_RESOLVED).unwrap().message.clone();
        let first = words(&world.serve(1).status);
        world.seen = Observation::default();
        assert_eq!(words(&world.turn().status), first, "an operator that starts anew knows it from what is stored");
        first
    };
    assert!(
        words(json!({}), &["amd64", "arm64"])
            .ends_with("; nodes of linux/arm64 cannot run it, and its pods are kept from them")
    );
    for nodes in [&["amd64"][..], &[]] {
        let alone = words(json!({}), nodes);
        assert!(!alone.contains("nodes"), "{alone}");
    }
    let selected = json!({"podTemplate": {"spec": {"nodeSelector": {"kubernetes.io/arch": "amd64"}}}});
    let alone = words(selected, &["amd64", "arm64"]);
    assert!(!alone.contains("nodes"), "the user asks for others: {alone}");
    // What runs is not restarted by a node that joins.
    let mut world = World::serving(json!({}));
    world.nodes = vec!["amd64", "arm64"];
    because(
        &world.turn().status,
        IMAGE_RESOLVED,
        "Resolved",
        "nodes of linux/arm64 cannot run it, but its pods may be put there",
    );
}

#[test]
fn row_spec_invalid() {
    let wrong = json!({"image": {"pin": "latest"}, "server": {"port": 9800}});
    let mut world = World::serving(json!({}));
    world.change(wrong.clone());
    let turn = world.turn();
    assert!(turn.plan.is_none());
    reads(&turn.status, 2, [NO, YES, NO, YES, None, YES]);
    for kind in [READY, PROGRESSING, STALLED] {
        because(&turn.status, kind, "InvalidSpec", "spec.image.pin");
        because(&turn.status, kind, "InvalidSpec", "spec.server.port");
    }
    assert_eq!(stable(&turn.status), Some(digest(1).as_str()));
    assert_eq!(turn.status.available.as_deref(), Some("1/1"));

    world.registry_fails(unreachable());
    world.change(json!({}));
    reads(&world.turn().status, 3, REGISTRY_DOWN);
    world.change(wrong.clone());
    reads(&world.turn().status, 4, [NO, YES, NO, NO, None, YES]);

    let mut unknown = World::new(wrong);
    reads(&unknown.turn().status, 1, [NO, NO, NO, None, None, YES]);
}

#[test]
fn row_pods_refused() {
    const WORDS: &str = "pods \"grape-scorer-1\" is forbidden: exceeded quota: vineyard";
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::refused(1, WORDS));
    let old_serves = world.turn().status;
    reads(&old_serves, 1, [NO, YES, NO, YES, None, YES]);
    because(&old_serves, STALLED, "PodsRefused", WORDS);

    let mut world = World::new(json!({}));
    world.push(pushed(1));
    world.turn();
    world.rollout(&Rollout::refused(0, WORDS));
    let nothing_serves = world.turn().status;
    reads(&nothing_serves, 1, [NO, NO, NO, YES, None, YES]);
    because(&nothing_serves, STALLED, "PodsRefused", WORDS);
}

// Situations beside the table.

#[test]
fn scaled_to_zero_is_ready_and_not_available() {
    let mut world = World::new(json!({"replicas": 0}));
    world.push(pushed(1));
    world.turn();
    let status = world.serve(1).status;
    reads(&status, 1, [YES, NO, NO, YES, None, None]);
    because(&status, READY, "ScaledToZero", "as asked");
    assert_eq!(stable(&status), Some(digest(1).as_str()));
}

#[test]
fn a_version_that_breaks_after_its_introduction_stalls() {
    let mut world = World::serving(json!({}));
    world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
    world.pods(&[PodOf::new(1)]);
    reads(&world.turn().status, 1, [NO, NO, YES, YES, YES, None]);
    world.pods(&[PodOf::new(1).crashing(139)]);
    let status = world.turn().status;
    reads(&status, 1, [NO, NO, NO, YES, None, YES]);
    because(&status, READY, "CrashLooping", "139");
    assert_eq!(stable(&status), Some(digest(1).as_str()), "the version that users got last");
}

#[test]
fn while_recreate_has_stopped_the_old_version_nobody_gets_the_new_one() {
    let mut world = World::serving(json!({"rollout": {"strategy": "Recreate"}}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout { wanted: 1, ..Rollout::complete(0) });
    world.pods(&[PodOf::ready(1).leaving()]);
    let status = world.turn().status;
    reads(&status, 1, FIRST_PULL);
    because(&status, AVAILABLE, "Recreating", "spec.rollout.strategy");
    assert_eq!((stable(&status), candidate(&status)), (Some(digest(1).as_str()), Some(digest(2).as_str())));
}

/// Of the stable version and of the candidate: the tag, empty where it came from none.
fn tags(status: &ModelDeploymentStatus) -> (Option<&str>, Option<&str>) {
    let stable = status.stable.as_ref().map(|version| version.tag.as_deref().unwrap_or_default());
    (stable, status.candidate.as_ref().map(|version| version.tag.as_deref().unwrap_or_default()))
}

#[test]
fn a_version_is_called_by_the_tag_that_it_came_from_and_by_no_other() {
    let v1 = || json!({"image": {"follow": {"tag": "v1"}}});
    let v2 = |more: Value| {
        let mut fields = json!({"image": {"follow": {"tag": "v2"}}});
        crate::resources::merge::merge(&mut fields, &more);
        fields
    };
    let mut world = World::serving(v1());
    assert_eq!(tags(&world.turn().status), (Some("v1"), None));
    // Another tag, whose version is not taken.
    world.change(v2(json!({"image": {"autoUpdate": false}})));
    world.push(pushed(2));
    assert_eq!(tags(&world.turn().status), (Some("v1"), None));
    world.push(built_for(2, &["linux/arm64"]));
    world.change(v2(json!({})));
    assert_eq!(tags(&world.turn().status), (Some("v1"), None), "it is for no node");
    // It is taken.
    world.push(pushed(2));
    assert_eq!(tags(&world.turn().status), (Some("v1"), Some("v2")));
    // A pin that no tag names, while the spec goes on to name one.
    world.serve(2);
    world.change(v2(json!({"image": {"pin": digest(7)}})));
    world.push(pushed(7));
    assert_eq!(tags(&world.turn().status), (Some("v2"), Some("")));
    assert_eq!(tags(&world.serve(7).status), (Some(""), None));
    // A restart before the registry has answered.
    let before = world.turn().status;
    world.seen = crate::images::Observation::default();
    assert_eq!(world.turn().status, before);
    // The version that runs, pinned, keeps its own.
    let mut world = World::serving(v1());
    world.change(v2(json!({"image": {"pin": digest(1)}})));
    assert_eq!(tags(&world.turn().status), (Some("v1"), None));
    // The same image under another tag has come from that one, too.
    world.change(v2(json!({})));
    world.seen.latest = Some(crate::rollout::fixtures::same_images(2, &pushed(1)));
    assert_eq!(tags(&world.turn().status), (Some("v2"), None));
}

/// A slip of the pen, with the strategy that stops the old version first.
#[test]
fn a_mistyped_pin_leaves_what_serves_alone_and_says_so() {
    let pin = json!({"image": {"pin": digest(9)}, "rollout": {"strategy": "Recreate"}});
    let mut world = World::serving(json!({"rollout": {"strategy": "Recreate"}}));
    world.change(pin);
    world.seen = crate::images::Observation {
        problem: Some(crate::images::Problem::new(reason::DIGEST_NOT_FOUND, "no such digest")),
        pullable: Some(true),
        ..crate::images::Observation::default()
    };
    let turn = world.turn();
    assert_eq!(turn.plan.unwrap().target.digest, Some(digest(1)));
    reads(&turn.status, 2, [NO, YES, NO, NO, None, YES]);
    because(&turn.status, STALLED, reason::DIGEST_NOT_FOUND, "what runs stays");
    assert_eq!((stable(&turn.status), candidate(&turn.status)), (Some(digest(1).as_str()), None));
    assert_eq!(turn.notes.iter().map(|note| note.reason.as_str()).collect::<Vec<_>>(), [reason::DIGEST_NOT_FOUND]);
    world.change(json!({"rollout": {"strategy": "Recreate"}}));
    world.push(pushed(1));
    reads(&world.turn().status, 3, SERVING);
}

#[test]
fn a_digest_that_never_ran_is_not_missed() {
    let mut world = World::new(json!({"image": {"pin": digest(1)}}));
    world.push(pushed(1));
    world.turn();
    world.seen.pullable = Some(false);
    world.rollout(&Rollout::introducing(0));
    world.pods(&[PodOf::new(1).waiting("ErrImagePull")]);
    let status = world.turn().status;
    assert!(find(&status.conditions, IMAGE_PULLABLE).is_none(), "{:#?}", status.conditions);
    assert!(find(&world.serve(1).status.conditions, IMAGE_PULLABLE).is_some());
}

/// How often the status changes while the steps go by.
fn writes(world: &mut World, steps: &[fn(&mut World)]) -> usize {
    let mut last = json!(world.turn().status);
    let mut changes = 1;
    for step in steps {
        step(world);
        let status = json!(world.turn().status);
        changes += usize::from(status != last);
        last = status;
    }
    changes
}

#[test]
fn a_first_deployment_costs_three_statuses_and_a_roll_out_two() {
    let mut world = World::new(json!({}));
    let steps: [fn(&mut World); 7] = [
        |world| world.push(pushed(1)),
        |_| {},
        |world| world.rollout(&Rollout { existing: 0, ..Rollout::introducing(0) }),
        |world| world.rollout(&Rollout::introducing(0)),
        |world| world.pods(&[PodOf::new(1).waiting("ContainerCreating")]),
        // The pod is heard of before its Deployment.
        |world| world.pods(&[PodOf::ready(1)]),
        |world| drop(world.serve(1)),
    ];
    assert_eq!(writes(&mut world, &steps), 3);
    let steps: [fn(&mut World); 6] = [
        |world| world.push(pushed(2)),
        |world| world.rollout(&Rollout::introducing(1)),
        |world| world.pods(&[PodOf::ready(1), PodOf::new(2)]),
        |world| world.pods(&[PodOf::ready(1), PodOf::ready(2)]),
        |world| world.pods(&[PodOf::ready(1).leaving(), PodOf::ready(2)]),
        |world| drop(world.serve(2)),
    ];
    // The first is the status that stood before.
    assert_eq!(writes(&mut world, &steps), 1 + 2);
}

#[test]
fn the_new_version_is_what_users_get_as_soon_as_nothing_else_serves_and_not_all_of_it_is_there() {
    let mut world = World::serving(json!({"replicas": 2, "rollout": {"strategy": "Recreate"}}));
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout { wanted: 2, existing: 2, updated: 2, available: 1, ..Rollout::introducing(1) });
    world.pods(&[PodOf::ready(2), PodOf::new(2).crashing(1)]);
    let status = world.turn().status;
    assert_eq!((stable(&status), candidate(&status)), (Some(digest(2).as_str()), None));
}

#[test]
fn what_time_may_mend_is_waited_for_and_what_only_a_person_can_mend_stalls() {
    let problem = |reason| crate::images::Problem::new(reason, "so says the registry");
    let rows = [
        (reason::REGISTRY_UNREACHABLE, true),
        (reason::REGISTRY_RATE_LIMITED, true),
        (reason::REGISTRY_ERROR, true),
        (reason::BAD_ANSWER, true),
        (reason::PULL_SECRET_UNAVAILABLE, true),
        (reason::UNAUTHORIZED, false),
        (reason::TAG_NOT_FOUND, false),
        (reason::NOT_AN_IMAGE, false),
        (reason::PULL_SECRET_MISSING, false),
        (reason::PULL_SECRET_MALFORMED, false),
    ];
    for (why, passes) in rows {
        let mut world = World::new(json!({}));
        world.registry_fails(problem(why));
        let status = world.turn().status;
        let (reconciling, stalled) = if passes { (YES, None) } else { (None, YES) };
        reads(&status, 1, [NO, NO, Some(passes), NO, reconciling, stalled]);
        because(&status, READY, why, "so says the registry");
        because(&status, IMAGE_RESOLVED, why, "so says the registry");
    }
}

#[test]
fn an_image_for_no_node_stalls_with_the_remedy() {
    let mut world = World::new(json!({}));
    world.push(built_for(1, &["linux/arm64"]));
    let status = world.turn().status;
    reads(&status, 1, [NO, NO, NO, NO, None, YES]);
    because(&status, READY, "NoMatchingPlatform", "docker buildx build --platform");
}

#[test]
fn a_push_for_no_node_is_told_beside_what_serves() {
    let mut world = World::serving(json!({}));
    world.push(built_for(2, &["linux/arm64"]));
    let status = world.turn().status;
    reads(&status, 1, REGISTRY_DOWN);
    because(&status, READY, "Serving", "the newest push is not taken, as ImageResolved says");
    because(&status, IMAGE_RESOLVED, "NoMatchingPlatform", digest(2).short());
}

#[test]
fn obstacles_are_all_told_and_stall_unless_time_may_help() {
    let obstacle = |message: &str, passing| Obstacle { reason: "NameConflict", message: message.into(), passing };
    let mut world = World::serving(json!({}));
    world.obstacles = vec![obstacle("Service is not ours", false), obstacle("nor the budget", false)];
    let status = world.turn().status;
    reads(&status, 1, STUCK);
    because(&status, STALLED, "NameConflict", "Service is not ours; nor the budget");
    world.obstacles = vec![obstacle("being deleted", true)];
    reads(&world.turn().status, 1, ROLLING);
}

#[test]
fn a_digest_that_the_registry_lost_is_told_while_it_serves() {
    let mut world = World::serving(json!({}));
    world.seen.pullable = Some(false);
    let status = world.turn().status;
    reads(&status, 1, SERVING);
    because(&status, IMAGE_PULLABLE, "DigestCollected", "push the image again");
    for pullable in [None, Some(true)] {
        world.seen.pullable = pullable;
        assert!(find(&world.turn().status.conditions, IMAGE_PULLABLE).is_none());
    }
}

#[test]
fn another_repository_is_not_resolved_by_what_was_known_of_the_one_before() {
    let mut world = World::serving(json!({}));
    world.change(json!({"image": {"repository": "ghcr.io/vintner/other"}}));
    world.seen = crate::images::Observation::default();
    let status = world.turn().status;
    reads(&status, 2, [NO, YES, YES, NO, YES, None]);
    because(&status, IMAGE_RESOLVED, "Resolving", "ghcr.io/vintner/other");
    assert_eq!(stable(&status), Some(digest(1).as_str()), "what serves goes on serving, and is named");
}

#[test]
fn a_controller_that_starts_anew_reports_the_same_before_the_registry_has_answered() {
    for fails in [false, true] {
        let mut world = World::serving(json!({}));
        if fails {
            world.registry_fails(unreachable());
        }
        let before = world.turn().status;
        world.seen = crate::images::Observation::default();
        let turn = world.turn();
        assert_eq!(turn.status, before, "a restart writes nothing");
        assert!(turn.notes.is_empty());
    }
}

#[test]
fn a_condition_of_another_writer_stays() {
    let mut world = World::serving(json!({}));
    let theirs: k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition = serde_json::from_value(json!({
        "type": "example.org/Audited", "status": "True", "reason": "Audited", "message": "by Bacchus",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    }))
    .unwrap();
    world.status.conditions.push(theirs.clone());
    let before = world.status.clone();
    assert_eq!(world.turn().status, before);
    world.change(json!({"server": {"port": Value::from(9801)}}));
    assert!(world.turn().status.conditions.contains(&theirs));
}

#[test]
fn a_condition_that_is_over_is_gone() {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    reads(&world.turn().status, 1, ROLLING);
    reads(&world.serve(2).status, 1, SERVING);
}

mod monitoring {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::{
        api::conditions::conclude,
        monitoring::{Shortcoming, bundle::Expectation, surroundings::Proof},
    };

    fn bundle(proof: Proof) -> Bundle {
        let main = vec![("monitoring".into(), "main".into())];
        let expectation = Expectation { scraped_by: main.clone(), evaluated_by: main, told: true };
        Bundle { proof, words: "all is selected".into(), seen: "all is well".into(), expectation, ..Bundle::default() }
    }

    fn before(reason: &str, holds: bool) -> Condition {
        let told = Judgement::new(MONITORING_READY, holds, reason, "said before");
        conclude(&[told], &[], 1, Timestamp::UNIX_EPOCH).remove(0)
    }

    fn judged(bundle: &Bundle, before: Option<&Condition>) -> (bool, String, String) {
        let judgement = monitored(bundle, &[], before).unwrap();
        (judgement.holds == Some(true), judgement.reason, judgement.message)
    }

    #[test]
    fn what_prometheus_said_last_stands_until_it_is_asked_again() {
        let row = |holds: bool, reason: &str, words: &str| (holds, reason.to_owned(), words.to_owned());
        let awaited = bundle(Proof::Awaited);
        assert_eq!(judged(&awaited, None), row(true, "Selected", "all is selected"));
        assert_eq!(judged(&awaited, Some(&before("PickedUp", true))), row(true, "PickedUp", "all is well"));
        for reason in ["NotScraped", "OperatorNotScraped"] {
            assert_eq!(judged(&awaited, Some(&before(reason, false))), row(false, reason, "said before"));
        }
        assert_eq!(judged(&awaited, Some(&before("NotInstalled", false))), row(true, "Selected", "all is selected"));
        let mut untold = bundle(Proof::Awaited);
        untold.expectation.told = false;
        let said = judged(&untold, Some(&before("OperatorNotScraped", false)));
        assert_eq!(said, row(true, "Selected", "all is selected"), "nothing of the operator's is wanted any more");
        assert_eq!(judged(&untold, Some(&before("NotScraped", false))), row(false, "NotScraped", "said before"));
        let seen = bundle(Proof::Seen);
        assert_eq!(judged(&seen, Some(&before("NotScraped", false))), row(true, "PickedUp", "all is well"));
        let unasked = Bundle { expectation: Expectation::default(), ..awaited };
        assert_eq!(judged(&unasked, Some(&before("PickedUp", true))), row(true, "Selected", "all is selected"));
    }

    #[test]
    fn what_cannot_be_seen_is_neither_claimed_nor_denied() {
        let unverified = Bundle { unverified: vec!["look there".into()], ..bundle(Proof::Seen) };
        let judgement = monitored(&unverified, &[], Some(&before("PickedUp", true))).unwrap();
        assert_eq!((judgement.holds, judgement.message.as_str()), (None, "look there"));
        let condition = conclude(&[judgement], &[], 1, Timestamp::UNIX_EPOCH).remove(0);
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("Unknown", "Unverified"));
        assert_eq!(Judgement::as_before(MONITORING_READY, &condition).holds, None);
        let shortcoming = Shortcoming { reason: "NotSelected", message: "nobody".into() };
        let lacking = Bundle { shortcomings: vec![shortcoming], ..unverified };
        assert_eq!(judged(&lacking, None), (false, "NotSelected".into(), "nobody".into()));
    }

    #[test]
    fn that_somebody_else_scrapes_is_told_beside_what_is_wrong_for_the_next_controller_to_know() {
        let elsewhere = Some("somebody scrapes it".to_owned());
        let shortcoming = Shortcoming { reason: "EmailIncomplete", message: "nobody is named".into() };
        let lacking = Bundle { shortcomings: vec![shortcoming], elsewhere: elsewhere.clone(), ..bundle(Proof::Seen) };
        let words = "nobody is named; somebody scrapes it".to_owned();
        assert_eq!(judged(&lacking, None), (false, "EmailIncomplete".into(), words));
        let unverified = Bundle { unverified: vec!["look there".into()], elsewhere, ..bundle(Proof::Seen) };
        assert_eq!(judged(&unverified, None).2, "look there; somebody scrapes it");
    }

    #[test]
    fn a_shortcoming_counts_whatever_was_said_before_and_nothing_is_said_before_all_is_known() {
        let shortcoming = Shortcoming { reason: "NotInstalled", message: "no CRD".into() };
        let lacking = Bundle { shortcomings: vec![shortcoming], ..bundle(Proof::Awaited) };
        assert_eq!(judged(&lacking, Some(&before("PickedUp", true))).1, "NotInstalled");
        let pending = Bundle { pending: true, ..bundle(Proof::Awaited) };
        assert_eq!(judged(&pending, Some(&before("NotSelected", false))).1, "NotSelected");
        assert_eq!(monitored(&pending, &[], None), None);
    }
}

#[test]
fn what_the_spec_says_without_effect_is_told_and_nothing_else_changes() {
    use crate::api::conditions::SPEC_IN_EFFECT;
    let email = json!({"to": ["team@example.org"]});
    let mut world = World::serving(json!({"monitoring": {"enabled": false, "email": email}}));
    let status = world.turn().status;
    reads(&status, 1, SERVING);
    because(&status, SPEC_IN_EFFECT, "WithoutEffect", "spec.monitoring.email: nothing watches the model");
    world.change(json!({"monitoring": {"email": email}}));
    assert!(find(&world.turn().status.conditions, SPEC_IN_EFFECT).is_none());
    world.change(json!({"monitoring": {"alerts": {"drift": {}}}}));
    because(&world.turn().status, SPEC_IN_EFFECT, "WithoutEffect", "set spec.predictions.reference");
    let reference = json!({"classes": {"table": 3, "cru": 1}});
    world.change(json!({"monitoring": {"alerts": {"drift": {}}}, "predictions": {"reference": reference}}));
    assert!(find(&world.turn().status.conditions, SPEC_IN_EFFECT).is_none());
}

#[test]
fn an_autoscaler_that_does_not_scale_is_told_unless_that_may_pass_by_itself() {
    use crate::api::conditions::SPEC_IN_EFFECT;
    let server = json!({"resources": {"requests": {"cpu": "1"}}});
    let mut world = World::serving(json!({"server": server, "autoscaling": {"max": 3}}));
    let mut told = |reason: &str, message: &str, since: &str| {
        let condition = json!({"type": "ScalingActive", "status": "False", "reason": reason, "message": message, "lastTransitionTime": since});
        let status = json!({"conditions": [condition], "currentReplicas": 1, "desiredReplicas": 0});
        world.edit(ChildKind::HorizontalPodAutoscaler, NAME, |autoscaler| autoscaler["status"] = status);
        let status = world.turn().status;
        reads(&status, 1, SERVING);
        find(&status.conditions, SPEC_IN_EFFECT).map(|condition| condition.message.clone())
    };
    // The world's clock has just begun to run.
    let (now, long_ago) = ("1970-01-01T00:00:00Z", "1969-12-31T23:54:00Z");
    let (unmeasured, failed) =
        ("did not receive metrics for targeted pods (pods might be unready)", "FailedGetContainerResourceMetric");
    assert_eq!(told(failed, unmeasured, now), None);
    assert!(told(failed, unmeasured, long_ago).unwrap().contains("kubectl describe hpa grape-scorer -n tasting-room"));
    let other = told("AmbiguousSelector", "controlled by multiple HPAs", now).unwrap();
    assert!(other.starts_with("spec.autoscaling: another HorizontalPodAutoscaler"), "{other}");
    world.edit(ChildKind::HorizontalPodAutoscaler, NAME, |autoscaler| autoscaler["status"] = json!({}));
    assert!(find(&world.turn().status.conditions, SPEC_IN_EFFECT).is_none());
}

#[test]
fn an_autoscaler_without_pods_to_measure_is_told_only_where_time_will_not_help() {
    use crate::api::conditions::SPEC_IN_EFFECT;
    let server = json!({"resources": {"requests": {"cpu": "1"}}});
    let mut world = World::new(json!({"server": server, "autoscaling": {"max": 3}}));
    world.push(pushed(1));
    world.turn();
    let mut told = |message: &str| {
        let condition = json!({"type": "ScalingActive", "status": "False", "reason": "FailedGetContainerResourceMetric", "message": message, "lastTransitionTime": "1969-12-31T00:00:00Z"});
        world.edit(ChildKind::HorizontalPodAutoscaler, NAME, |autoscaler| {
            autoscaler["status"] = json!({"conditions": [condition], "desiredReplicas": 0})
        });
        find(&world.turn().status.conditions, SPEC_IN_EFFECT).is_some()
    };
    assert!(!told("no metrics returned from resource metrics API"));
    assert!(told("the server could not find the requested resource (get pods.metrics.k8s.io)"));
}

#[test]
fn whoever_looks_at_a_model_that_nobody_scales_is_told_what_an_autoscaler_is_pointed_at() {
    let words = "may scale the Deployment of this name";
    because(&World::serving(json!({})).turn().status, AVAILABLE, "Available", words);
    let fixed = World::serving(json!({"replicas": 1})).turn().status;
    assert!(!find(&fixed.conditions, AVAILABLE).unwrap().message.contains(words));
}
