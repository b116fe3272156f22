//! What an image says of itself, in real pods.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    exporter::{only_pod, page, shows},
    stage::Stage,
    support::world::setting,
};

/// One request with the version's own example, by `modelship predict` from outside the cluster.
async fn predict(stage: &Stage) -> Value {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_modelship"));
    command.args(["predict", "churn", "--namespace", &stage.namespace, "--output", "json"]);
    let output = command.env("KUBECONFIG", setting("MODELSHIP_TEST_KUBECONFIG")).stdin(Stdio::null()).output().await;
    let output = output.expect("modelship starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn each_version_counts_its_classes_by_the_names_that_its_image_brings_along() {
    let stage = Stage::shared("labelled").await;
    for (name, rows) in [("churn", 20), ("leaves", 50)] {
        let profile = json!({
            "version": 1, "kind": "class",
            "classes": [{"name": "stay", "value": "0"}, {"name": name, "value": "1"}],
            "reference": {"classes": {"stay": 100 - rows, name: rows}},
            "example": {"body": {"inputs": [[41]]}},
        });
        let digest = stage.push_with("1", &["--label", &format!("dev.modelship.profile={profile}")]);
        stage.apply("churn", stage.spec()).await;
        let status = stage.serves("churn", &digest).await;
        assert_eq!(status.stable.expect("a stable version").classes, ["stay", name]);
        stage.only_pods_of("churn", &digest).await;
        let pod = only_pod(&stage, "churn").await;
        assert_eq!(predict(&stage).await["classes"], json!([name]));
        let counted = format!("model_predictions_total{{class=\"{name}\"}}");
        shows(&stage, &pod, &[(&counted, 1.0)]).await;
        let page = page(&pod).await;
        let (bin, share) = (format!("model_prediction_reference_ratio{{bin=\"{name}\","), f64::from(rows) / 100.0);
        assert!(page.lines().any(|line| line.starts_with(&bin) && line.ends_with(&format!(" {share}"))), "{page}");
    }
    stage.end().await;
}
