//! The crash matrix: the controller is cut off before and after every call it makes, and started again with an empty
//! memory. The end must be the same as without the crash, and nothing be created or deleted twice.
//!
//! Left out of the counts: watches, the Lease, and Events (a crash may lose an event; see `controller::reconcile`).

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use kube::core::DynamicObject;
use modelship::{
    api::conditions,
    monitoring::dashboard,
    resources::{ChildKind, Owner},
};
use serde_json::{Value, json};

use crate::{
    lifecycle::{repository, spec},
    support::{
        Kubelet, Operator, Options, Tap, World, eventually, kubelet, registry,
        tap::{Call, Crash},
        world::{DEADLINE, LOOK_EVERY},
    },
};

const MODEL: &str = "churn";
/// Runs at the same time; each has a namespace, a repository and a controller of its own.
const AT_ONCE: usize = 6;

/// What happens while the controller is away, and what must be true at the end.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    /// Whether a controller has brought the model to service before.
    established: bool,
    /// The spec before the change.
    before: fn(&World) -> Value,
    /// The change; returns the digest that users get in the end.
    change: Change,
}

#[derive(Clone, Copy)]
enum Change {
    Create,
    NewDigest,
    DeleteChildren,
    Scale,
}

/// The end of a run: the state that counts, and how often objects were created and deleted on the way.
#[derive(Debug, PartialEq)]
struct End {
    state: Value,
    created: BTreeMap<String, usize>,
    deleted: BTreeMap<String, usize>,
    replica_sets: usize,
}

