//! What a user writes ([`spec`]) and reads ([`status`]), and the step between them: [`valid`] turns a raw
//! spec into types that cannot be wrong. No I/O in this room.

pub mod conditions;
pub mod names;
mod pod_template;
pub mod schema;
pub mod spec;
pub mod status;
pub mod units;
pub mod valid;

pub use spec::{ModelDeployment, ModelDeploymentSpec};
pub use status::ModelDeploymentStatus;
pub use valid::{Invalid, ValidSpec};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A `ModelDeployment` exactly as it is stored: neither spec nor status is trusted to parse.
///
/// The controller watches this type, so that one malformed object (written under an older or newer CRD) is a condition
/// on that object and never a watch that fails for all of them.
#[derive(Resource, Serialize, Deserialize, Clone, Debug)]
#[resource(inherit = "ModelDeployment")]
pub struct StoredModelDeployment {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

impl StoredModelDeployment {
    /// The status as far as it can be read; an unreadable one counts as absent and is written anew.
    pub fn known_status(&self) -> ModelDeploymentStatus {
        ModelDeploymentStatus::deserialize(&self.status).unwrap_or_default()
    }
}
