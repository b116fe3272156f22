//! What Modelship does not own it does not touch; what it owns it puts back; what others contest it names.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy},
    core::{ApiResource, GroupVersionKind},
};
use modelship::{api::conditions, resources::ChildKind};
use serde_json::{Value, json};

use crate::{
    lifecycle::{repository, spec},
    support::{Kubelet, Operator, World, audit, eventually, kubelet, registry},
};

#[tokio::test]
async fn a_users_own_service_of_that_name_is_left_alone_and_named() {
    let world = World::new("conflict").await;
    registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let service: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn"},
        "spec": {"ports": [{"port": 1234}], "selector": {"app": "mine"}},
    }))
    .expect("a Service");
    let before = world.children(ChildKind::Service).create(&PostParams::default(), &service).await.expect("created");
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.condition("churn", conditions::READY, "False", "NameConflict").await;
    let words = &conditions::find(&status.conditions, conditions::STALLED).expect("stalled").message;
    assert!(words.contains("Service churn") && words.contains("choose another metadata.name"), "{words}");
    let after = world.children(ChildKind::Service).get("churn").await.expect("still there");
    assert_eq!(before.metadata.resource_version, after.metadata.resource_version, "nothing was written to it");
    // Once it is gone the model recovers by itself.
    world.delete(ChildKind::Service, "churn").await;
    world.condition("churn", conditions::READY, "True", "Serving").await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_change_by_hand_is_put_back_with_the_command_to_use_instead() {
    let world = World::new("byhand").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "model", "image": "busybox:latest"}]}}}});
    let params = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    let deployments: Api<Deployment> = world.api();
    deployments.patch("churn", &params, &Patch::Strategic(&image)).await.expect("edited");
    eventually("the image to be put back", || async {
        let live = world.child(ChildKind::Deployment, "churn").await.unwrap_or_default();
        let image = live["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        if image.as_str().is_some_and(|image| image.ends_with(&digest)) { Ok(()) } else { Err(image) }
    })
    .await;
    let told = eventually("the event", || async {
        let events = world.events("churn").await;
        events.iter().find(|(reason, _)| reason == "PutBack").cloned().ok_or(events)
    })
    .await;
    assert!(told.1.contains("[model].image") && told.1.contains("spec.image.pin"), "{told:?}");
    operator.stop().await;
    world.end().await;
}

