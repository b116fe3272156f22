//! Where training is tracked, and what a version must have reached there before any user sees it.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    findings::Findings,
    schema,
    units::{self, Figure},
};
use crate::mlflow::TrackingUri;

pub(super) const MOST_REQUIREMENTS: usize = 16;

/// What MLflow knows of a version, and what a version must have reached.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.trackingURI) || !has(self.model) && !has(self.credentialsSecret)")
    .message("names no server to ask; set trackingURI"))]
#[x_kube(validation = Rule::new("has(self.model) ? !has(self.run) && has(self.alias) != has(self.version) : !has(self.alias) && !has(self.version)")
    .message("has either run, or model with one of alias and version"))]
pub struct Mlflow {
    /// MLflow's or DagsHub's server: https://dagshub.com/OWNER/REPO.mlflow. Unset: metrics come from the image's labels.
    #[serde(default, rename = "trackingURI", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#@]+(/[^?#]*)?$')")
        .message("is http:// or https:// with a host and a path; a password goes into credentialsSecret"))]
    pub tracking_uri: Option<String>,
    /// Secret with username and password, or token. Unset: nobody logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub credentials_secret: Option<String>,
    /// Registered model whose alias or version says which run an image comes from. Unset: the image's label says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub model: Option<String>,
    /// The alias of model that is asked for, such as champion. Unset: version is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub alias: Option<String>,
    /// The version of model that is asked for, by its number: "7". Unset: alias is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// The default without model: its label names an image's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSource>,
    /// Bounds by metric: {f1: {min: 0.8, notBelowStableBy: 0.01}}; also max, notAboveStableBy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::requirements")]
    pub require: BTreeMap<String, Bounds>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum RunSource {
    FromImageLabel,
}

/// Bounds of one metric.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bounds {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Figure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Figure>,
    /// How far it may lie below the version that users get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_below_stable_by: Option<Figure>,
    /// How far it may lie above, for losses and errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_above_stable_by: Option<Figure>,
}

/// The same, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// `None`: only the image's labels speak.
    pub tracking: Option<Tracking>,
    pub require: Vec<Requirement>,
}

/// A server, and how a run is found there.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracking {
    pub uri: TrackingUri,
    pub secret: Option<String>,
    pub run_of: RunOf,
}

/// What names the run of a new image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOf {
    ImageLabel,
    Version { model: String, version: String },
    Alias { model: String, alias: String },
}

/// What one metric must have reached.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Requirement {
    pub metric: String,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub not_below_stable_by: Option<f64>,
    pub not_above_stable_by: Option<f64>,
}

pub(super) fn parse(said: Mlflow, findings: &mut Findings) -> Training {
    const AT: &str = "spec.mlflow";
    let require = require(&said.require, findings);
    let server = said.tracking_uri.as_deref().and_then(|uri| {
        TrackingUri::parse(uri).map_err(|message| findings.add(format!("{AT}.trackingURI"), message)).ok()
    });
    if said.tracking_uri.is_none() && (said.model.is_some() || said.credentials_secret.is_some()) {
        findings.add(AT, "names no server to ask; set trackingURI");
    }
    let names = [("credentialsSecret", &said.credentials_secret), ("model", &said.model), ("alias", &said.alias)];
    for (name, text) in names.into_iter().chain([("version", &said.version)]) {
        if text.as_deref() == Some("") {
            findings.add(format!("{AT}.{name}"), "is empty; give a name, or leave it out");
        }
    }
    if let Some(secret) = said.credentials_secret.as_ref().filter(|secret| !secret.is_empty()) {
        findings.object_name(format!("{AT}.credentialsSecret"), secret);
    }
    let run_of = match (said.model, said.alias, said.version) {
        (None, None, None) => RunOf::ImageLabel,
        (Some(model), Some(alias), None) if said.run.is_none() => RunOf::Alias { model, alias },
        (Some(model), None, Some(version)) if said.run.is_none() => RunOf::Version { model, version },
        _ => {
            findings.add(AT, "has either run, or model with one of alias and version");
            RunOf::ImageLabel
        }
    };
    Training { tracking: server.map(|uri| Tracking { uri, secret: said.credentials_secret, run_of }), require }
}

fn require(said: &BTreeMap<String, Bounds>, findings: &mut Findings) -> Vec<Requirement> {
    if said.len() > MOST_REQUIREMENTS {
        findings.add("spec.mlflow.require", format!("names more than {MOST_REQUIREMENTS} metrics"));
    }
    said.iter()
        .map(|(metric, bounds)| {
            let at = format!("spec.mlflow.require.{metric}");
            let mut figure = |name: &str, figure: &Option<Figure>| {
                let figure = figure.as_ref()?;
                Some(findings.take(&format!("{at}.{name}"), units::figure(&figure.0), 0.0))
            };
            let requirement = Requirement {
                metric: metric.clone(),
                min: figure("min", &bounds.min),
                max: figure("max", &bounds.max),
                not_below_stable_by: figure("notBelowStableBy", &bounds.not_below_stable_by),
                not_above_stable_by: figure("notAboveStableBy", &bounds.not_above_stable_by),
            };
            let Requirement { min, max, not_below_stable_by: below, not_above_stable_by: above, .. } = &requirement;
            if [min, max, below, above].into_iter().all(Option::is_none) {
                findings.add(&at, "has no bound; give min, max, notBelowStableBy or notAboveStableBy");
            }
            if min.zip(*max).is_some_and(|(min, max)| min > max) {
                findings.add(&at, "no metric can be at least min and at most max, since min is greater");
            }
            if [below, above].into_iter().flatten().any(|margin| *margin < 0.0) {
                findings.add(&at, "has a negative margin; notBelowStableBy and notAboveStableBy are 0 or more");
            }
            requirement
        })
        .collect()
}

#[cfg(test)]
#[path = "tests/mlflow.rs"]
mod tests;
