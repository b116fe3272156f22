//! What the labels of an image say: where a version comes from, how its predictions are read, a request that it answers.
//! Whoever can push an image writes them, so all of it is bounded and cleaned, and what is wrong with it is a sentence,
//! never an error: a label breaks no roll-out.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    findings::Findings,
    predictions, spec,
    status::{Origin, Version},
    valid::ValidSpec,
};
use crate::{
    exporter::reading,
    images::{
        Labels,
        labels::{MODEL_VERSION, MOST_BYTES, MOST_BYTES_OF_ANOTHER, PROFILE, REVISION, RUN_ID, SOURCE, TRACKING_URI},
    },
    resources::hash,
};

/// The version of profiles that is read.
const VERSION: u64 = 1;
/// Characters of a commit, a run's id, a name; of a metric's name, as MLflow has them; of an address; of one fault.
const SHORT: usize = 64;
const METRIC: usize = 250;
const ADDRESS: usize = 256;
const FAULT: usize = 400;

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meaning {
    /// The commit.
    pub revision: Option<String>,
    /// The repository of the commit.
    pub source: Option<String>,
    /// The MLflow run.
    pub run_id: Option<String>,
    /// The MLflow server of that run.
    pub tracking_uri: Option<String>,
    /// The version in MLflow's model registry.
    pub model_version: Option<String>,
    /// Metrics of the training by name.
    pub metrics: BTreeMap<String, f64>,
    /// How predictions are read, as the exporter's settings hold it; empty when nothing is said.
    pub predictions: Map<String, Value>,
    pub example: Option<Example>,
    /// What is wrong with the labels, and how to mend it, one sentence each.
    pub faults: Vec<String>,
}

/// A request that the model answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub body: Value,
    /// Where to POST it; `None`: where the server takes requests.
    pub path: Option<String>,
}

impl Meaning {
    /// What an image's labels say.
    pub fn of(labels: &Labels) -> Self {
        let short = |name: &str| short(labels, name);
        let address = |name: &str| labels.get(name).and_then(web_address);
        let mut meaning = Self {
            revision: short(REVISION),
            source: address(SOURCE),
            run_id: run_id(labels),
            tracking_uri: address(TRACKING_URI),
            model_version: short(MODEL_VERSION),
            faults: labels.too_large().map(|(name, bytes)| too_large(name, bytes)).collect(),
            ..Self::default()
        };
        if let Some(profile) = labels.get(PROFILE) {
            meaning.take_profile(profile, &format!("the label {PROFILE}"));
        }
        meaning
    }

    /// What a profile says that is no label, such as a file; `at` names it in what is wrong with it.
    pub fn of_profile(profile: &str, at: &str) -> Self {
        let mut meaning = Self::default();
        meaning.take_profile(profile, at);
        meaning
    }

    fn take_profile(&mut self, text: &str, at: &str) {
        let mut fault = |words: String| {
            self.faults.extend(one_line(&format!("{at} {words}"), FAULT));
        };
        let Ok(profile) = serde_json::from_str::<Map<String, Value>>(text) else {
            return fault("is no JSON object: let python -m modelship_profile write it".into());
        };
        match profile.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) if other > VERSION => {
                return fault(format!(
                    "is of version {other}, and this Modelship reads version {VERSION}: upgrade Modelship, or let an older \
                     modelship-profile write it"
                ));
            }
            _ => {
                return fault(format!("does not say \"version\": {VERSION}: let python -m modelship_profile write it"));
            }
        }
        match settings(&profile) {
            Ok(settings) => self.predictions = settings,
            Err(words) => {
                fault(format!(
                    "does not tell how predictions are read: {words}. Correct it, or say it in spec.predictions"
                ));
            }
        }
        match profile.get("metrics").map(metrics) {
            None => {}
            Some(Some(metrics)) => self.metrics = metrics,
            Some(None) => fault("has metrics that are no numbers by name".into()),
        }
        match profile.get("example").map(example) {
            None => {}
            Some(Some(example)) => self.example = Some(example),
            Some(None) => {
                fault("has an example that is no {\"body\": …} with a path that begins with '/'".into());
            }
        }
    }

    /// Names of classes.
    pub fn classes(&self) -> Vec<String> {
        let classes = self.predictions.get("classes").and_then(Value::as_array);
        let names = classes.into_iter().flatten().filter_map(|class| class["name"].as_str());
        names.filter_map(|name| one_line(name, SHORT)).collect()
    }

    /// Where the version comes from, as status shows it, but for the number of metrics.
    pub fn origin(&self) -> Origin {
        Origin {
            revision: self.revision.clone(),
            run_id: self.run_id.clone(),
            model_version: self.model_version.clone(),
            metrics: self.metrics.iter().map(|(name, figure)| (name.clone(), shown(*figure))).collect(),
        }
    }

    /// The version as status shows it, but for the number of metrics.
    pub fn describe(&self, version: Version) -> Version {
        Version {
            origin: self.origin(),
            source: self.source.clone(),
            tracking_uri: self.tracking_uri.clone(),
            classes: self.classes(),
            ..version
        }
    }
}

