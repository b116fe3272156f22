//! A model that nobody asks has no requests, however often it is probed and scraped.

use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use crate::exporter::{Exporter, model, sum};

#[tokio::test]
async fn probes_scrapes_and_health_checks_are_no_requests() {
    let (port, asked) = model().await;
    let exporter = Exporter::start(1, port, &[]);
    let client = crate::client();
    let get =
        async |port, path| client.get(exporter.url(port, path)).header("user-agent", "kube-probe/1.33").send().await;
    exporter.answers().await;
    // Its own checks are 5 s apart: three of them, and each start-up probe asks the model, too.
    let (began, mut probes) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(11) {
        for (port, path) in [
            (9802, "/startup"),
            (9802, "/live"),
            (9802, "/ready"),
            (9802, "/healthz"),
            (9801, "/metrics"),
            (9800, "/ping"),
        ] {
            let answer = get(port, path).await.expect("an answer");
            assert_eq!(answer.status(), 200, "{path}");
            probes += 1;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(probes > 100 && asked.load(SeqCst) > 50, "{probes} probes, the model was asked {asked:?} times");
    let page = async || get(9801, "/metrics").await.expect("an answer").text().await.expect("a page");
    let idle = page().await;
    for series in [
        "http_requests_total",
        "http_request_duration_seconds_count",
        "http_request_errors_total",
        "model_predictions_total",
        "model_rows_per_request_count",
        "modelship_exporter_exchanges_read_total",
        "modelship_exporter_exchanges_skipped_total",
    ] {
        assert!(idle.contains(series), "there is no {series}:\n{idle}");
        assert_eq!(sum(&idle, series), 0.0, "{series}:\n{idle}");
    }
    let request = client.post(exporter.url(9800, "/invocations")).header("content-type", "application/json");
    assert_eq!(request.body("{\"inputs\": [[1]]}").send().await.expect("an answer").status(), 200);
    assert_eq!(sum(&page().await, "http_requests_total"), 1.0, "and one that is one counts");
}
