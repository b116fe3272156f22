//! What a version says itself of its predictions, by a variable of its pods.

use std::time::{Duration, Instant};

use crate::exporter::{Exporter, model};

/// The page once it has that series, after one request.
async fn page_with(exporter: &Exporter, series: &str) -> String {
    let client = crate::client();
    exporter.answers().await;
    let request = client.post(exporter.url(9800, "/invocations")).header("content-type", "application/json");
    assert_eq!(request.body("{\"inputs\": [[1]]}").send().await.expect("an answer").status(), 200);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let page = client.get(exporter.url(9801, "/metrics")).send().await.expect("an answer");
        let page = page.text().await.expect("a page");
        if page.contains(series) {
            return page;
        }
        assert!(Instant::now() < deadline, "no {series} in:\n{page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn classes_bear_the_names_that_the_version_brings_along() {
    let (port, _) = model().await;
    let profile = r#"{"kind": "class", "classes": [{"name": "stay", "value": "0"}, {"name": "churn", "value": "1"}],
        "reference": {"classes": {"stay": 80, "churn": 20}}}"#;
    let exporter = Exporter::start(2, port, &[("MODELSHIP_PROFILE", profile)]);
    let page = page_with(&exporter, r#"model_predictions_total{class="churn"} 1"#).await;
    let share =
        |line: &str| line.starts_with(r#"model_prediction_reference_ratio{bin="churn","#) && line.ends_with(" 0.2");
    assert!(page.lines().any(share), "{page}");
}

#[tokio::test]
async fn a_variable_that_cannot_be_read_keeps_no_request_from_the_model() {
    let (port, _) = model().await;
    let exporter = Exporter::start(3, port, &[("MODELSHIP_PROFILE", "profile")]);
    page_with(&exporter, r#"http_requests_total{code="200",method="POST"} 1"#).await;
}