fn two_replicas(world: &World) -> Value {
    let mut spec = spec(world);
    spec["replicas"] = json!(2);
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_call_of_a_creation_changes_nothing() {
    matrix(Workload { name: "create", established: false, before: two_replicas, change: Change::Create }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_call_of_a_roll_out_changes_nothing() {
    matrix(Workload { name: "newdigest", established: true, before: spec, change: Change::NewDigest }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_call_while_children_are_restored_changes_nothing() {
    matrix(Workload { name: "deletechild", established: true, before: two_replicas, change: Change::DeleteChildren })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_call_of_a_scaling_changes_nothing() {
    matrix(Workload { name: "scale", established: true, before: two_replicas, change: Change::Scale }).await;
}

async fn matrix(workload: Workload) {
    let (undisturbed, calls) = run(workload, None).await;
    let expected = &undisturbed.state;
    let crashes = (0..calls.len()).flat_map(|k| [Crash::Before(k), Crash::After(k)]);
    let outcomes: Vec<_> = stream::iter(crashes)
        .map(|crash| async move { (crash, run(workload, Some((crash, expected))).await.0) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    println!("{}: {} calls, {} crashes", workload.name, calls.len(), outcomes.len());
    for (k, call) in calls.iter().enumerate() {
        println!("  k={k}: {call}");
    }
    for (crash, end) in outcomes {
        pretty_assertions::assert_eq!(
            end,
            undisturbed,
            "{}: {crash:?} ended otherwise than the undisturbed run",
            workload.name
        );
    }
}

/// Pushes a version whose labels say all that is stored with a template.
fn described(world: &World, answer: &str) -> String {
    let profile = json!({"version": 1, "kind": "class", "classes": [{"name": "stay", "value": "0"}]});
    let labels =
        [format!("dev.modelship.profile={profile}"), format!("org.opencontainers.image.revision=4f2a{answer}")];
    let options = ["--answer", answer, "--label", &labels[0], "--label", &labels[1]];
    registry::push_with(&repository(world), "latest", &options)
}

/// One run; with a crash, the controller is started a second time after it.
async fn run(workload: Workload, crash: Option<(Crash, &Value)>) -> (End, Vec<Call>) {
    let world = World::new(workload.name).await;
    let mut digest = described(&world, "1");
    let _kubelet = Kubelet::start(&world, kubelet::serving);
    if workload.established {
        let first = Operator::start(&world);
        world.apply(MODEL, (workload.before)(&world)).await;
        world.serves(MODEL, &digest).await;
        first.stop().await;
    }
    match workload.change {
        Change::Create => {
            world.apply(MODEL, (workload.before)(&world)).await;
        }
        Change::NewDigest => digest = described(&world, "2"),
        Change::DeleteChildren => {
            for kind in [ChildKind::Service, ChildKind::Deployment, ChildKind::PodDisruptionBudget] {
                world.delete(kind, MODEL).await;
            }
        }
        Change::Scale => {
            world.apply(MODEL, spec(&world)).await;
        }
    }
    let told_before = world.model(MODEL).await.metadata.resource_version;
    let tap = crash.map_or_else(Tap::default, |(crash, _)| Tap::crashing(crash));
    let operator = Operator::start_with(&world, Options { tap: tap.clone(), ..Options::default() });
    let mut taps = vec![tap.clone()];
    let mut operator = operator;
    if let Some((_, expected)) = crash {
        // A crash at a late call may never come: two runs need not make the same number of calls.
        tokio::select! {
            () = tap.crashed() => {}
            () = settled(&world, workload, &digest) => {}
        }
        operator.kill().await;
        let again = Tap::default();
        taps.push(again.clone());
        operator = Operator::start_with(&world, Options { tap: again, ..Options::default() });
        settled(&world, workload, &digest).await;
        ends_as(&world, expected).await;
    } else {
        // Before its first word the status still tells of the time before the change.
        eventually("a status of the time after the change", || async {
            let version = world.model(MODEL).await.metadata.resource_version;
            if version == told_before { Err(version) } else { Ok(()) }
        })
        .await;
        settled(&world, workload, &digest).await;
    }
    operator.stop().await;
    let end = End {
        state: state(&world).await,
        created: count(taps.iter().flat_map(Tap::created)),
        deleted: count(taps.iter().flat_map(Tap::deleted)),
        replica_sets: world.replica_sets().await.len(),
    };
    world.end().await;
    (end, tap.calls())
}

/// Waits for that state; one that never comes shows in the comparison of the ends.
async fn ends_as(world: &World, expected: &Value) {
    let wait = async {
        while state(world).await != *expected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let _ = tokio::time::timeout(DEADLINE, wait).await;
}

/// The model serves, and the children are those that its spec asks for.
async fn settled(world: &World, workload: Workload, digest: &str) {
    world.serves(MODEL, digest).await;
    // When the number of replicas is taken back, the two that run are handed over: nobody asked for fewer.
    let (replicas, wants_budget, sets) = match workload.change {
        Change::Create | Change::DeleteChildren => (2, true, 1),
        Change::NewDigest => (1, false, 2),
        Change::Scale => (2, false, 1),
    };
    eventually("the children to settle", || async {
        let status = world.status(MODEL).await;
        let budget = world.child(ChildKind::PodDisruptionBudget, MODEL).await.is_some();
        let service = world.child(ChildKind::Service, MODEL).await.is_some();
        let deployment = world.child(ChildKind::Deployment, MODEL).await.unwrap_or_default();
        let available = deployment["status"]["availableReplicas"].as_i64().unwrap_or(0);
        let told = status.available == Some(format!("{available}/{available}"));
        // Those of a deleted Deployment go some time after it.
        let collected = world.replica_sets().await.len() == sets;
        let ready = conditions::find(&status.conditions, conditions::READY).is_some_and(|ready| ready.status == "True");
        let complete = available == replicas && told && ready && status.candidate.is_none();
        let settled = service && budget == wants_budget && complete && collected;
        if settled { Ok(()) } else { Err((budget, service, available, collected, status)) }
    })
    .await;
}

fn count(calls: impl Iterator<Item = Call>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.resource).or_default() += 1;
    }
    counts
}

/// Everything that should not depend on when it was made, or in which namespace.
async fn state(world: &World) -> Value {
    let mut children = BTreeMap::new();
    for kind in ChildKind::CORE {
        let mut objects = world.list(kind).await;
        // Their names are hashes of what differs from namespace to namespace.
        objects.sort_by_key(|object| object.data["revision"].as_i64());
        let ours = objects.into_iter().map(|object| plain(world, object)).collect::<Vec<_>>();
        children.insert(kind.as_str(), ours);
    }
    let status = world.status(MODEL).await;
    let conditions: Vec<Value> = status
        .conditions
        .iter()
        .map(|condition| json!([condition.type_, condition.status, condition.reason, condition.observed_generation]))
        .collect();
    let history: Vec<&str> = status.history.iter().map(|past| past.digest.as_str()).collect();
    let text = json!({
        "children": children,
        "conditions": conditions,
        "stable": status.stable,
        "available": status.available,
        "history": history,
    });
    // Namespaces differ from run to run, and with them hashes of specs that name the repository, and the dashboard's uid.
    let owner = Owner { namespace: world.namespace.clone(), name: MODEL.to_owned(), uid: String::new() };
    let text = text.to_string().replace(&world.namespace, "NAMESPACE").replace(&dashboard::uid(&owner), "UID");
    serde_json::from_str(&text).expect("JSON")
}

fn plain(world: &World, object: DynamicObject) -> Value {
    let mut value = json!(object);
    value["metadata"] = json!({
        "labels": object.metadata.labels,
        "owner": object.metadata.owner_references.iter().flatten().map(|owner| &owner.name).collect::<Vec<_>>(),
    });
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    // Given by the server.
    for field in ["clusterIP", "clusterIPs"] {
        if let Some(spec) = value["spec"].as_object_mut() {
            spec.remove(field);
        }
    }
    if let Some(hash) = value.pointer_mut("/data/inputsHash") {
        *hash = json!(world.namespace);
    }
    value
}
