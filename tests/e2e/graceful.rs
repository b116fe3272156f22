//! Nobody loses a request when pods come and go as planned; when one is killed, those that it had in hand at the most.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use serde_json::{Value, json};

use crate::{
    asking::{self, ROW},
    exporter,
    stage::Stage,
    traffic::Traffic,
};

/// Roll-outs and deletions, in turns.
const EVENTS: usize = 10;

/// What a summary counts: all requests, and those that failed in any way.
fn counted(summary: &Value) -> (u64, u64) {
    let requests = summary["requests"].as_u64().expect("a number");
    let errors = summary["errors"].as_object().expect("errors by kind");
    (requests, errors.values().filter_map(Value::as_u64).sum())
}

async fn two_ready(stage: &Stage) -> Vec<Pod> {
    stage
        .eventually("two ready pods", || async {
            let pods = stage.pods("churn").await;
            let ready = |pod: &Pod| {
                let conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
                conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
            };
            if pods.len() == 2 && pods.iter().all(ready) { Ok(pods) } else { Err(pods.len()) }
        })
        .await
}

async fn serving(test: &str) -> (Stage, String) {
    let stage = Stage::shared(test).await;
    let digest = stage.push_with("0", &["--latency", "20ms"]);
    let mut spec = stage.spec();
    spec["replicas"] = json!(2);
    stage.apply("churn", spec).await;
    stage.serves("churn", &digest).await;
    two_ready(&stage).await;
    stage.ask("churn").await;
    let url = stage.url("churn").await;
    (stage, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_roll_outs_and_deletions_under_traffic_lose_no_request() {
    let (stage, url) = serving("graceful").await;
    // Clients enough for seconds in which a busy machine gives the cluster no time: what they cannot send is an error, too.
    let traffic = [
        Traffic::start(&stage, "keep-alive", &url, &["--rate", "40", "--concurrency", "200"]).await,
        Traffic::start(&stage, "one-shot", &url, &["--rate", "20", "--concurrency", "100", "--no-keep-alive"]).await,
        Traffic::start(
            &stage,
            "slow",
            &url,
            &["--rate", "0.5", "--concurrency", "32", "--header", "X-Tinymodel-Latency: 20s"],
        )
        .await,
    ];
    let pods: Api<Pod> = stage.api();
    for event in 0..EVENTS {
        if event % 2 == 0 {
            let digest = stage.push_with(&(event + 1).to_string(), &["--latency", "20ms"]);
            stage.serves("churn", &digest).await;
        } else {
            let victim = two_ready(&stage).await.remove(0);
            pods.delete(&victim.name_any(), &DeleteParams::default()).await.expect("deleted");
            stage
                .eventually("the pod to be gone", || async {
                    let found = pods.get_opt(&victim.name_any()).await.expect("an answer");
                    found.map_or(Ok(()), |pod| Err(pod.status.map(Box::new)))
                })
                .await;
        }
        two_ready(&stage).await;
    }
    for (traffic, at_least) in traffic.into_iter().zip([1000, 500, 10]) {
        let summary = traffic.stop().await;
        let (requests, failed) = counted(&summary);
        assert!(requests >= at_least && failed == 0, "{summary:#}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_is_killed_without_grace_loses_no_more_than_it_had_in_hand() {
    let (stage, url) = serving("killedpod").await;
    let at_once = 8;
    let traffic = Traffic::start(&stage, "keep-alive", &url, &["--concurrency", &at_once.to_string()]).await;
    let before = two_ready(&stage).await;
    let pods: Api<Pod> = stage.api();
    let force = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete(&before[0].name_any(), &force).await.expect("deleted");
    let after = two_ready(&stage).await;
    let newcomer = after.iter().find(|pod| before.iter().all(|known| known.uid() != pod.uid())).expect("another pod");
    // What knows the new pod knows no more of the old one.
    let client = asking::client();
    stage
        .eventually("the node to route to the new pod", || async {
            let answer = asking::ask(&client, &url, ROW).await;
            let page = exporter::page(newcomer).await;
            exporter::value(&page, r#"http_requests_total{code="200",method="POST"}"#)
                .filter(|asked| *asked > 0.0)
                .ok_or((answer, page))
        })
        .await;
    let summary = traffic.stop().await;
    let (requests, failed) = counted(&summary);
    // Until then the node may still send clients to where nobody is: these are refused, and the pod never had them.
    let refused = summary["errors"]["refused"].as_u64().expect("a number");
    assert!(requests > 100 && failed - refused <= at_once, "{summary:#}");
    let asker = stage.asker("churn", ROW).await;
    asker.answered(100).await;
    asker.stop().await;
    stage.end().await;
}
