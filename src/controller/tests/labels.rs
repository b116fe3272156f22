//! What an image's labels say, from the registry's answer to status, and back from what was stored.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::World;
use crate::{
    api::conditions::{IMAGE_RESOLVED, READY, find},
    images::{
        ImageDetails, Labels, Observation,
        labels::{PROFILE, REVISION, RUN_ID},
    },
    resources::ChildKind,
    rollout::fixtures::{NAME, digest, pushed, unreachable},
};

/// The `number`th push with these labels.
pub fn labelled(number: u8, labels: Value) -> ImageDetails {
    let config = json!({"config": {"Labels": labels}}).to_string();
    ImageDetails { labels: Arc::new(Labels::in_config(config.as_bytes())), ..pushed(number) }
}

pub fn profiled(number: u8) -> ImageDetails {
    let profile = json!({
        "version": 1, "kind": "class", "metrics": {"f1_score": 0.8125},
        "classes": [{"name": "table", "value": "0"}, {"name": "cru", "value": "1"}],
    });
    labelled(number, json!({PROFILE: profile.to_string(), REVISION: "4f2a", RUN_ID: "abc"}))
}

/// What the exporters of the wanted version are told that it says of its predictions.
fn told(world: &World) -> Option<Value> {
    let variables = &world.object(ChildKind::Deployment, NAME)["spec"]["template"]["spec"]["containers"][1]["env"];
    let variable = variables.as_array()?.iter().find(|variable| variable["name"] == "MODELSHIP_PROFILE")?;
    serde_json::from_str(&variable["value"].as_str()?.replace("$$", "$")).ok()
}

/// What all exporters are told.
fn settings(world: &World) -> Value {
    let settings = &world.object(ChildKind::ConfigMap, &format!("{NAME}-exporter"))["data"]["settings.json"];
    serde_json::from_str(settings.as_str().unwrap()).unwrap()
}

fn stored(world: &World) -> Vec<Value> {
    let names = world.names(ChildKind::ControllerRevision);
    names.iter().map(|name| world.object(ChildKind::ControllerRevision, name)["data"]["labels"].clone()).collect()
}

fn image_resolved(world: &World) -> (String, String) {
    let condition = find(&world.status.conditions, IMAGE_RESOLVED).unwrap();
    (condition.status.clone(), condition.message.clone())
}

#[test]
fn status_and_history_say_where_a_version_comes_from() {
    let mut world = World::new(json!({}));
    world.push(profiled(1));
    let turn = world.turn();
    assert!(turn.notes[0].text.contains("(latest, commit 4f2a, docker.io/"), "{:?}", turn.notes);
    let candidate = turn.status.candidate.unwrap();
    assert_eq!((candidate.origin.revision.as_deref(), candidate.origin.run_id.as_deref()), (Some("4f2a"), Some("abc")));
    assert_eq!(
        (candidate.origin.metrics["f1_score"].as_str(), candidate.classes),
        ("0.8125", vec!["table".into(), "cru".into()])
    );
    let status = world.serve(1).status;
    let stable = status.stable.unwrap();
    assert_eq!((&stable.origin, stable.classes.len(), status.candidate), (&candidate.origin, 2, None));
    assert_eq!(status.history[0].origin, candidate.origin);
}

#[test]
fn both_versions_of_a_roll_out_are_described_by_their_own_labels() {
    let mut world = World::new(json!({}));
    world.push(profiled(1));
    world.turn();
    world.serve(1);
    let first = profiled(1);
    world.push(labelled(2, json!({REVISION: "9c01"})));
    world.seen.details.insert(first.digest.clone(), Ok(first));
    let status = world.turn().status;
    let commit = |version: Option<crate::api::status::Version>| version.and_then(|version| version.origin.revision);
    assert_eq!((commit(status.stable), commit(status.candidate)), (Some("4f2a".into()), Some("9c01".into())));
    let status = world.serve(2).status;
    let past: Vec<_> = status.history.iter().map(|past| past.origin.revision.as_deref()).collect();
    assert_eq!(past, [Some("9c01"), Some("4f2a")]);
}

