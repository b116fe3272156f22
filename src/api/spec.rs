//! What a user writes. Field documentation here is what `kubectl explain mdl.spec` prints.
//!
//! No field has a default in the schema: defaults live in [`super::valid`], so that a later change of one never rewrites
//! stored objects and never restarts a pod.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    mlflow::Mlflow,
    monitoring::Monitoring,
    schema,
    status::ModelDeploymentStatus,
    units::{FIGURE_PATTERN, PERCENT_PATTERN, Quantity},
};

/// What is wanted.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "modelship.dev",
    version = "v1alpha1",
    kind = "ModelDeployment",
    plural = "modeldeployments",
    shortname = "mdl",
    category = "modelship",
    namespaced,
    status = "ModelDeploymentStatus",
    derive = "PartialEq",
    doc = "A machine-learning model in service: its image is followed, run by digest, and every new push is rolled out.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the wanted version serves"
    ),
    printcolumn(name = "Tag", type_ = "string", json_path = ".status.stable.tag", description = "The tag that it came from"),
    printcolumn(
        name = "Digest",
        type_ = "string",
        json_path = ".status.stable.short",
        description = "The version that users get"
    ),
    printcolumn(
        name = "Candidate",
        type_ = "string",
        json_path = ".status.candidate.short",
        description = "The version that is being introduced or held back"
    ),
    printcolumn(
        name = "Replicas",
        type_ = "string",
        json_path = ".status.available",
        description = "Replicas that serve, of those wanted"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".status.url",
        priority = 1,
        description = "Where to POST requests"
    ),
    printcolumn(name = "Commit", type_ = "string", json_path = ".status.stable.revision", priority = 1),
    printcolumn(
        name = "Monitored",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"MonitoringReady\")].status",
        priority = 1,
        description = "Whether the model's monitoring is picked up"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$')")
        .message("metadata.name must start with a letter and hold only lower-case letters, digits and '-', 45 at the most, because a Service is named after it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
    .message("set either spec.replicas or spec.autoscaling, not both: the autoscaler decides the number of replicas"))]
#[x_kube(validation = Rule::new("!has(self.autoscaling) || 'cpu' in self.?server.resources.requests.orValue({}) || 'cpu' in self.?server.resources.limits.orValue({})")
    .message("spec.autoscaling measures CPU against the request, and there is none; set spec.server.resources.requests.cpu"))]
pub struct ModelDeploymentSpec {
    /// The image to run and how new versions of it are taken.
    pub image: Image,
    /// The model server inside the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// The Service that clients call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// How many copies run. Unset: 1 at first, then what an HPA, KEDA or kubectl scale of the Deployment of this name sets; to scale the ModelDeployment, set it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Let a HorizontalPodAutoscaler decide the number of copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// How one version replaces another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// What the model's answers mean, over what its image says. Unset: found from the first answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<Predictions>,
    /// The sidecar that measures requests and predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Exporter>,
    /// What watches the model: scraping, rules, dashboard, e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Where training is tracked, and what it must reach before users get a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlflow: Option<Mlflow>,
    /// Merged last into the pod template, for all that has no field here (affinity, volumes, sidecars …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pod_template")]
    pub pod_template: Option<Value>,
}

/// The image to run and how new versions of it are taken.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Without tag or digest: alice/model (Docker Hub), ghcr.io/team/model, registry.example.org:5000/model.
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new("!self.contains('@')")
        .message("carries a digest; put the digest under image.pin"))]
    #[x_kube(validation = Rule::new("!self.matches(':[^/]*$')")
        .message("carries a tag; put the tag under image.follow.tag"))]
    #[x_kube(validation = Rule::new("!self.contains('://')")
        .message("is not a URL; leave out http:// or https://"))]
    #[x_kube(validation = Rule::new("self.matches('^[-A-Za-z0-9._:/@]+$')")
        .message("may hold only letters, digits, '.', '_', '-', '/' and a registry's ':port'; write it as docker pull would, such as alice/model"))]
    pub repository: String,
    /// Which pushes count as new versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<Follow>,
    /// How often the registry is asked (one HEAD request). Default 1m, at least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = schema::between("5s", "24h"))]
    pub poll_interval: Option<String>,
    /// Secrets of type kubernetes.io/dockerconfigjson in this namespace. The ServiceAccount's are used too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub pull_secrets: Vec<LocalReference>,
    /// false: stay on the version that runs. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_update: Option<bool>,
    /// Run exactly this digest, whatever is pushed: sha256:… Unset: the followed tag decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    #[x_kube(validation = Rule::new("self.matches('^sha256:[0-9a-f]{64}$')")
        .message("must be a digest: 'sha256:' and 64 lower-case hexadecimal digits"))]
    pub pin: Option<String>,
}

