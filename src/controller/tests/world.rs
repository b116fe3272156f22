//! A cluster in a few maps: what the plan applies is there in the next turn, and the test plays the Deployment's
//! controller, the kubelets and the registry. Everything between goes through the real pipeline, from caches to status.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Plan, Release, Render, decide};
use crate::{
    api::{ModelDeploymentStatus, ValidSpec},
    controller::{
        apply::{Applied, Obstacle},
        live::{Live, NodeFacts},
        observe::{Caches, Observed},
        report,
        runs::Heard,
        story,
        unread::Answers,
        writer::Note,
    },
    images::{ImageDetails, Observation, Problem},
    monitoring::{MailDefaults, Renderer},
    resources::{Child, ChildKind, Owner, template},
    rollout::{
        PodFacts,
        fixtures::{NAME, NAMESPACE, PodOf, Rollout, answered, pushed, sidecar, spec_json},
    },
};

pub const UID: &str = "5f1c9d1e-0000-4000-8000-000000000001";

pub struct World {
    pub spec: Value,
    pub generation: i64,
    pub seen: Observation,
    pub status: ModelDeploymentStatus,
    pub render: Render,
    pub renderer: Arc<Renderer>,
    pub obstacles: Vec<Obstacle>,
    pub cut_off: bool,
    pub nodes: Vec<&'static str>,
    /// Whether it is the model's turn to replace a digest that is lost.
    pub in_turn: bool,
    /// What MLflow has said.
    pub runs: Heard,
    /// What exporters have said.
    pub answers: Answers,
    pods: Vec<Value>,
    objects: BTreeMap<(ChildKind, String), Value>,
    /// Counts up with every write and every turn: resource versions and the time of day.
    clock: i64,
}

/// What one turn came to.
pub struct Turn {
    /// `None` when the spec is wrong.
    pub plan: Option<Plan>,
    pub status: ModelDeploymentStatus,
    pub notes: Vec<Note>,
}

impl Turn {
    /// The reasons of the events, in order.
    pub fn told(&self) -> Vec<&str> {
        self.notes.iter().map(|note| note.reason.as_str()).collect()
    }
}

impl World {
    /// A model with these fields beside the image, that nothing has been heard of yet.
    pub fn new(fields: Value) -> Self {
        Self {
            spec: spec_json(fields),
            generation: 1,
            seen: Observation::default(),
            status: ModelDeploymentStatus::default(),
            render: template::render,
            renderer: Arc::default(),
            obstacles: Vec::new(),
            cut_off: false,
            nodes: vec!["amd64"],
            in_turn: true,
            runs: Heard::new(),
            answers: Answers::Unknown,
            pods: Vec::new(),
            objects: BTreeMap::new(),
            clock: 0,
        }
    }

    /// A model whose first push serves.
    pub fn serving(fields: Value) -> Self {
        let mut world = Self::new(fields);
        world.push(pushed(1));
        world.turn();
        world.serve(1);
        world
    }

    /// The tag holds this from now on.
    pub fn push(&mut self, image: ImageDetails) {
        self.seen = answered(image);
    }

    pub fn registry_fails(&mut self, problem: Problem) {
        self.seen.problem = Some(problem);
    }

    /// The Deployment's controller and the kubelets are done with the `number`th push; then one more turn.
    pub fn serve(&mut self, number: u8) -> Turn {
        let replicas = self.object(ChildKind::Deployment, NAME)["spec"]["replicas"].as_i64().unwrap_or(1);
        self.rollout(&Rollout::complete(i32::try_from(replicas).unwrap()));
        self.pods(&[PodOf::ready(number)]);
        self.turn()
    }

    /// The user applies another spec.
    pub fn change(&mut self, fields: Value) {
        self.spec = spec_json(fields);
        self.generation += 1;
    }

    /// The Deployment's controller writes its status.
    pub fn rollout(&mut self, rollout: &Rollout) {
        let deployment = self.objects.get_mut(&(ChildKind::Deployment, NAME.into())).unwrap();
        let generation = deployment["metadata"]["generation"].as_i64().unwrap();
        deployment["spec"]["replicas"] = json!(rollout.wanted);
        deployment["status"] = rollout.status(generation);
    }

    pub fn pods(&mut self, pods: &[PodOf]) {
        self.pods = pods.iter().enumerate().map(|(index, pod)| pod.json(&format!("{NAME}-{index}"))).collect();
    }

    pub fn pods_as_stored(&mut self, pods: Vec<Value>) {
        self.pods = pods;
    }

    pub fn object(&self, kind: ChildKind, name: &str) -> &Value {
        &self.objects[&(kind, name.to_owned())]
    }

    /// Changes a stored object by hand.
    pub fn edit(&mut self, kind: ChildKind, name: &str, change: impl FnOnce(&mut Value)) {
        change(self.objects.get_mut(&(kind, name.to_owned())).unwrap());
    }

    /// Every object that there is.
    pub fn everything(&self) -> Vec<(ChildKind, String)> {
        self.objects.keys().cloned().collect()
    }