#[test]
fn labels_are_stored_with_the_template_and_known_while_the_registry_is_away() {
    let mut world = World::new(json!({}));
    world.push(profiled(1));
    world.turn();
    let before = world.serve(1).status;
    assert_eq!(stored(&world)[0]["values"][REVISION], "4f2a");
    // A restart: nothing was heard yet, then the registry fails.
    world.seen = Observation::default();
    assert_eq!(world.turn().status, before, "nothing is written");
    world.registry_fails(unreachable());
    world.status = Default::default();
    let status = world.turn().status;
    // By which tag it was found nobody else knows.
    let known = before.stable.map(|stable| crate::api::status::Version { tag: None, ..stable });
    assert_eq!((status.stable, status.history[0].origin.clone()), (known, before.history[0].origin.clone()));
}

#[test]
fn a_template_from_before_labels_were_read_stays_as_it_is_and_status_tells_all_the_same() {
    let mut world = World::serving(json!({}));
    let template = world.object(ChildKind::Deployment, NAME)["spec"]["template"].clone();
    world.push(profiled(1));
    let status = world.turn().status;
    assert_eq!(status.stable.clone().unwrap().origin.revision.as_deref(), Some("4f2a"));
    assert_eq!(status.history[0].origin.revision.as_deref(), Some("4f2a"));
    assert_eq!(stored(&world), [Value::Null], "what is stored of a version cannot be changed");
    assert_eq!(world.object(ChildKind::Deployment, NAME)["spec"]["template"], template);
    world.seen = Observation::default();
    assert_eq!(world.turn().status, status, "what was known is not forgotten with the registry away");
}

