//! What is wrong is named, with its remedy, and heals by itself once it is mended.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use modelship::{
    api::{StoredModelDeployment, conditions, schema},
    resources::ChildKind,
};
use serde_json::{Value, json};

use crate::{
    lifecycle::{repository, spec},
    support::{Kubelet, Operator, Options, World, eventually, kubelet, registry, world::CRD_UNCHANGED},
};

async fn told(world: &World, kind: &str, status: &str, reason: &str) -> String {
    let found = world.condition("churn", kind, status, reason).await;
    conditions::find(&found.conditions, kind).expect("the condition").message.clone()
}

#[tokio::test]
async fn a_tag_that_does_not_exist_is_named_and_its_push_heals() {
    let world = World::new("absent").await;
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let words = told(&world, conditions::READY, "False", "TagNotFound").await;
    assert!(words.contains(&repository(&world)) && words.contains("latest"), "{words}");
    world.condition("churn", conditions::STALLED, "True", "TagNotFound").await;
    assert!(world.child(ChildKind::Deployment, "churn").await.is_none());
    let digest = registry::push(&repository(&world), "latest", "1");
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

/// The reader of JSON follows 128 levels, a list of all models around them.
#[tokio::test]
async fn a_spec_that_is_nested_too_deep_is_named_and_keeps_no_other_model_away() {
    let world = World::new("deep").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let mut deep = spec(&world);
    deep["podTemplate"] = (0..200).fold(json!({}), |inner, _| json!({"a": inner}));
    world.apply("deep", deep.clone()).await;
    world.apply("churn", spec(&world)).await;
    let operator = Operator::start(&world);
    world.serves("churn", &digest).await;
    let refused = async || {
        let found = world.condition("deep", conditions::READY, "False", conditions::INVALID_SPEC).await;
        let words = &conditions::find(&found.conditions, conditions::READY).expect("the condition").message;
        assert!(words.contains("spec.podTemplate") && words.contains("levels"), "{words}");
    };
    refused().await;
    // What a watch brings is read in the same way, and mending it is enough.
    world.apply("deep", spec(&world)).await;
    world.serves("deep", &digest).await;
    world.apply("deep", deep).await;
    refused().await;
    assert_eq!(world.serves("churn", &digest).await.history.len(), 1);
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_registry_that_goes_away_is_told_and_changes_nothing() {
    let world = World::new("away").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    operator.stop().await;
    // Started again where nobody listens.
    let away = Options { docker_hub: "http://127.0.0.1:9".into(), ..Options::default() };
    let operator = Operator::start_with(&world, away);
    let words = told(&world, conditions::IMAGE_RESOLVED, "False", "RegistryUnreachable").await;
    assert!(words.contains("127.0.0.1:9"), "{words}");
    let status = world.serves("churn", &digest).await;
    assert!(conditions::find(&status.conditions, conditions::RECONCILING).is_none());
    // A change of the spec is rolled out all the same, with the digest that runs.
    let mut changed = spec(&world);
    changed["server"] = json!({"env": [{"name": "A", "value": "1"}]});
    world.apply("churn", changed.clone()).await;
    eventually("the variable", || async {
        let live = world.child(ChildKind::Deployment, "churn").await.unwrap_or_default();
        let container = &live["spec"]["template"]["spec"]["containers"][0];
        let set = container["env"].to_string().contains(r#""name":"A""#);
        let pinned = container["image"].as_str().is_some_and(|image| image.ends_with(&digest));
        if set && pinned { Ok(()) } else { Err(container.clone()) }
    })
    .await;
    operator.stop().await;
    // Back again.
    let operator = Operator::start(&world);
    world.condition("churn", conditions::IMAGE_RESOLVED, "True", "Resolved").await;
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_private_repository_needs_its_secret_and_heals_when_it_comes() {
    let world = World::new("private").await;
    let (url, user) = (crate::support::world::setting("MODELSHIP_TEST_PRIVATE_REGISTRY"), "alice:open-sesame");
    let host = url.strip_prefix("http://").expect("an http URL").to_owned();
    let pushed = registry::push_to(&url, &repository(&world), "latest", &["--answer", "1", "--user", user]);
    let digest = pushed["digest"].as_str().expect("a digest").to_owned();
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut private = spec(&world);
    private["image"]["repository"] = json!(format!("{host}/{}", repository(&world)));
    world.apply("churn", private.clone()).await;
    let words = told(&world, conditions::READY, "False", "Unauthorized").await;
    assert!(words.contains("pullSecrets"), "{words}");
    private["image"]["pullSecrets"] = json!([{"name": "hub"}]);
    world.apply("churn", private).await;
    let words = told(&world, conditions::READY, "False", "PullSecretMissing").await;
    assert!(words.contains("kubectl create secret docker-registry hub"), "{words}");
    let config = json!({"auths": {host: {"username": "alice", "password": "open-sesame"}}}).to_string();
    let secret = Secret {
        metadata: kube::api::ObjectMeta { name: Some("hub".into()), ..Default::default() },
        type_: Some("kubernetes.io/dockerconfigjson".into()),
        string_data: Some([(".dockerconfigjson".to_owned(), config)].into()),
        ..Secret::default()
    };
    world.api::<Secret>().create(&PostParams::default(), &secret).await.expect("the Secret");
    world.serves("churn", &digest).await;
    let live = world.child(ChildKind::Deployment, "churn").await.expect("a Deployment");
    assert_eq!(live["spec"]["template"]["spec"]["imagePullSecrets"], json!([{"name": "hub"}]));
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn pods_refused_by_a_quota_are_told_in_the_servers_words_and_heal() {
    let world = World::new("quota").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}},
    });
    let quotas: Api<k8s_openapi::api::core::v1::ResourceQuota> = world.api();
    quotas.patch("none", &PatchParams::apply("test"), &Patch::Apply(&quota)).await.expect("the quota");
    eventually("the quota to be counted", || async {
        let status = quotas.get("none").await.expect("the quota").status;
        status.and_then(|status| status.hard).ok_or("not yet")
    })
    .await;
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let words = told(&world, conditions::READY, "False", "PodsRefused").await;
    assert!(words.contains("exceeded quota: none"), "{words}");
    world.condition("churn", conditions::STALLED, "True", "PodsRefused").await;
    quotas.delete("none", &Default::default()).await.expect("deleted");
    // The ReplicaSet controller's next try may be minutes away; a new ReplicaSet tries at once.
    let mut changed = spec(&world);
    changed["server"] = json!({"env": [{"name": "A", "value": "1"}]});
    world.apply("churn", changed).await;
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn pods_refused_by_pod_security_are_told_and_a_strict_pod_template_mends_it() {
    let world = World::new("security").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(&labels)).await.expect("labelled");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    let words = told(&world, conditions::READY, "False", "PodsRefused").await;
    assert!(words.contains("violates PodSecurity \"restricted:latest\""), "{words}");
    let mut strict = spec(&world);
    strict["podTemplate"] = json!({"spec": {"containers": [{"name": "model", "securityContext": {
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }}]}});
    world.apply("churn", strict).await;
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_pod_template_that_breaks_the_pod_is_named_and_its_correction_heals() {
    let world = World::new("template").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let with = |template: Value| {
        let mut spec = spec(&world);
        spec["podTemplate"] = template;
        spec
    };
    // A field that does not exist: strict validation refuses it.
    world.apply("churn", with(json!({"spec": {"tolerationz": []}}))).await;
    let words = told(&world, conditions::READY, "False", "InvalidPodTemplate").await;
    assert!(words.contains("tolerationz"), "{words}");
    // A value that makes no pod.
    world.apply("churn", with(json!({"spec": {"restartPolicy": "Never"}}))).await;
    let words = told(&world, conditions::READY, "False", "InvalidPodTemplate").await;
    assert!(words.contains("restartPolicy"), "{words}");
    // What is ours may not be touched; the API server cannot know that.
    world.apply("churn", with(json!({"spec": {"containers": [{"name": "model", "image": "x"}]}}))).await;
    let words = told(&world, conditions::READY, "False", "InvalidSpec").await;
    assert!(words.contains("spec.podTemplate.spec.containers[0].image"), "{words}");
    world.apply("churn", with(json!({"spec": {"hostname": "fine"}}))).await;
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

/// Objects are stored under the rules of their day; a CRD without any stands in for an older one.
#[tokio::test]
async fn a_malformed_stored_object_is_told_on_itself_and_harms_no_other() {
    // A change of the CRD ends every watch of its objects: not while others count requests.
    let _alone = CRD_UNCHANGED.write().await;
    let world = World::new("malformed").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    without_rules(&world, async {
        eventually("the malformed object to be stored", || async {
            let malformed = json!({
                "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "churn"},
                "spec": {"image": 17, "server": "mlflow"},
            });
            let object: DynamicObject = serde_json::from_value(malformed).expect("an object");
            world.models().create(&PostParams::default(), &object).await
        })
        .await;
    })
    .await;
    let operator = Operator::start(&world);
    world.apply("sound", spec(&world)).await;
    world.serves("sound", &digest).await;
    let words = told(&world, conditions::READY, "False", "InvalidSpec").await;
    assert_eq!(words, "spec.image: 17 must be an object; spec.server: \"mlflow\" must be an object");
    world.condition("churn", conditions::STALLED, "True", "InvalidSpec").await;
    let models = world.api::<StoredModelDeployment>();
    let mended = json!({"spec": {"image": spec(&world)["image"], "server": null}});
    models.patch("churn", &PatchParams::default(), &Patch::Merge(&mended)).await.expect("mended");
    world.serves("churn", &digest).await;
    operator.stop().await;
    world.end().await;
}

/// Runs something while the CRD takes anything.
async fn without_rules(world: &World, work: impl Future<Output = ()>) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let api: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let crd = schema::crd();
    let name = crd.metadata.name.clone().expect("a name");
    let mut loose = json!(crd);
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let params = PatchParams::apply("test").force();
    let stored = |body: Value| {
        let (api, name, params) = (api.clone(), name.clone(), params.clone());
        async move { api.patch(&name, &params, &Patch::Apply(&body)).await.expect("the CRD is taken") }
    };
    stored(loose).await;
    work.await;
    stored(json!(crd)).await;
    eventually("the rules to be back", || async {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let probe: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "probe"}, "spec": {},
        }))
        .expect("an object");
        world.models().create(&dry, &probe).await.map_or(Ok(()), |_| Err("still loose"))
    })
    .await;
}

