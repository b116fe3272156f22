//! What an image says of itself by its labels, from a real registry to status, to the pods, and back after a restart.

use modelship::{
    api::{conditions, status::Version},
    resources::ChildKind,
};
use serde_json::{Value, json};

use crate::{
    lifecycle::{repository, spec},
    support::{Kubelet, Operator, Options, World, eventually, kubelet, registry},
};

const REVISION: &str = "org.opencontainers.image.revision";
const PROFILE: &str = "dev.modelship.profile";

fn profile() -> Value {
    json!({
        "version": 1, "kind": "class", "path": "$.prediction", "metrics": {"f1_score": 0.8125},
        "classes": [{"name": "stay", "value": "0"}, {"name": "churn", "value": "1"}],
        "reference": {"classes": {"churn": 20, "stay": 80}},
        "example": {"body": {"dataframe_split": {"columns": ["age"], "data": [[41.5]]}}},
    })
}

/// Pushes with these labels and further options; returns the digest.
fn push(world: &World, answer: &str, labels: &[(&str, &str)], options: &[&str]) -> String {
    let labels: Vec<String> =
        labels.iter().flat_map(|(name, value)| ["--label".into(), format!("{name}={value}")]).collect();
    let all: Vec<&str> = ["--answer", answer]
        .into_iter()
        .chain(options.iter().copied())
        .chain(labels.iter().map(String::as_str))
        .collect();
    registry::push_with(&repository(world), "latest", &all)
}

