use pretty_assertions::assert_eq;
use serde_json::Value;

use super::*;
use crate::api::ValidSpec;

const PUBLISH: &str = include_str!("../../../.github/workflows/publish-model.yml");

fn arguments(directory: &Path, image: &str) -> Arguments {
    Arguments {
        directory: directory.to_owned(),
        image: image.into(),
        name: None,
        tracking_uri: None,
        dagshub: None,
        force: false,
    }
}

/// A repository with these files, each with its text.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    directory
}

fn written(directory: &Path, name: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(directory.join(name)).unwrap()).unwrap()
}

#[test]
fn a_project_gets_a_workflow_and_a_deployment_that_are_valid() {
    let directory = repository(&[("MLproject", "name: churn"), ("requirements.txt", "mlflow"), ("notes.md", "")]);
    let said = Arguments {
        tracking_uri: Some("https://mlflow.example.org".into()),
        ..arguments(directory.path(), "alice/churn_model")
    };
    init(&said).unwrap();
    let workflow = written(directory.path(), WORKFLOW.0);
    let inputs = workflow["jobs"]["model"]["with"].as_object().unwrap().clone();
    assert_eq!(inputs["image"], "alice/churn_model");
    assert_eq!(inputs["tracking-uri"], "https://mlflow.example.org");
    assert_eq!(
        workflow["on"]["push"]["paths"],
        serde_json::json!(["**.py", ".github/workflows/model.yml", "MLproject", "requirements.txt"])
    );
    let deployment = written(directory.path(), DEPLOYMENT.0);
    assert_eq!(deployment["metadata"]["name"], "churn-model");
    ValidSpec::parse("churn-model", &deployment["spec"]).unwrap();
}

#[test]
fn a_project_is_found_in_every_spelling_of_mlflow_s_and_in_folders_below() {
    for (files, found) in [
        (&["MLproject"][..], &["MLproject"][..]),
        (&["MLProject"], &["MLProject"]),
        (&["MLProject/MLProject", "README.md"], &["MLProject/MLProject"]),
        (&["MLProject/MLproject", "MLProject/conda.yaml"], &["MLProject/MLproject"]),
        (&["Workflow-CI/MLProject/MLProject", "Workflow-CI/README.md"], &["Workflow-CI/MLProject/MLProject"]),
        (&["A model/mlproject"], &["A model/mlproject"]),
        (&["mlproject", "old/MLproject"], &["mlproject"]),
        (&["old/MLproject", "Workflow-CI/MLProject/MLProject"], &["old/MLproject"]),
        (&["b/MLproject", "a/MLproject"], &["a/MLproject", "b/MLproject"]),
        (&["modelship-out/artifacts/MLproject", ".venv/MLproject", ".modelship/MLproject", "a/b/c/MLproject"], &[]),
        (&["MLproject.md", "notes/MLproject.txt"], &[]),
    ] {
        let named: Vec<(&str, &str)> = files.iter().map(|file| (*file, "name: churn")).collect();
        assert_eq!(repository::projects(repository(&named).path()), found, "{files:?}");
    }
}

#[test]
fn a_project_in_a_folder_is_trained_and_watched_as_a_whole() {
    let directory = repository(&[
        ("MLProject/MLProject", "name: churn"),
        ("MLProject/modelling.py", "mlflow.sklearn.log_model(model, serialization_format='cloudpickle')"),
    ]);
    let told = init(&arguments(directory.path(), "alice/churn")).unwrap();
    let workflow = written(directory.path(), WORKFLOW.0);
    assert_eq!(workflow["jobs"]["model"]["with"], serde_json::json!({"image": "alice/churn"}));
    assert_eq!(workflow["on"]["push"]["paths"], serde_json::json!(["**.py", WORKFLOW.0, "MLProject/**"]));
    assert!(!told.contains("skops") && !told.contains("Workflows of yours"), "{told}");
}

#[test]
fn of_several_projects_the_workflow_says_where_to_name_one() {
    let directory = repository(&[("a/MLproject", ""), ("b\"{$\n/MLproject", "")]);
    init(&arguments(directory.path(), "alice/churn")).unwrap();
    let text = fs::read_to_string(directory.path().join(WORKFLOW.0)).unwrap();
    assert!(text.contains("# train-command: mlflow run FOLDER --env-manager=local # of a/MLproject, b"), "{text}");
    let paths = &written(directory.path(), WORKFLOW.0)["on"]["push"]["paths"];
    assert_eq!(paths, &serde_json::json!(["**.py", WORKFLOW.0, "a/**", "b****/**"]));
}

