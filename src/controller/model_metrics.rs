//! What only the operator knows of each model, as metrics: a fixed set of series for every ModelDeployment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus::{
    GaugeVec, IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{index::Key, observe::Observed};
use crate::{
    api::{
        ModelDeploymentStatus,
        conditions::{
            AVAILABLE, IMAGE_RESOLVED, MONITORING_READY, PROGRESSING, READY, RUN_RESOLVED, STALLED, VERSION_ACCEPTED,
            find,
        },
        status::Version,
    },
    rollout::PodFacts,
};

/// Condition types that have a series each.
const TYPES: [&str; 8] =
    [READY, AVAILABLE, PROGRESSING, IMAGE_RESOLVED, STALLED, MONITORING_READY, RUN_RESOLVED, VERSION_ACCEPTED];

/// The newest facts of every model; what Prometheus sees is made of them when it asks.
#[derive(Clone)]
pub struct ModelMetrics(Arc<Mutex<HashMap<Key, Facts>>>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    conditions: Vec<(&'static str, bool)>,
    stable: Option<Version>,
    candidate: Option<Version>,
    tag: String,
    since: Option<f64>,
    wanted: f64,
    available: f64,
    /// Restarts of the model's containers, added up while the operator runs.
    restarts: u64,
    /// What each pod counted last.
    counted: BTreeMap<String, u64>,
    cpu: Option<f64>,
    memory: Option<f64>,
}

impl ModelMetrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When a name is taken on this registry.
    pub fn registered(registry: &Registry) -> Result<Self, prometheus::Error> {
        let models = Self(Arc::default());
        registry.register(Box::new(Exposed { families: Families::new()?, models: models.clone() }))?;
        Ok(models)
    }

    /// All series, also while there is no model.
    ///
    /// # Errors
    /// When two have one name, which a test rules out.
    pub fn descriptions() -> Result<Vec<Desc>, prometheus::Error> {
        let exposed = Exposed { families: Families::new()?, models: Self(Arc::default()) };
        Ok(exposed.desc().into_iter().cloned().collect())
    }

    /// Takes a model as it stands.
    pub fn set(&self, observed: &Observed, status: &ModelDeploymentStatus) {
        let owner = &observed.owner;
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = models.entry((owner.namespace.clone(), owner.name.clone())).or_default();
        facts.count_restarts(&observed.pods);
        let condition = |kind: &'static str| {
            let known = find(&status.conditions, kind);
            // What kstatus has only while it is true is false while it is absent.
            (known.is_some() || kind == STALLED).then(|| (kind, known.is_some_and(holds)))
        };
        facts.conditions = TYPES.into_iter().filter_map(condition).collect();
        facts.stable = status.stable.clone();
        // One that is held back is not being introduced.
        let held = find(&status.conditions, VERSION_ACCEPTED).is_some_and(|accepted| !holds(accepted));
        facts.candidate = status.candidate.clone().filter(|_| !held);
        facts.tag = status.tag.clone().unwrap_or_default();
        facts.since = status.history.first().map(|version| version.since.as_second() as f64);
        let deployment = observed.deployment.as_ref();
        facts.wanted = deployment.map_or(0.0, |facts| f64::from(facts.wanted));
        facts.available = deployment.map_or(0.0, |facts| f64::from(facts.available));
        facts.cpu = deployment.and_then(|facts| facts.cpu_limit).map(|millis| millis as f64 / 1000.0);
        facts.memory = deployment.and_then(|facts| facts.memory_limit).map(|bytes| bytes as f64);
    }

    /// Forgets a model that is gone.
    pub fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn holds(condition: &Condition) -> bool {
    condition.status == "True"
}

impl Facts {
    fn count_restarts(&mut self, pods: &[PodFacts]) {
        let mut counted = BTreeMap::new();
        for pod in pods {
            let restarts = u64::try_from(pod.restarts).unwrap_or(0);
            // Restarts from before the operator saw the pod are not news.
            let before = self.counted.get(&pod.name).copied().unwrap_or(restarts);
            self.restarts += restarts.saturating_sub(before);
            counted.insert(pod.name.clone(), restarts);
        }
        self.counted = counted;
    }
}

struct Families {
    condition: GaugeVec,
    info: GaugeVec,
    in_progress: GaugeVec,
    failed: GaugeVec,
    since: GaugeVec,
    wanted: GaugeVec,
    available: GaugeVec,
    restarts: IntCounterVec,
    cpu: GaugeVec,
    memory: GaugeVec,
    training: GaugeVec,
}

