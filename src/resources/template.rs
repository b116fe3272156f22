//! The pod template of a model: one container, pinned by digest, with probes that fit MLflow's images. The exporter will
//! stand in front of it in the same pod; its ports and names are kept free already.

use k8s_openapi::{
    api::core::v1::{
        ConfigMapKeySelector, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Lifecycle,
        LifecycleHandler, LocalObjectReference, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
        SecretKeySelector, SleepAction, TCPSocketAction, TopologySpreadConstraint,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde_json::{Value, json};

use super::{Owner, hash, merge};
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
/// Seconds that a pod keeps serving after it was told to stop, until every node's routes have forgotten it.
const DRAIN: i64 = 5;
/// Kubernetes kills a pod this long after the longest request could have ended.
const GRACE: i64 = 15;

/// What the rendered template depends on, and nothing else. Modelship's own version is left out on purpose: an upgrade
/// re-uses the stored template (see [`super::revision`]) and restarts nothing. The user's words go in as they are
/// written, not as defaults complete them: a later change of a default is no change of input.
pub fn inputs(stored_spec: &Value, image: &str) -> Value {
    let field = |pointer: &str| stored_spec.pointer(pointer).cloned().unwrap_or(Value::Null);
    json!({
        "image": image,
        "pullSecrets": field("/image/pullSecrets"),
        "server": field("/server"),
        "podTemplate": field("/podTemplate"),
    })
}

/// The hash that a stored template is found by.
pub fn inputs_hash(stored_spec: &Value, image: &str) -> String {
    hash::of(&inputs(stored_spec, image))
}

/// The image reference as the pod template holds it.
pub fn pinned(spec: &ValidSpec, digest: &Digest) -> String {
    spec.image.repository.at(digest)
}

/// Renders the pod template for one version.
pub fn render(owner: &Owner, spec: &ValidSpec, digest: &Digest) -> Value {
    let pod = PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(owner.labels()), ..ObjectMeta::default() }),
        spec: Some(pod_spec(owner, spec, digest)),
    };
    let mut template = json!(pod);
    if let Some(patch) = &spec.pod_template {
        merge::merge(&mut template, patch);
    }
    template
}

fn pod_spec(owner: &Owner, spec: &ValidSpec, digest: &Digest) -> PodSpec {
    let secrets: Vec<_> =
        spec.image.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    PodSpec {
        containers: vec![model(&spec.server, pinned(spec, digest))],
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        service_account_name: spec.server.service_account.clone(),
        // A model needs no access to the API.
        automount_service_account_token: Some(false),
        // A Service called `mlflow` would otherwise inject MLFLOW_PORT=tcp://… into every model of the namespace.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(seconds(spec.server.timeout) + GRACE),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".into(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            label_selector: Some(owner.label_selector()),
            ..TopologySpreadConstraint::default()
        }]),
        ..PodSpec::default()
    }
}

fn model(server: &Server, image: String) -> Container {
    let variables = environment(server);
    Container {
        name: names::MODEL_CONTAINER.into(),
        image: Some(image),
        // With `:latest@sha256:…` the default would be Always, and a registry outage would stop pod starts.
        image_pull_policy: Some("IfNotPresent".into()),
        ports: Some(vec![ContainerPort {
            name: Some(names::HTTP_PORT.into()),
            container_port: i32::from(server.port),
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        // An empty list would be a claim that nobody else may set a variable.
        env: (!variables.is_empty()).then_some(variables),
        resources: resources(&server.resources),
        startup_probe: Some(Probe { failure_threshold: Some(periods(server.startup_timeout)), ..health(server) }),
        readiness_probe: Some(Probe { failure_threshold: Some(3), ..health(server) }),
        // Busy is not dead: one worker with a long request answers no health path in time, yet its port is open.
        liveness_probe: Some(Probe { failure_threshold: Some(6), ..open_port() }),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                // MLflow's images end at once on SIGTERM: wait until no new request is routed here.
                sleep: Some(SleepAction { seconds: DRAIN }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..Container::default()
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
fn periods(time: std::time::Duration) -> i32 {
    let period = u64::from(PROBE_PERIOD.unsigned_abs());
    i32::try_from(time.as_secs().div_ceil(period)).unwrap_or(i32::MAX).max(1)
}

fn seconds(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The user's variables win over ours.
fn environment(server: &Server) -> Vec<EnvVar> {
    let mut variables: Vec<EnvVar> = Vec::new();
    if server.kind == ServerType::Mlflow {
        let set = |name: &str, value: String| EnvVar { name: name.into(), value: Some(value), value_from: None };
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

fn resources(resources: &spec::Resources) -> Option<ResourceRequirements> {
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
