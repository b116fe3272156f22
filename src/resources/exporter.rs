//! The exporter of a model: the sidecar in its pods, the settings that it reads while it runs, and the Service that
//! Prometheus finds it by.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
        HTTPGetAction, Probe, SeccompProfile, SecurityContext, Service, ServicePort, ServiceSpec, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde_json::{Map, Value, json};

use super::{Child, ChildKind, Owner, hash, template};
use crate::{
    api::{names, valid, valid::ValidSpec},
    exporter::{
        life::{PYTHON_METRICS_VARIABLE, SITECUSTOMIZE},
        reading::{Decided, PROFILE_VARIABLE},
    },
};

/// Volume and folder of the settings. Mounted as a whole: what is mounted by `subPath` is never refreshed.
const SETTINGS: &str = "modelship-settings";
const SETTINGS_PATH: &str = "/etc/modelship/exporter";
const SETTINGS_FILE: &str = "settings.json";
/// Volume and folder in which Python processes of the model leave their metrics.
const PYTHON: &str = "modelship-python";
const PYTHON_PATH: &str = "/run/modelship/python";
/// Folder of the module that writes them, put on PYTHONPATH.
const MODULE_PATH: &str = "/run/modelship/sitecustomize";
const MODULE_FILE: &str = "sitecustomize.py";
const PYTHONPATH: &str = "PYTHONPATH";
/// What the user's is called where its value is not known here.
const USERS_PYTHONPATH: &str = "MODELSHIP_USERS_PYTHONPATH";
/// What runs of the image, which has the operator, too.
const PROGRAM: &str = "/modelship-exporter";
/// The user that the exporter runs as, as its image says too.
const USER: i64 = 65_532;

/// Modelship's own image as pods run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    pub image: String,
    /// Secrets of the model's namespace to pull it with.
    pub pull_secrets: Vec<String>,
}