    /// Stores a copy of an object under another name.
    pub fn copy(&mut self, kind: ChildKind, name: &str, other: &str) {
        let mut object = self.object(kind, name).clone();
        object["metadata"]["name"] = json!(other);
        object["metadata"]["uid"] = json!(format!("{kind}-{other}"));
        self.objects.insert((kind, other.to_owned()), object);
    }

    pub fn names(&self, kind: ChildKind) -> Vec<&str> {
        self.objects.keys().filter(|key| key.0 == kind).map(|key| key.1.as_str()).collect()
    }

    /// What the caches would hold.
    pub fn observe(&self) -> Observed {
        let caches = Caches::default();
        for ((kind, _), object) in &self.objects {
            let object = serde_json::from_value(object.clone()).unwrap();
            caches.children(*kind).wrote(Live::of(*kind, object));
        }
        for pod in &self.pods {
            caches.pods.wrote(PodFacts::of(&serde_json::from_value(pod.clone()).unwrap()).unwrap());
        }
        for architecture in &self.nodes {
            let node = json!({
                "metadata": {"name": architecture, "labels": {"kubernetes.io/arch": architecture, "kubernetes.io/os": "linux"}},
                "status": {"nodeInfo": {
                    "operatingSystem": "linux", "architecture": architecture, "bootID": "", "containerRuntimeVersion": "",
                    "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "osImage": "",
                    "systemUUID": "",
                }},
            });
            caches.nodes.wrote(NodeFacts::of(&serde_json::from_value(node).unwrap()));
        }
        let owner = Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: UID.into() };
        let read = Observed::read(&caches, owner, self.generation, self.status.clone());
        Observed { in_turn: self.in_turn, runs: self.runs.clone(), answers: self.answers.clone(), ..read }
    }

    fn release(&self) -> Release {
        Release {
            render: self.render,
            sidecar: sidecar(),
            mail: MailDefaults::default(),
            renderer: self.renderer.clone(),
        }
    }

    /// The plan for now; nothing is applied.
    pub fn plan(&self) -> Plan {
        let spec = ValidSpec::parse(NAME, &self.spec).unwrap();
        decide(&self.spec, &spec, &self.seen, &self.observe().place(&spec), &self.release())
    }

    /// One turn of the loop, its writes included.
    pub fn turn(&mut self) -> Turn {
        self.clock += 1;
        let now = Timestamp::from_second(self.clock).unwrap();
        let mut observed = self.observe();
        let (plan, status, strategy) = match ValidSpec::parse(NAME, &self.spec) {
            Err(faults) => (None, report::invalid_status(&faults, &observed, now), None),
            Ok(spec) => {
                observed = observed.place(&spec);
                let plan = decide(&self.spec, &spec, &self.seen, &observed, &self.release());
                self.apply(&plan);
                let applied =
                    Applied { obstacles: self.obstacles.clone(), cut_off: self.cut_off, ..Applied::default() };
                let status = report::status(&spec, &plan, &applied, &self.seen, &observed, now);
                (Some(plan), status, Some(spec.strategy))
            }
        };
        let notes = story::tell(&observed.status, &status, strategy);
        self.status = status.clone();
        Turn { plan, status, notes }
    }

    fn apply(&mut self, plan: &Plan) {
        let workload = plan.workload.iter().flat_map(|workload| [&workload.revision, &workload.deployment]);
        let first =
            [&plan.service].into_iter().chain(&plan.metrics_service).chain(&plan.settings).chain(&plan.network_policy);
        let watching = plan.monitoring.iter().flat_map(|bundle| &bundle.children);
        for child in first.chain(workload).chain(&plan.budget).chain(&plan.autoscaler).chain(watching) {
            self.write(child);
        }
        for orphan in &plan.orphans {
            self.objects.remove(&(orphan.kind, orphan.name.clone()));
        }
    }

    fn write(&mut self, child: &Child) {
        self.clock += 1;
        let slot = (child.kind, child.name.clone());
        let before = self.objects.remove(&slot).unwrap_or_default();
        let mut object = child.whole().into_owned();
        object["metadata"]["uid"] = json!(format!("{}-{}", child.kind, child.name));
        object["metadata"]["resourceVersion"] = json!(self.clock.to_string());
        if child.kind == ChildKind::Deployment {
            if object["spec"].get("replicas").is_none() {
                object["spec"]["replicas"] = before["spec"].get("replicas").cloned().unwrap_or(json!(1));
            }
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
            let changed = i64::from(before["spec"] != object["spec"]);
            object["metadata"]["generation"] = json!(generation + changed);
            object["status"] = before.get("status").cloned().unwrap_or(json!({}));
        }
        self.objects.insert(slot, object);
    }
}

/// The names of what is not wanted any more.
pub fn orphans(plan: &Plan) -> Vec<(ChildKind, &str)> {
    plan.orphans.iter().map(|live: &Arc<Live>| (live.kind, live.name.as_str())).collect()
}