/// The API server has chosen the first of two and keeps it: what nobody asks for is its own.
#[tokio::test]
async fn a_port_of_the_nodes_is_the_one_asked_for_or_the_api_servers_and_is_fought_over_by_nobody() {
    let world = World::new("nodeport").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let user = format!("operator-{}", world.namespace);
    let (mut chosen, mut changes) = (None, 0);
    for (service, kind, asked) in [
        (json!({}), "ClusterIP", None),
        (json!({"type": "NodePort"}), "NodePort", None),
        (json!({"type": "LoadBalancer"}), "LoadBalancer", None),
        // Of those that the API server gives nobody who did not ask for one, while it has others.
        (json!({"type": "NodePort", "nodePort": 30046}), "NodePort", Some(30046)),
        (json!({"type": "NodePort"}), "NodePort", Some(30046)),
        (json!({"type": "ClusterIP"}), "ClusterIP", None),
    ] {
        world
            .apply("churn", {
                let mut spec = spec(&world);
                spec["service"] = service.clone();
                spec
            })
            .await;
        let generation = world.model("churn").await.metadata.generation;
        let port = eventually("the Service", || async {
            let live = world.child(ChildKind::Service, "churn").await.unwrap_or_default();
            let port = live["spec"]["ports"][0]["nodePort"].as_i64();
            let right = match asked {
                Some(asked) => port == Some(asked),
                None => port.is_some() == (kind != "ClusterIP"),
            };
            if right && live["spec"]["type"] == kind { Ok(port) } else { Err(live["spec"].clone()) }
        })
        .await;
        let status = world.serves("churn", &digest).await;
        assert_eq!(status.observed_generation, generation, "{service}");
        if kind == "LoadBalancer" {
            assert_eq!(port, chosen, "it stays with another type");
        }
        chosen = port;
        changes += 1;
    }
    let of_service = |entry: &audit::Entry| entry.resource() == "services" && entry.name() == "churn";
    let written = audit::entries(&user).iter().filter(|entry| entry.verb() == "patch" && of_service(entry)).count();
    assert!(written <= changes, "{written} writes for {changes} changes");
    let events = world.events("churn").await;
    assert!(events.iter().all(|(reason, _)| !["PutBack", "Contested"].contains(&reason.as_str())), "{events:?}");
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_port_that_the_nodes_do_not_give_is_told_in_the_api_servers_words() {
    let world = World::new("wrongnodeport").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let with = |service: Value| {
        let mut spec = spec(&world);
        spec["service"] = service;
        spec
    };
    world.apply("churn", with(json!({"type": "NodePort", "nodePort": 80}))).await;
    let status = world.condition("churn", conditions::READY, "False", "Rejected").await;
    let words = &conditions::find(&status.conditions, conditions::READY).expect("Ready").message;
    assert!(words.contains("Service churn") && words.contains("valid ports"), "{words}");
    world.apply("churn", with(json!({"type": "NodePort"}))).await;
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_services_port_changed_by_hand_is_put_back_though_two_ports_may_not_share_a_name() {
    let world = World::new("byport").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let ports = |live: &Value| live["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let params = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    let services: Api<Service> = world.api();
    let edit = json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 8081}]);
    let edit: Patch<()> = Patch::Json(serde_json::from_value(edit).expect("a patch"));
    services.patch("churn", &params, &edit).await.expect("edited");
    eventually("the port to be put back", || async {
        let live = world.child(ChildKind::Service, "churn").await.unwrap_or_default();
        let numbers: Vec<_> = ports(&live).iter().map(|port| port["port"].clone()).collect();
        if numbers == [json!(80)] { Ok(()) } else { Err(numbers) }
    })
    .await;
    world
        .apply("churn", {
            let mut changed = spec(&world);
            changed["service"] = json!({"port": 82});
            changed
        })
        .await;
    eventually("the next port to take its place", || async {
        let live = world.child(ChildKind::Service, "churn").await.unwrap_or_default();
        let numbers: Vec<_> = ports(&live).iter().map(|port| port["port"].clone()).collect();
        if numbers == [json!(82)] { Ok(()) } else { Err(numbers) }
    })
    .await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_rollout_restart_is_respected() {
    let world = World::new("rrestart").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let deployments: Api<Deployment> = world.api();
    deployments.restart("churn").await.expect("restarted");
    eventually("a second ReplicaSet", || async {
        let sets = world.replica_sets().await.len();
        if sets == 2 { Ok(()) } else { Err(sets) }
    })
    .await;
    world.serves("churn", &digest).await;
    let live = world.child(ChildKind::Deployment, "churn").await.expect("a Deployment");
    let annotations = &live["spec"]["template"]["metadata"]["annotations"];
    assert!(annotations.to_string().contains("/restartedAt"), "{annotations}");
    operator.stop().await;
    world.end().await;
}

async fn replicas(world: &World) -> Option<i64> {
    world.child(ChildKind::Deployment, "churn").await?["spec"]["replicas"].as_i64()
}

/// What an autoscaler does: a write to the scale subresource.
async fn autoscale(world: &World, replicas: i32) {
    let deployments: Api<Deployment> = world.api();
    let params = PatchParams { field_manager: Some("autoscaler".into()), ..PatchParams::default() };
    let patch = json!({"spec": {"replicas": replicas}});
    deployments.patch_scale("churn", &params, &Patch::Merge(&patch)).await.expect("scaled");
}

async fn model_wants(world: &World, wanted: i64) {
    eventually(&format!("{wanted} replicas"), || async {
        let found = replicas(world).await;
        if found == Some(wanted) { Ok(()) } else { Err(found) }
    })
    .await;
}

async fn seen(world: &World, name: &str) {
    eventually("the newest spec to be observed", || async {
        let model = world.model(name).await;
        let observed = model.known_status().observed_generation;
        if observed == model.metadata.generation { Ok(()) } else { Err(observed) }
    })
    .await;
}

#[tokio::test]
async fn replicas_survive_the_way_to_autoscaling_and_back() {
    let world = World::new("autoscale").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let with = |part: &str, value: Value| {
        let mut spec = spec(&world);
        spec["server"] = json!({"resources": {"requests": {"cpu": "10m"}}});
        spec[part] = value;
        spec
    };
    world.apply("churn", with("replicas", json!(5))).await;
    world.serves("churn", &digest).await;
    model_wants(&world, 5).await;
    world.apply("churn", with("autoscaling", json!({"min": 2, "max": 8}))).await;
    eventually("the autoscaler", || async {
        world.child(ChildKind::HorizontalPodAutoscaler, "churn").await.ok_or("none yet")
    })
    .await;
    seen(&world, "churn").await;
    assert_eq!(replicas(&world).await, Some(5), "handed over at the live value, not dropped to the default of 1");
    autoscale(&world, 7).await;
    world.apply("churn", with("service", json!({"port": 81}))).await;
    seen(&world, "churn").await;
    assert_eq!(replicas(&world).await, Some(7), "with nothing asked for, the last word stays");
    eventually("the autoscaler to go", || async {
        world.child(ChildKind::HorizontalPodAutoscaler, "churn").await.map_or(Ok(()), Err)
    })
    .await;
    world.apply("churn", with("replicas", json!(3))).await;
    model_wants(&world, 3).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_foreign_autoscalers_writes_stand() {
    let world = World::new("foreign").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    autoscale(&world, 4).await;
    // Even through a roll-out.
    let second = registry::push(&repository(&world), "latest", "2");
    world.serves("churn", &second).await;
    assert_eq!(replicas(&world).await, Some(4));
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn what_a_mutating_policy_changes_back_is_named_and_not_fought_over() {
    let world = World::new("contested").await;
    registry::push(&repository(&world), "latest", "1");
    let policies = install_meddler(&world).await;
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.condition("churn", conditions::READY, "False", "Contested").await;
    let words = &conditions::find(&status.conditions, conditions::READY).expect("Ready").message;
    assert!(words.contains("spec.progressDeadlineSeconds of Deployment churn"), "{words}");
    let applied = || operator.tap.writes().iter().filter(|call| call.resource == "deployments").count();
    let before = applied();
    // Another turn of the loop, and another: the Deployment is not written again.
    for port in [81, 82] {
        let mut changed = spec(&world);
        changed["service"] = json!({"port": port});
        world.apply("churn", changed).await;
        seen(&world, "churn").await;
    }
    assert_eq!(applied(), before);
    operator.stop().await;
    for (api, name) in policies {
        api.delete(&name, &Default::default()).await.expect("the policy goes");
    }
    world.end().await;
}

/// Sets `progressDeadlineSeconds` of every Deployment of the namespace to 77, whoever writes what.
async fn install_meddler(world: &World) -> Vec<(Api<DynamicObject>, String)> {
    let name = format!("meddler-{}", world.namespace);
    let api = |kind: &str, plural: &str| {
        let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        Api::<DynamicObject>::all_with(world.client.clone(), &ApiResource::from_gvk_with_plural(&gvk, plural))
    };
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]},
            ]},
            "mutations": [{
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": "Object{spec: Object.spec{progressDeadlineSeconds: 77}}"},
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}},
        },
    });
    let policies = api("MutatingAdmissionPolicy", "mutatingadmissionpolicies");
    let bindings = api("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings");
    for (api, body) in [(&policies, policy), (&bindings, binding)] {
        api.patch(&name, &PatchParams::apply("test"), &Patch::Apply(&body)).await.expect("the policy is taken");
    }
    in_force(world).await;
    vec![(bindings, name.clone()), (policies, name)]
}

