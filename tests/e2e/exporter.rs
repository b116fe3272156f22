//! The exporter in real pods: what it counts, and what it keeps from happening.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use modelship::api::{names, spec::PredictionKind};
use serde_json::{Value, json};

use crate::{
    asking, operator,
    real_model::{ANSWERS, REQUEST, push},
    stage::Stage,
};

/// The exporter's page, from the pod itself.
pub async fn page(pod: &Pod) -> String {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).expect("an address");
    let url = format!("http://{address}:{}/metrics", names::EXPORTER_METRICS);
    let page = asking::client().get(url).send().await.expect("an answer");
    page.error_for_status().expect("a page").text().await.expect("text")
}

/// A series' value, by its name with all of its labels as the page writes them.
pub fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line[series.len()..].trim().parse().ok()
}

/// The sum over all series of that name.
fn sum(page: &str, name: &str) -> f64 {
    let of_name =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'));
    page.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

fn container<'a>(pod: &'a Pod, name: &str) -> &'a ContainerStatus {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()).expect("statuses");
    statuses.iter().find(|status| status.name == name).expect("the container")
}

pub async fn only_pod(stage: &Stage, model: &str) -> Pod {
    let mut pods = stage.pods(model).await;
    assert_eq!(pods.len(), 1);
    pods.remove(0)
}

/// Waits until the page shows these values, and fails with the values that it shows instead.
pub async fn shows(stage: &Stage, pod: &Pod, expected: &[(&str, f64)]) {
    stage
        .eventually("the page to show what was sent", || async {
            let page = page(pod).await;
            let found: Vec<_> = expected.iter().map(|(series, _)| (*series, value(&page, series))).collect();
            let wanted: Vec<_> = expected.iter().map(|(series, wanted)| (*series, Some(*wanted))).collect();
            if found == wanted { Ok(()) } else { Err(found) }
        })
        .await;
}