/// The spec, completed by what a version says itself of its predictions, as its exporters do it.
pub fn completed<'a>(spec: &'a ValidSpec, profile: &Map<String, Value>) -> Cow<'a, ValidSpec> {
    let predictions = reading::merged(&spec.predictions, profile);
    match predictions == spec.predictions {
        true => Cow::Borrowed(spec),
        false => {
            // What was made of the spec alone must not pass for what is made of this.
            let hash = hash::of(&json!([spec.hash, predictions]));
            Cow::Owned(ValidSpec { hash, predictions, ..spec.clone() })
        }
    }
}

/// The MLflow run alone, without reading the profile.
pub fn run_id(labels: &Labels) -> Option<String> {
    short(labels, RUN_ID)
}

fn short(labels: &Labels, name: &str) -> Option<String> {
    labels.get(name).and_then(|text| one_line(text, SHORT))
}

fn too_large(name: &str, bytes: usize) -> String {
    let (most, remedy) = match name {
        PROFILE => {
            (MOST_BYTES, "all labels together may have: python -m modelship_profile labels leaves out what is too much")
        }
        _ => (MOST_BYTES_OF_ANOTHER, "it may have: shorten it"),
    };
    format!("the label {name} has {bytes} bytes, more than the {most} that {remedy}")
}

/// The settings of predictions in a profile. They are judged as those of a spec are.
fn settings(profile: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    const FIELDS: [&str; 6] = ["kind", "path", "classes", "positive", "threshold", "reference"];
    let said: Map<String, Value> = FIELDS
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), profile.get(*field).filter(|value| !value.is_null())?.clone())))
        .collect();
    let said = spec::Predictions::deserialize(json!(said)).map_err(|error| error.to_string())?;
    if said.kind.is_none() {
        return Err("kind is missing; it is class, probability, probabilities or number".into());
    }
    let mut findings = Findings::default();
    let settings = predictions::parse(&said, "predictions", &mut findings);
    match (findings.first(), settings) {
        (Some(words), _) => Err(words),
        (None, Value::Object(settings)) => Ok(settings),
        (None, _) => Ok(Map::new()),
    }
}

fn metrics(value: &Value) -> Option<BTreeMap<String, f64>> {
    value.as_object()?.iter().map(|(name, value)| Some((one_line(name, METRIC)?, value.as_f64()?))).collect()
}

fn example(value: &Value) -> Option<Example> {
    let body = value.get("body").filter(|body| !body.is_null())?.clone();
    let path = match value.get("path") {
        None | Some(Value::Null) => None,
        Some(path) => Some(path.as_str().filter(|path| path.starts_with('/') && path.len() <= ADDRESS)?.to_owned()),
    };
    path.iter().all(|path| path.parse::<http::uri::PathAndQuery>().is_ok()).then_some(Example { body, path })
}

/// One line that a terminal and a status can show: without control characters and those that turn or hide text.
fn one_line(text: &str, most: usize) -> Option<String> {
    let turns =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let line: String = text.chars().filter(|c| !c.is_control() && !turns(*c)).take(most).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// A page that a person may open, without a password in it; everything else is left out.
fn web_address(text: &str) -> Option<String> {
    let mut url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    let address = url.as_str().trim_end_matches('/');
    (address.len() <= ADDRESS).then(|| address.to_owned())
}

/// Kubernetes knows no fractions: as text, and never hundreds of digits.
pub fn shown(figure: f64) -> String {
    let magnitude = figure.abs();
    if figure == 0.0 || (1e-5..1e15).contains(&magnitude) { figure.to_string() } else { format!("{figure:e}") }
}

#[cfg(test)]
#[path = "tests/meaning.rs"]
mod tests;
