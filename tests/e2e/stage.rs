//! One test's part of the cluster that all tests share.

use std::{ops::Deref, path::Path, process::Command, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use modelship::{
    api::{StoredModelDeployment, conditions, names, status::FoundReading},
    resources::ChildKind,
};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    asking::{self, Asker},
    operator,
    support::{World, audit, eventually_within, registry, world::setting},
};

/// Longer than any pull, start and roll-out of a real model takes on a busy machine; it costs only failing tests.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Held by every test: shared, or alone by one that ends, stops or hampers the operator.
static OPERATOR: RwLock<()> = RwLock::const_new(());

enum Hold {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

/// A namespace, and a hold on the operator.
pub struct Stage {
    world: World,
    hold: Hold,
}

impl Deref for Stage {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Stage {
    /// Beside other tests.
    pub async fn shared(test: &str) -> Self {
        let hold = Hold::Shared { _guard: OPERATOR.read().await };
        Self::open(test, hold).await
    }

    /// With no other test at work: this one lays hands on the operator.
    pub async fn alone(test: &str) -> Self {
        let hold = Hold::Alone { _guard: OPERATOR.write().await };
        Self::open(test, hold).await
    }

    async fn open(test: &str, hold: Hold) -> Self {
        let mut world = World::installed(test).await;
        world.patience = PATIENCE;
        // A test that failed may have left it without rights or away.
        operator::mend(&world).await;
        Self { world, hold }
    }

    /// Removes what the test made. Nothing may have been refused to the operator on the way for want of rights.
    pub async fn end(self) {
        let refused: Vec<_> =
            operator::requests(&self.namespace).into_iter().filter(audit::Entry::unauthorised).collect();
        assert!(refused.is_empty(), "the chart's ClusterRole lacks rights: {refused:#?}");
        self.end_hampered().await;
    }

