//! Bad specs are refused by the API server itself, in our words. The same table is read by the unit tests of
//! `api::valid`: both judges must agree.

use serde::Deserialize;
use serde_json::{Value, json};

use kube::{api::PostParams, core::DynamicObject};

use crate::support::{World, world::CRD_UNCHANGED};

#[derive(Deserialize)]
struct Row {
    case: String,
    #[serde(default = "sound_name")]
    name: String,
    spec: Value,
    words: String,
    /// `schema` where the words are not ours.
    by: Option<String>,
}

fn sound_name() -> String {
    "churn".into()
}

async fn refusal(world: &World, name: &str, spec: &Value) -> Option<String> {
    let body = json!({
        "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": name}, "spec": spec,
    });
    let object: DynamicObject = serde_json::from_value(body).expect("an object");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    world.models().create(&dry, &object).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn the_api_server_refuses_bad_specs_and_says_how_to_mend_them() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("refused").await;
    let table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/refused.json"));
    let rows: Vec<Row> = serde_json::from_str(&table.expect("the table")).expect("its rows");
    assert!(rows.len() > 10, "the table is there");
    let mut wrong = Vec::new();
    for row in rows {
        match refusal(&world, &row.name, &row.spec).await {
            // What a type or a pattern says would stand in front of our sentence, and be read instead.
            Some(words) if words.contains(&row.words) && (row.by.is_some() || !words.contains(" in body ")) => {}
            other => wrong.push(format!("{}: wanted '{}', the API server says {other:?}", row.case, row.words)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.end().await;
}

/// kstatus, by which Helm and Flux wait, takes an object without a status for finished; and there is no number of replicas to
/// scale from before somebody has set one.
#[tokio::test]
async fn a_model_that_no_operator_has_seen_is_not_finished_and_scales_once_it_says_how_many() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("unseen").await;
    world.apply("churn", json!({"image": {"repository": "alice/churn"}})).await;
    let stored = world.models().get("churn").await.expect("the model");
    assert_eq!(stored.data["status"], json!({"observedGeneration": -1}));
    let refused = world.models().get_scale("churn").await.expect_err("nothing to scale from");
    assert!(refused.to_string().contains(".spec.replicas"), "{refused}");
    world.apply("churn", json!({"image": {"repository": "alice/churn"}, "replicas": 2})).await;
    let scale = world.models().get_scale("churn").await.expect("a scale");
    assert_eq!(scale.spec.and_then(|spec| spec.replicas), Some(2));
    world.end().await;
}

#[tokio::test]
async fn every_sample_is_accepted() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("samples").await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/samples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the samples") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        for document in documents.iter().filter(|document| document["kind"] == "ModelDeployment") {
            seen += 1;
            let name = document["metadata"]["name"].as_str().expect("a name");
            assert_eq!(refusal(&world, name, &document["spec"]).await, None, "{}", path.display());
        }
    }
    assert!(seen > 0, "there are samples");
    world.end().await;
}