#[test]
fn a_team_s_own_workflow_that_trains_or_publishes_is_named_with_the_line_that_does() {
    let directory = repository(&[
        (
            ".github/workflows/main.yml",
            "jobs:\n  # mlflow run .\n      - run: mlflow run MLProject --env-manager=local\n",
        ),
        (".github/workflows/image.yaml", "      - uses: docker/build-push-action@v6\n"),
        (".github/workflows/long.yml", &format!("      - run: mlflow run . {}\n", "-P name=value ".repeat(20))),
        (".github/workflows/lint.yml", "      - run: ruff check\n"),
        (
            ".github/workflows/ours.yml",
            "    uses: modelship/modelship/.github/workflows/publish-model.yml@v1 # mlflow run\n",
        ),
        ("MLProject/MLproject", "name: churn"),
    ]);
    let told = init(&arguments(directory.path(), "alice/churn")).unwrap();
    let named = |line: &&str| line.contains("  .github/workflows/");
    let (long, named): (Vec<&str>, Vec<&str>) = told.lines().filter(named).partition(|line| line.contains("long.yml"));
    assert!(long[0].ends_with("name=value -P …"), "{long:?}");
    assert_eq!(
        named,
        [
            "  .github/workflows/image.yaml: docker/build-push-action@v6",
            "  .github/workflows/main.yml: mlflow run MLProject --env-manager=local",
        ]
    );
    assert!(told.contains("take their triggers away"), "{told}");
}

#[test]
fn every_input_that_may_be_written_is_one_of_the_reusable_workflow() {
    let publish: Value = serde_saphyr::from_str(PUBLISH).unwrap();
    let known = publish["on"]["workflow_call"]["inputs"].as_object().unwrap();
    for name in ["image", "tracking-uri", "dagshub-repository", "run", "train-command"] {
        assert!(known.contains_key(name), "{name}");
    }
    for secret in ["DOCKERHUB_USERNAME", "DOCKERHUB_TOKEN", "DAGSHUB_USERNAME", "DAGSHUB_TOKEN", "PAT"] {
        assert!(publish["on"]["workflow_call"]["secrets"][secret].is_object(), "{secret}");
        assert!(told(&arguments(Path::new("."), "a/b"), &Found::default(), &[]).contains(secret));
    }
}

#[test]
fn the_workflow_gets_its_secrets_by_name_and_is_that_of_this_release() {
    let directory = repository(&[("MLproject", "")]);
    init(&arguments(directory.path(), "alice/churn")).unwrap();
    let job = &written(directory.path(), WORKFLOW.0)["jobs"]["model"];
    let release = concat!("modelship/modelship/.github/workflows/publish-model.yml@v", env!("CARGO_PKG_VERSION"));
    assert_eq!(job["uses"], release);
    let publish: Value = serde_saphyr::from_str(PUBLISH).unwrap();
    let mut handed_on = job["secrets"].as_object().unwrap().clone();
    // Only with an input that this workflow does not have.
    assert!(!handed_on.contains_key("KUBECONFIG"));
    handed_on.insert("KUBECONFIG".into(), "${{ secrets.KUBECONFIG }}".into());
    let known = publish["on"]["workflow_call"]["secrets"].as_object().unwrap().keys();
    let known: serde_json::Map<String, Value> =
        known.map(|name| (name.clone(), format!("${{{{ secrets.{name} }}}}").into())).collect();
    assert_eq!(handed_on, known);
}

#[test]
fn every_text_that_people_copy_from_names_this_release_and_its_secrets() {
    for (file, text) in [
        ("publish-model.yml", PUBLISH),
        ("README.md", include_str!("../../../README.md")),
        ("attrition", include_str!("../../python/walkthroughs/attrition/README.md")),
        ("image-classifier", include_str!("../../python/walkthroughs/image-classifier/README.md")),
        ("keras-pictures", include_str!("../../python/walkthroughs/keras-pictures/README.md")),
        ("label-encoded", include_str!("../../python/walkthroughs/label-encoded/README.md")),
        ("mlflow-project", include_str!("../../python/walkthroughs/mlflow-project/README.md")),
        ("score-gate", include_str!("../../python/walkthroughs/score-gate/README.md")),
    ] {
        let releases: Vec<&str> = text.split("workflows/publish-model.yml@").skip(1).collect();
        let release = concat!("v", env!("CARGO_PKG_VERSION"), "\n");
        assert!(!releases.is_empty() && releases.iter().all(|rest| rest.starts_with(release)), "{file}");
        assert!(!text.contains("secrets: inherit"), "{file}");
    }
}

