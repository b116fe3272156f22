//! Rendered children as golden files: a change of behaviour shows as a change of YAML.
//!
//! `tests/golden/CASE.yaml` is what a user writes, `CASE.rendered.yaml` what it leads to. `UPDATE_GOLDEN=1 cargo test
//! --test golden` writes the latter anew; read the diff before you commit it.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use modelship::{api::Meaning, cli::render::render, images::Digest, resources::exporter::Sidecar};
use pretty_assertions::StrComparison;
use serde_json::{Map, Value};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files of a folder, in order.
fn yaml(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    files.sort();
    files
}

fn sidecar() -> Sidecar {
    Sidecar { image: format!("docker.io/modelship/modelship@sha256:{}", "5".repeat(64)), pull_secrets: Vec::new() }
}

fn is_rendered(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".rendered.yaml")
}

fn cases() -> Vec<PathBuf> {
    yaml("tests/golden").into_iter().filter(|path| !is_rendered(path)).collect()
}

/// With a digest as a registry would name it, unless the file pins one itself.
fn rendered(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let digest = (!text.contains("pin: sha256:")).then(|| Digest::parse(DIGEST).unwrap());
    render(&text, digest.as_ref(), "default", &sidecar(), &profile(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the image says of its predictions, in a file beside the case.
fn profile(case: &Path) -> Map<String, Value> {
    let Ok(text) = fs::read_to_string(case.with_extension("profile.json")) else { return Map::new() };
    let meaning = Meaning::of_profile(&text, "its profile.json");
    assert_eq!(meaning.faults, [""; 0], "{}", case.display());
    meaning.predictions
}

/// What the golden file shows. Rules and boards of one case are as good as those of all; a board is looked at in dashboards/,
/// and only its place is of interest here.
fn shown(case: &Path) -> String {
    let watched = case.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("monitoring"));
    let mut shown = String::new();
    for mut child in documents(&rendered(case)) {
        let kind = child["kind"].as_str().unwrap().to_owned();
        let board = kind == "ConfigMap" && child["metadata"]["name"].as_str().unwrap().ends_with("-dashboard");
        let watches = board || ["ServiceMonitor", "PrometheusRule", "AlertmanagerConfig"].contains(&kind.as_str());
        if board {
            child["data"].as_object_mut().unwrap().values_mut().for_each(|text| *text = "{ … }".into());
        }
        if watched == watches {
            shown.push_str("---\n");
            shown.push_str(&modelship::yaml::to_string(&child).unwrap());
        }
    }
    shown
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[test]
fn every_case_renders_as_its_golden_file_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut differ = Vec::new();
    for case in cases() {
        let golden = case.with_extension("rendered.yaml");
        let actual = shown(&case);
        if update {
            fs::write(&golden, &actual).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if expected != actual {
            println!("{}:\n{}", golden.display(), StrComparison::new(&expected, &actual));
            differ.push(case.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    assert!(
        differ.is_empty(),
        "{} render differently (diff above); if that is meant: UPDATE_GOLDEN=1 cargo test --test golden",
        differ.join(", ")
    );
}

#[test]
fn every_golden_file_has_its_case() {
    let cases = cases();
    assert!(cases.len() >= 9);
    for golden in yaml("tests/golden").into_iter().filter(|path| is_rendered(path)) {
        let case = golden.with_extension("").with_extension("yaml");
        assert!(cases.contains(&case), "{} is left over: delete it", golden.display());
    }
}

#[test]
fn every_sample_renders() {
    let samples = yaml("manifests/samples");
    assert!(!samples.is_empty());
    for sample in samples.into_iter().filter(|path| !path.ends_with("kustomization.yaml")) {
        let kinds: Vec<Value> = documents(&rendered(&sample)).iter().map(|child| child["kind"].clone()).collect();
        assert!(kinds.iter().any(|kind| kind == "Deployment"), "{}: {kinds:?}", sample.display());
    }
}

/// The names of the containers that the user brings along in a podTemplate, by the model's name.
fn users_own(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for model in documents(text) {
        for list in ["containers", "initContainers"] {
            let containers = model["spec"]["podTemplate"]["spec"][list].as_array().cloned().unwrap_or_default();
            names.extend(containers.iter().map(|container| container["name"].as_str().unwrap().to_owned()));
        }
    }
    names.remove("model");
    names
}

#[test]
fn every_image_is_named_by_digest_but_for_the_users_own_containers() {
    let mut checked = 0;
    for case in cases().into_iter().chain(yaml("manifests/samples")) {
        let own = users_own(&fs::read_to_string(&case).unwrap());
        for child in documents(&rendered(&case)) {
            let template = match child["kind"].as_str().unwrap() {
                "Deployment" => &child["spec"]["template"],
                "ControllerRevision" => &child["data"]["template"],
                _ => continue,
            };
            let lists = ["containers", "initContainers"].map(|list| template["spec"][list].as_array());
            for container in lists.into_iter().flatten().flatten() {
                let name = container["name"].as_str().unwrap();
                if own.contains(name) {
                    continue;
                }
                let image = container["image"].as_str().unwrap();
                let digest = image.split_once('@').map(|(_, digest)| Digest::parse(digest));
                assert!(matches!(digest, Some(Ok(_))), "{}: {name} runs {image}", case.display());
                assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{}: {name}", case.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 20, "{checked}");
}

/// Two renderings of one file are the same to the byte, and hold no null and no status.
#[test]
fn rendering_is_repeatable_and_tidy() {
    for case in cases() {
        let text = rendered(&case);
        assert_eq!(text, rendered(&case));
        for line in text.lines() {
            assert!(!line.ends_with(": null") && !line.starts_with("status:"), "{}: {line}", case.display());
        }
    }
}

fn refused(text: &str) -> String {
    render(text, None, "default", &sidecar(), &Map::new()).unwrap_err()
}

fn model(spec: &str) -> String {
    format!("kind: ModelDeployment\nmetadata: {{name: grape-scorer}}\nspec: {spec}\n")
}

#[test]
fn a_file_that_is_no_yaml_is_refused() {
    assert!(refused("kind: [").starts_with("is not YAML"), "{}", refused("kind: ["));
}

#[test]
fn a_file_without_a_model_is_refused() {
    for text in ["", "kind: Deployment\nmetadata: {name: x}\n", "- a\n- b\n", "just words", "# nothing but a comment\n"]
    {
        assert_eq!(refused(text), "holds no object of kind ModelDeployment", "{text:?}");
    }
}

#[test]
fn fields_that_do_not_exist_are_refused_by_their_path() {
    let text =
        model("{image: {repository: a/b, tagg: x}, server: {prot: 80}, replica: 2, podTemplate: {spec: {any: 1}}}");
    let message = refused(&text);
    for field in ["spec.image.tagg", "spec.server.prot", "spec.replica"] {
        assert!(
            message.contains(&format!("{field},")) || message.contains(&format!("{field} (")),
            "{field}: {message}"
        );
    }
    assert!(message.contains("'grape-scorer'") && message.contains("kubectl explain mdl.spec"), "{message}");
    assert!(!message.contains('?') && !message.contains("any"), "{message}");
}

#[test]
fn all_faults_of_a_model_are_told_at_once() {
    let message =
        refused(&model("{image: {repository: 'a/b:c', pin: x}, server: {port: 9800}, rollout: {deadline: soon}}"));
    for field in ["spec.image.repository", "spec.image.pin", "spec.server.port", "spec.rollout.deadline"] {
        assert!(message.contains(&format!("\n  {field}: ")), "{field}: {message}");
    }
}

#[test]
fn a_model_without_a_name_or_a_spec_is_refused() {
    assert!(refused("kind: ModelDeployment\nspec: {image: {repository: a/b}}\n").contains("metadata.name"));
    let message = refused("kind: ModelDeployment\nmetadata: {name: grape-scorer}\n");
    assert!(message.contains("kubectl explain mdl.spec"), "{message}");
}

#[test]
fn one_bad_document_spoils_the_file() {
    let text = format!("{}---\n{}", model("{image: {repository: a/b}}"), model("{image: {repository: 'a/b:c'}}"));
    assert!(refused(&text).contains("spec.image.repository"));
}

#[test]
fn an_unknown_digest_is_a_row_of_zeros_and_a_given_one_wins_over_a_pin() {
    let text = model(&format!("{{image: {{repository: a/b, pin: 'sha256:{}'}}}}", "2".repeat(64)));
    assert!(
        render(&text, None, "default", &sidecar(), &Map::new())
            .unwrap()
            .contains(&format!("docker.io/a/b@sha256:{}", "2".repeat(64)))
    );
    let given = Digest::parse(DIGEST).unwrap();
    assert!(
        render(&text, Some(&given), "default", &sidecar(), &Map::new())
            .unwrap()
            .contains(&format!("docker.io/a/b@{DIGEST}"))
    );
    let unknown = render(&model("{image: {repository: a/b}}"), None, "default", &sidecar(), &Map::new()).unwrap();
    assert!(unknown.contains(&format!("docker.io/a/b@sha256:{}", "0".repeat(64))));
}

#[test]
fn who_closes_the_pipe_early_sees_no_error() {
    let render = ["render", "-f", "manifests/samples/minimal.yaml", "--digest", DIGEST];
    for arguments in [&render[..], &["crds"], &["alerts"], &["panels"], &["metrics"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_modelship"));
        let output = command.args(arguments).current_dir(repository()).stdout(writer).output().unwrap();
        assert_eq!((Some(0), ""), (output.status.code(), &*String::from_utf8_lossy(&output.stderr)), "{arguments:?}");
    }
}
