//! Real HorizontalPodAutoscalers, by the real controller: ours, and those of others. What measures pods is a stand-in: a kind
//! of its own under the name by which Kubernetes asks metrics-server.

use futures::StreamExt as _;
use k8s_openapi::{
    api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};
use modelship::{
    api::conditions::{self, SPEC_IN_EFFECT},
    resources::ChildKind,
};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
};

use crate::{
    lifecycle::{repository, spec},
    support::{Kubelet, Operator, World, eventually, kubelet, registry},
};

const PODS_OF_METRICS: &str = "pods.metrics.k8s.io";

/// The cluster has one metrics API, or none: who holds this is alone with it, and begins without. A test that failed may have
/// left its own behind.
pub async fn unmeasured(world: &World) -> MutexGuard<'static, ()> {
    static METRICS_API: Mutex<()> = Mutex::const_new(());
    let alone = METRICS_API.lock().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    // Mostly there is none.
    let _ = definitions.delete(PODS_OF_METRICS, &DeleteParams::default()).await;
    eventually("the metrics API to be gone", || async {
        let left = definitions.get_opt(PODS_OF_METRICS).await.expect("an answer");
        left.map_or(Ok(()), |left| Err(Box::new(left.metadata)))
    })
    .await;
    alone
}

/// metrics-server for one namespace, where every model's container uses 250 thousandths of a core.
struct Metrics {
    world: Api<CustomResourceDefinition>,
    meter: JoinHandle<()>,
}

impl Metrics {
    /// For a test that holds what [`unmeasured`] gives.
    async fn install(world: &World) -> Self {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = serde_json::from_value(json!({
            "metadata": {
                "name": PODS_OF_METRICS,
                // Kubernetes asks for a word on why somebody else makes a kind under its name.
                "annotations": {"api-approved.kubernetes.io": "unapproved, it stands in for metrics-server"},
            },
            "spec": {
                "group": "metrics.k8s.io", "scope": "Namespaced",
                "names": {"plural": "pods", "singular": "pod", "kind": "PodMetrics", "listKind": "PodMetricsList"},
                "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            },
        }));
        let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
        let definition = definition.expect("a definition");
        definitions.create(&PostParams::default(), &definition).await.expect("the metrics API is taken");
        let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics");
        let resource = ApiResource::from_gvk_with_plural(&kind, "pods");
        let measured: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
        eventually("the metrics API to answer", || async { measured.list(&Default::default()).await.map(|_| ()) })
            .await;
        Self { world: definitions, meter: tokio::spawn(measure(world.api(), measured)) }
    }

    async fn end(self) {
        self.meter.abort();
        self.world.delete(PODS_OF_METRICS, &DeleteParams::default()).await.expect("the metrics API is removed");
    }
}

/// Measures every pod that appears.
async fn measure(pods: Api<Pod>, measured: Api<DynamicObject>) {
    let events = watcher(pods, watcher::Config::default()).default_backoff().applied_objects();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let Ok(pod) = event else { continue };
        let usage = |container: &str, cpu: &str| json!({"name": container, "usage": {"cpu": cpu, "memory": "64Mi"}});
        let metrics = json!({
            "apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics",
            "metadata": {"name": pod.name_any(), "labels": pod.labels()},
            "timestamp": Timestamp::now().to_string(), "window": "15s",
            "containers": [usage("model", "250m"), usage("exporter", "1m")],
        });
        // The pod says more of itself soon: what is lost is made up for.
        let _ = measured.patch(&pod.name_any(), &PatchParams::apply("meter").force(), &Patch::Apply(&metrics)).await;
    }
}

/// An autoscaler of a person's own.
async fn autoscaler(world: &World, target: Value) {
    let cpu = json!({"name": "cpu", "target": {"type": "AverageValue", "averageValue": "100m"}});
    let autoscaler = serde_json::from_value(json!({
        "metadata": {"name": "by-hand"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [{"type": "Resource", "resource": cpu}]},
    }));
    let api: Api<HorizontalPodAutoscaler> = world.api();
    api.create(&PostParams::default(), &autoscaler.expect("an autoscaler")).await.expect("it is taken");
}

async fn scaled(world: &World, available: &str) {
    eventually(&format!("{available} replicas"), || async {
        let status = world.status("churn").await;
        if status.available.as_deref() == Some(available) { Ok(()) } else { Err(status) }
    })
    .await;
}

async fn autoscalers(world: &World) -> Vec<HorizontalPodAutoscaler> {
    world.api().list(&Default::default()).await.expect("autoscalers").items
}

