use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    api::names,
    controller::server::{Server, nested},
};

const DEADLINE: Duration = Duration::from_secs(30);

fn scope(server: &Server) -> Scope {
    Scope { client: server.client(), namespace: None }
}

fn model(name: &str, generation: i64, spec: Value) -> Value {
    json!({
        "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"namespace": "tasting-room", "name": name, "uid": format!("uid-{name}"), "generation": generation},
        "spec": spec,
    })
}

fn child(kind: ChildKind, name: &str, more: Value) -> Value {
    let mut child = json!({
        "metadata": {
            "namespace": "tasting-room", "name": name, "uid": format!("uid-{name}"),
            "labels": {names::MODEL: "grape", names::MANAGED_BY: names::MODELSHIP},
        },
    });
    let resource = kind.api_resource();
    child["apiVersion"] = json!(resource.api_version);
    child["kind"] = json!(kind.as_str());
    child.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    child
}

async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> T {
    tokio::time::timeout(DEADLINE, stream.next()).await.expect("in time").expect("it does not end")
}

/// Whether the stream has something to say now.
async fn silent<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> bool {
    tokio::time::timeout(Duration::from_millis(300), stream.next()).await.is_err()
}

#[tokio::test]
async fn a_change_around_a_relist_is_told_when_it_can_be_read_and_not_before() {
    let server = Server::default();
    let count = 2 * PAGE as usize + 1;
    for number in 0..count {
        server.put("modeldeployments", model(&format!("m{number}"), 1, json!({})));
    }
    let (reader, store) = reflector::store();
    let mut changes = models(&scope(&server), store, Metrics::new().unwrap());
    let told = async |changes: &mut BoxStream<'static, Change>, generation: i64| match next(changes).await {
        Change::Touched(model) => {
            let known = reader.get(&model).map(|model| model.metadata.generation);
            assert_eq!(known, Some(Some(generation)), "{model} is told before it can be read");
        }
        Change::Gone { key, .. } => panic!("{key:?} is told to be gone"),
    };
    for _ in 0..count {
        told(&mut changes, 1).await;
    }
    // What happened while nobody watched, on the first page and on the last.
    server.put_unseen("modeldeployments", model("m0", 2, json!({"replicas": 2})));
    server.put_unseen("modeldeployments", model(&format!("m{}", count - 1), 2, json!({"replicas": 2})));
    server.expire("modeldeployments");
    told(&mut changes, 2).await;
    told(&mut changes, 2).await;
    assert!(silent(&mut changes).await, "the others have not changed");
    server.put("modeldeployments", model("m0", 3, json!({"replicas": 3})));
    told(&mut changes, 3).await;
    server.remove("modeldeployments", "m0");
    assert!(matches!(next(&mut changes).await, Change::Gone { key, .. } if key.1 == "m0"));
}

#[tokio::test]
async fn a_spec_of_any_depth_keeps_no_other_model_away_and_is_refused_by_name() {
    let server = Server::default();
    for levels in [0, 90, 127, 128, 1000] {
        let mut model = model(&format!("m{levels}"), 1, json!({"podTemplate": nested(levels), "replicas": 1}));
        // As deep as the object itself.
        model["metadata"]["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": nested(levels)}}]);
        server.put("modeldeployments", model);
    }
    let (reader, store) = reflector::store();
    let mut changes = models(&scope(&server), store, Metrics::new().unwrap());
    let mut read = HashMap::new();
    for _ in 0..5 {
        let Change::Touched(model) = next(&mut changes).await else { panic!("nothing is gone") };
        read.insert(model.name.clone(), reader.get(&model).expect("it is stored").read_spec());
    }
    assert_eq!(read["m90"].as_ref().unwrap()["replicas"], 1);
    for name in ["m127", "m128", "m1000"] {
        let faults = read[name].as_ref().unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["spec.podTemplate"], "{name}");
        assert!(faults[0].message.contains("levels"), "{}", faults[0]);
    }
    // What a watch brings is read in the same way.
    server.put("modeldeployments", model("m0", 2, json!({"podTemplate": nested(300)})));
    let Change::Touched(model) = next(&mut changes).await else { panic!("nothing is gone") };
    assert!(reader.get(&model).expect("it is stored").read_spec().is_err());
}