#[test]
fn a_bad_label_is_told_in_the_condition_and_stops_nothing() {
    let mut world = World::new(json!({}));
    world.push(labelled(1, json!({PROFILE: r#"{"version": 2}"#, REVISION: "4f2a"})));
    world.turn();
    let status = world.serve(1).status;
    assert_eq!(status.stable.unwrap().origin.revision.as_deref(), Some("4f2a"));
    let (truth, message) = image_resolved(&world);
    assert_eq!(truth, "True");
    assert!(message.contains("counts: the label dev.modelship.profile is of version 2, and"), "{message}");
    world.push(profiled(2));
    world.turn();
    world.serve(2);
    assert!(!image_resolved(&world).1.contains("label"), "{}", image_resolved(&world).1);
}

#[test]
fn what_a_version_says_of_its_predictions_travels_with_its_pods_and_not_with_the_shared_settings() {
    let mut world = World::new(json!({}));
    world.push(profiled(1));
    world.turn();
    world.serve(1);
    let classes = json!([{"name": "table", "value": "0"}, {"name": "cru", "value": "1"}]);
    assert_eq!(told(&world), Some(json!({"kind": "class", "classes": classes})));
    assert_eq!(settings(&world)["predictions"], json!({}));
    let first = settings(&world);
    world.push(labelled(2, json!({PROFILE: r#"{"version": 1, "kind": "number"}"#})));
    world.seen.details.insert(digest(1), Ok(profiled(1)));
    world.turn();
    assert_eq!((told(&world), settings(&world)), (Some(json!({"kind": "number"})), first));
    world.push(pushed(3));
    world.turn();
    assert_eq!(told(&world), None);
}

#[test]
fn a_change_of_the_spec_takes_the_profile_along_with_the_registry_away() {
    let mut world = World::new(json!({}));
    world.push(profiled(1));
    world.turn();
    world.serve(1);
    let before = told(&world);
    world.seen = Observation::default();
    world.registry_fails(unreachable());
    world.change(json!({"server": {"env": [{"name": "CELLAR", "value": "cool"}]}}));
    world.turn();
    assert_eq!((told(&world), stored(&world).len()), (before, 2));
    assert!(stored(&world).iter().all(|labels| labels["values"][REVISION] == "4f2a"), "{:?}", stored(&world));
}

#[test]
fn rules_and_board_know_what_the_version_says_and_the_spec_says_it_over() {
    let profile = json!({"version": 1, "kind": "class", "reference": {"classes": {"0": 80, "1": 20}}});
    let mut world = World::new(json!({}));
    world.push(labelled(1, json!({PROFILE: profile.to_string()})));
    let spec = |world: &World| crate::api::ValidSpec::parse(NAME, &world.spec).unwrap();
    let seen = |world: &World| world.plan().spec(&spec(world)).predictions.clone();
    assert_eq!(seen(&world), json!({"kind": "class", "reference": {"classes": {"0": 80, "1": 20}}}));
    // The row Drift is drawn only where there is a reference.
    let drawn = |world: &World| {
        let plan = world.plan();
        let board =
            plan.monitoring.iter().flat_map(|bundle| &bundle.children).find(|child| child.name.ends_with("-dashboard"));
        board.unwrap().whole()["data"].to_string().contains("model_predictions_binned_total")
    };
    assert!(drawn(&world) && !drawn(&World::serving(json!({}))));
    world.turn();
    world.serve(1);
    world.seen = Observation::default();
    assert_eq!(seen(&world)["reference"]["classes"]["0"], 80, "from what is stored");
    world.change(json!({"predictions": {"kind": "number"}}));
    assert_eq!((seen(&world), drawn(&world)), (json!({"kind": "number"}), false));
}

#[test]
fn pods_that_were_never_told_of_a_profile_are_not_judged_by_it() {
    let mut world = World::serving(json!({}));
    world.push(profiled(1));
    world.turn();
    let spec = crate::api::ValidSpec::parse(NAME, &world.spec).unwrap();
    assert_eq!((told(&world), world.plan().spec(&spec)), (None, &spec));
}

#[test]
fn a_pin_waits_until_its_labels_are_known_and_no_longer() {
    let mut world = World::serving(json!({}));
    world.change(json!({"image": {"pin": digest(2)}}));
    world.seen = Observation::default();
    let status = world.turn().status;
    let ready = find(&status.conditions, READY).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "Resolving"),
        "what runs is not what is wanted"
    );
    assert_eq!(find(&status.conditions, IMAGE_RESOLVED).unwrap().status, "False");
    assert_eq!((status.stable.unwrap().digest, status.candidate), (digest(1).to_string(), None));
    world.push(profiled(2));
    let status = world.turn().status;
    assert_eq!(status.candidate.unwrap().origin.revision.as_deref(), Some("4f2a"));
    assert!(told(&world).is_some());

    let mut world = World::serving(json!({}));
    world.change(json!({"image": {"pin": digest(2)}}));
    world.seen = Observation::default();
    world.turn();
    world.registry_fails(unreachable());
    let status = world.turn().status;
    assert_eq!(status.candidate.unwrap().digest, digest(2).to_string(), "the nodes may hold it");
}

#[test]
fn the_way_back_to_an_earlier_version_needs_no_registry() {
    let mut world = World::new(json!({}));
    world.push(profiled(1));
    world.turn();
    world.serve(1);
    world.push(pushed(2));
    world.seen.details.insert(digest(1), Ok(profiled(1)));
    world.turn();
    world.change(json!({"image": {"pin": digest(1)}}));
    world.seen = Observation::default();
    world.turn();
    assert!(told(&world).is_none(), "what the registry says of it may still come");
    world.registry_fails(unreachable());
    world.turn();
    assert!(told(&world).is_some(), "the earlier template is used");
}

#[test]
fn the_images_python_path_follows_ours_and_a_users_takes_its_place() {
    let path = |server: Value| {
        let mut world = World::new(json!({"server": server}));
        let config = json!({"config": {"Env": ["PYTHONPATH=/opt/app:/$lib"]}}).to_string();
        world.push(ImageDetails { labels: Arc::new(Labels::in_config(config.as_bytes())), ..pushed(1) });
        let workload = world.plan().workload.unwrap();
        let variables = &workload.deployment.body["spec"]["template"]["spec"]["containers"][0]["env"];
        let all = variables.as_array().cloned().unwrap_or_default();
        all.iter().find(|variable| variable["name"] == "PYTHONPATH").map(|variable| variable["value"].clone())
    };
    let ours = "/run/modelship/sitecustomize";
    assert_eq!(path(json!({"pythonMetrics": true})), Some(json!(format!("{ours}:/opt/app:/$$lib"))));
    let own = json!([{"name": "PYTHONPATH", "value": "/own"}]);
    assert_eq!(path(json!({"pythonMetrics": true, "env": own})), Some(json!(format!("{ours}:/own"))));
    assert_eq!(path(json!({"env": own})), Some(json!("/own")));
    assert_eq!(path(json!({})), None, "what is not asked for changes no variable");
}
