//! Objects of others, annotated or not, before an API server in a few maps.

use super::*;
use crate::{
    controller::{
        apply::tests::{Desk, count, first_version, live},
        server::Server,
    },
    rollout::fixtures::{NAME, NAMESPACE, Rollout},
};

/// The team's own Service, handed over.
fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": {names::HAND_OVER: "true"}},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 8000}], "selector": {"app": "mine"}},
    })
}

#[tokio::test]
async fn a_service_moves_when_as_many_replicas_answer_as_are_wanted() {
    let rows = [(0, 0, false), (1, 0, false), (3, 0, false), (3, 1, false), (3, 2, false), (3, 3, true), (1, 1, true)];
    for (wanted, available, moves) in rows {
        let server = Server::default();
        let (desk, plan) = (Desk::new(&server).await, first_version());
        let deployment = &plan.workload.as_ref().unwrap().deployment;
        let mut object = deployment.whole().into_owned();
        object["spec"]["replicas"] = json!(wanted);
        object["status"] = Rollout { available, ..Rollout::complete(wanted) }.status(1);
        desk.caches.children(ChildKind::Deployment).wrote(live(deployment, object));
        let theirs = live(&plan.service, service());
        let mut applied = Applied::default();
        let obstacle = desk.applier().take_over(&plan.service, &theirs, &mut applied).await.unwrap();
        assert_eq!(obstacle, None);
        let told: Vec<_> = applied.obstacles.iter().map(|obstacle| obstacle.reason).collect();
        assert_eq!(told, if moves { &[][..] } else { &["HandingOver"] }, "{available} of {wanted}");
        assert_eq!(count(&server, "services") > 0, moves, "{available} of {wanted}");
    }
}

#[test]
fn the_command_that_deletes_what_is_left_spares_the_pods_of_the_model() {
    let child = first_version().workload.unwrap().deployment;
    let command = |selector: Value| {
        let command = deletion(&child, &selector);
        let selector = command.strip_prefix(&format!("kubectl delete replicaset -n {NAMESPACE} --selector '"));
        selector.unwrap_or_else(|| panic!("{command}")).to_owned()
    };
    assert_eq!(command(json!({"matchLabels": {"app": "mine", "x": ""}})), "app=mine,x=,!modelship.dev/model'");
    let expressions = json!([
        {"key": "a", "operator": "In", "values": ["1", "2"]},
        {"key": "b", "operator": "NotIn", "values": ["3"]},
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]);
    let rest = "a in (1,2),b notin (3),c,!d,!modelship.dev/model'";
    assert_eq!(command(json!({"matchExpressions": expressions})), rest);
    assert_eq!(
        command(json!({"matchLabels": {"app": "mine"}, "matchExpressions": expressions})),
        format!("app=mine,{rest}")
    );
}

#[tokio::test]
async fn only_what_would_be_taken_is_asked_for() {
    let plan = first_version();
    let (service_of_users, deployment) = (&plan.service, &plan.workload.as_ref().unwrap().deployment);
    let metrics = plan.metrics_service.as_ref().unwrap();
    let bare = |child: &Child| json!({"metadata": {"name": child.name, "namespace": child.namespace}, "spec": {}});
    let headless = |child: &Child| {
        let mut object = bare(child);
        object["spec"]["clusterIP"] = json!("None");
        object
    };
    let controller =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "chief", "uid": "9", "controller": true}]);
    let owned = |child: &Child| {
        let mut object = bare(child);
        object["metadata"]["ownerReferences"] = controller.clone();
        object
    };
    let rows = [
        (service_of_users, bare(service_of_users), true),
        (deployment, bare(deployment), true),
        (service_of_users, headless(service_of_users), false),
        (metrics, bare(metrics), false),
        (plan.settings.as_ref().unwrap(), bare(plan.settings.as_ref().unwrap()), false),
        (service_of_users, owned(service_of_users), false),
        (deployment, owned(deployment), false),
    ];
    for (child, object, asked) in rows {
        let server = Server::default();
        let mut applied = Applied::default();
        let desk = Desk::new(&server).await;
        let theirs = live(child, object);
        let obstacle = desk.applier().take_over(child, &theirs, &mut applied).await.unwrap().unwrap();
        assert_eq!(obstacle.reason, "NameConflict");
        assert_eq!(obstacle.message.contains("kubectl annotate"), asked, "{}", obstacle.message);
        assert!(server.writes().is_empty());
    }
}
