//! The pod template of a model: its container, pinned by digest, with probes that fit MLflow's images, and the exporter in
//! front of it unless that is switched off.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        ConfigMapKeySelector, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Lifecycle,
        LifecycleHandler, LocalObjectReference, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
        SecretKeySelector, SleepAction, TCPSocketAction, TopologySpreadConstraint,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde_json::{Map, Value, json};

use super::{
    Owner,
    exporter::{self, Sidecar},
    hash, merge,
};
use crate::{
    api::{
        names,
        spec::{self, ServerType},
        valid::{Server, ValidSpec},
    },
    images::Digest,
};

/// Seconds between probes.
const PROBE_PERIOD: i32 = 5;
/// Seconds between probes until the first answer: a little longer than the exporter lets each of them wait for the model,
/// so that its first answer is told at once.
const STARTUP_PERIOD: i32 = 3;
/// Seconds that a pod keeps serving after it was told to stop, until every node's routes have forgotten it.
const DRAIN: i64 = 5;
/// Kubernetes kills a pod this long after the longest request could have ended.
const GRACE: i64 = 15;

/// What the rendered template depends on, and nothing else. Modelship's own version is left out on purpose: an upgrade
/// re-uses the stored template (see [`super::revision`]) and restarts nothing. The user's words go in as they are
/// written, not as defaults complete them: a later change of a default is no change of input.
pub fn inputs(stored_spec: &Value, image: &str) -> Value {
    let field = |pointer: &str| stored_spec.pointer(pointer).cloned().unwrap_or(Value::Null);
    let mut inputs = json!({
        "image": image,
        "pullSecrets": field("/image/pullSecrets"),
        "server": field("/server"),
        "podTemplate": field("/podTemplate"),
    });
    // Inputs that came later count only where they are given: the others' templates must be found again.
    if let Some(exporter) = stored_spec.get("exporter").filter(|exporter| !exporter.is_null()) {
        inputs["exporter"] = exporter.clone();
    }
    inputs
}

/// The hash that a stored template is found by.
pub fn inputs_hash(stored_spec: &Value, image: &str) -> String {
    hash::of(&inputs(stored_spec, image))
}

/// The image reference as the pod template holds it.
pub fn pinned(spec: &ValidSpec, digest: &Digest) -> String {
    spec.image.repository.at(digest)
}

/// The image that the model's container in a template pulls.
pub fn pulled(template: &Value) -> Option<&str> {
    let containers = template.pointer("/spec/containers")?.as_array()?;
    containers.iter().find(|container| container["name"] == names::MODEL_CONTAINER)?["image"].as_str()
}

/// Lets the model's container pull another image than its version is called by.
pub fn pull(template: &mut Value, image: &str) {
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    let mut containers = containers.into_iter().flatten();
    if let Some(model) = containers.find(|container| container["name"] == names::MODEL_CONTAINER) {
        model["image"] = json!(image);
    }
}

/// Renders the pod template for one version. `profile` is what it says itself of its predictions. It is no input: a digest
/// says one thing for ever, and what is said of templates from before it was read reaches them with the next roll-out.
pub fn render(
    owner: &Owner,
    spec: &ValidSpec,
    digest: &Digest,
    sidecar: &Sidecar,
    profile: &Map<String, Value>,
) -> Value {
    let pod = PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(owner.template_labels()), ..ObjectMeta::default() }),
        spec: Some(pod_spec(owner, spec, digest, sidecar, profile)),
    };
    let mut template = json!(pod);
    if let Some(patch) = &spec.pod_template {
        merge::merge(&mut template, patch);
    }
    if spec.exporter.is_some() && spec.server.python_metrics {
        exporter::lead_python_path(&mut template);
    }
    template
}

