//! From the stored spec to types that cannot be wrong. The API server has checked the same bounds by CEL; they are
//! checked again here because objects outlive the CRD they were admitted under, and because `modelship render` has no
//! API server.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

pub use super::findings::Invalid;
use super::{
    bounds,
    findings::Findings,
    idle, labels,
    mlflow::{self, Training},
    monitoring::{self, valid::Monitoring},
    names, pod_template, predictions,
    spec::{self, ModelDeploymentSpec, ServerType, ServiceType, Strategy},
    units,
};
use crate::{
    images::{Digest, Repository, Tag},
    resources::hash,
};

const POLL_INTERVAL: Duration = Duration::from_secs(60);
const STARTUP_TIMEOUT: Duration = Duration::from_secs(300);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Added to the start-up timeout for pulling the image: MLflow images weigh hundreds of megabytes.
const PULL_ALLOWANCE: Duration = Duration::from_secs(300);
const SERVER_PORT: u16 = 8080;
const METRICS_PATH: &str = "/metrics";
const SERVICE_PORT: u16 = 80;
const TARGET_CPU_PERCENT: i32 = 70;

/// A spec whose every field has been checked and every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidSpec {
    /// Of the stored spec that all of this was read from: equal hashes, equal specs.
    pub hash: String,
    pub image: Image,
    pub server: Server,
    pub service: Service,
    pub scale: Scale,
    pub strategy: Strategy,
    /// How long a new version may take to become available.
    pub deadline: Duration,
    /// As the exporter's settings hold it; empty when nothing is said.
    pub predictions: Value,
    /// `None`: switched off.
    pub exporter: Option<Exporter>,
    /// `None`: switched off.
    pub monitoring: Option<Monitoring>,
    /// `None`: nothing is said of it.
    pub mlflow: Option<Training>,
    pub pod_template: Option<Value>,
    /// What is said without effect, and why.
    pub idle: Vec<String>,
}

/// The sidecar.
#[derive(Clone, Debug, PartialEq)]
pub struct Exporter {
    pub resources: spec::Resources,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub repository: Repository,
    pub tag: Tag,
    pub pin: Option<Digest>,
    pub auto_update: bool,
    pub poll_interval: Duration,
    pub pull_secrets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub kind: ServerType,
    pub port: u16,
    /// `None`: only the port is probed.
    pub health_path: Option<String>,
    pub startup_timeout: Duration,
    pub timeout: Duration,
    pub workers: i32,
    pub env: Vec<spec::EnvVar>,
    pub resources: spec::Resources,
    pub service_account: Option<String>,
    /// A metrics page of the model's own.
    pub metrics_path: Option<String>,
    /// The port of that page; `None`: that of the model.
    pub metrics_port: Option<u16>,
    pub python_metrics: bool,
    pub share_process_namespace: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub port: u16,
    pub kind: ServiceType,
    /// `None`: none, or one that the API server chooses.
    pub node_port: Option<u16>,
    pub annotations: BTreeMap<String, String>,
    pub aliases: BTreeMap<String, String>,
    /// Whether the pods' ports are closed to whom they are not for.
    pub network_policy: bool,
}

/// Who decides the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Nobody told us: the Deployment's own number is left alone.
    Unset,
    Fixed(i32),
    Auto {
        min: i32,
        max: i32,
        cpu_percent: i32,
    },
}

impl Scale {
    /// The number of replicas that a new Deployment begins with.
    pub fn at_first(self) -> i32 {
        match self {
            Self::Unset => 1,
            Self::Fixed(replicas) => replicas,
            Self::Auto { min, .. } => min,
        }
    }
}

