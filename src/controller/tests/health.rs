//! Statuses as the controller writes them, situation by situation, for those who wait for a ModelDeployment: tests/health
//! lets kstatus and Argo CD judge them. `UPDATE_GOLDEN=1` writes them anew.

use serde_json::{Value, json};

use super::{labels::labelled, world::World};
use crate::{
    images::{ImageDetails, labels::PROFILE},
    rollout::fixtures::{NAME, NAMESPACE, PodOf, Rollout, digest, pushed, unreachable},
};

/// Whoever waits for the object reads this file.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/health/situations.json");

/// The object as a reader gets it.
fn object(world: &mut World) -> Value {
    let status = world.turn().status;
    json!({
        "apiVersion": "modelship.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "generation": world.generation},
        "spec": world.spec,
        "status": status,
    })
}

/// The `number`th push, trained to this.
fn trained(number: u8, f1: f64) -> ImageDetails {
    let profile = json!({"version": 1, "kind": "class", "metrics": {"f1_score": f1}});
    labelled(number, json!({PROFILE: profile.to_string()}))
}

fn judged() -> Value {
    json!({"mlflow": {"require": {"f1_score": {"min": 0.8}}}})
}

fn first(image: ImageDetails, fields: Value) -> World {
    let mut world = World::new(fields);
    world.push(image);
    world.turn();
    world
}

/// The second push, on its way while the first serves.
fn second(rollout: &Rollout, pod: PodOf) -> World {
    let mut world = World::serving(json!({}));
    world.push(pushed(2));
    world.turn();
    world.rollout(rollout);
    world.pods(&[PodOf::ready(1), pod]);
    world
}

fn serving_and(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::serving(json!({}));
    change(&mut world);
    world
}

fn situations() -> Vec<(&'static str, World)> {
    let mut without_updates = World::serving(json!({"image": {"autoUpdate": false}}));
    without_updates.push(pushed(2));
    let mut to_zero = first(pushed(1), json!({"replicas": 0}));
    to_zero.serve(1);
    let mut not_accepted = first(trained(1, 0.9), judged());
    not_accepted.serve(1);
    not_accepted.push(trained(2, 0.7));
    let broken = |world: &mut World| {
        world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
        world.pods(&[PodOf::new(1).crashing(139)]);
    };
    vec![
        ("seen for the first time", World::new(json!({}))),
        ("first version coming", first(pushed(1), json!({}))),
        ("serving", World::serving(json!({}))),
        ("new version coming, old one serving", second(&Rollout::introducing(1), PodOf::new(2))),
        ("new version stuck, old one serving", second(&Rollout::overdue(1), PodOf::new(2).crashing(1))),
        ("registry down, serving", serving_and(|world| world.registry_fails(unreachable()))),
        ("pinned, serving", World::serving(json!({"image": {"pin": digest(1)}}))),
        ("autoUpdate off, serving", without_updates),
        ("spec invalid, serving", serving_and(|world| world.change(json!({"server": {"port": 9800}})))),
        ("pods refused", second(&Rollout::refused(1, "exceeded quota: vineyard"), PodOf::ready(1))),
        ("new version not accepted, old one serving", not_accepted),
        ("first version of all not accepted", first(trained(1, 0.7), judged())),
        ("scaled to zero", to_zero),
        ("serving version broken", serving_and(broken)),
    ]
}

#[test]
fn those_who_wait_for_a_model_judge_the_statuses_that_the_controller_writes() {
    let mut all: Vec<Value> = Vec::new();
    for (name, mut world) in situations() {
        all.push(json!({"name": name, "object": object(&mut world)}));
    }
    // Nobody has looked at the newest spec of a model that serves.
    let mut changed = all.iter().find(|situation| situation["name"] == "serving").unwrap().clone();
    changed["name"] = json!("spec changed, and nobody has looked at it yet");
    changed["object"]["metadata"]["generation"] = json!(2);
    all.push(changed);
    let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(FILE, &text).unwrap();
    }
    let known = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(known == text, "{FILE} is stale; if that is meant: UPDATE_GOLDEN=1 cargo test --lib health");
}