fn pod_spec(
    owner: &Owner,
    spec: &ValidSpec,
    digest: &Digest,
    sidecar: &Sidecar,
    profile: &Map<String, Value>,
) -> PodSpec {
    let exported = spec.exporter.as_ref();
    let mut secrets: Vec<_> = spec.image.pull_secrets.iter().collect();
    secrets.extend(
        sidecar.pull_secrets.iter().filter(|name| exported.is_some() && !spec.image.pull_secrets.contains(name)),
    );
    let secrets: Vec<_> = secrets.into_iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    let mut containers = vec![model(spec, pinned(spec, digest))];
    containers.extend(exported.map(|exporter| exporter::container(spec, exporter, &sidecar.image, profile)));
    PodSpec {
        containers,
        volumes: exported.map(|_| exporter::volumes(owner, spec)),
        // The exporter reads what the model's processes use.
        share_process_namespace: (exported.is_some() && spec.server.share_process_namespace).then_some(true),
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        service_account_name: spec.server.service_account.clone(),
        // A model needs no access to the API.
        automount_service_account_token: Some(false),
        // A Service called `mlflow` would otherwise inject MLFLOW_PORT=tcp://… into every model of the namespace.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(seconds(spec.server.timeout) + GRACE),
        topology_spread_constraints: Some(vec![spread(owner)]),
        ..PodSpec::default()
    }
}

/// Replicas of one template on different nodes, where there are any. `matchLabelKeys` counts the pods of the own ReplicaSet
/// alone: without it those that a roll-out is about to replace count, too, and two new ones meet on one node when they
/// have gone. Stored templates from before keep their own constraint until the next roll-out, for this is no input.
fn spread(owner: &Owner) -> TopologySpreadConstraint {
    let model = BTreeMap::from([(names::MODEL.to_owned(), owner.name.clone())]);
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        // The hash differs between tracks, too, so the track need not be named.
        label_selector: Some(LabelSelector { match_labels: Some(model), ..LabelSelector::default() }),
        match_label_keys: Some(vec!["pod-template-hash".into()]),
        ..TopologySpreadConstraint::default()
    }
}

fn model(spec: &ValidSpec, image: String) -> Container {
    let server = &spec.server;
    let (variables, probes) = (environment(spec), probes(spec));
    Container {
        name: names::MODEL_CONTAINER.into(),
        image: Some(image),
        // With `:latest@sha256:…` the default would be Always, and a registry outage would stop pod starts.
        image_pull_policy: Some("IfNotPresent".into()),
        ports: Some(vec![ContainerPort {
            name: Some(probes.port_name.into()),
            container_port: i32::from(server.port),
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        // An empty list would be a claim that nobody else may set a variable.
        env: (!variables.is_empty()).then_some(variables),
        resources: resources(&server.resources),
        startup_probe: Some(probes.startup),
        readiness_probe: Some(probes.readiness),
        liveness_probe: Some(probes.liveness),
        lifecycle: Some(Lifecycle { pre_stop: Some(probes.pre_stop), ..Lifecycle::default() }),
        volume_mounts: spec.exporter.as_ref().and_then(|_| exporter::model_mounts(spec)),
        ..Container::default()
    }
}

/// How the kubelet asks after the model, and lets it end.
struct Probes {
    port_name: &'static str,
    startup: Probe,
    readiness: Probe,
    liveness: Probe,
    pre_stop: LifecycleHandler,
}

fn probes(spec: &ValidSpec) -> Probes {
    let server = &spec.server;
    if spec.exporter.is_some() {
        // Asked through the exporter: it sees answers to requests, too, and servers that listen on loopback alone.
        return Probes {
            port_name: names::MODEL_PORT,
            startup: exporter::probe("/startup", STARTUP_PERIOD, periods(server.startup_timeout, STARTUP_PERIOD)),
            readiness: exporter::probe("/ready", PROBE_PERIOD, 3),
            liveness: exporter::probe("/live", PROBE_PERIOD, 6),
            // Answers once the exporter has served all that was under way.
            pre_stop: LifecycleHandler { http_get: Some(exporter::ask("/drained")), ..LifecycleHandler::default() },
        };
    }
    Probes {
        port_name: names::HTTP_PORT,
        startup: Probe { failure_threshold: Some(periods(server.startup_timeout, PROBE_PERIOD)), ..health(server) },
        readiness: Probe { failure_threshold: Some(3), ..health(server) },
        // Busy is not dead: one worker with a long request answers no health path in time, yet its port is open.
        liveness: Probe { failure_threshold: Some(6), ..open_port() },
        // MLflow's images end at once on SIGTERM: wait until no new request is routed here.
        pre_stop: LifecycleHandler { sleep: Some(SleepAction { seconds: DRAIN }), ..LifecycleHandler::default() },
    }
}

fn health(server: &Server) -> Probe {
    match &server.health_path {
        None => open_port(),
        Some(path) => Probe {
            http_get: Some(HTTPGetAction {
                path: Some(path.clone()),
                port: IntOrString::String(names::HTTP_PORT.into()),
                ..HTTPGetAction::default()
            }),
            tcp_socket: None,
            ..open_port()
        },
    }
}

fn open_port() -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::String(names::HTTP_PORT.into()), host: None }),
        period_seconds: Some(PROBE_PERIOD),
        timeout_seconds: Some(PROBE_PERIOD),
        ..Probe::default()
    }
}