impl ValidSpec {
    /// Checks a stored spec.
    ///
    /// # Errors
    /// Everything that is wrong with it, not just the first.
    pub fn parse(name: &str, stored: &Value) -> Result<Self, Vec<Invalid>> {
        let exceeded = bounds::exceeded(stored);
        if !exceeded.is_empty() {
            return Err(exceeded);
        }
        let spec = ModelDeploymentSpec::deserialize(stored).map_err(|error| misshapen(stored, &error))?;
        let mut findings = Findings::default();
        let idle = idle::settings(&spec);
        check_name(name, &mut findings);
        let image = image(&spec.image, &mut findings);
        let server = server(spec.server.clone().unwrap_or_default(), &mut findings);
        let service = service(spec.service.clone().unwrap_or_default(), &mut findings);
        let scale = scale(&spec, &server, &mut findings);
        let rollout = spec.rollout.clone().unwrap_or_default();
        let deadline = findings.duration(
            "spec.rollout.deadline",
            rollout.deadline.as_deref(),
            server.startup_timeout + PULL_ALLOWANCE,
            (5, 86_400),
        );
        let said = spec.predictions.unwrap_or_default();
        let predictions = predictions::parse(&said, "spec.predictions", &mut findings);
        let monitoring = monitoring::valid::parse(spec.monitoring.unwrap_or_default(), &said, &mut findings);
        let exporter = exporter(spec.exporter.unwrap_or_default(), &mut findings);
        let mlflow = spec.mlflow.map(|said| mlflow::parse(said, &mut findings));
        if let Some(template) = &spec.pod_template {
            pod_template::check(template, server.port, &mut findings);
        }
        findings.nothing()?;
        // Of an image that is none there was something to find.
        let image = image.ok_or_else(Vec::new)?;
        Ok(Self {
            hash: hash::of(stored),
            image,
            server,
            service,
            scale,
            strategy: rollout.strategy.unwrap_or(Strategy::Rolling),
            deadline,
            predictions,
            exporter,
            monitoring,
            mlflow,
            pod_template: spec.pod_template.filter(|template| !template.is_null()),
            idle,
        })
    }
}

/// The fields whose shape is wrong; where the schema does not tell, what the parser says.
fn misshapen(stored: &Value, error: &serde_json::Error) -> Vec<Invalid> {
    let found = bounds::misshapen(stored);
    if !found.is_empty() {
        return found;
    }
    let message = format!("does not have the shape of a ModelDeployment ({error}); see kubectl explain mdl.spec");
    vec![Invalid { field: "spec".into(), message }]
}

fn check_name(name: &str, findings: &mut Findings) {
    if name.len() > names::NAME_MAX {
        findings.add("metadata.name", format!("is longer than {} characters; choose a shorter one", names::NAME_MAX));
    }
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.ends_with('-') || !name.chars().all(legal) {
        findings.add(
            "metadata.name",
            format!("'{name}' must start with a letter and hold only lower-case letters, digits and '-', because a Service is named after it"),
        );
    }
}

fn image(image: &spec::Image, findings: &mut Findings) -> Option<Image> {
    let tag = image.follow.as_ref().and_then(|follow| follow.tag.as_deref()).unwrap_or("latest");
    let tag = Tag::parse(tag).map_err(|error| findings.add("spec.image.follow.tag", error.to_string()));
    let repository =
        Repository::parse(&image.repository).map_err(|error| findings.add("spec.image.repository", error.to_string()));
    let pin = match image.pin.as_deref().map(Digest::parse) {
        None => None,
        Some(Ok(digest)) => Some(digest),
        Some(Err(error)) => {
            findings.add("spec.image.pin", error.to_string());
            None
        }
    };
    for (at, secret) in image.pull_secrets.iter().enumerate() {
        findings.object_name(format!("spec.image.pullSecrets[{at}].name"), &secret.name);
    }
    let poll_interval =
        findings.duration("spec.image.pollInterval", image.poll_interval.as_deref(), POLL_INTERVAL, (5, 86_400));
    Some(Image {
        repository: repository.ok()?,
        tag: tag.ok()?,
        pin,
        auto_update: image.auto_update.unwrap_or(true),
        poll_interval,
        pull_secrets: image.pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
    })
}