/// Policies come into force some time after they are stored.
async fn in_force(world: &World) {
    let deployments: Api<Deployment> = world.api();
    eventually("the policy to be in force", || async {
        let probe: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "probe"},
            "spec": {
                "selector": {"matchLabels": {"app": "probe"}},
                "template": {"metadata": {"labels": {"app": "probe"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
            },
        }))
        .expect("a Deployment");
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let made = deployments.create(&dry, &probe).await.expect("an answer");
        let deadline = made.spec.and_then(|spec| spec.progress_deadline_seconds);
        if deadline == Some(77) { Ok(()) } else { Err(deadline) }
    })
    .await;
}

#[tokio::test]
async fn a_key_added_to_a_selector_or_a_settings_file_is_taken_out_again() {
    let world = World::new("surplus").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut wanted = spec(&world);
    wanted["replicas"] = json!(2);
    wanted["service"] = json!({"networkPolicy": true});
    world.apply("churn", wanted).await;
    world.serves("churn", &digest).await;
    let label = json!({"matchLabels": {"x": "y"}});
    let rows = [
        (ChildKind::Service, "churn", json!({"spec": {"selector": {"x": "y"}}})),
        (ChildKind::Service, "churn-metrics", json!({"spec": {"selector": {"x": "y"}}})),
        (ChildKind::PodDisruptionBudget, "churn", json!({"spec": {"selector": label}})),
        (ChildKind::NetworkPolicy, "churn", json!({"spec": {"podSelector": label}})),
        (ChildKind::ConfigMap, "churn-exporter", json!({"data": {"json.py": "raise"}})),
    ];
    for (kind, name, patch) in rows {
        let part = |live: &Value| json!([live["spec"]["selector"], live["spec"]["podSelector"], live["data"]]);
        let before = part(&world.child(kind, name).await.expect("the child"));
        let patched = json!(world.patch(kind, name, patch).await);
        assert_ne!(part(&patched), before, "{kind} {name}");
        eventually(&format!("{kind} {name} to be as before"), || async {
            let now = part(&world.child(kind, name).await.unwrap_or_default());
            if now == before { Ok(()) } else { Err(now) }
        })
        .await;
    }
    world.condition("churn", conditions::READY, "True", "Serving").await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_rollout_undo_is_put_back_and_answered_with_the_pin() {
    let world = World::new("undo").await;
    let first = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &first).await;
    let then = world.child(ChildKind::Deployment, "churn").await.expect("a Deployment");
    let second = registry::push(&repository(&world), "latest", "2");
    world.serves("churn", &second).await;
    // As kubectl does it: the template and the annotations of an earlier ReplicaSet.
    let undo = json!([
        {"op": "replace", "path": "/spec/template", "value": then["spec"]["template"]},
        {"op": "replace", "path": "/metadata/annotations", "value": then["metadata"]["annotations"]},
    ]);
    let undo: Patch<()> = Patch::Json(serde_json::from_value(undo).expect("a patch"));
    let deployments: Api<Deployment> = world.api();
    deployments.patch("churn", &PatchParams::default(), &undo).await.expect("undone");
    let told = eventually("the event", || async {
        let events = world.events("churn").await;
        events.iter().find(|(reason, _)| reason == "PutBack").cloned().ok_or(events)
    })
    .await;
    assert!(told.1.contains("[model].image") && told.1.contains(&format!("set spec.image.pin: {first}")), "{told:?}");
    world.serves("churn", &second).await;
    operator.stop().await;
    world.end().await;
}

