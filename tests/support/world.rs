//! A namespace of its own for each test, on the cluster that `tests/run` has started.

use std::{
    fmt::Debug,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{core::v1::Namespace, events::v1::Event},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{DynamicObject, NamespaceResourceScope},
};
use modelship::{
    api::{ModelDeploymentStatus, StoredModelDeployment, conditions, names, schema},
    resources::ChildKind,
};
use serde_json::{Value, json};

/// Read by tests that rely on the CRD's rules, or on watches that nothing interrupts; written by those that change it.
pub static CRD_UNCHANGED: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// How long anything may take before the test fails. Generous: it costs only failing tests.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A setting of the test environment.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests by 'make test' or tests/run"))
}

/// Waits until `look` gives something; fails after [`DEADLINE`] with what it saw last.
pub async fn eventually<T, S, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, S>>,
    S: Debug,
{
    eventually_within(DEADLINE, what, look).await
}

/// As [`eventually`], with another deadline.
pub async fn eventually_within<T, S, F>(deadline: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, S>>,
    S: Debug,
{
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > deadline => {
                panic!("waited {deadline:?} in vain for {what}; last seen: {seen:#?}")
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The client configuration of the cluster under test; never the user's own context.
pub async fn config() -> Config {
    // Only the first caller's provider counts; a second install is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig =
        Kubeconfig::read_from(setting("MODELSHIP_TEST_KUBECONFIG")).expect("the test cluster's kubeconfig");
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a usable kubeconfig")
}

/// A test's own namespace and an administrator's client.
pub struct World {
    pub client: Client,
    pub config: Config,
    pub namespace: String,
    /// How long the world's own waits may take.
    pub patience: Duration,
}

impl World {
    /// Makes a namespace named after the test, and sees to it that the CRD is there: once for all tests, for one of them
    /// changes it for a while.
    pub async fn new(test: &str) -> Self {
        static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
        INSTALLED
            .get_or_init(|| async {
                let client = Client::try_from(config().await).expect("a client");
                install_crd(&client).await;
            })
            .await;
        Self::installed(test).await
    }

    /// Makes a namespace named after the test, where Modelship is installed already.
    pub async fn installed(test: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let config = config().await;
        let client = Client::try_from(config.clone()).expect("a client");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{test}-{}-{number}", std::process::id());
        let world = Self { client, config, namespace, patience: DEADLINE };
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}});
        let api: Api<Namespace> = Api::all(world.client.clone());
        api.patch(&world.namespace, &PatchParams::apply("test"), &Patch::Apply(&body)).await.expect("a namespace");
        // Pods are refused until their ServiceAccount is there.
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = world.api();
        eventually("the default ServiceAccount", || async {
            accounts.get_opt("default").await.expect("an answer").ok_or("none yet")
        })
        .await;
        world
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// ModelDeployments as they are sent, whatever is in them.
    pub fn models(&self) -> Api<DynamicObject> {
        let resource = kube::core::ApiResource::erase::<StoredModelDeployment>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub fn children(&self, kind: ChildKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.api_resource())
    }

    /// The child as JSON, if it exists.
    pub async fn child(&self, kind: ChildKind, name: &str) -> Option<Value> {
        self.children(kind).get_opt(name).await.expect("an answer").map(|object| json!(object))
    }

    /// All of Modelship's objects of a kind in the namespace.
    pub async fn list(&self, kind: ChildKind) -> Vec<DynamicObject> {
        let ours = ListParams::default().labels(&format!("{}={}", names::MANAGED_BY, names::MODELSHIP));
        self.children(kind).list(&ours).await.expect("a list").items
    }

    /// Creates or replaces the spec of a model, as `kubectl apply` does.
    pub async fn apply(&self, name: &str, spec: Value) -> StoredModelDeployment {
        self.try_apply(name, spec).await.expect("the API server takes the spec")
    }

    pub async fn try_apply(&self, name: &str, spec: Value) -> Result<StoredModelDeployment, kube::Error> {
        let body = json!({
            "apiVersion": "modelship.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        });
        self.api().patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&body)).await
    }

    pub async fn model(&self, name: &str) -> StoredModelDeployment {
        self.api().get(name).await.expect("the ModelDeployment")
    }

    pub async fn status(&self, name: &str) -> ModelDeploymentStatus {
        self.model(name).await.known_status()
    }

    /// Waits until a condition of the current generation has that status and reason; `*` stands for any reason.
    pub async fn condition(&self, name: &str, kind: &str, status: &str, reason: &str) -> ModelDeploymentStatus {
        let what = format!("{kind}={status} ({reason}) on {name}");
        eventually_within(self.patience, &what, || async {
            let model = self.model(name).await;
            let known = model.known_status();
            let current = known.observed_generation == model.metadata.generation;
            let found = conditions::find(&known.conditions, kind)
                .is_some_and(|found| found.status == status && (reason == "*" || found.reason == reason));
            if current && found { Ok(known) } else { Err(model.status) }
        })
        .await
    }

    /// Waits until the model serves that digest, completely.
    pub async fn serves(&self, name: &str, digest: &str) -> ModelDeploymentStatus {
        eventually_within(self.patience, &format!("{name} to serve {digest}"), || async {
            let model = self.model(name).await;
            let known = model.known_status();
            let ready =
                conditions::find(&known.conditions, conditions::READY).is_some_and(|ready| ready.status == "True");
            let stable = known.stable.as_ref().is_some_and(|stable| stable.digest == digest);
            let current = known.observed_generation == model.metadata.generation;
            if ready && stable && current { Ok(known) } else { Err(model.status) }
        })
        .await
    }

    /// Reasons of the events about a model, oldest first.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let api: Api<Event> = self.api();
        let mut events = api.list(&ListParams::default()).await.expect("events").items;
        events.retain(|event| {
            event.regarding.as_ref().is_some_and(|about| {
                about.kind.as_deref() == Some("ModelDeployment") && about.name.as_deref() == Some(name)
            })
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events.into_iter().map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    /// ReplicaSets that were ever made for a model and still exist.
    pub async fn replica_sets(&self) -> Vec<k8s_openapi::api::apps::v1::ReplicaSet> {
        let api: Api<k8s_openapi::api::apps::v1::ReplicaSet> = self.api();
        api.list(&ListParams::default()).await.expect("ReplicaSets").items
    }

    /// Merges a patch into an object, as a person with kubectl would.
    pub async fn patch(&self, kind: ChildKind, name: &str, patch: Value) -> DynamicObject {
        let params = PatchParams { field_manager: Some("person".into()), ..PatchParams::default() };
        self.children(kind).patch(name, &params, &Patch::Merge(&patch)).await.expect("the patch is taken")
    }

    pub async fn delete(&self, kind: ChildKind, name: &str) {
        self.children(kind).delete(name, &DeleteParams::default()).await.expect("the object is deleted");
    }

    /// Removes the namespace without waiting for it.
    pub async fn end(self) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.delete(&self.namespace, &DeleteParams::default()).await.expect("the namespace is deleted");
    }
}

async fn install_crd(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = schema::crd();
    let params = PatchParams::apply("test").force();
    api.patch(&crd.name_any(), &params, &Patch::Apply(&crd)).await.expect("the CRD is taken");
    eventually("the CRD to be served", || async {
        let found = api.get(&crd.name_any()).await.expect("the CRD");
        let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
        let served = conditions.iter().any(|condition| condition.type_ == "Established" && condition.status == "True");
        if served { Ok(()) } else { Err(conditions) }
    })
    .await;
    let models: Api<StoredModelDeployment> = Api::all(client.clone());
    eventually("the resource to be listed", || async {
        models.list(&ListParams::default().limit(1)).await.map(|_| ())
    })
    .await;
}
