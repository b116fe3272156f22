//! `modelship render`: what a ModelDeployment leads to, for review and GitOps, with no cluster.

mod plain;

use std::{io::Read, path::PathBuf};

use serde_json::{Map, Value};

use super::profile;
use crate::{
    api::{ModelDeploymentSpec, ValidSpec, meaning, names},
    images::Digest,
    monitoring::{MailDefaults, MailSecret, Subject, bundle},
    resources::{
        Owner, Track, autoscaler, deployment, disruption_budget,
        exporter::{self, Sidecar},
        network_policy,
        revision::Revision,
        service, template,
    },
};

/// Stands where the digest is not known: only a registry knows it.
const UNKNOWN: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// File with ModelDeployments; - for standard input.
    #[arg(short, long = "filename", value_name = "FILE")]
    filename: PathBuf,
    /// The digest to show in the pod template. Default: spec.image.pin, else a row of zeros.
    #[arg(long, value_name = "sha256:…")]
    digest: Option<String>,
    /// Modelship's own image, for the exporter in the model's pods.
    #[arg(long, default_value = super::EXPORTER_IMAGE)]
    exporter_image: String,
    /// A modelship-profile.json: what the image says of its predictions by its labels.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Namespace of objects that name none.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Print nothing; write prometheus.yml, rules.yml and the dashboards here, for a Prometheus and a Grafana without operators.
    #[arg(long, value_name = "FOLDER")]
    plain: Option<PathBuf>,
    /// Print unit tests of the models' rules instead, for promtool test rules beside the rules.yml of --plain.
    #[arg(long, conflicts_with = "plain")]
    promtool_tests: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), String> {
    let file = arguments.filename.display();
    let text = match arguments.filename.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(&arguments.filename),
    }
    .map_err(|error| format!("{file}: {error}"))?;
    let said = |error: String| format!("{file}: {error}");
    let profile = arguments.profile.as_deref().map(profile::read).transpose()?.unwrap_or_default().predictions;
    if arguments.plain.is_some() || arguments.promtool_tests {
        let models = models(&text, &arguments.namespace, &profile).map_err(said)?;
        return watched(arguments, &models);
    }
    let digest =
        arguments.digest.as_deref().map(Digest::parse).transpose().map_err(|error| format!("--digest: {error}"))?;
    let sidecar = Sidecar { image: arguments.exporter_image.clone(), pull_secrets: Vec::new() };
    let rendered = render(&text, digest.as_ref(), &arguments.namespace, &sidecar, &profile);
    crate::cli::print(&rendered.map_err(said)?)
}

/// What concerns the models' monitoring alone.
fn watched(arguments: &Arguments, models: &[Model]) -> Result<(), String> {
    let subjects: Vec<Subject> = models.iter().filter_map(Model::subject).collect();
    match &arguments.plain {
        Some(folder) => plain::write(&subjects, folder),
        None => {
            let tests = crate::yaml::to_string(&plain::promtool_tests(&subjects));
            crate::cli::print(&tests.map_err(|error| error.to_string())?)
        }
    }
}

/// A ModelDeployment of a file.
struct Model {
    owner: Owner,
    stored: Value,
    spec: ValidSpec,
    /// The same, completed by what the image says of its predictions.
    watched: ValidSpec,
}

impl Model {
    /// `None`: it is not monitored.
    fn subject(&self) -> Option<Subject<'_>> {
        let monitoring = self.watched.monitoring.as_ref()?;
        Some(Subject { owner: &self.owner, spec: &self.watched, monitoring })
    }
}

