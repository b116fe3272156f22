use super::*;
use crate::controller::{
    lease::{Guard, Holder, LeaseSettings},
    server::Server,
};

pub(in crate::controller) async fn writer(server: &Server) -> Writer {
    let guard = Guard::default();
    let settings = LeaseSettings { namespace: "harbour".into(), name: "lease".into(), identity: "a".into() };
    Holder::new(server.client(), settings, guard.clone()).acquire().await.unwrap();
    Writer::new(server.client(), guard, Metrics::new().unwrap(), "a".repeat(300))
}

fn owner() -> Owner {
    Owner { namespace: "tasting-room".into(), name: "grape".into(), uid: "1".into() }
}

#[tokio::test]
async fn an_event_is_cut_by_bytes_as_the_api_server_counts_them() {
    let server = Server::default();
    let writer = writer(&server).await;
    for text in ["葡".repeat(600), "ü".repeat(600), "x".repeat(1024), "x".repeat(5000), "葡萄".into()] {
        let note = Note { warning: true, reason: "Crashing".into(), text: text.clone() };
        writer.publish(&owner(), &note).await.unwrap();
        let (.., event) = server.writes().pop().unwrap();
        let told = event["note"].as_str().unwrap();
        assert!(told.len() <= 1024, "{} bytes of {}", told.len(), text.len());
        match text.len() <= 1024 {
            true => assert_eq!(told, text),
            false => assert!(told.len() > 1000 && told.ends_with('…'), "{told}"),
        }
        assert!(event["reportingInstance"].as_str().unwrap().len() <= 128);
    }
}

#[tokio::test]
async fn an_object_that_a_finalizer_keeps_is_not_gone_yet() {
    let server = Server::default();
    let writer = writer(&server).await;
    let object = |metadata: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "tasting-room", "name": "grape", "uid": "7", "resourceVersion": "8"}});
        object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        object
    };
    let live = Live::of(ChildKind::ConfigMap, serde_json::from_value(object(json!({}))).unwrap());
    assert_eq!(writer.delete(&live).await.unwrap(), None, "the server says that it is done");
    // Services, among others, are given back as they were.
    server.answer_deletion_by(object(json!({})));
    assert_eq!(writer.delete(&live).await.unwrap(), None);
    server.answer_deletion_by(object(
        json!({"deletionTimestamp": "2026-11-30T12:00:00Z", "finalizers": ["a.example.org/b"]}),
    ));
    assert!(writer.delete(&live).await.unwrap().is_some_and(|left| left.deleting && left.uid == "7"));
}