/// How many GETs the registry was asked.
fn gets(operator: &Operator) -> u64 {
    let page = operator.page();
    let of = |line: &&str| line.starts_with("modelship_registry_requests_total") && line.contains(r#"method="GET""#);
    page.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// What the exporters of the wanted version are told.
async fn told(world: &World) -> Option<Value> {
    let live = world.child(ChildKind::Deployment, "churn").await?;
    let variables = live["spec"]["template"]["spec"]["containers"][1]["env"].as_array()?.clone();
    let variable = variables.iter().find(|variable| variable["name"] == "MODELSHIP_PROFILE")?;
    serde_json::from_str(&variable["value"].as_str()?.replace("$$", "$")).ok()
}

fn commit(version: Option<&Version>) -> Option<&str> {
    version?.origin.revision.as_deref()
}

#[tokio::test]
async fn labels_show_in_status_and_travel_with_the_pods_even_after_a_restart_with_the_registry_away() {
    let world = World::new("labels").await;
    let text = profile().to_string();
    let first = push(&world, "0", &[(REVISION, "4f2a"), ("dev.modelship.mlflow.run-id", "abc"), (PROFILE, &text)], &[]);
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.serves("churn", &first).await;
    let stable = status.stable.as_ref();
    assert_eq!((commit(stable), gets(&operator)), (Some("4f2a"), 2), "a manifest and its configuration");
    let stable = stable.expect("a stable version");
    assert_eq!(
        (stable.origin.run_id.as_deref(), stable.classes.as_slice()),
        (Some("abc"), &["stay".to_owned(), "churn".to_owned()][..])
    );
    assert_eq!(stable.origin.metrics["f1_score"], "0.8125");
    assert_eq!(status.history[0].origin, stable.origin);
    let said = told(&world).await.expect("the profile");
    assert_eq!((&said["path"], &said["reference"]["classes"]["stay"]), (&json!("$.prediction"), &json!(80)));
    let settings = world.child(ChildKind::ConfigMap, "churn-exporter").await.expect("settings");
    assert!(settings["data"]["settings.json"].as_str().is_some_and(|text| text.contains(r#""predictions":{}"#)));
    let stored = &world.list(ChildKind::ControllerRevision).await[0].data["data"]["labels"]["values"];
    assert_eq!((&stored[REVISION], &stored[PROFILE]), (&json!("4f2a"), &json!(text)));

    operator.stop().await;
    let away = Options { docker_hub: "http://127.0.0.1:9".into(), ..Options::default() };
    let operator = Operator::start_with(&world, away);
    world.condition("churn", conditions::IMAGE_RESOLVED, "False", "RegistryUnreachable").await;
    let mut changed = spec(&world);
    changed["server"] = json!({"env": [{"name": "A", "value": "1"}]});
    world.apply("churn", changed).await;
    eventually("another template", || async {
        let sets = world.replica_sets().await.len();
        if sets == 2 { Ok(()) } else { Err(sets) }
    })
    .await;
    assert_eq!(told(&world).await, Some(said), "what the version means is known all the same");
    let after = world.serves("churn", &first).await;
    assert_eq!((after.stable, after.history), (status.stable, status.history));
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn both_versions_of_a_roll_out_have_their_own_profile_and_an_index_costs_two_requests_more() {
    let world = World::new("labelled").await;
    let text = profile().to_string();
    let first = push(&world, "0", &[(REVISION, "4f2a"), (PROFILE, &text)], &[]);
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    let before = gets(&operator);
    let number = r#"{"version":1,"kind":"number"}"#;
    let index = ["--platforms", "linux/arm64,linux/amd64"];
    let second = push(&world, "1.5", &[(REVISION, "9c01"), (PROFILE, number)], &index);
    let status = world.serves("churn", &second).await;
    assert_eq!(gets(&operator) - before, 3, "the index, a manifest, its configuration");
    assert_eq!(told(&world).await, Some(json!({"kind": "number"})));
    let past: Vec<_> = status.history.iter().map(|past| past.origin.revision.as_deref()).collect();
    assert_eq!((past, commit(status.stable.as_ref())), (vec![Some("9c01"), Some("4f2a")], Some("9c01")));
    let events = world.events("churn").await;
    assert!(events.iter().any(|(reason, note)| reason == "RollingOut" && note.contains("commit 9c01")), "{events:?}");
    // A pin to the earlier version brings its profile back, from what is stored.
    let mut pinned = spec(&world);
    pinned["image"]["pin"] = json!(first);
    world.apply("churn", pinned).await;
    world.serves("churn", &first).await;
    assert_eq!(told(&world).await.expect("the profile")["kind"], "class");
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_pin_of_a_version_that_never_ran_is_rendered_with_its_profile() {
    let world = World::new("labelpin").await;
    let digest = push(&world, "0", &[(PROFILE, &profile().to_string())], &[]);
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut pinned = spec(&world);
    pinned["image"]["pin"] = json!(digest);
    world.apply("churn", pinned).await;
    world.serves("churn", &digest).await;
    assert_eq!(told(&world).await.expect("the profile")["path"], "$.prediction");
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn labels_that_cannot_be_used_are_told_and_cost_neither_a_roll_out_nor_a_write_at_a_restart() {
    let world = World::new("badlabels").await;
    let long = "r".repeat(2000);
    let labels = [
        (PROFILE, r#"{"version": 2, "kind": "tensor"}"#),
        (REVISION, long.as_str()),
        ("dev.modelship.model-version", "7"),
    ];
    let digest = push(&world, "0", &labels, &[]);
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.serves("churn", &digest).await;
    let resolved = conditions::find(&status.conditions, conditions::IMAGE_RESOLVED).expect("the condition");
    assert_eq!(resolved.status, "True");
    for words in ["is of version 2, and this Modelship reads version 1", "has 2000 bytes, more than the 1024"] {
        assert!(resolved.message.contains(words), "{}", resolved.message);
    }
    let stable = status.stable.expect("a stable version");
    assert_eq!((stable.origin.revision, stable.origin.model_version.as_deref()), (None, Some("7")));
    assert_eq!(told(&world).await, None);
    operator.stop().await;
    let operator = Operator::start(&world);
    operator.at_rest(|| true).await;
    assert_eq!(gets(&operator), 0, "what the registry said of it is stored");
    assert_eq!(operator.tap.writes(), []);
    operator.stop().await;
    world.end().await;
}
