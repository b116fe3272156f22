//! A `ModelDeployment` as it is stored: neither spec nor status is trusted to be readable.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, value::RawValue};

use super::{Invalid, ModelDeployment, ModelDeploymentStatus};

/// Levels of objects and lists in a field of the spec. `serde_json` reads 128 levels, and what is made of a spec has a few
/// more around it: a stored template that cannot be read again would be of no use.
const MOST_LEVELS: usize = 100;

/// A `ModelDeployment` exactly as it is stored.
///
/// The controller watches this type, so that one malformed object (written under an older or newer CRD, or nested as no
/// parser follows) is a condition on that object and never a watch that fails for all of them.
#[derive(Resource, Serialize, Deserialize, Clone, Debug)]
#[resource(inherit = "ModelDeployment")]
pub struct StoredModelDeployment {
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: JsonText,
    #[serde(default, skip_serializing_if = "JsonText::is_null")]
    pub status: JsonText,
}

impl StoredModelDeployment {
    /// The spec as a tree of values.
    ///
    /// # Errors
    /// Names each field that is nested too deep to be read.
    pub fn read_spec(&self) -> Result<Value, Vec<Invalid>> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(&self.spec.0).unwrap_or_default();
        let too_deep = fields.iter().filter(|(_, text)| levels(text.get()) > MOST_LEVELS);
        let faults: Vec<Invalid> = too_deep
            .map(|(name, _)| Invalid {
                field: format!("spec.{name}"),
                message: format!("is nested more than {MOST_LEVELS} levels deep; take levels of objects and lists out"),
            })
            .collect();
        if faults.is_empty() { Ok(self.spec.value()) } else { Err(faults) }
    }

    /// The status as far as it can be read.
    pub fn known_status(&self) -> ModelDeploymentStatus {
        ModelDeploymentStatus::read(&self.status.value())
    }
}

/// A JSON value kept as its text: as a tree of maps it would take ten times the memory, and thousands of objects are kept. The
/// text is taken over unread, so it may be nested to any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(Box<str>);

impl JsonText {
    /// The tree of values; null for what is nested too deep to be read.
    pub fn value(&self) -> Value {
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
        Box::<RawValue>::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// What is read of an object's metadata. The rest is passed over unread, `managedFields` above all: they are nested as deep as
/// the object is.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

/// Reads the metadata of an object of which the rest may be unreadable.
///
/// # Errors
/// When it is no metadata.
pub(crate) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        labels: read.labels,
        annotations: read.annotations,
        owner_references: read.owner_references,
        ..ObjectMeta::default()
    })
}

/// How deep a JSON text is nested.
fn levels(text: &str) -> usize {
    let (mut level, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' if !quoted => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_are_counted_outside_of_texts() {
        let rows = [
            (json!(1), 0),
            (json!([]), 1),
            (json!({"a": [{}], "b": []}), 3),
            (json!([[], {"a": {"b": 1}}, []]), 3),
            (json!(["[[[{{", "\"[[[", "\\", ["\\\"[["]]), 2),
        ];
        for (value, expected) in rows {
            assert_eq!(levels(&value.to_string()), expected, "{value}");
        }
    }

    #[test]
    fn metadata_is_read_as_far_as_it_is_used() {
        let stored: StoredModelDeployment = serde_json::from_value(json!({
            "metadata": {
                "name": "grape", "namespace": "tasting-room", "uid": "1", "resourceVersion": "7", "generation": 3,
                "creationTimestamp": "2026-11-30T12:00:00Z", "deletionTimestamp": "2026-11-30T13:00:00Z",
                "labels": {"a": "b"}, "annotations": {"c": "d"}, "managedFields": "whatever it is",
            },
        }))
        .unwrap();
        assert!(stored.spec.is_null() && stored.metadata.deletion_timestamp.is_some());
        assert_eq!((stored.metadata.generation, stored.metadata.labels.unwrap()["a"].as_str()), (Some(3), "b"));
    }
}
