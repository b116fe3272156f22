//! Helm 4, which waits by kstatus and applies in the server, and Helm 3, whose releases it goes on with.

use std::{path::PathBuf, process::Stdio};

use modelship::{api::conditions, resources::ChildKind};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    lifecycle::{repository, spec},
    support::{
        Kubelet, Operator, World, kubelet, registry,
        world::{CRD_UNCHANGED, setting},
    },
};

/// Both Helms, at work in the namespace of one test.
struct Helm {
    namespace: String,
    home: TempDir,
}

impl Helm {
    fn of(world: &World) -> Self {
        Self { namespace: world.namespace.clone(), home: tempfile::tempdir().expect("a folder") }
    }

    async fn three(&self, arguments: &[&str]) -> Result<String, String> {
        self.run("helm", arguments).await
    }

    async fn four(&self, arguments: &[&str]) -> Result<String, String> {
        self.run("helm4", arguments).await
    }

    /// What it prints; what it complains of if it fails.
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = tokio::process::Command::new(PathBuf::from(setting("MODELSHIP_TEST_BIN")).join(program));
        command.args(arguments).args(["--namespace", &self.namespace]);
        command.arg("--kubeconfig").arg(setting("MODELSHIP_TEST_KUBECONFIG"));
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(home, self.home.path());
        }
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("Helm starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The path of a file for Helm to read.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    }

    /// A team's own chart, with one model in it.
    fn chart(&self) -> String {
        self.file("team/Chart.yaml", "{apiVersion: v2, name: team, version: 1.0.0}");
        let model = "apiVersion: modelship.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: churn}\nspec: {{ toJson .Values.spec }}\n";
        self.file("team/templates/model.yaml", model);
        self.home.path().join("team").to_str().expect("text").to_owned()
    }

    fn values(&self, spec: &Value) -> String {
        self.file("values.json", &json!({"spec": spec}).to_string())
    }
}

#[tokio::test]
async fn helm_four_is_done_with_a_model_once_it_serves_and_fails_as_soon_as_it_cannot() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("helmwait").await;
    let helm = Helm::of(&world);
    let digest = registry::push(&repository(&world), "latest", "1");
    let (chart, values) = (helm.chart(), helm.values(&spec(&world)));
    helm.three(&["install", "team", &chart, "--values", &values]).await.expect("Helm 3 installs");
    let upgrade = ["upgrade", "team", &chart, "--values", &values, "--server-side=true", "--wait"];
    let waiting = |time| [&upgrade[..], &["--timeout", time]].concat();
    // Nobody has looked at it: without a status it would be done at once. A slow machine may hear of nothing in a short time.
    let mut unseen = String::new();
    for time in ["2s", "5s", "15s"] {
        unseen = helm.four(&waiting(time)).await.expect_err("there is no operator");
        if unseen.contains("InProgress") {
            break;
        }
    }
    assert!(unseen.contains("ModelDeployment") && unseen.contains("InProgress"), "{unseen}");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    helm.four(&waiting("60s")).await.expect("it serves");
    let status = world.status("churn").await;
    let ready = conditions::find(&status.conditions, conditions::READY).expect("the condition");
    let served = status.stable.as_ref().map(|stable| stable.digest.as_str());
    assert_eq!((ready.status.as_str(), served), ("True", Some(digest.as_str())));
    let mut missing = spec(&world);
    missing["image"]["follow"] = json!({"tag": "never-pushed"});
    helm.values(&missing);
    let failed = helm.four(&waiting("60s")).await.expect_err("there is no such tag");
    assert!(failed.contains("status: Failed") && failed.contains("never-pushed"), "{failed}");
    assert!(!failed.contains("deadline exceeded"), "{failed}");
    // To the revision before, whatever its number is.
    helm.four(&["rollback", "team", "--wait", "--timeout", "60s"]).await.expect("it serves again");
    helm.four(&["uninstall", "team", "--wait", "--timeout", "60s"]).await.expect("it goes");
    assert_eq!(world.models().get_opt("churn").await.expect("an answer").map(|model| model.metadata), None);
    operator.stop().await;
    world.end().await;
}