async fn post(url: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let sent = asking::client().post(url).header("content-type", "application/json").body(body).send();
    let answer = sent.await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// The request with its rows so many times over.
fn rows(times: usize) -> String {
    let mut request: Value = serde_json::from_str(REQUEST).expect("JSON");
    let data = request["dataframe_split"]["data"].as_array_mut().expect("rows");
    *data = std::iter::repeat_n(data.clone(), times).flatten().collect();
    request.to_string()
}

#[tokio::test]
async fn requests_and_predictions_of_a_real_model_are_counted_exactly() {
    counted_exactly("counted", "v1").await;
}

#[tokio::test]
async fn those_of_mlflow_2_20_under_gunicorn_are_counted_exactly_too() {
    counted_exactly("counted220", "v2.20").await;
}

async fn counted_exactly(test: &str, variant: &str) {
    let stage = Stage::shared(test).await;
    let digest = push(&stage, variant);
    let mut spec = stage.spec();
    spec["service"] = json!({"aliases": {"/predict": "/invocations"}});
    stage.apply("credit-scoring", spec).await;
    stage.serves("credit-scoring", &digest).await;
    let pod = only_pod(&stage, "credit-scoring").await;
    let idle = page(&pod).await;
    assert_eq!(sum(&idle, "http_requests_total"), 0.0, "probes and health checks are no requests:\n{idle}");
    assert_eq!(value(&idle, "model_up"), Some(1.0));

    let url = stage.url("credit-scoring").await;
    let approve = ANSWERS[0].trim_matches('"');
    assert_eq!(stage.ask_with("credit-scoring", REQUEST).await, ANSWERS[0]);
    for times in [1, 2, 4] {
        let (code, body) = post(&url, rows(times)).await;
        let predictions = serde_json::from_str::<Value>(&body).expect("JSON")["predictions"].clone();
        assert_eq!((code, predictions), (200, json!(vec![approve; times])));
    }
    assert_eq!(post(&url.replace("/invocations", "/predict"), REQUEST).await.0, 200);
    let wrong = r#"{"dataframe_split": {"columns": ["unheard_of"], "data": [[1]]}}"#;
    assert_eq!(post(&url, wrong).await.0, 400);
    assert_eq!(post(&url.replace("/invocations", "/nowhere"), REQUEST).await.0, 404);
    let health = asking::client().get(url.replace("/invocations", "/ping")).send().await.expect("an answer");
    assert_eq!(health.status(), 200);
    let counted = format!("model_predictions_total{{class=\"{approve}\"}}");
    shows(
        &stage,
        &pod,
        &[
            (r#"http_requests_total{code="200",method="POST"}"#, 5.0),
            (r#"http_requests_total{code="400",method="POST"}"#, 1.0),
            (r#"http_requests_total{code="404",method="POST"}"#, 1.0),
            (r#"http_requests_total{code="200",method="GET"}"#, 1.0),
            (r#"http_request_errors_total{cause="client"}"#, 2.0),
            (r#"http_request_errors_total{cause="model"}"#, 0.0),
            ("http_request_duration_seconds_count", 8.0),
            ("model_rows_per_request_count", 5.0),
            ("model_rows_per_request_sum", 9.0),
            (&counted, 9.0),
            ("http_requests_in_flight", 0.0),
        ],
    )
    .await;
    the_models_processes_show(&page(&pod).await);
    let found = stage.reading_found("credit-scoring").await;
    assert_eq!((found.digest, found.kind, found.path.as_str()), (digest, PredictionKind::Class, "$"));
    stage.end().await;
}

/// Of the model's container, not of the exporter's.
fn the_models_processes_show(page: &str) {
    let of = |series: &str| value(page, series).unwrap_or_else(|| panic!("no {series}:\n{page}"));
    let mib = 1024.0 * 1024.0;
    assert!(of("process_resident_memory_bytes") > 50.0 * mib, "a Python process with scikit-learn");
    assert!(of("modelship_exporter_resident_memory_bytes") < 10.0 * mib, "{page}");
    assert!(of("process_cpu_seconds_total") > 0.5);
    assert!(of("process_threads") >= 1.0);
}

#[tokio::test]
async fn a_model_that_raises_is_to_blame_and_its_answer_passes_unchanged() {
    let stage = Stage::shared("raises").await;
    let digest = stage.push_with("1", &["--fail"]);
    stage.apply("churn", stage.spec()).await;
    stage.serves("churn", &digest).await;
    let pod = only_pod(&stage, "churn").await;
    let url = stage.url("churn").await;
    stage
        .eventually("the Service to lead there", || async {
            asking::client().get(&url).send().await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    let (code, body) = post(&url, asking::ROW).await;
    assert!(code == 400 && body.contains("BAD_REQUEST") && body.contains("unexpected error"), "{code}: {body}");
    shows(&stage, &pod, &[(r#"http_request_errors_total{cause="model"}"#, 1.0)]).await;
    stage.end().await;
}

#[tokio::test]
async fn a_server_that_listens_on_loopback_alone_serves_behind_the_exporter() {
    let stage = Stage::shared("loopback").await;
    let digest = stage.push("1");
    let mut spec = stage.spec();
    spec["server"] = json!({"env": [{"name": "TINYMODEL_LISTEN", "value": "127.0.0.1:8080"}]});
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    assert_eq!(stage.ask("churn").await, "1");
    stage.end().await;
}

#[tokio::test]
async fn an_exporter_that_is_killed_comes_back_and_its_model_was_never_restarted() {
    let stage = Stage::shared("killexporter").await;
    let digest = stage.push("1");
    stage.apply("churn", stage.spec()).await;
    stage.serves("churn", &digest).await;
    let before = only_pod(&stage, "churn").await;
    let id = |pod: &Pod| container(pod, names::EXPORTER_CONTAINER).container_id.clone().expect("an id");
    operator::kill_process(id(&before).strip_prefix("containerd://").expect("containerd"));
    stage
        .eventually("the exporter to be back", || async {
            let now = only_pod(&stage, "churn").await;
            let exporter = container(&now, names::EXPORTER_CONTAINER);
            if exporter.ready && id(&now) != id(&before) { Ok(()) } else { Err(now.status) }
        })
        .await;
    assert_eq!(stage.ask("churn").await, "1");
    let after = only_pod(&stage, "churn").await;
    assert_eq!(after.uid(), before.uid());
    assert_eq!(container(&after, names::MODEL_CONTAINER).restart_count, 0);
    stage.end().await;
}

/// As long as a kubelet with a probe on the health path would take three times over to restart it.
const SATURATED: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_saturated_single_worker_stays_ready_and_is_not_restarted() {
    let stage = Stage::shared("saturated").await;
    let digest = stage.push_with("1", &["--latency", "4s"]);
    let mut spec = stage.spec();
    // One request at a time, health paths included: with ten waiting, none of them is answered within half a minute.
    spec["server"] = json!({"env": [{"name": "TINYMODEL_WORKERS", "value": "1"}]});
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    let url = stage.url("churn").await;
    let begun = Instant::now();
    let clients = (0..10).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            while begun.elapsed() < SATURATED {
                let request = client.post(&url).header("content-type", "application/json").body(asking::ROW);
                let _ = request.send().await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut look = tokio::time::interval(Duration::from_secs(2));
    while clients.iter().any(|client| !client.is_finished()) {
        look.tick().await;
        let pod = only_pod(&stage, "churn").await;
        let model = container(&pod, names::MODEL_CONTAINER);
        let after = begun.elapsed();
        assert!(model.ready && model.restart_count == 0, "after {after:?}: {model:?}");
    }
    stage.end().await;
}
