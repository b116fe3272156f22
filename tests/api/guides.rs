//! What guides and manifests say, word for word, before a real API server.

use std::{fs, path::Path, process::Stdio};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use modelship::{
    api::{conditions, names},
    resources::ChildKind,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    lifecycle::{repository, spec},
    support::{
        Kubelet, Operator, World, eventually, kubelet, registry,
        world::{CRD_UNCHANGED, setting},
    },
};

/// Somebody with a checkout, kubectl and modelship, whose current namespace is the test's.
struct Person(TempDir);

impl Person {
    async fn of(world: &World) -> Self {
        let person = Self(tempfile::tempdir().expect("a folder"));
        fs::copy(setting("MODELSHIP_TEST_KUBECONFIG"), person.kubeconfig()).expect("copied");
        person.does(&format!("kubectl config set-context --current --namespace {}", world.namespace)).await;
        person
    }

    fn kubeconfig(&self) -> std::path::PathBuf {
        self.0.path().join("kubeconfig")
    }

    /// What a line of shell prints, or complains of.
    async fn tries(&self, line: &str) -> Result<String, String> {
        let ours = Path::new(env!("CARGO_BIN_EXE_modelship")).parent().expect("a folder").display();
        let path = std::env::var("PATH").expect("a path");
        let mut command = Command::new("bash");
        command.args(["-c", line]).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).kill_on_drop(true);
        command.env("PATH", format!("{}:{ours}:{path}", setting("MODELSHIP_TEST_BIN")));
        command.env("KUBECONFIG", self.kubeconfig()).env("DOCKER_CONFIG", "/nowhere");
        let output = command.output().await.expect("a shell");
        let told = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        if output.status.success() { Ok(told) } else { Err(told) }
    }

    async fn does(&self, line: &str) -> String {
        self.tries(line).await.unwrap_or_else(|told| panic!("{line}: {told}"))
    }
}

/// The commands of a guide, in order.
fn commands(guide: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(guide)).expect("the guide");
    text.lines().filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)).collect()
}

#[tokio::test]
async fn the_guide_of_going_back_leads_there_and_forward_again() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("goingback").await;
    let person = Person::of(&world).await;
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let first = registry::push(&repository(&world), "latest", "1");
    world.apply("credit-scoring", spec(&world)).await;
    world.serves("credit-scoring", &first).await;
    let second = registry::push(&repository(&world), "latest", "2");
    world.serves("credit-scoring", &second).await;
    let commands = commands("docs/guides/rollback.md");
    let [history, pin, wait, unpin] = &commands[..] else { panic!("other commands than these: {commands:?}") };

    let history = person.does(history).await;
    let digests: Vec<&str> = history.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(digests, [&second, &first], "{history}");
    person.does(&pin.replace("sha256:…", &first)).await;
    person.does(&wait.replace("sha256:…", &first)).await;
    world.condition("credit-scoring", conditions::READY, "True", "Pinned").await;

    let third = registry::push(&repository(&world), "latest", "3");
    let told = person.tries(&wait.replace("sha256:…", &third)).await.expect_err("it is pinned");
    assert!(told.contains(&format!("it is pinned to {first}")), "{told}");
    let undone = person.does("kubectl rollout undo deployment/credit-scoring").await;
    assert!(undone.contains("rolled back"), "{undone}");
    eventually("the template to be put back", || async {
        let deployment = world.child(ChildKind::Deployment, "credit-scoring").await.expect("the Deployment");
        let (seen, put_back) =
            (&deployment["metadata"]["generation"], deployment["spec"]["template"].to_string().contains(&first));
        if put_back { Ok(()) } else { Err(seen.clone()) }
    })
    .await;
    world.serves("credit-scoring", &first).await;

    person.does(unpin).await;
    world.serves("credit-scoring", &third).await;
    operator.stop().await;
    world.end().await;
}

