use serde_json::{Value, json};

use super::*;
use crate::controller::apply::tests::live;

fn child(kind: ChildKind, spec: Value) -> Child {
    Child::seal(kind, json!({"metadata": {"name": "churn", "namespace": "team"}, "spec": spec}))
}

fn patched(kind: ChildKind, wanted: Value, changed: Value) -> Option<Value> {
    let child = child(kind, wanted);
    let mut object = child.whole().into_owned();
    object["spec"] = changed;
    let patch = patch(&child, &live(&child, object))?;
    assert_eq!(patch["metadata"]["resourceVersion"], "1");
    Some(patch["spec"].clone())
}

#[test]
fn what_excludes_ours_makes_room_for_it() {
    let pod = |spec: Value| json!({"template": {"spec": spec}});
    let container = |fields: Value| pod(json!({"containers": [{"name": "side"}, fields]}));
    let volume = |source: Value| pod(json!({"volumes": [{"name": "theirs", "emptyDir": {}}, source]}));
    let rows = [
        (
            ChildKind::Deployment,
            json!({"strategy": {"type": "Recreate"}}),
            json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "paused": true}),
            json!({"strategy": {"type": "Recreate", "rollingUpdate": null}}),
        ),
        (
            ChildKind::PodDisruptionBudget,
            json!({"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}}),
            json!({"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}),
            json!({"maxUnavailable": 1, "minAvailable": null}),
        ),
        (
            ChildKind::Deployment,
            pod(json!({"volumes": [{"name": "a", "configMap": {"name": "a"}}]})),
            volume(json!({"name": "a", "emptyDir": {}})),
            volume(json!({"name": "a", "configMap": {"name": "a"}})),
        ),
        (
            ChildKind::Deployment,
            container(json!({"name": "model", "readinessProbe": {"httpGet": {"port": 1}}})),
            container(json!({"name": "model", "image": "a", "readinessProbe": {"tcpSocket": {"port": 1}}})),
            container(json!({"name": "model", "image": "a", "readinessProbe": {"httpGet": {"port": 1}}})),
        ),
        (
            ChildKind::Deployment,
            container(json!({"name": "model", "env": [{"name": "A", "value": "1"}]})),
            container(json!({"name": "model", "env": [{"name": "B"}, {"name": "A", "valueFrom": {"fieldRef": {}}}]})),
            container(json!({"name": "model", "env": [{"name": "B"}, {"name": "A", "value": "1"}]})),
        ),
    ];
    for (kind, wanted, changed, expected) in rows {
        assert_eq!(patched(kind, wanted, changed), Some(expected));
    }
}

#[test]
fn what_excludes_nothing_is_left_alone() {
    let wanted = json!({"replicas": 2, "template": {"spec": {"volumes": [{"name": "a", "configMap": {"name": "a"}}]}}});
    let changed = json!({"replicas": 3, "paused": true, "template": {"spec": {
        "dnsPolicy": "Default", "volumes": [{"name": "a", "configMap": {"name": "a", "defaultMode": 420}}, {"name": "b"}],
    }}});
    assert_eq!(patched(ChildKind::Deployment, wanted, changed), None);
    assert_eq!(patched(ChildKind::Service, json!({"selector": {"a": "b"}}), json!({"selector": {"a": "c"}})), None);
}
