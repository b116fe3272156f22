use serde_json::{Value, json};

use super::*;
use crate::{
    controller::server::{Server, nested},
    images::Mirrors,
    monitoring::MailDefaults,
    resources::{exporter::Sidecar, template},
};

const DEADLINE: Duration = Duration::from_secs(60);
const LEADS: &str = "\nmodelship_leader 1\n";

struct Operator {
    metrics: Metrics,
    running: tokio::task::JoinHandle<Result<(), Error>>,
    stop: watch::Sender<bool>,
}

impl Operator {
    fn start(server: &Server) -> Self {
        // One per process; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let metrics = Metrics::new().unwrap();
        let mut mirrors = Mirrors::none();
        mirrors.add("docker.io=http://127.0.0.1:9?upstream=never").unwrap();
        let settings = Settings {
            client: server.client(),
            namespace: None,
            lease: LeaseSettings { namespace: "harbour".into(), name: "lease".into(), identity: "operator".into() },
            images: images::Config { mirrors, ..images::Config::default() },
            release: Release {
                render: template::render,
                sidecar: Sidecar {
                    image: format!("docker.io/a/b@sha256:{}", "5".repeat(64)),
                    pull_secrets: Vec::new(),
                },
                mail: MailDefaults::default(),
                renderer: Arc::default(),
            },
            own_service: None,
            metrics: metrics.clone(),
        };
        let (stop, stopped) = watch::channel(false);
        Self { metrics, running: tokio::spawn(run(settings, stopped)), stop }
    }

    fn page(&self) -> String {
        String::from_utf8(self.metrics.page().unwrap()).unwrap()
    }

    async fn shows(&self, line: &str, shown: bool) {
        let until = async {
            while self.page().contains(line) != shown {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(DEADLINE, until).await;
        assert!(done.is_ok(), "{line}, wanted: {shown}\n{}", self.page());
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(DEADLINE, self.running).await.expect("in time").expect("no panic").expect("it ends well");
    }
}

fn model(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"namespace": "tasting-room", "name": name, "uid": format!("uid-{name}"), "generation": 1},
        "spec": spec,
    })
}

fn spec() -> Value {
    json!({"image": {"repository": "alice/churn"}})
}

/// What was written to the status of a model, newest first.
fn told(server: &Server, name: &str) -> Vec<Value> {
    let of = format!("{name}/status");
    let writes = server.writes().into_iter().rev().filter(|(_, _, written, _)| *written == of);
    writes.map(|(.., body)| body["status"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_lead_to_standby_and_the_lease_is_taken_again() {
    let server = Server::default();
    let operator = Operator::start(&server);
    operator.shows(LEADS, true).await;
    for _ in 0..2 {
        server.fail_leases(true);
        operator.shows(LEADS, false).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(!operator.running.is_finished(), "it stands by");
        server.fail_leases(false);
        operator.shows(LEADS, true).await;
    }
    // Somebody else was quicker.
    server.set_lease(json!({"holderIdentity": "another", "leaseTransitions": 1}));
    operator.shows(LEADS, false).await;
    operator.shows(LEADS, true).await;
    operator.stop().await;
    assert_eq!(server.lease()["holderIdentity"], "", "it is given back");
}

#[tokio::test]
async fn a_model_that_cannot_be_read_is_told_so_and_the_others_are_looked_after() {
    let server = Server::default();
    let mut deep = spec();
    deep["podTemplate"] = nested(1000);
    server.put("modeldeployments", model("deep", deep));
    server.put("modeldeployments", model("grape", spec()));
    let operator = Operator::start(&server);
    operator.shows(r#"modelship_model_condition{model="grape""#, true).await;
    operator.shows(r#"modelship_model_condition{model="deep""#, true).await;
    let deep = &told(&server, "deep")[0]["conditions"];
    let ready = deep.as_array().unwrap().iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("InvalidSpec")), "{ready}");
    assert!(ready["message"].as_str().unwrap().contains("spec.podTemplate"), "{ready}");
    operator.stop().await;
}

#[tokio::test]
async fn a_model_that_is_deleted_in_the_middle_of_a_turn_leaves_nothing_behind() {
    let server = Server::default();
    server.put("modeldeployments", model("grape", json!({"image": {"repository": "alice/grape"}})));
    server.keep_silent(true);
    let operator = Operator::start(&server);
    let begun = async {
        while server.writes().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, begun).await.expect("the turn has begun");
    server.remove("modeldeployments", "grape");
    server.put("modeldeployments", model("merlot", spec()));
    // The watch has told of both by now: the other one's turn has come as far.
    let other = async {
        while !server.writes().iter().any(|(_, _, name, _)| name == "merlot") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, other).await.expect("the other turn has begun");
    server.keep_silent(false);
    operator.shows(r#"modelship_model_condition{model="merlot""#, true).await;
    operator.shows(r#"model="grape""#, false).await;
    operator.shows("\nmodelship_registry_references 1\n", true).await;
    operator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_breaks_off_is_told_by_its_name() {
    let metrics = Metrics::new().unwrap();
    let mut tasks = Tasks::new(metrics.clone());
    tasks.spawn("well", async {});
    tasks.spawn("ill", async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        panic!("as the test wants it");
    });
    tasks.spawn("long", std::future::pending());
    assert!(
        String::from_utf8(metrics.page().unwrap()).unwrap().contains(r#"modelship_broken_tasks_total{task="ill"} 0"#)
    );
    assert_eq!(tasks.broken().await, "ill");
    assert!(tokio::time::timeout(Duration::from_secs(60), tasks.broken()).await.is_err(), "the others are well");
}
