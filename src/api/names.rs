//! Names, labels, annotations and ports that other objects and other versions of Modelship depend on. Selectors are
//! immutable in Kubernetes, so nothing here changes once it has been released.

pub const GROUP: &str = "modelship.dev";

/// Label and selector: the name of the ModelDeployment.
pub const MODEL: &str = "modelship.dev/model";
/// Label and selector: `stable` or `candidate`.
pub const TRACK: &str = "modelship.dev/track";
/// Annotation on every child: the hash of what Modelship wants of it.
pub const INTENT: &str = "modelship.dev/intent";
/// Annotation on a Deployment whose `spec.replicas` Modelship sends.
pub const SENDS_REPLICAS: &str = "modelship.dev/sends-replicas";

/// Annotation by which a team hands its own Deployment or Service of a model's name over to Modelship: `true`.
pub const HAND_OVER: &str = "modelship.dev/hand-over";

/// Label of the operator's own pods, by which NetworkPolicies of models know them: `operator`.
pub const COMPONENT: &str = "modelship.dev/component";
pub const OPERATOR: &str = "operator";

pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const MODELSHIP: &str = "modelship";

/// Field manager of everything Modelship writes.
pub const MANAGER: &str = "modelship";
/// Keeps `spec.replicas` alive while its ownership passes from Modelship to an autoscaler.
pub const SCALE_MANAGER: &str = "modelship-scale";

/// Container names are part of autoscalers' specs and of users' `podTemplate`s.
pub use modelship_exporter::names::MODEL_CONTAINER;
pub const EXPORTER_CONTAINER: &str = "exporter";

/// The named port that the Service targets; the pod template decides which container bears it.
pub const HTTP_PORT: &str = "http";
pub const METRICS_PORT: &str = "metrics";
/// The model's own port, where the exporter stands in front of it.
pub const MODEL_PORT: &str = "model";

pub use modelship_exporter::names::{EXPORTER_HTTP, EXPORTER_METRICS, EXPORTER_PORTS, EXPORTER_PROBES};

/// The longest `metadata.name`: leaves room for the suffixes of children within 63 characters.
pub const NAME_MAX: usize = 45;