/// A webhook that does not answer, for dashboards alone: what watches a model is the least part of it.
#[tokio::test]
async fn a_child_that_is_refused_is_tried_by_itself_and_the_model_serves_and_goes_on() {
    let world = World::new("webhook").await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    world.apply("churn", spec(&world)).await;
    world.serves("churn", &digest).await;
    let webhook = install_silent_webhook(&world).await;
    let mut changed = spec(&world);
    changed["monitoring"] = json!({"dashboard": {"folder": "Cellar"}});
    world.apply("churn", changed).await;
    let told = |status: &modelship::api::ModelDeploymentStatus| {
        let found = conditions::find(&status.conditions, conditions::MONITORING_READY).cloned();
        found.filter(|found| found.message.contains("webhook dashboards.example.org does not answer"))
    };
    eventually("MonitoringReady to name the webhook", || async {
        let status = world.status("churn").await;
        told(&status).map(|_| ()).ok_or(status.conditions)
    })
    .await;
    // By the fifth try the next one is 16 seconds away.
    eventually("five tries", || async {
        let refused =
            operator.tap.writes().iter().filter(|call| call.resource == "configmaps" && call.code == 500).count();
        if refused >= 5 { Ok(()) } else { Err(refused) }
    })
    .await;
    let status = world.condition("churn", conditions::READY, "True", "Serving").await;
    assert!(conditions::find(&status.conditions, conditions::STALLED).is_none());
    let second = registry::push(&repository(&world), "latest", "2");
    eventually("the next version to be served", || async {
        let status = world.status("churn").await;
        let served = status.stable.as_ref().is_some_and(|stable| stable.digest == second.as_str());
        let ready = conditions::find(&status.conditions, conditions::READY).is_some_and(|ready| ready.status == "True");
        // In the meantime: the child is refused as before.
        if served && ready && told(&status).is_some() { Ok(()) } else { Err(status) }
    })
    .await;
    webhook.delete(&world.namespace, &Default::default()).await.expect("the webhook goes");
    eventually("the dashboard to be written", || async {
        let live = world.child(ChildKind::ConfigMap, "churn-dashboard").await.unwrap_or_default();
        let folder = live["metadata"]["annotations"]["grafana_folder"].clone();
        if folder == "Cellar" { Ok(()) } else { Err(folder) }
    })
    .await;
    operator.stop().await;
    world.end().await;
}

async fn install_silent_webhook(world: &World) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "validatingwebhookconfigurations");
    let api = Api::<DynamicObject>::all_with(world.client.clone(), &resource);
    let body = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": world.namespace},
        "webhooks": [{
            "name": "dashboards.example.org",
            // Nobody listens there.
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 2,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            "matchConditions": [{"name": "dashboards", "expression": "request.name.endsWith('-dashboard')"}],
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
        }],
    });
    api.patch(&world.namespace, &PatchParams::apply("test"), &Patch::Apply(&body)).await.expect("the webhook is taken");
    eventually("the webhook to be in force", || async {
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe-dashboard"}});
        let probe: DynamicObject = serde_json::from_value(probe).expect("an object");
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        world.children(ChildKind::ConfigMap).create(&dry, &probe).await.map_or(Ok(()), |_| Err("not yet"))
    })
    .await;
    api
}