/// What Kubernetes says of our autoscaler changes from try to try: it has a number in it here.
/// The smallest model, which serves where pods are measured.
async fn smallest(world: &World) -> (Metrics, Kubelet, Operator) {
    let metrics = Metrics::install(world).await;
    let digest = registry::push(&repository(world), "latest", "1");
    let kubelet = Kubelet::start(world, kubelet::serving);
    let operator = Operator::start(world);
    world.apply("churn", spec(world)).await;
    world.serves("churn", &digest).await;
    (metrics, kubelet, operator)
}

async fn say_in_other_words(world: &World, attempt: usize) {
    let api: Api<HorizontalPodAutoscaler> = world.api();
    let autoscaler = api.get("churn").await.expect("our autoscaler");
    let mut conditions = autoscaler.status.and_then(|status| status.conditions).expect("conditions");
    let failed =
        conditions.iter_mut().find(|condition| condition.type_ == "ScalingActive").expect("why it does not scale");
    failed.message = failed.message.take().map(|message| format!("{message} (attempt {attempt})"));
    let status = json!({"status": {"conditions": conditions}});
    api.patch_status("churn", &PatchParams::default(), &Patch::Merge(&status)).await.expect("it is taken");
}

#[tokio::test]
async fn that_nothing_measures_pods_is_told_until_something_does_and_then_the_model_is_scaled() {
    let world = World::new("unmeasured").await;
    let _alone = unmeasured(&world).await;
    let digest = registry::push(&repository(&world), "latest", "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let mut wanted = spec(&world);
    wanted["server"] = json!({"resources": {"requests": {"cpu": "100m"}}});
    wanted["autoscaling"] = json!({"max": 3});
    world.apply("churn", wanted).await;
    world.serves("churn", &digest).await;
    let status = world.condition("churn", SPEC_IN_EFFECT, "False", "WithoutEffect").await;
    let told = conditions::find(&status.conditions, SPEC_IN_EFFECT).expect("the condition");
    assert!(
        told.message.starts_with("spec.autoscaling: ") && told.message.contains("install metrics-server"),
        "{told:?}"
    );
    let ready = conditions::find(&status.conditions, conditions::READY).expect("the condition");
    assert_eq!(ready.status, "True", "it serves as ever");
    operator.at_rest(|| true).await;
    let written = operator.tap.writes();
    for attempt in 0..3 {
        say_in_other_words(&world, attempt).await;
    }
    operator.at_rest(|| true).await;
    assert_eq!(operator.tap.writes(), written, "the reason is the same");
    let metrics = Metrics::install(&world).await;
    scaled(&world, "3/3").await;
    eventually("the condition to go", || async {
        let status = world.status("churn").await;
        conditions::find(&status.conditions, SPEC_IN_EFFECT).map_or(Ok(()), |told| Err(Box::new(told.clone())))
    })
    .await;
    metrics.end().await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn an_autoscaler_of_ones_own_scales_the_deployment_of_the_smallest_model() {
    let world = World::new("ownhpa").await;
    let _alone = unmeasured(&world).await;
    let (metrics, _kubelet, operator) = smallest(&world).await;
    autoscaler(&world, json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn"})).await;
    scaled(&world, "3/3").await;
    // Not even a roll-out takes the number back.
    let next = registry::push(&repository(&world), "latest", "2");
    let status = world.serves("churn", &next).await;
    assert_eq!(status.available.as_deref(), Some("3/3"));
    assert_eq!(world.child(ChildKind::Deployment, "churn").await.expect("a Deployment")["spec"]["replicas"], 3);
    assert_eq!(autoscalers(&world).await.len(), 1, "it is left alone, and has no other beside it");
    metrics.end().await;
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn an_autoscaler_that_is_pointed_at_the_model_scales_it_once_the_spec_says_how_many() {
    let world = World::new("modelhpa").await;
    let _alone = unmeasured(&world).await;
    let (metrics, _kubelet, operator) = smallest(&world).await;
    autoscaler(&world, json!({"apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment", "name": "churn"}))
        .await;
    eventually("the autoscaler to have found no number to scale from", || async {
        let status = autoscalers(&world).await.remove(0).status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let failed = conditions.iter().any(|found| found.reason.as_deref() == Some("FailedGetScale"));
        if failed { Ok(()) } else { Err(conditions) }
    })
    .await;
    // Not by apply, which would hold the number against the autoscaler.
    let once = json!({"spec": {"replicas": 1}});
    world.models().patch("churn", &PatchParams::default(), &Patch::Merge(&once)).await.expect("it is taken");
    scaled(&world, "3/3").await;
    let model = world.models().get("churn").await.expect("the model");
    assert_eq!(model.data["spec"]["replicas"], 3);
    metrics.end().await;
    operator.stop().await;
    world.end().await;
}