/// Which pushes count as new versions.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Follow {
    /// Every push to this tag is a new version. Default latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
        .message("may hold only letters, digits, '_', '.' and '-', and must not start with '.' or '-'"))]
    pub tag: Option<String>,
}

/// An object of this namespace, by name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct LocalReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The model server inside the image.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// mlflow (default): MLflow's scoring server. openInference: the V2 protocol. http: all else.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServerType>,
    /// The port that the server listens on. Default 8080.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    #[x_kube(validation = Rule::new("!(self in [9800, 9801, 9802])")
        .message("9800, 9801 and 9802 belong to Modelship's exporter in the same pod; let the model listen on another port"))]
    pub port: Option<i32>,
    /// The path that answers 200 once the model is loaded. Default: /ping for mlflow, /v2/health/ready for openInference, for http none: the port is probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new("self.startsWith('/')")
        .message("must start with '/'"))]
    pub health_path: Option<String>,
    /// How long a model may take to load before its pod is restarted. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = schema::between("1s", "2h"))]
    pub startup_timeout: Option<String>,
    /// The longest that one request may take. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = schema::between("1s", "1h"))]
    pub timeout: Option<String>,
    /// Worker processes of an MLflow server. Default: the CPU limit (else the request) rounded up, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub workers: Option<i32>,
    /// Environment variables of the model container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// CPU and memory of the model container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The path of a metrics page of the server's own, such as /metrics: shown along with the exporter's. Unset: none, unless metricsPort is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new("self.startsWith('/')")
        .message("must start with '/'"))]
    pub metrics_path: Option<String>,
    /// The port of that page: Triton 8002, MLServer 8082; metricsPath is then /metrics by default. Unset: the server's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    #[x_kube(validation = Rule::new("!(self in [9800, 9801, 9802])")
        .message("9800, 9801 and 9802 are the exporter's own; name the port of the model server's page"))]
    pub metrics_port: Option<i32>,
    /// true: python_gc_* and python_info of any Python image, by a small module on PYTHONPATH. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python_metrics: Option<bool>,
    /// false: containers do not see each other's processes, and process_* metrics are left out. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_process_namespace: Option<bool>,
    /// ServiceAccount of the pods. Default: the namespace's own; its token is not mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account: Option<String>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum ServerType {
    Mlflow,
    Http,
    OpenInference,
}

/// An environment variable: a value, or where to take it from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.value) && has(self.valueFrom))")
    .message("an environment variable has either value or valueFrom, not both"))]
pub struct EnvVar {
    /// The variable's name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The variable's value as it is. Unset: that of valueFrom, else empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub value: Option<String>,
    /// From a Secret or ConfigMap of this namespace; optional: the pod starts without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvSource>,
}

/// Where an environment variable's value comes from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)")
    .message("valueFrom names exactly one of secretKeyRef and configMapKeyRef"))]
pub struct EnvSource {
    /// A key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyReference>,
    /// A key of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyReference>,
}

/// One key of a Secret or ConfigMap.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct KeyReference {
    /// The name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it whose value is taken.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// true: without the key the pod starts, and the variable is not set. Default false: the pod waits for the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// CPU, memory and devices, as in any Kubernetes container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Resources {
    /// What a node keeps free for the container: {cpu: 500m, memory: 512Mi}. Unset: as much as the limits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = schema::amounts())]
    pub requests: BTreeMap<String, Quantity>,
    /// The most that the container may use: {cpu: 2, memory: 1Gi}. Unset: no limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = schema::amounts())]
    pub limits: BTreeMap<String, Quantity>,
}

/// The Service that clients call.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The port of the Service. Default 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// From where the Service can be reached: ClusterIP (the cluster alone), NodePort or LoadBalancer. Default ClusterIP.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceType>,
    /// The port of each node, for type NodePort or LoadBalancer. Default: a free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
    /// Annotations of the Service, such as those that a cloud's load balancer reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('modelship.dev/'))")
        .message("annotations under modelship.dev/ are Modelship's own; choose another prefix"))]
    pub annotations: BTreeMap<String, String>,
    /// Other paths for the model's own, for clients of an older proxy: {/predict: /invocations}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::aliases")]
    #[x_kube(validation = Rule::new("self.all(path, path.startsWith('/') && path.size() <= 256 && self[path].startsWith('/'))")
        .message("maps paths to paths: both start with '/' and have at most 256 characters"))]
    pub aliases: BTreeMap<String, String>,
    /// true: a NetworkPolicy admits all to predictions; Prometheus, the operator and the model's pods to metrics; nothing else. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<bool>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    ClusterIP,
    NodePort,
    LoadBalancer,
}

