//! `modelship init`: the files that a model's repository needs, written by what lies in it. Asks nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{api::names::NAME_MAX, images::Repository};

mod repository;

const WORKFLOW: (&str, &str) = (".github/workflows/model.yml", include_str!("init/model.yml"));
const DEPLOYMENT: (&str, &str) = ("modeldeployment.yaml", include_str!("init/modeldeployment.yaml"));

/// What a training depends on, when it is there. Reports, notebooks and READMEs train nothing.
const WATCHED: [(&str, &str); 7] = [
    ("conda.yaml", "conda.yaml"),
    ("python_env.yaml", "python_env.yaml"),
    ("requirements.txt", "requirements.txt"),
    ("Dockerfile", "Dockerfile"),
    ("data", "data/**"),
    ("src", "src/**"),
    ("params.yaml", "params.yaml"),
];

/// What a training has to say that the default of MLflow 3.17 stops; the step `train` says it too, once it has happened.
const FORMAT: &str = r#"
MLflow 3.17 refuses scikit-learn's trees, forests, gradient boosting and nearest neighbours in its default format, skops.
In the training, write
  mlflow.sklearn.log_model(model, name="model", serialization_format="cloudpickle")
or keep skops, and name the types that the error lists: skops_trusted_types=["sklearn.tree._tree.Tree"]
"#;

/// Who reads what a run leaves.
const PUBLIC: &str = "
Where the repository is public, everybody may read the artifacts of its Actions: for a day the model (with what the training wrote beside
your own Dockerfile's files), and as long as the repository keeps artifacts the reports.
";

/// What becomes of a workflow that does the same.
const OTHERS: &str = "\
On a push they would run beside model.yml: take their triggers away, or delete them, once it works. What they do besides, such as
the options of their mlflow run, goes into its inputs: train-command, or entry-point, parameters and experiment.
";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The model's repository.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Where the image goes, without tag: alice/credit-scoring-model.
    #[arg(long, value_name = "REPOSITORY")]
    image: String,
    /// Name of the ModelDeployment. Default: the last part of the image's.
    #[arg(long)]
    name: Option<String>,
    /// The MLflow server that trainings are tracked on.
    #[arg(long, value_name = "URL", conflicts_with = "dagshub")]
    tracking_uri: Option<String>,
    /// The repository on DagsHub that trainings are tracked on.
    #[arg(long, value_name = "OWNER/NAME")]
    dagshub: Option<String>,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), String> {
    super::print(&init(arguments)?)
}

/// Writes the files; what is left to do.
fn init(arguments: &Arguments) -> Result<String, String> {
    let found = Found::look(&arguments.directory)?;
    let files = files(arguments, &found)?;
    write(&arguments.directory, &files, arguments.force)?;
    Ok(told(arguments, &found, &files))
}

/// What lies in the repository.
#[derive(Debug, Default)]
struct Found {
    watched: Vec<String>,
    /// The files of MLflow Projects; several when none can be told from the others.
    projects: Vec<String>,
    /// Workflows of the team's own that train or publish, each with the line that says so.
    workflows: Vec<(String, String)>,
    /// The port of the team's own server; none without a Dockerfile.
    port: Option<u16>,
    /// Whether MLflow is in the game at all.
    mlflow: bool,
    trains: bool,
    /// Whether the training says in which format a model is saved.
    names_format: bool,
}

impl Found {
    fn look(directory: &Path) -> Result<Self, String> {
        if !directory.is_dir() {
            return Err(format!("{} is no directory", directory.display()));
        }
        let there = |name: &str| directory.join(name).exists();
        let text = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        let said = |files: &[&str], word: &str| files.iter().any(|name| text(name).contains(word));
        let projects = repository::projects(directory);
        let mlflow = said(&["modelling.py", "train.py", "requirements.txt"], "mlflow");
        let scripts = scripts(&projects);
        let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
        let fixed = WATCHED.iter().filter(|(name, _)| there(name)).map(|(_, pattern)| (*pattern).to_owned());
        let mut workflows = repository::workflows(directory);
        // That one is ours, or refused as being there.
        workflows.retain(|(file, _)| file != WORKFLOW.0);
        Ok(Self {
            watched: projects.iter().map(|project| watched(project)).chain(fixed).collect(),
            port: there("Dockerfile").then(|| exposed(&text("Dockerfile")).unwrap_or(8080)),
            mlflow: mlflow || !projects.is_empty(),
            trains: projects.len() == 1 || (projects.is_empty() && (there("modelling.py") || there("train.py"))),
            names_format: ["serialization_format", "skops_trusted_types"].iter().any(|word| said(&scripts, word)),
            projects,
            workflows,
        })
    }
}

/// The pattern of what a project depends on: all of its folder, or its file at the root. In a pattern, and in YAML, only plain
/// characters mean themselves.
fn watched(project: &str) -> String {
    let folder = repository::folder_of(project);
    let plain = |path: &str| path.replace(|c: char| !c.is_alphanumeric() && !"-_./ ".contains(c), "*");
    if folder.is_empty() { project.to_owned() } else { plain(folder) + "**" }
}

/// Scripts that may train, at the root and beside the projects.
fn scripts(projects: &[String]) -> Vec<String> {
    let folders = std::iter::once("").chain(projects.iter().map(|project| repository::folder_of(project)));
    folders.flat_map(|folder| ["modelling.py", "train.py"].map(|name| format!("{folder}{name}"))).collect()
}

/// The first port that a Dockerfile exposes.
fn exposed(dockerfile: &str) -> Option<u16> {
    let mut words = dockerfile.lines().filter_map(|line| line.trim().strip_prefix("EXPOSE "));
    words.find_map(|ports| ports.split_whitespace().next()?.split('/').next()?.parse().ok())
}

