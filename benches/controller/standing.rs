//! What a controller costs while nothing happens: restarts with all in place, requests at rest, memory.

use std::time::Duration;

use super::{
    audit::Request,
    load::{Children, SCALED_TO_ZERO, Shape, create, name},
    process::{Memory, Operator},
    rounds::Bench,
    support::{Kubelet, World, kubelet::serving},
};

/// One start over objects that have all their children.
pub struct Restart {
    /// From the start of the process to the end of its last turn.
    pub elapsed: Duration,
    pub turns: u64,
    pub writes: usize,
    pub events: usize,
    pub memory: Memory,
}

/// A while without any change.
pub struct Rest {
    pub window: Duration,
    pub watches: usize,
    pub lease: usize,
    /// Neither watches nor the lease.
    pub others: Vec<Request>,
    pub cpu: Duration,
}

/// Memory with a large number of objects.
pub struct Grown {
    pub count: usize,
    pub made: Memory,
    pub restarted: Memory,
}

/// A whole first roll-out, and a restart over models that serve.
pub struct Rollout {
    pub shape: Shape,
    pub count: usize,
    pub requests: Vec<Request>,
    pub restart: Restart,
}

impl Bench {
    /// Starts the operator over a namespace with so many objects.
    pub async fn restart(&self, world: &World, count: usize) -> (Restart, Operator) {
        let mark = self.audit.mark();
        let mut operator = self.recipe.start(&world.namespace).await;
        let (elapsed, turns) = operator.turned(count as u64).await;
        self.audit.calm().await;
        let requests = self.audit.since(mark, &self.user);
        let writes = requests.iter().filter(|request| request.is_write() && !request.is_event()).count();
        let events = requests.iter().filter(|request| request.is_event()).count();
        let memory = operator.memory();
        (Restart { elapsed, turns, writes, events, memory }, operator)
    }

    /// Does nothing and counts what the operator does.
    pub async fn rest(&self, operator: &Operator, window: Duration) -> Rest {
        let (mark, before) = (self.audit.mark(), operator.cpu());
        tokio::time::sleep(window).await;
        let cpu = operator.cpu() - before;
        let requests = self.audit.since(mark, &self.user);
        let count = |of: fn(&Request) -> bool| requests.iter().filter(|request| of(request)).count();
        let (watches, lease) = (count(Request::is_watch), count(Request::is_lease));
        let others = requests.into_iter().filter(|request| !request.is_watch() && !request.is_lease()).collect();
        Rest { window, watches, lease, others, cpu }
    }

    /// Makes so many objects; returns the operator's memory then.
    pub async fn make(&self, count: usize) -> (World, Memory) {
        let world = World::installed("bench").await;
        let operator = self.operator(&world).await;
        let children = Children::watch(&world, SCALED_TO_ZERO, count).await;
        create(&world, SCALED_TO_ZERO, 0..count, None).await;
        children.complete().await;
        self.audit.calm().await;
        (world, operator.memory())
    }

    /// Adds objects up to that number.
    pub async fn grow(&self, world: &World, from: usize, to: usize) -> Grown {
        let (_, operator) = self.restart(world, from).await;
        let children = Children::watch(world, SCALED_TO_ZERO, to).await;
        create(world, SCALED_TO_ZERO, from..to, None).await;
        children.complete().await;
        self.audit.calm().await;
        let made = operator.memory();
        drop(operator);
        let (restart, _) = self.restart(world, to).await;
        Grown { count: to, made, restarted: restart.memory }
    }

    /// The requests of a first roll-out up to the last model that serves, with a stand-in for the kubelet; then a restart.
    pub async fn first_rollout(&self, shape: Shape, count: usize) -> Rollout {
        let world = World::installed("bench").await;
        let _kubelet = Kubelet::start(&world, serving);
        let operator = self.operator(&world).await;
        let mark = self.audit.mark();
        create(&world, shape, 0..count, None).await;
        for number in 0..count {
            world.condition(&name(number), "Ready", "True", "Serving").await;
        }
        self.audit.calm().await;
        let requests = self.requests_of_objects(mark, &world.namespace);
        drop(operator);
        let (restart, _) = self.restart(&world, count).await;
        Rollout { shape, count, requests, restart }
    }
}