/// Deletes the model alone, as `kubectl delete --cascade=orphan` does, and waits until its children have no owner.
async fn orphan(world: &World) {
    let params = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    world.models().delete("churn", &params).await.expect("deleted");
    eventually("the model to be gone", || async {
        world.models().get_opt("churn").await.expect("an answer").map_or(Ok(()), |_| Err("still there"))
    })
    .await;
    for kind in ChildKind::CORE {
        for object in world.list(kind).await {
            assert_eq!(object.metadata.owner_references.unwrap_or_default(), [], "{kind}");
        }
    }
}

#[tokio::test]
async fn children_that_lost_their_owner_are_taken_back_and_no_pod_is_restarted() {
    let world = World::new("orphaned").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let uid = async |kind| world.child(kind, "churn").await.expect("the child")["metadata"]["uid"].clone();
    let before = (uid(ChildKind::Deployment).await, uid(ChildKind::Service).await);
    operator.stop().await;
    orphan(&world).await;
    let children = world.list(ChildKind::ControllerRevision).await.len();
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    assert_eq!((uid(ChildKind::Deployment).await, uid(ChildKind::Service).await), before);
    assert_eq!((world.replica_sets().await.len(), children), (1, 1));
    for kind in ChildKind::CORE {
        for object in world.list(kind).await {
            assert_eq!(object.metadata.owner_references.map(|owners| owners.len()), Some(1), "{kind}");
        }
    }
    let events = world.events("churn").await;
    let told = events.iter().rev().find(|(reason, _)| reason == "Adopted").expect("an event");
    assert!(told.1.contains("Deployment churn") && told.1.contains("Service churn"), "{told:?}");
    operator.stop().await;
    world.end().await;
}

