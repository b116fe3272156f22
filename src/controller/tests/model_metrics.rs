use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;

use super::*;
use crate::{
    controller::{
        apply::Obstacle,
        decide::{labels::labelled, world::World},
    },
    images::labels::PROFILE,
    rollout::fixtures::{NAME, NAMESPACE, PodOf, Rollout, digest, pushed},
};

struct Page {
    registry: Registry,
    models: ModelMetrics,
}

impl Page {
    fn new() -> Self {
        let registry = Registry::new();
        let models = ModelMetrics::registered(&registry).unwrap();
        Self { registry, models }
    }

    fn set(&self, world: &World) {
        let spec = ValidSpec::parse(NAME, &world.spec).ok();
        self.models.set(&world.observe(), &world.status, spec.as_ref());
    }

    fn text(&self) -> String {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    /// The value of the only series of that name whose labels hold all of these.
    fn value(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let page = self.text();
        let mut lines = page
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label)));
        let value = lines.next()?.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(lines.next(), None, "{name} {labels:?}");
        Some(value)
    }
}

#[test]
fn a_model_that_serves_is_shown_with_its_version_its_replicas_and_its_limits() {
    let limits = json!({"server": {"resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}}, "replicas": 1});
    let world = World::serving(limits);
    let page = Page::new();
    page.set(&world);
    let of = [&format!("model=\"{NAME}\"")[..], &format!("model_namespace=\"{NAMESPACE}\"")];
    assert_eq!(page.value("modelship_model_condition", &["type=\"Ready\"", of[0], of[1]]), Some(1.0));
    assert_eq!(page.value("modelship_model_condition", &["type=\"Stalled\""]), Some(0.0));
    let stable = format!("digest=\"{}\"", digest(1).short());
    assert_eq!(page.value("modelship_model_version_info", &["track=\"stable\"", &stable, "tag=\"latest\""]), Some(1.0));
    assert_eq!(page.value("modelship_model_rollout_in_progress", &of), Some(0.0));
    assert_eq!(page.value("modelship_model_replicas_available", &of), Some(1.0));
    assert_eq!(page.value("modelship_model_cpu_limit_cores", &of), Some(1.5));
    assert_eq!(page.value("modelship_model_memory_limit_bytes", &of), Some(1024.0 * 1024.0 * 1024.0));
    assert!(page.value("modelship_model_stable_since_timestamp_seconds", &of).unwrap() > 0.0);
}

#[test]
fn a_models_board_is_told_while_there_is_one() {
    let page = Page::new();
    page.set(&World::serving(json!({})));
    let told = page.text().lines().filter(|line| line.starts_with("modelship_model_board_info{board=\"ms-")).count();
    assert_eq!(told, 1);
    page.set(&World::serving(json!({"monitoring": {"dashboard": {"enabled": false}}})));
    assert_eq!(page.value("modelship_model_board_info", &[]), None);
}

#[test]
fn a_version_that_is_over_leaves_no_series_behind() {
    let mut world = World::serving(json!({}));
    let page = Page::new();
    page.set(&world);
    world.push(pushed(2));
    world.turn();
    page.set(&world);
    assert_eq!(page.value("modelship_model_version_info", &["track=\"candidate\""]), Some(1.0));
    assert_eq!(page.value("modelship_model_rollout_in_progress", &[]), Some(1.0));
    world.serve(2);
    page.set(&world);
    assert_eq!(page.value("modelship_model_version_info", &["track=\"candidate\""]), None);
    assert!(!page.text().contains(digest(1).short()));
}

#[test]
fn metrics_of_the_training_are_those_of_the_version_that_users_get_and_one_held_back_is_no_candidate() {
    let mut world = World::new(json!({"mlflow": {"require": {"f1_score": {"min": 0.8}}}}));
    let page = Page::new();
    let image = |number: u8, f1: f64| {
        let profile = json!({"version": 1, "kind": "class", "metrics": {"f1_score": f1}});
        labelled(number, json!({PROFILE: profile.to_string()}))
    };
    world.push(image(1, 0.9));
    world.turn();
    world.serve(1);
    world.push(image(2, 0.7));
    world.seen.details.insert(digest(1), Ok(image(1, 0.9)));
    assert!(world.turn().status.candidate.is_some());
    page.set(&world);
    assert_eq!(page.value("modelship_model_training_metric", &["metric=\"f1_score\""]), Some(0.9));
    assert_eq!(page.value("modelship_model_version_info", &["track=\"candidate\""]), None);
    assert_eq!(page.value("modelship_model_condition", &["type=\"VersionAccepted\""]), Some(0.0));
}

#[test]
fn a_rollout_is_in_progress_while_something_is_introduced_and_not_while_a_model_has_stopped_to_answer() {
    let mut world = World::serving(json!({"rollout": {"strategy": "Recreate"}}));
    let in_progress = |world: &World| {
        let page = Page::new();
        page.set(world);
        let progressing = page.value("modelship_model_condition", &["type=\"Progressing\""]);
        assert_eq!(progressing, Some(1.0), "{:?}", world.status.conditions);
        page.value("modelship_model_rollout_in_progress", &[])
    };
    world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
    world.pods(&[PodOf::new(1)]);
    world.turn();
    assert_eq!(in_progress(&world), Some(0.0), "its server hangs");
    world.serve(1);
    world.push(pushed(2));
    world.turn();
    assert_eq!(in_progress(&world), Some(1.0), "the next version is decided");
    world.rollout(&Rollout { wanted: 1, ..Rollout::complete(0) });
    world.pods(&[PodOf::ready(1).leaving()]);
    world.turn();
    assert_eq!(in_progress(&world), Some(1.0), "the one before has stopped");
    world.rollout(&Rollout { existing: 1, ..Rollout::introducing(0) });
    world.pods(&[PodOf::new(2)]);
    world.turn();
    assert_eq!(in_progress(&world), Some(1.0), "the next one starts");
}

#[test]
fn a_rollout_fails_while_something_is_introduced_and_not_by_what_breaks_later() {
    let stalled_and_failed = |change: &dyn Fn(&mut World)| {
        let mut world = World::serving(json!({}));
        change(&mut world);
        world.turn();
        let page = Page::new();
        page.set(&world);
        let stalled = page.value("modelship_model_condition", &["type=\"Stalled\""]);
        assert_eq!(stalled, Some(1.0), "{:?}", world.status.conditions);
        page.value("modelship_model_rollout_failed", &[])
    };
    let conflict = || Obstacle { reason: "NameConflict", message: "not ours".into(), passing: false };
    let breaks = |world: &mut World| {
        world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
        world.pods(&[PodOf::new(1).crashing(137)]);
    };
    assert_eq!(stalled_and_failed(&breaks), Some(0.0), "it crashes long after its introduction");
    let conflicts = |world: &mut World| world.obstacles = vec![conflict()];
    assert_eq!(stalled_and_failed(&conflicts), Some(0.0), "a child's name is taken");
    let wrong = |world: &mut World| world.change(json!({"predictions": {"path": "["}}));
    assert_eq!(stalled_and_failed(&wrong), Some(0.0), "the spec is wrong");
    let next = |world: &mut World| {
        world.push(pushed(2));
        world.turn();
        world.rollout(&Rollout::overdue(1));
        world.pods(&[PodOf::ready(1), PodOf::new(2).crashing(1)]);
    };
    assert_eq!(stalled_and_failed(&next), Some(1.0), "the next version does not get ready");
    let change = |world: &mut World| {
        world.change(json!({"server": {"resources": {"limits": {"memory": "1Mi"}}}}));
        world.turn();
        world.rollout(&Rollout::overdue(1));
        world.pods(&[PodOf::ready(1), PodOf::new(1).crashing(137)]);
    };
    assert_eq!(stalled_and_failed(&change), Some(1.0), "the same version does not get ready as it is to run now");
    let first = |world: &mut World| {
        *world = World::new(json!({}));
        world.push(pushed(1));
        world.turn();
        world.rollout(&Rollout::overdue(0));
        world.pods(&[PodOf::new(1).crashing(1)]);
    };
    assert_eq!(stalled_and_failed(&first), Some(1.0), "the first version does not get ready");
}

/// VersionHeldBack tells of it, and nobody looks for a roll-out where none has begun.
#[test]
fn a_first_version_that_is_held_back_is_no_rollout_that_failed() {
    let mut world = World::new(json!({"mlflow": {"require": {"f1_score": {"min": 0.8}}}}));
    world.push(pushed(1));
    world.turn();
    let page = Page::new();
    page.set(&world);
    assert_eq!(page.value("modelship_model_condition", &["type=\"Stalled\""]), Some(1.0));
    assert_eq!(page.value("modelship_model_condition", &["type=\"VersionAccepted\""]), Some(0.0));
    assert_eq!(page.value("modelship_model_rollout_failed", &[]), Some(0.0));
    world.obstacles = vec![Obstacle { reason: "NameConflict", message: "not ours".into(), passing: false }];
    world.turn();
    page.set(&world);
    assert_eq!(page.value("modelship_model_rollout_failed", &[]), Some(1.0), "something else is in the way as well");
}

#[test]
fn a_pin_and_updates_that_are_off_are_shown_whether_or_not_the_model_serves() {
    let shown = |world: &mut World, fields: serde_json::Value| {
        world.change(fields);
        world.turn();
        let page = Page::new();
        page.set(world);
        page.value("modelship_model_updates_off", &[])
    };
    let mut world = World::serving(json!({}));
    assert_eq!(shown(&mut world, json!({})), Some(0.0));
    assert_eq!(shown(&mut world, json!({"image": {"autoUpdate": false}})), Some(1.0));
    assert_eq!(shown(&mut world, json!({"image": {"pin": digest(1)}})), Some(1.0));
    world.rollout(&Rollout { available: 0, ..Rollout::complete(1) });
    assert_eq!(shown(&mut world, json!({"image": {"pin": digest(1)}})), Some(1.0));
}

#[test]
fn restarts_add_up_over_pods_and_never_fall() {
    let mut world = World::serving(json!({}));
    let page = Page::new();
    let restarts = |page: &Page| page.value("modelship_model_restarts_total", &[]);
    let restarted = |times: i32| PodOf::ready(1).restarted(times);
    world.pods(&[restarted(4)]);
    page.set(&world);
    assert_eq!(restarts(&page), Some(0.0), "what was before the operator came is no news");
    world.pods(&[restarted(6), restarted(1)]);
    page.set(&world);
    assert_eq!(restarts(&page), Some(2.0));
    world.pods(&[]);
    page.set(&world);
    assert_eq!(restarts(&page), Some(2.0), "pods that are gone take nothing away");
}

#[test]
fn pods_that_have_restarted_count_while_they_are_there() {
    let mut world = World::serving(json!({}));
    let page = Page::new();
    let mut shown = |pods: &[PodOf]| {
        world.pods(pods);
        page.set(&world);
        page.value("modelship_model_restarted_pods", &[])
    };
    let restarted = || PodOf::ready(1).restarted(3);
    assert_eq!(shown(&[PodOf::ready(1)]), Some(0.0));
    assert_eq!(shown(&[PodOf::ready(1), restarted(), PodOf::new(1).crashing(1).restarted(1)]), Some(2.0));
    assert_eq!(shown(&[restarted().leaving()]), Some(0.0), "a pin has taken its place");
}

#[test]
fn a_model_that_is_gone_leaves_nothing_behind() {
    let page = Page::new();
    page.set(&World::serving(json!({})));
    page.models.forget(&(NAMESPACE.into(), NAME.into()));
    assert!(!page.text().contains(NAME));
}