    /// As [`Stage::end`], for a test that took rights away from the operator.
    pub async fn end_hampered(self) {
        // Models first: the operator would go on making children in a namespace that ends.
        let models = self.api::<StoredModelDeployment>();
        models.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("deleted");
        self.eventually("the models to be gone", || async {
            let left = models.list(&ListParams::default()).await.expect("a list").items;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
        self.world.end().await;
        drop(self.hold);
    }

    pub async fn eventually<T, S, F>(&self, what: &str, look: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, S>>,
        S: std::fmt::Debug,
    {
        eventually_within(PATIENCE, what, look).await
    }

    /// The repository of this test alone.
    pub fn repository(&self) -> String {
        format!("alice/{}", self.namespace)
    }

    /// Follows `latest` of the test's repository, as often as may be.
    pub fn spec(&self) -> Value {
        json!({"image": {"repository": self.repository(), "pollInterval": "5s"}})
    }

    /// Pushes a model server that gives that answer; returns the digest.
    pub fn push(&self, answer: &str) -> String {
        registry::push(&self.repository(), "latest", answer)
    }

    /// As [`Stage::push`], with further options.
    pub fn push_with(&self, answer: &str, options: &[&str]) -> String {
        registry::push_with(&self.repository(), "latest", &[&["--answer", answer], options].concat())
    }

    /// Waits for a condition; returns its words.
    pub async fn told(&self, kind: &str, status: &str, reason: &str) -> String {
        let found = self.condition("churn", kind, status, reason).await;
        conditions::find(&found.conditions, kind).expect("the condition").message.clone()
    }

    /// Waits until status says how the model's predictions are read, which the spec leaves open.
    pub async fn reading_found(&self, model: &str) -> FoundReading {
        self.eventually("status to say how predictions are read", || async {
            let status = self.status(model).await;
            status.predictions.clone().ok_or(status)
        })
        .await
    }

    /// Asks so often that one whole number, again and again, is a class for good, and waits until status says so.
    pub async fn reading_settled(&self, model: &str) {
        const SETTLES: usize = 110;
        for _ in 0..SETTLES {
            self.ask_once(model).await;
        }
        self.eventually("status to say that it is settled how predictions are read", || async {
            let status = self.status(model).await;
            let settled = status.predictions.as_ref().and_then(|found| found.settled);
            if settled == Some(true) { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// Where users POST, by an address that this machine reaches: it has no cluster DNS.
    pub async fn url(&self, model: &str) -> String {
        let service = self.child(ChildKind::Service, model).await.expect("the Service");
        let spec = &service["spec"];
        let address = spec["clusterIP"].as_str().expect("an address");
        format!("http://{address}:{}/invocations", spec["ports"][0]["port"])
    }

    /// Asks through the Service; the prediction as JSON. A node may learn of the first pod behind a Service up to a second
    /// after the API server: it refuses connections until then.
    pub async fn ask(&self, model: &str) -> String {
        self.ask_with(model, asking::ROW).await
    }

    pub async fn ask_with(&self, model: &str, request: &'static str) -> String {
        let (client, url) = (asking::client(), self.url(model).await);
        self.eventually("an answer", || asking::ask(&client, &url, request)).await
    }

    /// Asks on and on, from the first answer on.
    pub async fn asker(&self, model: &str, request: &'static str) -> Asker {
        self.ask_with(model, request).await;
        Asker::start(self.url(model).await, request)
    }

    /// Asks once, of a model that serves all the time.
    pub async fn ask_once(&self, model: &str) -> String {
        asking::ask(&asking::client(), &self.url(model).await, asking::ROW).await.expect("an answer")
    }

    /// The model's pods that are not on their way out.
    pub async fn pods(&self, model: &str) -> Vec<Pod> {
        let mut pods = self.all_pods(model).await;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods
    }

    pub async fn all_pods(&self, model: &str) -> Vec<Pod> {
        let api: Api<Pod> = self.api();
        let of_model = ListParams::default().labels(&format!("{}={model}", names::MODEL));
        api.list(&of_model).await.expect("pods").items
    }

    /// Waits until no pod but those of that digest is left, not even one that ends.
    pub async fn only_pods_of(&self, model: &str, digest: &str) {
        self.eventually("the pods of other versions to be gone", || async {
            let mut others = self.all_pods(model).await;
            others.retain(|pod| !image(pod).ends_with(digest));
            if others.is_empty() { Ok(()) } else { Err(others.iter().map(ResourceExt::name_any).collect::<Vec<_>>()) }
        })
        .await;
    }

    /// What the node says that it runs must be one of these digests: the version's own, or its platform's.
    pub async fn nodes_run(&self, model: &str, digests: &[&str]) {
        let pods = self.pods(model).await;
        assert!(!pods.is_empty(), "{model} has no pods");
        for pod in pods {
            let status = pod.status.clone().unwrap_or_default();
            let containers = status.container_statuses.unwrap_or_default();
            let model = containers.iter().find(|container| container.name == names::MODEL_CONTAINER);
            let ran = &model.expect("the model's container").image_id;
            assert!(digests.iter().any(|digest| ran.ends_with(digest)), "{} runs {ran}", pod.name_any());
            assert!(image(&pod).contains("@sha256:"), "{} was told to run {}", pod.name_any(), image(&pod));
        }
    }

    /// Names of ReplicaSets that were made in this namespace, by the audit log.
    pub fn replica_sets_made(&self) -> usize {
        let made = audit::entries(&self.namespace).into_iter().filter(|entry| {
            let made = entry.verb() == "create" && entry.resource() == "replicasets" && entry.code() == 201;
            made && entry.namespace() == self.namespace
        });
        made.count()
    }
}

/// The image that a pod was told to run.
pub fn image(pod: &Pod) -> String {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let model = containers.iter().find(|container| container.name == names::MODEL_CONTAINER);
    model.and_then(|model| model.image.clone()).unwrap_or_default()
}

/// What kubectl prints.
pub fn kubectl(arguments: &[&str]) -> String {
    let program = Path::new(&setting("MODELSHIP_TEST_BIN")).join("kubectl");
    let kubeconfig = setting("MODELSHIP_TEST_KUBECONFIG");
    let output = Command::new(program).args(["--kubeconfig", &kubeconfig]).args(arguments).output().expect("kubectl");
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