/// Helm 3 writes objects itself, Helm 4 applies them in the server, where what another writer has once set stays.
#[tokio::test]
async fn modelships_chart_goes_on_from_helm_three_to_four_and_loses_what_its_values_drop() {
    // The chart brings the CRD along.
    let _alone = CRD_UNCHANGED.write().await;
    let world = World::new("modelship-chart").await;
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let helm = Helm::of(&world);
    let (chart, release) = (concat!(env!("CARGO_MANIFEST_DIR"), "/charts/modelship"), world.namespace.as_str());
    let digest = format!("image.digest=sha256:{}", "5".repeat(64));
    let common = ["--set", &digest, "--wait", "--timeout", "60s"];
    let with = |command: &[&'static str], more: &[&'static str]| {
        command.iter().chain(&[release, chart]).chain(&common).chain(more).copied().collect::<Vec<&str>>()
    };
    let told = ["--set", "logLevel=debug", "--set-string", "podAnnotations.vintage=1961"];
    helm.three(&with(&["install"], &[&told[..], &["--take-ownership"]].concat())).await.expect("Helm 3 installs");
    let operator = || async {
        let deployment = world.child(ChildKind::Deployment, release).await.expect("the operator");
        let template = &deployment["spec"]["template"];
        let arguments = template["spec"]["containers"][0].to_string();
        (arguments.contains("debug"), template["metadata"]["annotations"]["vintage"].clone())
    };
    assert_eq!(operator().await, (true, json!("1961")));
    helm.four(&with(&["upgrade"], &["--reset-values", "--server-side=true"])).await.expect("Helm 4 goes on");
    assert_eq!(operator().await, (false, Value::Null), "what is not in the values any more is gone");
    helm.four(&with(&["upgrade"], &told)).await.expect("Helm 4 upgrades its own");
    assert_eq!(operator().await, (true, json!("1961")));
    helm.four(&["rollback", release, "2", "--wait", "--timeout", "60s"]).await.expect("Helm 4 goes back");
    assert_eq!(operator().await, (false, Value::Null));
    helm.four(&["uninstall", release, "--wait", "--timeout", "60s"]).await.expect("Helm 4 uninstalls");
    assert_eq!(world.child(ChildKind::Deployment, release).await, None);
    let models = world.models().list(&Default::default()).await;
    assert!(models.is_ok(), "the CustomResourceDefinition stays, and so do all models: {models:?}");
    world.end().await;
}

/// What `helm uninstall` leaves in place belongs to a release that is gone, and no other gets it unasked.
#[tokio::test]
async fn installed_anew_under_another_name_modelship_finds_its_models_again_as_the_notes_say() {
    let _alone = CRD_UNCHANGED.write().await;
    let world = World::new("modelship-anew").await;
    let helm = Helm::of(&world);
    let digest = format!("image.digest=sha256:{}", "5".repeat(64));
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/modelship");
    let before = world.apply("churn", spec(&world)).await.metadata.uid;
    let mut last: Option<String> = None;
    for (program, name) in [("helm", "a"), ("helm", "b"), ("helm4", "c"), ("helm4", "d")] {
        let release = format!("{}-{name}", world.namespace);
        let install = ["install", &release, chart, "--set", &digest];
        if let Some(last) = &last {
            let refused = helm.run(program, &install).await.expect_err("the definition is another release's");
            assert!(refused.contains("ownership") && refused.contains(last), "{refused}");
        }
        let notes = helm.run(program, &[&install[..], &["--take-ownership"]].concat()).await;
        let notes = notes.unwrap_or_else(|error| panic!("{program} does not take it over: {error}"));
        assert!(
            notes.contains(&format!("helm install NAME CHART --namespace {} --take-ownership", world.namespace)),
            "{notes}"
        );
        helm.run(program, &["uninstall", &release]).await.expect("it goes");
        assert_eq!(world.child(ChildKind::Deployment, &release).await, None);
        last = Some(release);
    }
    assert_eq!(world.model("churn").await.metadata.uid, before, "the model is the one that it was");
    world.end().await;
}