#[tokio::test]
async fn a_child_that_cannot_be_read_is_passed_over_counted_and_what_was_known_of_it_stays() {
    let server = Server::default();
    let data = |levels: usize| json!({"data": {"template": nested(levels)}, "revision": 1});
    let put = |name: &str, levels: usize| {
        server.put("controllerrevisions", child(ChildKind::ControllerRevision, name, data(levels)));
    };
    put("grape-1", 1);
    put("grape-2", 500);
    put("grape-3", 1);
    let metrics = Metrics::new().unwrap();
    let caches = Arc::new(Caches::default());
    let mut hints = children(&scope(&server), &caches, &metrics);
    let known = || {
        let all = caches.children(ChildKind::ControllerRevision).group(&("tasting-room".into(), "grape".into()));
        all.iter().map(|live| live.name.clone()).collect::<Vec<_>>()
    };
    let unreadable = |count: usize| {
        let line = format!(r#"modelship_unreadable_objects{{kind="ControllerRevision"}} {count}"#);
        let page = String::from_utf8(metrics.page().unwrap()).unwrap();
        assert!(page.contains(&line), "{line} is not in\n{page}");
    };
    tokio::time::timeout(DEADLINE, async {
        tokio::select! { () = caches.children(ChildKind::ControllerRevision).ready() => {}, () = drain(&mut hints) => {} }
    })
    .await
    .expect("its list is heard to its end");
    assert_eq!(known(), ["grape-1", "grape-3"]);
    unreadable(1);
    put("grape-1", 500);
    server.expire("controllerrevisions");
    put("grape-2", 1);
    while known().len() < 3 {
        next(&mut hints).await;
    }
    assert!(silent(&mut hints).await);
    assert_eq!(known(), ["grape-1", "grape-2", "grape-3"], "nothing is taken for gone that is there");
    unreadable(1);
    server.remove("controllerrevisions", "grape-1");
    next(&mut hints).await;
    assert_eq!(known(), ["grape-2", "grape-3"]);
    unreadable(0);
}

async fn drain(hints: &mut Hints) {
    while hints.next().await.is_some() {}
}

#[tokio::test]
async fn what_nobody_reads_is_no_reason_for_a_turn() {
    let server = Server::default();
    let autoscaler = |current: i64, most: i64| {
        let status = json!({"currentReplicas": current, "lastScaleTime": "2026-11-30T12:00:00Z"});
        child(ChildKind::HorizontalPodAutoscaler, "grape", json!({"spec": {"maxReplicas": most}, "status": status}))
    };
    let budget = |healthy: i64| {
        let status = json!({"currentHealthy": healthy});
        child(ChildKind::PodDisruptionBudget, "grape", json!({"spec": {"maxUnavailable": 1}, "status": status}))
    };
    let deployment = |ready: i64, available: i64, words: &str| {
        let progressing = json!({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": words, "lastUpdateTime": words});
        let status = json!({"readyReplicas": ready, "availableReplicas": available, "conditions": [progressing]});
        child(ChildKind::Deployment, "grape", json!({"spec": {"replicas": 1}, "status": status}))
    };
    server.put("horizontalpodautoscalers", autoscaler(1, 5));
    server.put("poddisruptionbudgets", budget(1));
    server.put("deployments", deployment(1, 0, "2026-11-30T12:00:00Z"));
    let caches = Arc::new(Caches::default());
    let mut hints = children(&scope(&server), &caches, &Metrics::new().unwrap());
    let grape = Hint::Model(("tasting-room".into(), "grape".into()));
    for _ in 0..3 {
        assert_eq!(next(&mut hints).await, grape);
    }
    assert!(silent(&mut hints).await);
    server.put("horizontalpodautoscalers", autoscaler(2, 5));
    server.put("poddisruptionbudgets", budget(2));
    server.put("deployments", deployment(2, 0, "2026-11-30T12:00:01Z"));
    assert!(silent(&mut hints).await, "a status that nobody reads is told");
    let idle = |words: &str| {
        let condition =
            json!({"type": "ScalingActive", "status": "False", "reason": "AmbiguousSelector", "message": words});
        let status = json!({"currentReplicas": 2, "conditions": [condition]});
        child(ChildKind::HorizontalPodAutoscaler, "grape", json!({"spec": {"maxReplicas": 5}, "status": status}))
    };
    server.put("horizontalpodautoscalers", idle("[a b]"));
    assert_eq!(next(&mut hints).await, grape, "that it does not scale is read");
    server.put("horizontalpodautoscalers", idle("[b a]"));
    assert!(silent(&mut hints).await, "other words for it are told");
    for change in
        [("horizontalpodautoscalers", autoscaler(2, 6)), ("deployments", deployment(2, 1, "2026-11-30T12:00:01Z"))]
    {
        server.put(change.0, change.1);
        assert_eq!(next(&mut hints).await, grape);
    }
    let live = caches.children(ChildKind::PodDisruptionBudget).all();
    assert_eq!(live[0].version, version_of(&server, "poddisruptionbudgets"), "it is kept as it is now all the same");
}

fn version_of(server: &Server, plural: &str) -> u64 {
    server.stored(plural)[0]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_node_is_a_reason_to_look_at_models_only_where_the_platforms_are_others() {
    let server = Server::default();
    let node = |name: &str, architecture: &str, cordoned: bool| {
        let info = json!({
            "operatingSystem": "linux", "architecture": architecture, "bootID": "", "containerRuntimeVersion": "",
            "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "osImage": "", "systemUUID": "",
        });
        json!({"metadata": {"name": name}, "spec": {"unschedulable": cordoned}, "status": {"nodeInfo": info}})
    };
    server.put("nodes", node("a", "amd64", false));
    server.put("nodes", node("b", "amd64", false));
    let caches = Arc::new(Caches::default());
    let mut hints = children(&scope(&server), &caches, &Metrics::new().unwrap());
    assert_eq!(next(&mut hints).await, Hint::All);
    assert!(silent(&mut hints).await);
    server.put("nodes", node("a", "amd64", true));
    server.put("nodes", node("c", "amd64", false));
    assert!(silent(&mut hints).await, "there is another node of the same platform");
    server.put("nodes", node("d", "arm64", false));
    assert_eq!(next(&mut hints).await, Hint::All);
    server.remove("nodes", "d");
    assert_eq!(next(&mut hints).await, Hint::All);
}

#[tokio::test]
async fn a_list_that_does_not_come_is_told_with_the_reason() {
    let server = Server::default();
    server.forbid("services", true);
    server.forbid("namespaces", true);
    let metrics = Metrics::new().unwrap();
    metrics.leads(true);
    let caches = Arc::new(Caches::default());
    let (_reader, store) = reflector::store();
    let (scope, mut hints) = (scope(&server), children(&scope(&server), &caches, &metrics));
    let mut changes = models(&scope, store, metrics.clone());
    assert!(metrics.unready().len() > 8, "nothing has been listed yet: {:?}", metrics.unready());
    let both = async { tokio::join!(drain(&mut hints), async { while changes.next().await.is_some() {} }) };
    let unready = async |most: usize| {
        while metrics.unready().len() > most {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let until = async {
        unready(1).await;
        let why = metrics.unready();
        assert!(why[0].contains("Service") && why[0].contains("services is forbidden"), "{why:?}");
        let page = String::from_utf8(metrics.page().unwrap()).unwrap();
        assert!(page.contains(r#"modelship_watch_synced{kind="Service"} 0"#), "{page}");
        assert!(page.contains(r#"modelship_watch_synced{kind="ModelDeployment"} 1"#), "{page}");
        server.forbid("services", false);
        unready(0).await;
        server.forbid("pods", true);
        server.expire("pods");
        while metrics.unready().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(metrics.unready()[0].contains("Pod"), "a later list that does not come is told as well");
    };
    tokio::time::timeout(DEADLINE, async {
        tokio::select! { _ = both => {}, () = until => {} }
    })
    .await
    .expect("in time");
}
