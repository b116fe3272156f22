//! What a user writes ([`spec`]) and reads ([`status`]), and the step between them: [`valid`] turns a raw
//! spec into types that cannot be wrong. No I/O in this room.

mod bounds;
pub mod conditions;
mod findings;
mod idle;
pub mod meaning;
pub mod mlflow;
pub mod monitoring;
pub mod names;
mod pod_template;
mod predictions;
pub mod schema;
pub mod spec;
pub mod status;
pub mod units;
pub mod valid;

pub use meaning::Meaning;
pub use spec::{ModelDeployment, ModelDeploymentSpec};
pub use status::ModelDeploymentStatus;
pub use valid::{Invalid, ValidSpec};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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
    pub spec: JsonText,
    #[serde(default, skip_serializing_if = "JsonText::is_null")]
    pub status: JsonText,
}

impl StoredModelDeployment {
    /// The status as far as it can be read; an unreadable one counts as absent and is written anew.
    pub fn known_status(&self) -> ModelDeploymentStatus {
        ModelDeploymentStatus::deserialize(&self.status.value()).unwrap_or_default()
    }
}

/// A JSON value kept as its text: as a tree of maps it would take ten times the memory, and thousands of objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(Box<str>);

impl JsonText {
    pub fn value(&self) -> Value {
        // It was made from a value.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    pub fn is_null(&self) -> bool {
        *self.0 == *"null"
    }
}

impl From<&Value> for JsonText {
    fn from(value: &Value) -> Self {
        Self(value.to_string().into_boxed_str())
    }
}

impl Default for JsonText {
    fn default() -> Self {
        Self::from(&Value::Null)
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::from(&value))
    }
}
