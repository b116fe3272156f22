//! The operator as the chart installed it: where it runs, what it asks of the API server, and how it comes to harm.

use std::{fs, process::Command};

use k8s_openapi::api::{
    apps::v1::Deployment,
    authorization::v1::SubjectAccessReview,
    core::v1::{ContainerStatus, Pod},
    rbac::v1::ClusterRole,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    asking,
    stage::PATIENCE,
    support::{World, audit, eventually_within},
};

pub const NAMESPACE: &str = "modelship-system";
/// Its Deployment, ServiceAccount and ClusterRole.
pub const NAME: &str = "modelship";
pub const USER: &str = "system:serviceaccount:modelship-system:modelship";

fn deployments(world: &World) -> Api<Deployment> {
    Api::namespaced(world.client.clone(), NAMESPACE)
}

async fn pods(world: &World) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(world.client.clone(), NAMESPACE);
    api.list(&ListParams::default().labels("app.kubernetes.io/name=modelship")).await.expect("pods").items
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn container_id(pod: &Pod) -> Option<&str> {
    container(pod)?.container_id.as_deref()?.strip_prefix("containerd://")
}

/// The operator's only pod, once it is ready.
pub async fn pod(world: &World) -> Pod {
    eventually_within(PATIENCE, "the operator to be ready", || async {
        let mut pods = pods(world).await;
        let ready = pods.len() == 1 && container(&pods[0]).is_some_and(|container| container.ready);
        if ready { Ok(pods.remove(0)) } else { Err(pods) }
    })
    .await
}

/// Its metrics, from the pod itself.
pub async fn metrics(world: &World) -> String {
    let pod = pod(world).await;
    let address = pod.status.and_then(|status| status.pod_ip).expect("an address");
    let page = asking::client().get(format!("http://{address}:8080/metrics")).send().await.expect("an answer");
    page.error_for_status().expect("a page").text().await.expect("text")
}

/// Its requests that concern a namespace.
pub fn requests(namespace: &str) -> Vec<audit::Entry> {
    let mut requests = audit::entries(USER);
    requests.retain(|entry| entry.user() == USER && entry.namespace() == namespace);
    requests
}

/// Ends it with SIGKILL, on the node, and waits until the kubelet has started it again.
pub async fn kill(world: &World) {
    let before = pod(world).await;
    let id = container_id(&before).expect("a container").to_owned();
    kill_process(&id);
    eventually_within(PATIENCE, "the operator to be back", || async {
        let now = pod(world).await;
        let other = now.uid() == before.uid() && container_id(&now).is_some_and(|now| now != id);
        if other { Ok(()) } else { Err(now.status) }
    })
    .await;
    let ended = container(&pod(world).await).and_then(|container| container.last_state.clone()?.terminated);
    assert_eq!(ended.map(|ended| ended.exit_code), Some(137), "ended by SIGKILL");
}

/// The id is known before the moment comes: nothing is asked of the API server here.
pub fn kill_process(container: &str) {
    signal_process(container, "-KILL");
}

/// Signals the process of one of Modelship's containers, on the node.
pub fn signal_process(container: &str, signal: &str) {
    let process = process(container).unwrap_or_else(|| panic!("no process of container {container} on this machine"));
    let status = Command::new("kill").args([signal, &process]).status().expect("kill");
    assert!(status.success(), "kill {signal} {process}");
}

/// The process of one of Modelship's containers on this machine, by its control group.
fn process(container: &str) -> Option<String> {
    let of_container = |process: &String| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        read("cgroup").contains(container) && read("cmdline").starts_with("/modelship")
    };
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().into_string().ok());
    numbers.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).find(of_container)
}

pub async fn id(world: &World) -> String {
    container_id(&pod(world).await).expect("a container").to_owned()
}

/// Takes it away, and waits until its pod is gone.
pub async fn stop(world: &World) {
    scale(world, 0).await;
    eventually_within(PATIENCE, "the operator to be gone", || async {
        let left = pods(world).await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Brings it back, and waits until it is ready.
pub async fn start(world: &World) {
    scale(world, 1).await;
    pod(world).await;
}

/// A new pod, to which the kubelet owes no back-off for earlier crashes.
pub async fn renew(world: &World) {
    stop(world).await;
    start(world).await;
}

async fn scale(world: &World, replicas: i32) {
    let patch = json!({"spec": {"replicas": replicas}});
    let api = deployments(world);
    api.patch_scale(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("scaled");
}

/// Undoes what a test that failed may have left.
pub async fn mend(world: &World) {
    let live = deployments(world).get(NAME).await.expect("Modelship is installed");
    if live.spec.and_then(|spec| spec.replicas) != Some(1) {
        start(world).await;
    }
    if !may_patch_deployments(world).await {
        give_rights_back(world).await;
    }
    pod(world).await;
}

/// Takes away the right to create or change Deployments.
pub async fn take_rights_away(world: &World) {
    let read = json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]});
    let write = json!({"apiGroups": ["apps"], "resources": ["controllerrevisions"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"]});
    set_rights_of_apps(world, &[read, write], false).await;
}

/// Gives it back.
pub async fn give_rights_back(world: &World) {
    let both = json!({"apiGroups": ["apps"], "resources": ["deployments", "controllerrevisions"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"]});
    set_rights_of_apps(world, &[both], true).await;
}

async fn set_rights_of_apps(world: &World, rules: &[Value], allowed: bool) {
    let api: Api<ClusterRole> = Api::all(world.client.clone());
    let mut role = api.get(NAME).await.expect("the chart's ClusterRole");
    let known = role.rules.get_or_insert_default();
    known.retain(|rule| rule.api_groups.iter().flatten().all(|group| group != "apps"));
    known.extend(rules.iter().map(|rule| serde_json::from_value(rule.clone()).expect("a rule")));
    api.replace(NAME, &PostParams::default(), &role).await.expect("the role is taken");
    eventually_within(PATIENCE, "the rights to be known", || async {
        let now = may_patch_deployments(world).await;
        if now == allowed { Ok(()) } else { Err(now) }
    })
    .await;
}

async fn may_patch_deployments(world: &World) -> bool {
    let review = json!({"spec": {"user": USER, "resourceAttributes": {
        "group": "apps", "resource": "deployments", "verb": "patch", "namespace": world.namespace}}});
    let review: SubjectAccessReview = serde_json::from_value(review).expect("a review");
    let api: Api<SubjectAccessReview> = Api::all(world.client.clone());
    let answer = api.create(&PostParams::default(), &review).await.expect("an answer");
    answer.status.is_some_and(|status| status.allowed)
}