const OF: [&str; 2] = ["model_namespace", "model"];

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str, more: &[&str]| {
            GaugeVec::new(Opts::new(name, help), &OF.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
        };
        Ok(Self {
            condition: gauge(
                "modelship_model_condition",
                "1 while the condition of that type is true, else 0.",
                &["type"],
            )?,
            info: gauge(
                "modelship_model_version_info",
                "1 for the version that users get (stable) and the one that is being introduced (candidate).",
                &["track", "digest", "tag"],
            )?,
            in_progress: gauge(
                "modelship_model_rollout_in_progress",
                "1 while a version is being introduced, else 0.",
                &[],
            )?,
            failed: gauge(
                "modelship_model_rollout_failed",
                "1 while a version could not be introduced and somebody has to do something, else 0.",
                &[],
            )?,
            since: gauge(
                "modelship_model_stable_since_timestamp_seconds",
                "When users began to get the stable version, in seconds of Unix time.",
                &[],
            )?,
            wanted: gauge("modelship_model_replicas_wanted", "Replicas that are wanted.", &[])?,
            available: gauge("modelship_model_replicas_available", "Replicas that serve.", &[])?,
            restarts: IntCounterVec::new(
                Opts::new(
                    "modelship_model_restarts_total",
                    "Restarts of the model's containers that the operator has seen.",
                ),
                &OF,
            )?,
            cpu: gauge(
                "modelship_model_cpu_limit_cores",
                "CPU limit of one model container, in cores; absent without a limit.",
                &[],
            )?,
            memory: gauge(
                "modelship_model_memory_limit_bytes",
                "Memory limit of one model container, in bytes; absent without a limit.",
                &[],
            )?,
            training: gauge(
                "modelship_model_training_metric",
                "Metrics of the training of the stable version, 20 at the most.",
                &["metric"],
            )?,
        })
    }

    fn gauges(&self) -> [&GaugeVec; 10] {
        [
            &self.condition,
            &self.info,
            &self.in_progress,
            &self.failed,
            &self.since,
            &self.wanted,
            &self.available,
            &self.cpu,
            &self.memory,
            &self.training,
        ]
    }

    fn reset(&self) {
        self.gauges().into_iter().for_each(GaugeVec::reset);
        self.restarts.reset();
    }

    fn fill(&self, key: &Key, facts: &Facts) {
        let of = [key.0.as_str(), key.1.as_str()];
        let set = |gauge: &GaugeVec, value: f64| gauge.with_label_values(&of).set(value);
        let truth = |holds: bool| f64::from(u8::from(holds));
        let is = |kind: &str| facts.conditions.iter().any(|(known, holds)| *known == kind && *holds);
        for (kind, holds) in &facts.conditions {
            self.condition.with_label_values(&[of[0], of[1], kind]).set(truth(*holds));
        }
        for (track, version) in [("stable", &facts.stable), ("candidate", &facts.candidate)] {
            if let Some(version) = version {
                self.info.with_label_values(&[of[0], of[1], track, &version.short, &facts.tag]).set(1.0);
            }
        }
        set(&self.in_progress, truth(is(PROGRESSING)));
        set(&self.failed, truth(is(STALLED)));
        set(&self.wanted, facts.wanted);
        set(&self.available, facts.available);
        for (gauge, value) in [(&self.since, facts.since), (&self.cpu, facts.cpu), (&self.memory, facts.memory)] {
            if let Some(value) = value {
                set(gauge, value);
            }
        }
        for (metric, figure) in facts.stable.iter().flat_map(|stable| &stable.origin.metrics) {
            if let Ok(figure) = figure.parse() {
                self.training.with_label_values(&[of[0], of[1], metric]).set(figure);
            }
        }
        self.restarts.with_label_values(&of).inc_by(facts.restarts);
    }
}

struct Exposed {
    families: Families,
    models: ModelMetrics,
}

impl Collector for Exposed {
    fn desc(&self) -> Vec<&Desc> {
        self.families.gauges().into_iter().flat_map(Collector::desc).chain(self.families.restarts.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The lock keeps two scrapes at once from filling the families for each other.
        let models = self.models.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.families.reset();
        for (key, facts) in models.iter() {
            self.families.fill(key, facts);
        }
        let gauges = self.families.gauges().into_iter().flat_map(Collector::collect);
        gauges.chain(self.families.restarts.collect()).collect()
    }
}

#[cfg(test)]
#[path = "tests/model_metrics.rs"]
mod tests;
