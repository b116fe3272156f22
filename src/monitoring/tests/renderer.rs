use std::{cell::Cell, sync::Arc};

use serde_json::json;

use super::*;
use crate::{
    controller::compare::first_difference,
    monitoring::{
        Bundle, MailDefaults, MailSecret, OptionalKind, Presence, Surroundings, bundle,
        surroundings::{Collector, Selects},
    },
    resources::{Child, child::reduce},
    rollout::fixtures::{NAME, NAMESPACE, spec},
};

thread_local! {
    static RENDERED: Cell<u32> = const { Cell::new(0) };
}

fn counted(subject: &Subject) -> Value {
    RENDERED.set(RENDERED.get() + 1);
    dashboard::board(subject)
}

fn of_a_later_release(subject: &Subject) -> Value {
    let mut board = dashboard::board(subject);
    board["description"] = json!("now with words");
    board
}

fn owner(uid: &str) -> Owner {
    Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: uid.into() }
}

fn made(renderer: &Renderer, uid: &str, fields: Value, without: &[(String, String)]) -> Bundle {
    let all = Selects { objects: Some(Default::default()), namespaces: Some(Default::default()) };
    let prometheus = Collector { name: "main".into(), rules: all, ..Collector::default() };
    let around = Surroundings {
        kinds: OptionalKind::ALL.into_iter().map(|kind| (kind, Presence::Ready)).collect(),
        collectors: vec![Arc::new(prometheus)],
        without_containers: without.to_vec(),
        ..Surroundings::default()
    };
    bundle(renderer, &owner(uid), &spec(fields), &around, &MailDefaults::default(), &MailSecret::None).unwrap()
}

fn board(renderer: &Renderer, uid: &str, fields: Value) -> Child {
    let children = made(renderer, uid, fields, &[]).children;
    children.into_iter().find(|child| child.kind == ChildKind::ConfigMap).unwrap()
}

#[test]
fn a_dashboard_is_rendered_once_for_all_turns_in_which_its_model_stays_the_same_and_again_to_be_sent() {
    let renderer = Renderer::new(counted);
    let first = board(&renderer, "1", json!({}));
    for _ in 0..3 {
        assert_eq!(board(&renderer, "1", json!({})), first);
    }
    assert_eq!(RENDERED.get(), 1);
    let whole = first.whole();
    assert_eq!(RENDERED.get(), 2);
    let spec = spec(json!({}));
    let subject = Subject { owner: &owner("1"), spec: &spec, monitoring: spec.monitoring.as_ref().unwrap() };
    assert_eq!(whole["data"][dashboard::key(subject.owner)], dashboard::board(&subject).to_string());
}

#[test]
fn a_spec_that_changed_and_a_successor_of_the_same_name_are_rendered_anew() {
    let renderer = Renderer::new(counted);
    let slow = json!({"monitoring": {"alerts": {"latencyP95": "2s"}}});
    let boards = [
        board(&renderer, "1", json!({})),
        board(&renderer, "1", slow.clone()),
        board(&renderer, "2", slow),
        board(&renderer, "1", json!({})),
    ];
    assert_eq!(RENDERED.get(), 4);
    assert_ne!(boards[0].hash, boards[1].hash);
    assert_eq!(boards[0], boards[3]);
    renderer.forget(&owner("1"));
    board(&renderer, "1", json!({}));
    assert_eq!(RENDERED.get(), 5, "nothing is kept of a model that is gone");
}

#[test]
fn another_dashboard_of_a_later_release_has_another_hash_and_differs_from_what_is_there() {
    let [now, later] =
        [Renderer::default(), Renderer::new(of_a_later_release)].map(|renderer| board(&renderer, "1", json!({})));
    assert_ne!(now.hash, later.hash);
    let mut live = now.whole().into_owned();
    reduce(ChildKind::ConfigMap, &mut live);
    assert_eq!(first_difference(&now.body, &live), None);
    let path = first_difference(&later.body, &live).unwrap().to_string();
    assert!(path.starts_with("data.") && path.contains(NAME), "{path}");
}

#[test]
fn what_is_compared_is_what_is_sent() {
    let renderer = Renderer::default();
    let extra = json!([{"alert": "Harvest", "expr": "vector(1)"}]);
    let fields = json!({"monitoring": {"extraRules": extra, "extraPanels": [{"type": "text", "title": "Cellar"}]}});
    let children = made(&renderer, "1", fields, &[]).children;
    let large = [ChildKind::PrometheusRule, ChildKind::PrometheusRule, ChildKind::ConfigMap];
    assert_eq!(children.iter().map(|child| child.kind).skip(1).collect::<Vec<_>>(), large);
    for child in &children {
        let mut whole = child.whole().into_owned();
        assert!(child.kind == ChildKind::ServiceMonitor || whole != child.body, "{}", child.kind);
        reduce(child.kind, &mut whole);
        assert_eq!(whole, child.body, "{}", child.name);
    }
}

#[test]
fn rules_are_those_of_the_series_that_there_are() {
    let renderer = Renderer::default();
    let rules = |without: &[(String, String)]| made(&renderer, "1", json!({}), without).children[1].clone();
    let (with, without) = (rules(&[]), rules(&[(String::new(), "main".into())]));
    assert_ne!(with.hash, without.hash);
    assert!(with.whole().to_string().contains("HighMemory") && !without.whole().to_string().contains("HighMemory"));
    assert_eq!(rules(&[]), with);
}
