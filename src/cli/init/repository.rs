//! What teams' repositories hold, beyond files of one fixed name: MLflow Projects, and workflows of their own.

use std::{fs, path::Path};

/// How many folders below the repository's root a project is looked for, as the step `train` does.
const DEEPEST: usize = 2;
/// What the steps of a workflow that trains a model, or publishes an image, say.
const SIGNS: [&str; 9] = [
    "mlflow run",
    "mlflow models build-docker",
    "mlflow models generate-dockerfile",
    "docker push",
    "docker build",
    "docker/build-push-action",
    "modelling.py",
    "train.py",
    "dvc repro",
];
/// Of a line that is shown, in characters.
const SHOWN: usize = 120;

/// The files that MLflow takes for an MLproject, in whatever letters, by their paths: those at the root, or else those of the
/// nearest folders below that have any. A folder may have the name, too: it is none.
pub(super) fn projects(directory: &Path) -> Vec<String> {
    let mut level = vec![String::new()];
    for _ in 0..=DEEPEST {
        let mut found = Vec::new();
        let mut below = Vec::new();
        for folder in &level {
            for name in names(&directory.join(folder)) {
                let path = format!("{folder}{name}");
                let there = directory.join(&path);
                if name.eq_ignore_ascii_case("mlproject") && there.is_file() {
                    found.push(path);
                } else if !name.starts_with('.') && path != "modelship-out" && there.is_dir() && !there.is_symlink() {
                    below.push(path + "/");
                }
            }
        }
        if !found.is_empty() {
            found.sort();
            return found;
        }
        level = below;
    }
    Vec::new()
}

/// The folder of a project's file, with a slash at its end; empty for the root.
pub(super) fn folder_of(project: &str) -> &str {
    project.rfind('/').map_or("", |slash| &project[..=slash])
}

/// Workflows of a team's own that train or publish already: the file, and the first line that says so. Those that call ours
/// are none.
pub(super) fn workflows(directory: &Path) -> Vec<(String, String)> {
    let folder = directory.join(".github/workflows");
    let mut files = names(&folder);
    files.retain(|name| name.ends_with(".yml") || name.ends_with(".yaml"));
    files.sort();
    files
        .into_iter()
        .filter_map(|name| {
            let text = fs::read_to_string(folder.join(&name)).ok()?;
            let line = sign(&text)?;
            Some((format!(".github/workflows/{name}"), line))
        })
        .collect()
}

fn sign(workflow: &str) -> Option<String> {
    if workflow.contains("workflows/publish-model.yml") {
        return None;
    }
    let mut lines = workflow.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let line = lines.find(|line| SIGNS.iter().any(|sign| line.contains(sign)))?;
    let line = line.trim_start_matches("- ");
    let line = ["run:", "uses:"].iter().find_map(|key| line.strip_prefix(key)).unwrap_or(line);
    let plain: String = line.trim().chars().filter(|c| !c.is_control()).collect();
    Some(shortened(&plain))
}

/// A line that is too long, up to the end of a word, with an ellipsis.
fn shortened(line: &str) -> String {
    let Some((most, _)) = line.char_indices().nth(SHOWN) else { return line.to_owned() };
    let words = line[..most].rfind(char::is_whitespace).map_or(&line[..most], |end| line[..end].trim_end());
    format!("{words} …")
}

/// What lies in a folder; nothing in one that cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