fn server(server: spec::Server, findings: &mut Findings) -> Server {
    let kind = server.kind.unwrap_or(ServerType::Mlflow);
    let port = findings.port("spec.server.port", server.port, SERVER_PORT);
    if names::EXPORTER_PORTS.contains(&port) {
        findings.add(
            "spec.server.port",
            format!("{port} belongs to Modelship's exporter in the same pod; let the model listen on another port"),
        );
    }
    let metrics_port =
        server.metrics_port.map(|port| findings.port("spec.server.metricsPort", Some(port), SERVER_PORT));
    if metrics_port.is_some_and(|port| names::EXPORTER_PORTS.contains(&port)) {
        findings.add("spec.server.metricsPort", "is the exporter's own; name the port of the model server's page");
    }
    if server.health_path.as_deref().is_some_and(|path| !path.starts_with('/')) {
        findings.add("spec.server.healthPath", "must start with '/'");
    }
    let startup_timeout =
        findings.duration("spec.server.startupTimeout", server.startup_timeout.as_deref(), STARTUP_TIMEOUT, (1, 7_200));
    let timeout = findings.duration("spec.server.timeout", server.timeout.as_deref(), REQUEST_TIMEOUT, (1, 3_600));
    check_env(&server.env, findings);
    if let Some(account) = &server.service_account {
        findings.object_name("spec.server.serviceAccount", account);
    }
    if server.metrics_path.as_deref().is_some_and(|path| !path.starts_with('/')) {
        findings.add("spec.server.metricsPath", "must start with '/'");
    }
    let resources = server.resources.unwrap_or_default();
    check_resources("spec.server.resources", &resources, findings);
    let workers = server.workers.unwrap_or_else(|| default_workers(&resources));
    if !(1..=256).contains(&workers) && server.workers.is_some() {
        findings.add("spec.server.workers", format!("{workers} must lie between 1 and 256"));
    }
    Server {
        kind,
        port,
        health_path: server.health_path.or_else(|| default_health_path(kind).map(str::to_owned)),
        startup_timeout,
        timeout,
        workers,
        env: server.env,
        resources,
        service_account: server.service_account,
        metrics_path: server.metrics_path.or_else(|| metrics_port.map(|_| METRICS_PATH.to_owned())),
        metrics_port,
        python_metrics: server.python_metrics.unwrap_or(false),
        share_process_namespace: server.share_process_namespace.unwrap_or(true),
    }
}

fn check_resources(at: &str, resources: &spec::Resources, findings: &mut Findings) {
    for (list, amounts) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        for (name, amount) in amounts {
            let field = format!("{at}.{list}.{name}");
            if let Some(fault) = wrong_resource(name) {
                findings.add(&field, fault);
            }
            findings.take(&field, amount.millis(), 0);
        }
    }
}

/// Why there is no resource of a node by that name.
///
/// Source: `ValidateResourceName` of Kubernetes, which the API server holds containers to.
fn wrong_resource(name: &str) -> Option<String> {
    let standard = ["cpu", "memory", "ephemeral-storage"].contains(&name) || name.starts_with("hugepages-");
    let device = name.contains('/') && labels::wrong_name(name).is_none();
    (!standard && !device).then(|| {
        format!("'{name}' is no resource of a node; write cpu, memory, ephemeral-storage, hugepages-2Mi, or a device with its domain: nvidia.com/gpu")
    })
}

fn exporter(exporter: spec::Exporter, findings: &mut Findings) -> Option<Exporter> {
    // Without it they reach no container, and specs that say them were taken before.
    if exporter.enabled == Some(false) {
        return None;
    }
    let resources = exporter.resources.unwrap_or_default();
    check_resources("spec.exporter.resources", &resources, findings);
    Some(Exporter { resources })
}

/// MLflow starts one worker for every core of the *node*; each holds the whole model in memory. The container's own
/// share of CPU is what it can use.
fn default_workers(resources: &spec::Resources) -> i32 {
    let cpu = resources.limits.get("cpu").or_else(|| resources.requests.get("cpu"));
    let cores = cpu.and_then(|cpu| cpu.millis().ok()).map_or(1, |millis| (millis + 999) / 1000);
    i32::try_from(cores.clamp(1, 256)).unwrap_or(1)
}

fn default_health_path(kind: ServerType) -> Option<&'static str> {
    match kind {
        // nginx in front of `mlflow models build-docker` images forwards /ping and /invocations only.
        ServerType::Mlflow => Some("/ping"),
        ServerType::OpenInference => Some("/v2/health/ready"),
        ServerType::Http => None,
    }
}