/// The sidecar's container. `profile` is what the version says itself of its predictions: while two versions run side by
/// side, the settings are those of both.
pub fn container(spec: &ValidSpec, exporter: &valid::Exporter, image: &str, profile: &Map<String, Value>) -> Container {
    Container {
        name: names::EXPORTER_CONTAINER.into(),
        image: Some(image.to_owned()),
        image_pull_policy: Some("IfNotPresent".into()),
        command: Some(vec![PROGRAM.into()]),
        args: Some(arguments(spec)),
        env: (!profile.is_empty()).then(|| vec![variable(profile)]),
        ports: Some(vec![
            port(names::HTTP_PORT, names::EXPORTER_HTTP),
            port(names::METRICS_PORT, names::EXPORTER_METRICS),
        ]),
        resources: template::resources(&with_requests(exporter)),
        // About itself alone: whether the model answers is asked on the model's container.
        liveness_probe: Some(probe("/healthz", 10, 3)),
        readiness_probe: Some(probe("/healthz", 5, 3)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".into()]) }),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts(spec)),
        ..Container::default()
    }
}

/// Kubernetes would read `$(NAME)` in a value, and takes two dollars for one that stands for itself.
fn variable(profile: &Map<String, Value>) -> EnvVar {
    let value = json!(profile).to_string().replace('$', "$$");
    EnvVar { name: PROFILE_VARIABLE.into(), value: Some(value), value_from: None }
}

/// What does not change while the pod lives; the rest is in the settings.
fn arguments(spec: &ValidSpec) -> Vec<String> {
    let server = &spec.server;
    let mut arguments = vec![
        format!("--upstream=127.0.0.1:{}", server.port),
        format!("--timeout={}s", server.timeout.as_secs()),
        format!("--settings={SETTINGS_PATH}"),
    ];
    arguments.extend(server.health_path.iter().map(|path| format!("--health-path={path}")));
    arguments.extend(server.metrics_path.iter().map(|path| format!("--model-metrics-path={path}")));
    arguments.extend(server.metrics_port.iter().map(|port| format!("--model-metrics-port={port}")));
    if server.python_metrics {
        arguments.push(format!("--python-metrics={PYTHON_PATH}"));
    }
    arguments
}

/// Without requests the scheduler would take it for free. No limit of CPU: a throttled proxy slows the model down.
fn with_requests(exporter: &valid::Exporter) -> crate::api::spec::Resources {
    use crate::api::units::Quantity;
    let mut resources = exporter.resources.clone();
    if resources.requests.is_empty() {
        let request = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
        resources.requests = BTreeMap::from([request("cpu", "10m"), request("memory", "24Mi")]);
    }
    resources
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

/// A question to the exporter's port for probes.
pub fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(ask(path)),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

pub fn ask(path: &str) -> HTTPGetAction {
    HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::Int(i32::from(names::EXPORTER_PROBES)),
        ..HTTPGetAction::default()
    }
}

fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn mounts(spec: &ValidSpec) -> Vec<VolumeMount> {
    let mut mounts = vec![mount(SETTINGS, SETTINGS_PATH, true)];
    if spec.server.python_metrics {
        mounts.push(mount(PYTHON, PYTHON_PATH, true));
    }
    mounts
}

/// What the model's container needs besides, for the metrics of its Python processes.
pub fn model_mounts(spec: &ValidSpec) -> Option<Vec<VolumeMount>> {
    spec.server.python_metrics.then(|| vec![mount(PYTHON, PYTHON_PATH, false), mount(SETTINGS, MODULE_PATH, true)])
}

/// Variables that make Python load the module. What else belongs to PYTHONPATH follows by [`lead_python_path`].
pub fn model_variables(spec: &ValidSpec) -> Vec<(&'static str, &'static str)> {
    match spec.server.python_metrics {
        true => vec![(PYTHONPATH, MODULE_PATH), (PYTHON_METRICS_VARIABLE, PYTHON_PATH)],
        false => Vec::new(),
    }
}

/// Puts the module's folder in front of the user's PYTHONPATH in a rendered template, wherever that comes from: in its place the
/// model would not find its own modules, and behind it ours would not be found.
pub fn lead_python_path(template: &mut Value) {
    let Some(variables) = model_environment(template) else { return };
    let Some(at) = variables.iter().position(|variable| variable["name"] == PYTHONPATH) else {
        variables.push(json!({"name": PYTHONPATH, "value": MODULE_PATH}));
        return;
    };
    if variables[at].get("valueFrom").is_some() {
        // Kubernetes puts earlier variables into later ones.
        variables[at]["name"] = json!(USERS_PYTHONPATH);
        variables.insert(at + 1, json!({"name": PYTHONPATH, "value": format!("{MODULE_PATH}:$({USERS_PYTHONPATH})")}));
        return;
    }
    let path = match variables[at]["value"].as_str().unwrap_or_default() {
        "" | MODULE_PATH => MODULE_PATH.to_owned(),
        theirs => format!("{MODULE_PATH}:{theirs}"),
    };
    variables[at]["value"] = json!(path);
}

/// The same for the PYTHONPATH of the image, which the user's would have taken the place of, too.
pub fn lead_python_path_of_image(template: &mut Value, path: &str) {
    let variables = model_environment(template).into_iter().flatten();
    for variable in variables.filter(|variable| variable["name"] == PYTHONPATH && variable["value"] == MODULE_PATH) {
        // Kubernetes would read `$(NAME)` in a value; in an image's it means nothing.
        variable["value"] = json!(format!("{MODULE_PATH}:{}", path.replace('$', "$$")));
    }
}

fn model_environment(template: &mut Value) -> Option<&mut Vec<Value>> {
    // By name and never by index: in a text or a list that panics, and the user's podTemplate may hold either.
    let containers = template.pointer_mut("/spec/containers")?.as_array_mut()?;
    let model = containers.iter_mut().find(|container| container["name"] == names::MODEL_CONTAINER)?;
    let variables = model.as_object_mut()?.entry("env").or_insert(Value::Null);
    if variables.is_null() {
        *variables = json!([]);
    }
    variables.as_array_mut()
}

pub fn volumes(owner: &Owner, spec: &ValidSpec) -> Vec<Volume> {
    let settings = ConfigMapVolumeSource {
        name: settings_name(&owner.name),
        // The exporter forwards without them, too.
        optional: Some(true),
        ..ConfigMapVolumeSource::default()
    };
    let mut volumes = vec![Volume { name: SETTINGS.into(), config_map: Some(settings), ..Volume::default() }];
    if spec.server.python_metrics {
        let memory = EmptyDirVolumeSource { medium: Some("Memory".into()), size_limit: Some(Quantity("16Mi".into())) };
        volumes.push(Volume { name: PYTHON.into(), empty_dir: Some(memory), ..Volume::default() });
    }
    volumes
}

/// The ConfigMap of the settings.
pub fn settings_name(model: &str) -> String {
    format!("{model}-exporter")
}

/// The Service for Prometheus.
pub fn metrics_name(model: &str) -> String {
    format!("{model}-metrics")
}

/// The settings that may change while pods run. `found`: how earlier pods of this version read predictions.
pub fn settings(owner: &Owner, spec: &ValidSpec, found: Option<Decided>) -> Option<Child> {
    spec.exporter.as_ref()?;
    let mut settings = json!({"aliases": spec.service.aliases, "predictions": spec.predictions});
    if let Some(found) = found {
        settings["predictions"]["found"] = json!(found);
    }
    settings["generation"] = json!(generation(&settings));
    let mut data = BTreeMap::from([(SETTINGS_FILE.to_owned(), settings.to_string())]);
    if spec.server.python_metrics {
        data.insert(MODULE_FILE.to_owned(), SITECUSTOMIZE.to_owned());
    }
    let config_map = ConfigMap {
        metadata: owner.child_metadata(&settings_name(&owner.name)),
        data: Some(data),
        ..ConfigMap::default()
    };
    Some(Child::seal(ChildKind::ConfigMap, json!(config_map)))
}

/// Tells one state of the settings from another, in a metric: a hash, cut to what a floating-point number holds exactly.
fn generation(settings: &Value) -> u64 {
    u64::from_str_radix(&hash::of(settings)[..12], 16).unwrap_or(0)
}

/// The Service that Prometheus finds the exporters of all tracks by. Users' clients never see it.
pub fn metrics_service(owner: &Owner, spec: &ValidSpec) -> Option<Child> {
    spec.exporter.as_ref()?;
    let mut metadata: ObjectMeta = owner.child_metadata(&metrics_name(&owner.name));
    metadata.labels.get_or_insert_default().insert("app.kubernetes.io/component".into(), "metrics".into());
    let selector = BTreeMap::from([(names::MODEL.to_owned(), owner.name.clone())]);
    let service = Service {
        metadata,
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            selector: Some(selector),
            // A pod that fails is the one to look at.
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![ServicePort {
                name: Some(names::METRICS_PORT.into()),
                port: i32::from(names::EXPORTER_METRICS),
                protocol: Some("TCP".into()),
                target_port: Some(IntOrString::String(names::METRICS_PORT.into())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    Some(Child::seal(ChildKind::Service, json!(service)))
}
