//! What a user reads. Text here never holds what changes by itself (attempts, next try, ages): those are metrics, and a
//! model at rest causes no write.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{schema, spec::PredictionKind};
use crate::exporter::reading::{Decided, Kind};

/// How many earlier versions are remembered.
pub const HISTORY_LIMIT: usize = 10;

// One word that is not known (of a later release, or written by hand) takes nothing else away: every field that may be absent
// is read by itself, and so is every entry of a list.

/// What runs, and why.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ModelDeploymentStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Available, Progressing, ImageResolved; Reconciling and Stalled only while they are true.
    #[serde(default, deserialize_with = "entries", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Where to POST requests from inside the cluster.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The tag that was resolved last.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the tag holds, where that is the wanted version's image under another digest.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub same_image: Option<String>,
    /// The version that users get.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub stable: Option<Version>,
    /// The version being introduced, with the fields of stable.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Version>,
    /// Pods that exist, for the scale subresource.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods that serve, of those wanted: 2/3.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub available: Option<String>,
    /// Selector of the pods, for the scale subresource.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How predictions are read, where that was found from answers.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub predictions: Option<FoundReading>,
    /// The versions that users got, newest first, ten at the most, with fields of stable and since when.
    #[serde(default, deserialize_with = "entries", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<PastVersion>,
}

impl ModelDeploymentStatus {
    /// The names of all fields.
    pub const FIELDS: [&str; 12] = [
        "observedGeneration",
        "conditions",
        "url",
        "tag",
        "sameImage",
        "stable",
        "candidate",
        "replicas",
        "available",
        "selector",
        "predictions",
        "history",
    ];

    /// As much of a stored status as can be read.
    pub fn read(stored: &Value) -> Self {
        Self::deserialize(stored).unwrap_or_default()
    }
}

fn or_none<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(deserializer).map(|value| T::deserialize(value).ok())
}

fn entries<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let Value::Array(items) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    Ok(items.into_iter().filter_map(|item| T::deserialize(item).ok()).collect())
}

fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(fields) = Value::deserialize(deserializer)? else { return Ok(BTreeMap::new()) };
    let text = |(name, value)| String::deserialize(value).ok().map(|value| (name, value));
    Ok(fields.into_iter().filter_map(text).collect())
}

/// One version of the model: an image by digest.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The full name: docker.io/alice/model.
    pub repository: String,
    /// The digest as a push prints it.
    pub digest: String,
    /// The digest's first twelve digits.
    pub short: String,
    /// The tag that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(flatten)]
    pub origin: Origin,
    /// The repository of the commit.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The MLflow server of the run.
    #[serde(default, rename = "trackingURI", deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub tracking_uri: Option<String>,
    /// Names of its classes.
    #[serde(default, deserialize_with = "entries", skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

/// Where a version comes from, as the labels of its image say it. Bounded where they are read, not in the schema.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The commit.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The MLflow run.
    #[serde(default, rename = "runID", deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The version in MLflow's model registry.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    /// Metrics of the training.
    #[serde(default, deserialize_with = "fields", skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, String>,
}

impl Version {
    /// Reads an image reference as pod templates hold it: `repository@sha256:…`.
    pub fn of_image(image: &str) -> Option<Self> {
        let (repository, digest) = image.split_once('@')?;
        let digest = crate::images::Digest::parse(digest).ok()?;
        Some(Self {
            repository: repository.to_owned(),
            short: digest.short().to_owned(),
            digest: digest.to_string(),
            tag: None,
            origin: Origin::default(),
            source: None,
            tracking_uri: None,
            classes: Vec::new(),
        })
    }

    /// Whether both are the same image, whatever is known of it.
    pub fn is(&self, other: &Self) -> bool {
        (&self.repository, &self.digest) == (&other.repository, &other.digest)
    }
}

/// How the predictions of one version are read, as `spec.predictions` would say it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FoundReading {
    /// The version whose answers told.
    pub digest: String,
    /// What a row holds, as in spec.predictions.kind.
    pub kind: PredictionKind,
    /// Where the prediction is in a row, as in spec.predictions.path.
    #[schemars(length(max = 256))]
    pub path: String,
    /// The path of requests whose answers told.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_path: Option<String>,
    /// Rows from which it was found.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// How likely the next row fits, in percent.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub certainty: Option<i32>,
    /// false: later answers may correct it.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub settled: Option<bool>,
}

impl std::fmt::Display for FoundReading {
    /// As a sentence names it: `class at $.label of /predict`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.decided().map_or("something unknown", |decided| decided.kind.name());
        write!(formatter, "{kind} at {}", self.path)?;
        self.request_path.as_ref().map_or(Ok(()), |path| write!(formatter, " of {path}"))
    }
}

impl FoundReading {
    pub fn new(digest: &str, decided: &Decided) -> Self {
        let kind = match decided.kind {
            Kind::Class => PredictionKind::Class,
            Kind::Number => PredictionKind::Number,
            Kind::Probability => PredictionKind::Probability,
            Kind::Probabilities => PredictionKind::Probabilities,
            Kind::Labels => PredictionKind::Labels,
        };
        Self {
            digest: digest.to_owned(),
            kind,
            path: decided.path.to_string(),
            request_path: decided.request_path.clone(),
            rows: Some(i64::try_from(decided.rows).unwrap_or(i64::MAX)),
            certainty: Some(i32::from(decided.certainty)),
            settled: Some(decided.settled),
        }
    }

    /// As the exporter knows it; `None` when somebody has written something else into the status.
    pub fn decided(&self) -> Option<Decided> {
        let kind = match self.kind {
            PredictionKind::Class => Kind::Class,
            PredictionKind::Number => Kind::Number,
            PredictionKind::Probability => Kind::Probability,
            PredictionKind::Probabilities => Kind::Probabilities,
            PredictionKind::Labels => Kind::Labels,
        };
        Some(Decided {
            kind,
            path: self.path.parse().ok()?,
            request_path: self.request_path.clone(),
            rows: self.rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0),
            certainty: self.certainty.and_then(|certainty| u8::try_from(certainty).ok()).unwrap_or(0),
            settled: self.settled.unwrap_or(false),
        })
    }
}

/// A version that users got.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PastVersion {
    pub repository: String,
    pub digest: String,
    /// When users began to get it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
    #[serde(flatten)]
    pub origin: Origin,
}

#[cfg(test)]
#[path = "tests/status.rs"]
mod tests;