/// Every ModelDeployment of a YAML file; documents of other kinds are left out.
fn models(text: &str, namespace: &str, profile: &Map<String, Value>) -> Result<Vec<Model>, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| format!("is not YAML: {error}"))?;
    let mut models = Vec::new();
    for mut document in documents.into_iter().filter(|document| document["kind"] == "ModelDeployment") {
        let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        unknown_fields(&name, &document)?;
        let spec = ValidSpec::parse(&name, &document["spec"]).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
            format!("ModelDeployment '{name}' is not valid:\n{}", faults.join("\n"))
        })?;
        let namespace = document["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
        let owner = Owner { namespace, name, uid: String::new() };
        let watched = meaning::completed(&spec, profile).into_owned();
        models.push(Model { owner, stored: document["spec"].take(), spec, watched });
    }
    match models.is_empty() {
        true => Err("holds no object of kind ModelDeployment".into()),
        false => Ok(models),
    }
}

/// Renders every ModelDeployment of a YAML file; documents of other kinds are left out. `profile` is what the image says
/// of its predictions.
///
/// # Errors
/// What is wrong with the file or with a spec, all at once for each object.
pub fn render(
    text: &str,
    digest: Option<&Digest>,
    namespace: &str,
    sidecar: &Sidecar,
    profile: &Map<String, Value>,
) -> Result<String, String> {
    let mut rendered = String::new();
    for model in models(text, namespace, profile)? {
        for child in children(&model, digest, sidecar, profile)? {
            let yaml = crate::yaml::to_string(&child).map_err(|error| error.to_string())?;
            rendered.push_str("---\n");
            rendered.push_str(&yaml);
        }
    }
    Ok(rendered)
}

fn children(
    model: &Model,
    digest: Option<&Digest>,
    sidecar: &Sidecar,
    profile: &Map<String, Value>,
) -> Result<Vec<Value>, String> {
    let Model { owner, stored, spec, watched } = model;
    let digest = match digest.or(spec.image.pin.as_ref()) {
        Some(digest) => digest.clone(),
        None => {
            eprintln!(
                "modelship: only the registry knows the digest of {}; shown as zeros (--digest sets it)",
                spec.image.repository
            );
            Digest::parse(UNKNOWN).map_err(|error| error.to_string())?
        }
    };
    let image = template::pinned(spec, &digest);
    let rendered = template::render(owner, spec, &digest, sidecar, profile);
    let deployment = deployment::build(owner, spec, &rendered, Track::Stable);
    let revision = Revision::new(owner, 1, template::inputs_hash(stored, &image), image, rendered).child(owner);
    let services = [Some(service::build(owner, spec)), exporter::metrics_service(owner, spec)];
    let all = services.into_iter().chain([exporter::settings(owner, spec, None), Some(revision), Some(deployment)]);
    let parts =
        [disruption_budget::build(owner, spec), autoscaler::build(owner, spec), network_policy::build(owner, spec)];
    let watching = bundle::everything(owner, watched, &MailDefaults::default(), &MailSecret::None);
    for shortcoming in &watching.shortcomings {
        eprintln!("modelship: {}: {}", owner.name, shortcoming.message);
    }
    let all = all.chain(parts).flatten().chain(watching.children);
    Ok(all.map(|child| reviewable(child.whole().into_owned())).collect())
}

/// Without what only a cluster can give: the owner's uid (an object that names another is collected as garbage), and the
/// hash over it.
fn reviewable(mut body: Value) -> Value {
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("ownerReferences");
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        let left = annotations.map(|annotations| {
            annotations.remove(names::INTENT);
            annotations.len()
        });
        if left == Some(0) {
            metadata.remove("annotations");
        }
    }
    body
}

/// What the API server would drop with a warning is more likely a slip of the pen.
fn unknown_fields(name: &str, document: &Value) -> Result<(), String> {
    let mut unknown = Vec::new();
    let spec = &document["spec"];
    let parsed: Result<ModelDeploymentSpec, _> =
        serde_ignored::deserialize(spec, |path| unknown.push(path.to_string().replace(".?", "").replace("?.", "")));
    match (parsed, unknown.is_empty()) {
        (Ok(_), false) => Err(format!(
            "ModelDeployment '{name}' has fields that do not exist: spec.{} (kubectl explain mdl.spec lists them)",
            unknown.join(", spec.")
        )),
        _ => Ok(()),
    }
}
