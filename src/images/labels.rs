//! The labels of an image that say where a version comes from and what it means: the known ones only, and bounded, since
//! anybody who can push writes them, and the operator keeps them. No I/O; what they mean is `crate::api::meaning`'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What predictions mean, an example, metrics: JSON, described by `src/python/modelship_profile/schema.json`.
pub const PROFILE: &str = "dev.modelship.profile";
/// The MLflow run that made the model.
pub const RUN_ID: &str = "dev.modelship.mlflow.run-id";
/// The MLflow server of that run.
pub const TRACKING_URI: &str = "dev.modelship.mlflow.tracking-uri";
/// The version in MLflow's model registry.
pub const MODEL_VERSION: &str = "dev.modelship.model-version";
/// The commit.
pub const REVISION: &str = "org.opencontainers.image.revision";
/// The repository of the commit.
pub const SOURCE: &str = "org.opencontainers.image.source";

/// The profile last: it has the room that the others leave.
const KNOWN: [&str; 6] = [RUN_ID, TRACKING_URI, MODEL_VERSION, REVISION, SOURCE, PROFILE];

/// Bytes of all labels together, names included.
pub const MOST_BYTES: usize = 16 << 10;
/// Bytes of any value but the profile's.
pub const MOST_BYTES_OF_ANOTHER: usize = 1 << 10;

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Labels {
    /// By name.
    values: BTreeMap<String, String>,
    /// Those that were left out, with the bytes that they have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    too_large: BTreeMap<String, usize>,
    /// The variable PYTHONPATH, which stands beside the labels in the configuration: who sets it in a pod takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    python_path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    config: Option<Defaults>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Defaults {
    #[serde(rename = "Labels")]
    labels: Option<Map<String, Value>>,
    /// `NAME=value`, each.
    #[serde(rename = "Env")]
    variables: Value,
}

impl Labels {
    /// The labels in an image's configuration. One of another shape has none: it is for the platform to complain.
    pub(crate) fn in_config(bytes: &[u8]) -> Self {
        let read = serde_json::from_slice::<Configuration>(bytes).unwrap_or_default();
        let Defaults { labels, variables } = read.config.unwrap_or_default();
        Self { python_path: python_path(&variables), ..Self::of(labels.unwrap_or_default()) }
    }

    fn of(mut given: Map<String, Value>) -> Self {
        let mut labels = Self::default();
        let mut room = MOST_BYTES;
        for name in KNOWN {
            // An empty one is how a Dockerfile takes back what its base image says.
            let Some(Value::String(value)) = given.remove(name).filter(|value| *value != "") else { continue };
            let size = name.len() + value.len();
            if size > room || (name != PROFILE && value.len() > MOST_BYTES_OF_ANOTHER) {
                labels.too_large.insert(name.to_owned(), value.len());
                continue;
            }
            room -= size;
            let value = if name == PROFILE { without_features(value) } else { value };
            labels.values.insert(name.to_owned(), value);
        }
        labels
    }

    /// Where Python looks for modules first, as the image says it.
    pub fn python_path(&self) -> Option<&str> {
        self.python_path.as_deref()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The labels that were left out, and the bytes that they have.
    pub fn too_large(&self) -> impl Iterator<Item = (&str, usize)> {
        self.too_large.iter().map(|(name, bytes)| (name.as_str(), *bytes))
    }
}

/// Of several the last one counts, as in a process. One that is too long is left out, as labels are.
fn python_path(variables: &Value) -> Option<String> {
    let variables = variables.as_array().into_iter().flatten().rev();
    let value = variables.filter_map(Value::as_str).find_map(|text| text.strip_prefix("PYTHONPATH="))?;
    (!value.is_empty() && value.len() <= MOST_BYTES_OF_ANOTHER).then(|| value.to_owned())
}

/// The larger half of a profile, which only people read so far.
fn without_features(profile: String) -> String {
    let fields = serde_json::from_str::<Map<String, Value>>(&profile).ok();
    let without = fields.and_then(|mut fields| fields.remove("features").map(|_| Value::Object(fields).to_string()));
    without.unwrap_or(profile)
}

#[cfg(test)]
#[path = "tests/labels.rs"]
mod tests;
