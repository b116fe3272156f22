//! One round: objects are applied in a namespace of their own, and either the operator or the bare client makes the
//! children.

use std::{
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::mpsc;

use super::{
    CONCURRENCY,
    audit::{Audit, Request},
    bare::{Digests, Lesson},
    load::{Children, Shape, create},
    process::{Memory, Operator, Recipe},
    support::World,
};

/// What all rounds share.
pub struct Bench {
    pub recipe: Recipe,
    pub audit: Audit,
    /// Whose requests are counted: the operator's and the bare client's.
    pub user: String,
    pub digests: Digests,
    /// Fresh namespaces, made in time: while the controller manager stands still none gets its ServiceAccount.
    worlds: Mutex<Vec<World>>,
}

/// A round of the operator.
pub struct Round {
    pub world: World,
    pub shape: Shape,
    pub count: usize,
    /// From the first apply to the last child.
    pub elapsed: Duration,
    /// Every request of the operator in the namespace until it came to rest; no lists and watches.
    pub requests: Vec<Request>,
    pub cpu: Duration,
    pub empty: Memory,
    pub full: Memory,
}

impl Round {
    pub fn writes(&self) -> usize {
        self.requests.iter().filter(|request| request.is_write()).count()
    }
}

impl Bench {
    pub fn new(recipe: Recipe, audit: Audit, user: String, digests: Digests) -> Self {
        Self { recipe, audit, user, digests, worlds: Mutex::default() }
    }

    /// Makes namespaces for so many rounds, each with its repetition by the bare client.
    pub async fn make_worlds(&self, rounds: usize) {
        for _ in 0..2 * rounds {
            let world = World::installed("bench").await;
            self.worlds.lock().expect("no panic").push(world);
        }
    }

    fn empty_world(&self) -> World {
        self.worlds.lock().expect("no panic").pop().expect("a namespace for each round")
    }

    /// Starts an operator for the namespace; returns it when its caches are filled and it has nothing to do.
    pub async fn operator(&self, world: &World) -> Operator {
        let operator = self.recipe.start(&world.namespace).await;
        self.audit.calm().await;
        operator
    }

    /// Lets the operator work.
    pub async fn round(&self, shape: Shape, count: usize) -> Round {
        let world = self.empty_world();
        let operator = self.operator(&world).await;
        let (empty, before, mark) = (operator.memory(), operator.cpu(), self.audit.mark());
        let elapsed = clocked(&world, shape, count, create(&world, shape, 0..count, None)).await;
        self.audit.calm().await;
        let requests = self.requests_of_objects(mark, &world.namespace);
        let (full, cpu) = (operator.memory(), operator.cpu() - before);
        Round { world, shape, count, elapsed, requests, cpu, empty, full }
    }

    /// Lets the bare client repeat what the operator did.
    pub async fn repeat(&self, round: &Round) -> Duration {
        let Round { world, shape, count, requests, .. } = round;
        let lesson = Lesson { world, shape: *shape, count: *count, requests, digests: &self.digests };
        let world = self.empty_world();
        let script = lesson.script(&world.namespace).await;
        let client = Client::try_from(self.config().await).expect("a client");
        script.warm(&client).await;
        self.audit.calm().await;
        let (tell, created) = mpsc::channel(CONCURRENCY);
        let work = async {
            tokio::join!(create(&world, *shape, 0..*count, Some(tell)), script.play(&client, created));
        };
        let elapsed = clocked(&world, *shape, *count, work).await;
        self.audit.calm().await;
        elapsed
    }

    /// The user's requests since then that are about objects of the namespace, the lease aside.
    pub fn requests_of_objects(&self, mark: super::audit::Mark, namespace: &str) -> Vec<Request> {
        let mut requests = self.audit.since(mark, &self.user);
        requests.retain(|request| request.namespace == namespace && request.model().is_some() && !request.is_watch());
        requests
    }

    async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(&self.recipe.kubeconfig).expect("the operator's kubeconfig");
        let options = KubeConfigOptions::default();
        Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a usable kubeconfig")
    }
}

/// From the beginning of some work to the last child; what of the work remains then is done before this returns.
async fn clocked(world: &World, shape: Shape, count: usize, work: impl Future<Output = ()>) -> Duration {
    let children = Children::watch(world, shape, count).await;
    let began = Instant::now();
    let ((), complete) = tokio::join!(work, children.complete());
    complete - began
}

/// The operator's binary, unless another is to be measured.
pub fn own_binary() -> PathBuf {
    env!("CARGO_BIN_EXE_modelship").into()
}