#[test]
fn a_dockerfile_s_port_is_that_of_the_server_and_without_mlflow_no_run_is_asked_for() {
    let directory = repository(&[("Dockerfile", "FROM x\nEXPOSE 5000/tcp 9000\n"), ("train.py", "import torch")]);
    init(&arguments(directory.path(), "alice/digits")).unwrap();
    let deployment = written(directory.path(), DEPLOYMENT.0);
    assert_eq!(deployment["spec"]["server"], serde_json::json!({"type": "http", "port": 5000}));
    ValidSpec::parse("digits", &deployment["spec"]).unwrap();
    assert_eq!(written(directory.path(), WORKFLOW.0)["jobs"]["model"]["with"]["run"], "none");
}

#[test]
fn a_training_that_does_not_name_the_format_is_told_what_mlflow_s_default_refuses() {
    let hint = r#"serialization_format="cloudpickle""#;
    let told = |text: &str| init(&arguments(repository(&[("modelling.py", text)]).path(), "alice/churn")).unwrap();
    let forest = "import mlflow\nmlflow.sklearn.log_model(model)";
    assert!(told(forest).contains(hint) && told(forest).contains("skops_trusted_types"));
    for text in ["import torch", "mlflow.sklearn.log_model(model, serialization_format='cloudpickle')"] {
        assert!(!told(text).contains(hint), "{text}");
    }
    // A project's script may have any name.
    let project = repository(&[("MLproject", "name: churn")]);
    assert!(init(&arguments(project.path(), "alice/churn")).unwrap().contains(hint));
}

#[test]
fn every_walk_through_that_logs_to_mlflow_says_what_its_default_format_refuses() {
    for (name, text) in [
        ("README.md", include_str!("../../../README.md")),
        ("walkthroughs", include_str!("../../python/walkthroughs/README.md")),
        ("attrition", include_str!("../../python/walkthroughs/attrition/README.md")),
        ("label-encoded", include_str!("../../python/walkthroughs/label-encoded/README.md")),
        ("mlflow-project", include_str!("../../python/walkthroughs/mlflow-project/README.md")),
        ("score-gate", include_str!("../../python/walkthroughs/score-gate/README.md")),
    ] {
        assert!(text.contains(r#"serialization_format="cloudpickle""#) && text.contains("skops"), "{name}");
    }
}

#[test]
fn nothing_is_written_over_unless_it_is_said_and_then_all_of_it() {
    let directory = repository(&[("modeldeployment.yaml", "mine")]);
    let said = arguments(directory.path(), "alice/model");
    let error = init(&said).unwrap_err();
    assert!(error.contains("modeldeployment.yaml is there already; --force"), "{error}");
    assert!(!directory.path().join(WORKFLOW.0).exists());
    init(&Arguments { force: true, ..said }).unwrap();
    assert_eq!(written(directory.path(), DEPLOYMENT.0)["kind"], "ModelDeployment");
}

#[test]
fn what_cannot_be_is_refused_with_the_argument_s_name() {
    let directory = repository(&[]);
    let plain = || arguments(directory.path(), "alice/model");
    let uri = |uri: &str| Arguments { tracking_uri: Some(uri.into()), ..plain() };
    let dagshub = |text: &str| Arguments { dagshub: Some(text.into()), ..plain() };
    let name = |name: &str| Arguments { name: Some(name.into()), ..plain() };
    for (said, words) in [
        (arguments(directory.path(), "alice/model:latest"), "--image"),
        (arguments(&directory.path().join("gone"), "alice/model"), "is no directory"),
        (uri("https://alice:secret@mlflow.example.org"), "--tracking-uri"),
        (uri("mlflow.example.org"), "--tracking-uri"),
        (uri("https://x\n      evil: true"), "--tracking-uri"),
        (dagshub("alice"), "--dagshub"),
        (dagshub("alice/a b"), "--dagshub"),
        (name("9lives"), "--name"),
        (name(&"a".repeat(46)), "--name"),
    ] {
        let error = init(&said).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_name_is_made_of_the_image_s_last_part() {
    assert_eq!(name_of("alice/credit.scoring_model"), "credit-scoring-model");
    assert_eq!(name_of(&format!("alice/{}-x", "a".repeat(44))), "a".repeat(44));
    assert!(is_name(&name_of("alice/model")));
}