fn check_env(env: &[spec::EnvVar], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (index, variable) in env.iter().enumerate() {
        let field = format!("spec.server.env[{index}]");
        // Source: `IsRelaxedEnvVarName` of Kubernetes' apimachinery; before 1.34 it takes less.
        if variable.name.is_empty() || !variable.name.chars().all(|c| matches!(c, ' '..='~') && c != '=') {
            findings
                .add(&field, format!("'{}' is no name of a variable; write letters, digits and '_'", variable.name));
        }
        if !seen.insert(variable.name.as_str()) {
            findings.add(&field, format!("'{}' is set twice; keep one", variable.name));
        }
        if let Some(source) = &variable.value_from {
            if variable.value.is_some() {
                findings.add(&field, "has both value and valueFrom; keep one");
            }
            if source.secret_key_ref.is_some() == source.config_map_key_ref.is_some() {
                findings.add(&field, "valueFrom names exactly one of secretKeyRef and configMapKeyRef");
            }
            for key in [&source.secret_key_ref, &source.config_map_key_ref].into_iter().flatten() {
                findings.object_name(format!("{field}.valueFrom"), &key.name);
                if !is_key(&key.key) {
                    let words = "is no key that a Secret or ConfigMap can have: letters, digits, '-', '_' and '.'";
                    findings.add(format!("{field}.valueFrom"), format!("'{}' {words}", key.key));
                }
            }
        }
    }
}

/// Source: `IsConfigMapKey` of Kubernetes' apimachinery.
fn is_key(key: &str) -> bool {
    let within = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !key.is_empty() && key.len() <= 253 && key.chars().all(within) && key != "." && !key.starts_with("..")
}

fn service(service: spec::Service, findings: &mut Findings) -> Service {
    if let Some(key) = service.annotations.keys().find(|key| key.starts_with("modelship.dev/")) {
        findings.add("spec.service.annotations", format!("'{key}' is Modelship's own; choose another prefix"));
    }
    if let Some(fault) = service.annotations.keys().find_map(|key| labels::wrong_annotation(key)) {
        findings.add("spec.service.annotations", fault);
    }
    if service.aliases.iter().any(|(path, other)| !path.starts_with('/') || !other.starts_with('/')) {
        findings.add("spec.service.aliases", "maps paths to paths, and both start with '/': {/predict: /invocations}");
    }
    let kind = service.kind.unwrap_or(ServiceType::ClusterIP);
    let node_port = service.node_port.map(|port| findings.port("spec.service.nodePort", Some(port), SERVICE_PORT));
    Service {
        port: findings.port("spec.service.port", service.port, SERVICE_PORT),
        kind,
        node_port: node_port.filter(|_| kind != ServiceType::ClusterIP),
        annotations: service.annotations,
        aliases: service.aliases,
        network_policy: service.network_policy.unwrap_or(false),
    }
}

fn scale(spec: &ModelDeploymentSpec, server: &Server, findings: &mut Findings) -> Scale {
    let Some(auto) = &spec.autoscaling else {
        return match spec.replicas {
            None => Scale::Unset,
            Some(replicas) => {
                if !(0..=1000).contains(&replicas) {
                    findings.add("spec.replicas", format!("{replicas} must lie between 0 and 1000"));
                }
                Scale::Fixed(replicas)
            }
        };
    };
    if spec.replicas.is_some() {
        findings.add("spec.replicas", "set either replicas or autoscaling, not both");
    }
    let min = auto.min.unwrap_or(1);
    if min < 1 || min > auto.max || auto.max > 1000 {
        findings.add(
            "spec.autoscaling",
            format!("min ({min}) must lie between 1 and max ({}), and max be 1000 at the most", auto.max),
        );
    }
    if !server.resources.requests.contains_key("cpu") && !server.resources.limits.contains_key("cpu") {
        findings.add(
            "spec.autoscaling",
            "measures CPU against the request, and there is none; set spec.server.resources.requests.cpu",
        );
    }
    let cpu_percent = match auto.cpu.as_deref() {
        None => TARGET_CPU_PERCENT,
        Some(text) => findings.take("spec.autoscaling.cpu", units::percent(text), TARGET_CPU_PERCENT),
    };
    Scale::Auto { min, max: auto.max, cpu_percent }
}

#[cfg(test)]
#[path = "tests/valid.rs"]
mod tests;