/// Whoever restores a backup makes each object anew, with all its fields and without its owner.
#[tokio::test]
async fn a_restored_model_loses_what_its_spec_drops_afterwards() {
    let world = World::new("restored").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut with = spec(&world);
    with["server"] = json!({"env": [{"name": "BARREL", "value": "oak"}]});
    world.apply("churn", with.clone()).await;
    world.serves("churn", &digest).await;
    operator.stop().await;
    orphan(&world).await;
    for kind in [ChildKind::ControllerRevision, ChildKind::Service, ChildKind::Deployment] {
        for mut object in world.list(kind).await {
            let name = object.metadata.name.clone().expect("a name");
            world.children(kind).delete(&name, &DeleteParams::default()).await.expect("deleted");
            eventually("it to be gone", || async {
                world.children(kind).get_opt(&name).await.expect("an answer").map_or(Ok(()), |_| Err("still there"))
            })
            .await;
            object.metadata.resource_version = None;
            object.metadata.uid = None;
            object.metadata.managed_fields = None;
            if object.data["spec"]["clusterIP"] != "None" {
                // An address is given anew.
                for field in ["clusterIP", "clusterIPs"] {
                    object.data["spec"].as_object_mut().and_then(|spec| spec.remove(field));
                }
            }
            let restorer = PostParams { field_manager: Some("restorer".into()), ..PostParams::default() };
            world.children(kind).create(&restorer, &object).await.expect("restored");
        }
    }
    let operator = Operator::start(&world);
    world.apply("churn", with).await;
    world.serves("churn", &digest).await;
    world.apply("churn", spec(&world)).await;
    let variables = eventually("the variable to go", || async {
        let live = world.child(ChildKind::Deployment, "churn").await.unwrap_or_default();
        let variables = live["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
        if variables.contains("BARREL") { Err(variables) } else { Ok(variables) }
    })
    .await;
    assert!(variables.contains("MLFLOW_MODELS_WORKERS"), "{variables}");
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn what_another_owner_controls_is_left_alone_and_the_owner_named() {
    let world = World::new("owned").await;
    registry::push(&repository(&world), "latest", "1");
    let map: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "chief"},
    }))
    .expect("a ConfigMap");
    let chief = world.children(ChildKind::ConfigMap).create(&PostParams::default(), &map).await.expect("created");
    let service: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "churn",
            "labels": {"app.kubernetes.io/managed-by": "modelship", "modelship.dev/model": "churn"},
            "annotations": {"modelship.dev/intent": "0", "modelship.dev/hand-over": "true"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "name": "chief", "uid": chief.metadata.uid, "controller": true,
            }],
        },
        "spec": {"ports": [{"port": 1234}], "selector": {"app": "mine"}},
    }))
    .expect("a Service");
    let before = world.children(ChildKind::Service).create(&PostParams::default(), &service).await.expect("created");
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.condition("churn", conditions::READY, "False", "NameConflict").await;
    let words = &conditions::find(&status.conditions, conditions::READY).expect("Ready").message;
    assert!(words.contains("but to ConfigMap chief") && !words.contains("hand-over"), "{words}");
    let after = world.children(ChildKind::Service).get("churn").await.expect("still there");
    assert_eq!(before.metadata.resource_version, after.metadata.resource_version);
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_hand_written_deployment_and_service_are_handed_over_and_their_pods_run_on() {
    let world = World::new("handover").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let deployment: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "churn"},
        "spec": {
            "selector": {"matchLabels": {"app": "mine"}},
            "template": {
                "metadata": {"labels": {"app": "mine"}},
                "spec": {"containers": [{"name": "web", "image": "example.org/mine:1"}]},
            },
        },
    }))
    .expect("a Deployment");
    let service: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn"},
        "spec": {"ports": [{"name": "http", "port": 8000, "targetPort": 5000}], "selector": {"app": "mine"}},
    }))
    .expect("a Service");
    world.children(ChildKind::Deployment).create(&PostParams::default(), &deployment).await.expect("created");
    let service = world.children(ChildKind::Service).create(&PostParams::default(), &service).await.expect("created");
    let theirs = async || {
        let sets = world.replica_sets().await;
        let mine = |set: &k8s_openapi::api::apps::v1::ReplicaSet| {
            set.metadata.labels.as_ref().is_some_and(|labels| labels.get("app").is_some_and(|app| app == "mine"))
        };
        sets.into_iter().find(mine)
    };
    eventually("their ReplicaSet", || async { theirs().await.ok_or("none yet") }).await;
    // Pods of the model do not start yet: the Service must wait for them.
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let status = world.condition("churn", conditions::READY, "False", "NameConflict").await;
    let words = &conditions::find(&status.conditions, conditions::READY).expect("Ready").message;
    assert!(words.contains("kubectl annotate services churn modelship.dev/hand-over=true"), "{words}");
    let given = json!({"metadata": {"annotations": {"modelship.dev/hand-over": "true"}}});
    for kind in [ChildKind::Service, ChildKind::Deployment] {
        world.patch(kind, "churn", given.clone()).await;
    }
    eventually("a Deployment of ours", || async {
        let live = world.child(ChildKind::Deployment, "churn").await.unwrap_or_default();
        let labels = live["spec"]["selector"]["matchLabels"].clone();
        if labels["modelship.dev/model"] == "churn" { Ok(()) } else { Err(labels) }
    })
    .await;
    world.condition("churn", conditions::READY, "False", "HandingOver").await;
    let selector =
        async || world.child(ChildKind::Service, "churn").await.expect("the Service")["spec"]["selector"].clone();
    assert_eq!(selector().await, json!({"app": "mine"}), "nobody is turned away meanwhile");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    world.serves("churn", &digest).await;
    let live = world.child(ChildKind::Service, "churn").await.expect("the Service");
    assert_eq!(live["metadata"]["uid"], json!(service.metadata.uid), "its address stays");
    assert_eq!(selector().await, json!({"modelship.dev/model": "churn", "modelship.dev/track": "stable"}));
    let ports: Vec<_> =
        live["spec"]["ports"].as_array().into_iter().flatten().map(|port| port["port"].clone()).collect();
    assert_eq!(ports, [json!(80)]);
    let set = theirs().await.expect("their pods run on");
    assert_eq!(set.metadata.owner_references.unwrap_or_default(), []);
    operator.stop().await;
    let told: Vec<_> = world.events("churn").await.into_iter().filter(|(reason, _)| reason == "HandedOver").collect();
    assert_eq!(told.len(), 2, "{told:?}");
    let command =
        format!("kubectl delete replicaset -n {} --selector 'app=mine,!modelship.dev/model'", world.namespace);
    assert!(told[0].1.contains(&command), "{told:?}");
    world.end().await;
}