/// The files by name, in the order in which people read them.
fn files(arguments: &Arguments, found: &Found) -> Result<Vec<(&'static str, String)>, String> {
    let image = &arguments.image;
    let repository = Repository::parse(image).map_err(|error| format!("--image: {error}"))?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => name_of(repository.path()),
    };
    if !is_name(&name) {
        return Err(format!(
            "--name: '{name}' must start with a letter and hold only lower-case letters, digits and '-', {NAME_MAX} at the most"
        ));
    }
    let paths = ["**.py", WORKFLOW.0].into_iter().chain(found.watched.iter().map(String::as_str));
    let paths: Vec<String> = paths.map(|pattern| format!("      - \"{pattern}\"")).collect();
    let server =
        found.port.map(|port| format!("  server:\n    type: http\n    port: {port}\n    # healthPath: /health\n"));
    let inputs = inputs(arguments, found)?;
    let fill = |template: &str| {
        template
            .replace("@PATHS@", &paths.join("\n"))
            .replace("@INPUTS@\n", &inputs)
            .replace("@SERVER@\n", server.as_deref().unwrap_or_default())
            .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
            .replace("@IMAGE@", image)
            .replace("@NAME@", &name)
    };
    Ok(vec![(WORKFLOW.0, fill(WORKFLOW.1)), (DEPLOYMENT.0, fill(DEPLOYMENT.1))])
}

/// The inputs of the workflow that differ from its defaults.
fn inputs(arguments: &Arguments, found: &Found) -> Result<String, String> {
    let mut inputs = String::new();
    let mut put = |name: &str, value: &str| inputs.push_str(&format!("      {name}: {value}\n"));
    if let Some(uri) = &arguments.tracking_uri {
        let plain = uri.starts_with("http://") || uri.starts_with("https://");
        if !plain || uri.contains(|c: char| c.is_whitespace() || "\"'#@{}".contains(c)) {
            return Err(format!(
                "--tracking-uri: '{uri}' must be an address such as https://mlflow.example.org, without user and password: \
                 those are secrets"
            ));
        }
        put("tracking-uri", uri);
    }
    if let Some(repository) = &arguments.dagshub {
        let parts: Vec<&str> = repository.split('/').collect();
        let plain =
            |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if parts.len() != 2 || !parts.iter().all(plain) {
            return Err(format!("--dagshub: '{repository}' must be of the form owner/name"));
        }
        put("dagshub-repository", repository);
    }
    let tracked = arguments.tracking_uri.is_some() || arguments.dagshub.is_some();
    match (tracked, found.mlflow) {
        (false, false) => put("run", "none # no MLflow: the Dockerfile brings the model"),
        (false, true) => put("# tracking-uri", "https://mlflow.example.org, or dagshub-repository: owner/name"),
        (true, _) => {}
    }
    if found.projects.len() > 1 {
        put("# train-command", &format!("mlflow run FOLDER --env-manager=local # of {}", plain(&found.projects)));
    } else if !found.trains {
        put("# train-command", "python your_script.py");
    }
    Ok(inputs)
}

/// Paths in a comment, whose line they must not end.
fn plain(paths: &[String]) -> String {
    paths.join(", ").replace(char::is_control, "?")
}

/// A name for objects, of an image's path: `alice/Credit_model` is `credit-model`.
fn name_of(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    let name = last.to_ascii_lowercase().replace(['_', '.'], "-");
    name.chars().take(NAME_MAX).collect::<String>().trim_matches('-').to_owned()
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Writes all of the files, or none when one is there already.
fn write(directory: &Path, files: &[(&str, String)], force: bool) -> Result<(), String> {
    let there: Vec<&str> = files.iter().map(|(name, _)| *name).filter(|name| directory.join(name).exists()).collect();
    if !there.is_empty() && !force {
        return Err(format!("{} is there already; --force writes over it", there.join(" and ")));
    }
    for (name, text) in files {
        let file = directory.join(name);
        let folder = file.parent().unwrap_or(directory);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// What is left for a person to do.
fn told(arguments: &Arguments, found: &Found, files: &[(&str, String)]) -> String {
    let mut told = String::new();
    for (name, _) in files {
        told.push_str(&format!("wrote {name}\n"));
    }
    told.push_str("\nSecrets to set in the repository (Settings, Secrets and variables, Actions):\n");
    let mut secret = |name: &str, what: &str| told.push_str(&format!("  {name:<18} {what}\n"));
    secret("DOCKERHUB_USERNAME", &format!("who pushes {}", arguments.image));
    secret("DOCKERHUB_TOKEN", "a token of theirs, with read and write");
    secret(
        "DAGSHUB_USERNAME",
        "user of the tracking server, if it asks for one: the training sees it, and its packages do",
    );
    secret("DAGSHUB_TOKEN", "the user's token; the others are in a job that runs nothing of the training's");
    secret("PAT", "may write contents and pull requests here, for the pull request with the reports");
    told.push_str(PUBLIC);
    if found.mlflow && !found.names_format {
        told.push_str(FORMAT);
    }
    if !found.workflows.is_empty() {
        told.push_str("\nWorkflows of yours that train or publish already:\n");
        for (file, line) in &found.workflows {
            told.push_str(&format!("  {file}: {line}\n"));
        }
        told.push_str(OTHERS);
    }
    told.push_str("\nThen commit and push, and once: kubectl apply -f modeldeployment.yaml\n");
    told
}

#[cfg(test)]
#[path = "tests/init.rs"]
mod tests;
