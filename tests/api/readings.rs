//! What an exporter has found about predictions comes into status, and to the pods that start later.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use modelship::{
    api::{conditions, spec::PredictionKind},
    resources::{ChildKind, exporter},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    lifecycle::{repository, spec},
    support::{Kubelet, Operator, World, eventually, kubelet, registry, world::CRD_UNCHANGED},
};

/// An address of this test alone.
const POD: &str = "127.0.0.78";

fn serving_there(image: &str) -> Value {
    let mut status = kubelet::serving(image);
    status["podIP"] = json!(POD);
    status
}

/// An exporter's page; its first scrape comes before the first answer of the model. Counts scrapes.
async fn page() -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((POD, 9801)).await.expect("the address is free");
    let scrapes = Arc::new(AtomicUsize::new(0));
    let counted = scrapes.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let labels = match counted.fetch_add(1, Ordering::SeqCst) {
                0 => r#"kind="undecided",path="",source="found""#,
                _ => r#"kind="class",path="$.label",request_path="/predict",source="found""#,
            };
            let page = format!(
                "modelship_exporter_reading_certainty_ratio 0.99\nmodelship_exporter_reading_info{{{labels}}} 1\n\
                 modelship_exporter_reading_rows 120\nmodelship_exporter_reading_settled 1\n"
            );
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}", page.len());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    scrapes
}

async fn handed(world: &World) -> Value {
    let settings = world.child(ChildKind::ConfigMap, &exporter::settings_name("churn")).await.expect("the settings");
    let settings: Value =
        serde_json::from_str(settings["data"]["settings.json"].as_str().expect("text")).expect("JSON");
    settings["predictions"]["found"].clone()
}

#[tokio::test]
async fn what_an_exporter_found_is_shown_and_handed_on_and_asked_for_no_more() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("readings").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let scrapes = page().await;
    let _kubelet = Kubelet::start(&world, serving_there);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    assert_eq!(handed(&world).await, Value::Null);
    let found = eventually("the reading in the status", || async {
        let status = world.status("churn").await;
        status.predictions.clone().ok_or(status)
    })
    .await;
    assert_eq!((found.digest, found.kind, found.path), (digest, PredictionKind::Class, "$.label".to_owned()));
    assert_eq!((found.rows, found.certainty, found.settled), (Some(120), Some(99), Some(true)));
    let settings = json!({
        "kind": "class", "path": "$.label", "requestPath": "/predict", "rows": 120, "certainty": 99, "settled": true
    });
    eventually("the reading in the settings", || async {
        let handed = handed(&world).await;
        if handed == settings { Ok(()) } else { Err(handed) }
    })
    .await;
    assert_eq!(scrapes.load(Ordering::SeqCst), 2);
    operator.stop().await;

    // Another controller asks nobody, and leaves all as it is.
    let operator = Operator::start(&world);
    let mut named = spec(&world);
    named["predictions"] = json!({"kind": "class"});
    world.apply("churn", named.clone()).await;
    eventually("the spec to be seen", || async {
        let (status, model) = (world.status("churn").await, world.model("churn").await);
        if status.observed_generation == model.metadata.generation { Ok(()) } else { Err(status) }
    })
    .await;
    assert_eq!(handed(&world).await, settings, "the path is still one that was found");
    let of_settings = |name: &String| *name == exporter::settings_name("churn");
    let writes = operator.tap.writes().into_iter().filter(|call| call.resource == "configmaps");
    let written = writes.filter(|call| call.name.as_ref().is_some_and(of_settings)).count();
    assert_eq!(written, 1, "what was found was handed on all the time");
    named["predictions"] = json!({"kind": "class", "path": "$.label"});
    world.apply("churn", named).await;
    eventually("the status to leave to the spec what it says", || async {
        let status = world.status("churn").await;
        if status.predictions.is_none() { Ok(()) } else { Err(status) }
    })
    .await;
    assert_eq!(handed(&world).await, Value::Null);
    assert_eq!(scrapes.load(Ordering::SeqCst), 2);
    operator.stop().await;
    world.end().await;
}

/// An address of that test alone.
const WRONG_PORT: &str = "127.0.0.79";

fn never_ready(image: &str) -> Value {
    let mut status = kubelet::serving(image);
    status["podIP"] = json!(WRONG_PORT);
    status["conditions"] = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]);
    status["containerStatuses"][0]["ready"] = json!(false);
    status
}

/// The deadline is ten minutes away; the exporter beside the model knows after its first check.
#[tokio::test]
async fn a_wrong_port_is_told_by_the_port_that_is_listened_on_long_before_the_deadline() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let listener = TcpListener::bind((WRONG_PORT, 9801)).await.expect("the address is free");
    tokio::spawn(async move {
        let page = "modelship_exporter_model_unwell_info{listening=\"5000\",status=\"\"} 1\n";
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}", page.len());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let world = World::new("wrongport").await;
    registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, never_ready);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.condition("churn", conditions::READY, "False", "NotAnswering").await;
    let ready = conditions::find(&status.conditions, conditions::READY).expect("Ready");
    assert!(ready.message.contains("nothing listens on 8080; 5000 is listened on"), "{}", ready.message);
    assert!(conditions::find(&status.conditions, conditions::STALLED).is_none(), "the deadline has not passed");
    operator.stop().await;
    world.end().await;
}