/// Probe periods that cover a time, at least one.
fn periods(time: std::time::Duration, period: i32) -> i32 {
    i32::try_from(time.as_secs().div_ceil(u64::from(period.unsigned_abs()))).unwrap_or(i32::MAX).max(1)
}

fn seconds(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The user's variables win over ours.
fn environment(spec: &ValidSpec) -> Vec<EnvVar> {
    let server = &spec.server;
    let set = |name: &str, value: String| EnvVar { name: name.into(), value: Some(value), value_from: None };
    let mut variables: Vec<EnvVar> = Vec::new();
    if spec.exporter.is_some() {
        variables.extend(exporter::model_variables(spec).into_iter().map(|(name, value)| set(name, value.into())));
    }
    if server.kind == ServerType::Mlflow {
        variables.push(set("MLFLOW_MODELS_WORKERS", server.workers.to_string()));
        // MLflow up to 2.20 runs gunicorn, which knows only this one.
        variables.push(set("GUNICORN_CMD_ARGS", format!("--workers={}", server.workers)));
    }
    variables.retain(|ours| server.env.iter().all(|theirs| theirs.name != ours.name));
    variables.extend(server.env.iter().map(variable));
    variables
}

fn variable(variable: &spec::EnvVar) -> EnvVar {
    let source = variable.value_from.as_ref().map(|source| EnvVarSource {
        secret_key_ref: source.secret_key_ref.as_ref().map(|key| SecretKeySelector {
            name: key.name.clone(),
            key: key.key.clone(),
            optional: key.optional,
        }),
        config_map_key_ref: source.config_map_key_ref.as_ref().map(|key| ConfigMapKeySelector {
            name: key.name.clone(),
            key: key.key.clone(),
            optional: key.optional,
        }),
        ..EnvVarSource::default()
    });
    EnvVar { name: variable.name.clone(), value: variable.value.clone(), value_from: source }
}

pub(super) fn resources(resources: &spec::Resources) -> Option<ResourceRequirements> {
    let amounts = |map: &std::collections::BTreeMap<String, crate::api::units::Quantity>| {
        (!map.is_empty()).then(|| map.iter().map(|(name, amount)| (name.clone(), Quantity(amount.0.clone()))).collect())
    };
    let requirements = ResourceRequirements {
        limits: amounts(&resources.limits),
        requests: amounts(&resources.requests),
        claims: None,
    };
    (requirements != ResourceRequirements::default()).then_some(requirements)
}

#[cfg(test)]
#[path = "tests/template.rs"]
mod tests;