/// kubectl prints what the server warns of.
#[tokio::test]
async fn a_namespace_that_enforces_the_restricted_standard_takes_the_sample_without_a_warning() {
    let _unchanged = CRD_UNCHANGED.read().await;
    let world = World::new("restricted").await;
    let person = Person::of(&world).await;
    let modes = ["enforce", "warn"].map(|mode| (format!("pod-security.kubernetes.io/{mode}"), json!("restricted")));
    let labels = json!({"metadata": {"labels": serde_json::Map::from_iter(modes)}});
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(&labels)).await.expect("labelled");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    let operator = Operator::start(&world);
    let digest = registry::push(&repository(&world), "latest", "1");
    let warned = async || {
        let deployment = world.child(ChildKind::Deployment, "churn").await.expect("the Deployment");
        let again = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "again"}, "spec": deployment["spec"],
        });
        let file = person.0.path().join("again.json");
        fs::write(&file, again.to_string()).expect("written");
        let told = person.does(&format!("kubectl create --dry-run=server --filename {}", file.display())).await;
        assert!(told.contains("deployment.apps/again created"), "{told}");
        told.contains("Warning: would violate PodSecurity")
    };
    world.apply("churn", spec(&world)).await;
    world.condition("churn", conditions::READY, "False", "PodsRefused").await;
    assert!(warned().await, "without the sample's lines the server warns");

    let sample = include_str!("../../manifests/samples/restricted.yaml");
    let sample: Value = serde_saphyr::from_str(sample).expect("YAML");
    let mut strict = spec(&world);
    strict["podTemplate"] = sample["spec"]["podTemplate"].clone();
    world.apply("churn", strict).await;
    world.serves("churn", &digest).await;
    assert!(!warned().await, "with them it does not");
    // The guide shows the same lines.
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/restricted-namespaces.md"))
        .expect("the guide");
    let shown = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("lines");
    let shown: Value = serde_saphyr::from_str(shown).expect("YAML");
    assert_eq!(shown["spec"]["podTemplate"], sample["spec"]["podTemplate"]);
    for command in commands("docs/guides/restricted-namespaces.md") {
        person.does(&command.replace(" models ", &format!(" {} ", world.namespace))).await;
    }
    operator.stop().await;
    world.end().await;
}

#[tokio::test]
async fn the_operator_that_kustomize_has_applied_goes_without_the_models_and_helm_may_take_it_over() {
    // The base brings the CRD along.
    let _alone = CRD_UNCHANGED.write().await;
    let world = World::new("kustomized").await;
    let person = Person::of(&world).await;
    let before = world.apply("churn", spec(&world)).await.metadata.uid;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let definition =
        async || definitions.get("modeldeployments.modelship.dev").await.expect("the definition").metadata.uid;
    let defined = definition().await;

    person.does("kubectl apply -k manifests/default").await;
    let operator = "kubectl --namespace modelship-system get deployment modelship --output name";
    assert_eq!(person.does(operator).await.trim(), "deployment.apps/modelship");
    let helm = "helm4 install modelship charts/modelship --namespace modelship-system --take-ownership";
    person.does(helm).await;
    person.does("helm4 uninstall modelship --namespace modelship-system --wait").await;
    person.does("kubectl apply -k manifests/default").await;
    person.does("kubectl delete -k manifests/operator").await;
    let gone = person.tries(operator).await.expect_err("the operator is gone");
    assert!(gone.contains("NotFound"), "{gone}");
    assert_eq!((definition().await, world.model("churn").await.metadata.uid), (defined, before));
    world.end().await;
}

/// What a guide says of a NetworkPolicy is no less than what the operator and the chart write themselves.
#[tokio::test]
async fn the_policies_of_the_guide_are_taken_by_the_server_and_name_the_ports_that_are_there() {
    let world = World::new("ports").await;
    let person = Person::of(&world).await;
    let guide =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/network-policies.md")).expect("the guide");
    let policies: Vec<&str> = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(policies.len() >= 2, "{policies:?}");
    for policy in policies {
        let file = person.0.path().join("policy.yaml");
        fs::write(&file, policy).expect("written");
        let told = person.does(&format!("kubectl apply --dry-run=server --filename {}", file.display())).await;
        assert!(told.contains("networkpolicy.networking.k8s.io/") && !told.contains("Warning"), "{told}");
    }
    for port in names::EXPORTER_PORTS {
        assert!(guide.contains(&port.to_string()), "the guide says nothing of port {port}");
    }
    world.end().await;
}