/// What the model's answers mean.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.positive) || (has(self.kind) && self.kind == 'probability')")
    .message("positive names the class that a probability speaks of; set kind: probability too"))]
#[x_kube(validation = Rule::new("!has(self.reference) || (has(self.kind) && self.kind in ['number', 'probability'] ? self.kind == 'probability' || !has(self.reference.classes) : !has(self.reference.bounds))")
    .message("reference.bounds are for kind number or probability, which must be set; reference.classes for all kinds but number"))]
#[x_kube(validation = Rule::new("!has(self.classes) || !has(self.kind) || self.kind != 'number'")
    .message("classes name labels, and predictions of kind: number are none; leave them out"))]
pub struct Predictions {
    /// In each row: a label (class), a figure (number), one from 0 to 1 (probability), one for each class (probabilities), or several labels (labels). Default: found from answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PredictionKind>,
    /// Where the prediction is in a row: $.prediction. Where no row has it, in the whole answer: $.data.ndarray; a list there holds the rows. Default: found from answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new("self.startsWith('$')")
        .message("starts with '$', the row: $.prediction, $[0], $['a b']"))]
    pub path: Option<String>,
    /// The only path that is answered with predictions: /predict. Default: found from answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.startsWith('/')")
        .message("starts with '/': /predict"))]
    pub request_path: Option<String>,
    /// Names of classes, by value, or without values by position in a row of probabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub classes: Vec<PredictionClass>,
    /// The class that a probability speaks of. Default: the last of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub positive: Option<String>,
    /// From which probability on a row counts as the positive class. Default 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::figure")]
    #[x_kube(validation = schema::form(FIGURE_PATTERN).message("is a figure in quotes: \"0.5\""))]
    pub threshold: Option<String>,
    /// Upper bounds of the histogram of numbers, ascending: ["0", "100", "1000"].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30), inner(length(max = 24)))]
    #[x_kube(validation = schema::figures())]
    pub bins: Vec<String>,
    /// Classes counted by name when none are declared; the rest is __other__. Default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200))]
    pub max_classes: Option<i32>,
    /// How predictions were spread in training; what drift is measured against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// How predictions were spread: by class, or by range.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("has(self.classes) != has(self.bounds)")
    .message("has exactly one of classes and bounds"))]
#[x_kube(validation = Rule::new("self.?counts.orValue([]).size() == (has(self.bounds) ? self.bounds.size() + 1 : 0)")
    .message("counts has one count more than bounds: up to the first bound, ..., above the last"))]
#[x_kube(validation = Rule::new("(has(self.classes) && self.classes.exists(name, self.classes[name] > 0)) || (has(self.counts) && self.counts.exists(count, count > 0))")
    .message("has no count above 0; give the counts of the training data"))]
pub struct Reference {
    /// Counts or weights by class: {stay: 800, churn: 200}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::counts_by_class")]
    pub classes: BTreeMap<String, i64>,
    /// Upper bounds of ranges, ascending: ["0", "10", "20"].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30), inner(length(max = 24)))]
    #[x_kube(validation = schema::figures())]
    pub bounds: Vec<String>,
    /// Counts or weights by range: up to the first bound, ..., above the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 31), inner(range(min = 0, max = 1_000_000_000_000_i64)))]
    pub counts: Vec<i64>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum PredictionKind {
    Class,
    Number,
    Probability,
    Probabilities,
    Labels,
}

/// A class by name, and the value that stands for it in answers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct PredictionClass {
    /// What the class is called in metrics and on the dashboard.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// The class as the model writes it: 0, "churn". 1 and 1.0 are the same. Unset: the name, or its position in a row of probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub value: Option<String>,
}

/// The sidecar that measures requests and predictions.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Exporter {
    /// false: requests go straight to the model and are not measured. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// CPU and memory of the sidecar. Default: requests of 10m and 24Mi, no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// Let a HorizontalPodAutoscaler decide the number of copies, by the CPU use of the model container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!has(self.min) || self.min <= self.max")
    .message("min is greater than max"))]
pub struct Autoscaling {
    /// The fewest copies. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub min: Option<i32>,
    /// The most copies.
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// Average CPU use to aim at, in percent of the request. Default 70%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(validation = schema::form(PERCENT_PATTERN).message("is a percentage: 70%"))]
    pub cpu: Option<String>,
}

/// How one version replaces another.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Rollout {
    /// Rolling (default): the new version starts before the old one stops. Recreate: the old one stops first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How long a new version may take to serve before it counts as stuck. Default: startupTimeout plus 5m for the pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = schema::between("5s", "24h"))]
    pub deadline: Option<String>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Rolling,
    Recreate,
}
