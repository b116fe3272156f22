//! What only the operator knows of each model, as metrics: a fixed set of series for every ModelDeployment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{index::Key, observe::Observed};
use crate::{
    api::{
        ModelDeploymentStatus, ValidSpec,
        conditions::{
            AVAILABLE, IMAGE_RESOLVED, MONITORING_READY, PROGRESSING, READY, RUN_RESOLVED, STALLED, VERSION_ACCEPTED,
            find,
        },
        status::Version,
    },
    monitoring::dashboard,
    rollout::{DeploymentFacts, PodFacts},
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
    introducing: bool,
    failed: bool,
    updates_off: bool,
    /// The uid of its Grafana board.
    board: Option<String>,
    since: Option<f64>,
    wanted: f64,
    available: f64,
    /// Restarts of the model's containers, added up while the operator runs.
    restarts: u64,
    /// Pods of now that have restarted.
    restarted: f64,
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
        registry.register(Box::new(Exposed { described: Self::descriptions()?, models: models.clone() }))?;
        Ok(models)
    }

    /// All series, also while there is no model.
    ///
    /// # Errors
    /// When two have one name, which a test rules out.
    pub fn descriptions() -> Result<Vec<Desc>, prometheus::Error> {
        FAMILIES.iter().map(Family::desc).collect()
    }

    /// Takes a model as it stands. `spec`: `None` while it is wrong, and what was said before stands.
    pub fn set(&self, observed: &Observed, status: &ModelDeploymentStatus, spec: Option<&ValidSpec>) {
        let owner = &observed.owner;
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = models.entry((owner.namespace.clone(), owner.name.clone())).or_default();
        facts.count_restarts(&observed.pods);
        if let Some(ValidSpec { image, monitoring, .. }) = spec {
            facts.updates_off = image.pin.is_some() || !image.auto_update;
            let drawn = monitoring.as_ref().is_some_and(|monitoring| monitoring.dashboard.is_some());
            facts.board = drawn.then(|| dashboard::uid(owner));
        }
        let condition = |kind: &'static str| {
            let known = find(&status.conditions, kind);
            // What kstatus has only while it is true is false while it is absent.
            (known.is_some() || kind == STALLED).then(|| (kind, known.is_some_and(holds)))
        };
        facts.conditions = TYPES.into_iter().filter_map(condition).collect();
        facts.stable = status.stable.clone();
        // One that is held back is not being introduced.
        let held = find(&status.conditions, VERSION_ACCEPTED).filter(|accepted| !holds(accepted));
        facts.candidate = status.candidate.clone().filter(|_| held.is_none());
        let deployment = observed.deployment.as_ref();
        // A model that stops answering long after its introduction waits as well, for itself.
        let complete = deployment.is_some_and(DeploymentFacts::complete);
        facts.introducing = facts.is(PROGRESSING) && !complete;
        // Much stalls a model whose version was introduced long ago. A change of the pods alone brings no candidate, but
        // may miss its deadline as well.
        let overdue = deployment.is_some_and(|facts| facts.overdue);
        let introduced = facts.candidate.is_none() && facts.stable.is_some() && !overdue;
        // Where nothing runs, a version that is held back stalls the model: VersionAccepted tells of it, and has its own alert.
        let same = |stalled: &Condition, held: &Condition| {
            (&stalled.reason, &stalled.message) == (&held.reason, &held.message)
        };
        let waits = find(&status.conditions, STALLED).zip(held).is_some_and(|(stalled, held)| same(stalled, held));
        facts.failed = facts.is(STALLED) && !introduced && !waits;
        facts.since = status.history.first().map(|version| version.since.as_second() as f64);
        facts.wanted = deployment.map_or(0.0, |facts| f64::from(facts.wanted));
        facts.available = deployment.map_or(0.0, |facts| f64::from(facts.available));
        facts.cpu = deployment.and_then(|facts| facts.cpu_limit).map(|millis| millis as f64 / 1000.0);
        facts.memory = deployment.and_then(|facts| facts.memory_limit).map(|bytes| bytes as f64);
    }

    /// Forgets all: another controller tells of them now.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
    fn is(&self, kind: &str) -> bool {
        self.conditions.iter().any(|(known, holds)| *known == kind && *holds)
    }

    fn count_restarts(&mut self, pods: &[PodFacts]) {
        let mut counted = BTreeMap::new();
        for pod in pods {
            let restarts = u64::try_from(pod.restarts).unwrap_or(0);
            // Restarts from before the operator saw the pod are not news.
            let before = self.counted.get(&pod.name).copied().unwrap_or(restarts);
            self.restarts += restarts.saturating_sub(before);
            counted.insert(pod.name.clone(), restarts);
        }
        let restarted = pods.iter().filter(|pod| pod.restarts > 0 && !pod.leaving).count();
        self.restarted = restarted as f64;
        self.counted = counted;
    }
}

/// Takes the values of a series' further labels, and its value.
type Show<'a> = &'a mut dyn FnMut(&[&str], f64);

struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    /// Labels beside those of the model.
    labels: &'static [&'static str],
    show: fn(&Facts, Show),
}

const OF: [&str; 2] = ["model_namespace", "model"];

static FAMILIES: [Family; 14] = [
    Family {
        name: "modelship_model_condition",
        help: "1 while the condition of that type is true, else 0.",
        kind: MetricType::GAUGE,
        labels: &["type"],
        show: |facts, show| facts.conditions.iter().for_each(|(kind, holds)| show(&[kind], truth(*holds))),
    },
    Family {
        name: "modelship_model_version_info",
        help: "1 for the version that users get (stable) and the one that is being introduced (candidate).",
        kind: MetricType::GAUGE,
        labels: &["track", "digest", "tag"],
        show: |facts, show| {
            for (track, version) in [("stable", &facts.stable), ("candidate", &facts.candidate)] {
                if let Some(version) = version {
                    show(&[track, &version.short, version.tag.as_deref().unwrap_or_default()], 1.0);
                }
            }
        },
    },
    Family {
        name: "modelship_model_board_info",
        help: "1 for the uid of the model's Grafana board; absent while monitoring.dashboard is off.",
        kind: MetricType::GAUGE,
        labels: &["board"],
        show: |facts, show| facts.board.iter().for_each(|board| show(&[board], 1.0)),
    },
    Family {
        name: "modelship_model_rollout_in_progress",
        help: "1 while a version, or a change of its pods, is being introduced, else 0.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| show(&[], truth(facts.introducing)),
    },
    Family {
        name: "modelship_model_rollout_failed",
        help: "1 while a version, or a change of its pods, could not be introduced and somebody has to do something, else 0.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| show(&[], truth(facts.failed)),
    },
    Family {
        name: "modelship_model_updates_off",
        help: "1 while spec.image.pin or spec.image.autoUpdate: false keeps newer versions out, else 0.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| show(&[], truth(facts.updates_off)),
    },
    Family {
        name: "modelship_model_stable_since_timestamp_seconds",
        help: "When users began to get the stable version, in seconds of Unix time.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| facts.since.into_iter().for_each(|since| show(&[], since)),
    },
    Family {
        name: "modelship_model_replicas_wanted",
        help: "Replicas that are wanted.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| show(&[], facts.wanted),
    },
    Family {
        name: "modelship_model_replicas_available",
        help: "Replicas that serve.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| show(&[], facts.available),
    },
    Family {
        name: "modelship_model_restarts_total",
        help: "Restarts of the model's containers that the operator has seen.",
        kind: MetricType::COUNTER,
        labels: &[],
        // Far below 2^53.
        show: |facts, show| show(&[], facts.restarts as f64),
    },
    Family {
        name: "modelship_model_restarted_pods",
        help: "Pods that are there, and not about to end, whose model's container was started anew.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| show(&[], facts.restarted),
    },
    Family {
        name: "modelship_model_cpu_limit_cores",
        help: "CPU limit of one model container, in cores; absent without a limit.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| facts.cpu.into_iter().for_each(|cpu| show(&[], cpu)),
    },
    Family {
        name: "modelship_model_memory_limit_bytes",
        help: "Memory limit of one model container, in bytes; absent without a limit.",
        kind: MetricType::GAUGE,
        labels: &[],
        show: |facts, show| facts.memory.into_iter().for_each(|memory| show(&[], memory)),
    },
    Family {
        name: "modelship_model_training_metric",
        help: "Metrics of the training of the stable version, 20 at the most.",
        kind: MetricType::GAUGE,
        labels: &["metric"],
        show: |facts, show| {
            for (metric, figure) in facts.stable.iter().flat_map(|stable| &stable.origin.metrics) {
                figure.parse().into_iter().for_each(|figure| show(&[metric], figure));
            }
        },
    },
];

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

impl Family {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        OF.into_iter().chain(self.labels.iter().copied())
    }

    fn desc(&self) -> Result<Desc, prometheus::Error> {
        let labels = self.names().map(str::to_owned).collect();
        Desc::new(self.name.into(), self.help.into(), labels, HashMap::new())
    }

    fn series(&self, key: &Key, further: &[&str], value: f64) -> Metric {
        let values = [key.0.as_str(), key.1.as_str()].into_iter().chain(further.iter().copied());
        let mut labels: Vec<LabelPair> = self.names().zip(values).map(|(name, value)| pair(name, value)).collect();
        labels.sort_by(|a, b| a.name().cmp(b.name()));
        let mut series = Metric::from_label(labels);
        match self.kind {
            MetricType::COUNTER => {
                let mut counter = Counter::default();
                counter.set_value(value);
                series.set_counter(counter);
            }
            _ => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                series.set_gauge(gauge);
            }
        }
        series
    }

    fn collect(&self, models: &HashMap<Key, Facts>) -> MetricFamily {
        let mut all = Vec::new();
        for (key, facts) in models {
            (self.show)(facts, &mut |further, value| all.push(self.series(key, further, value)));
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.into());
        family.set_help(self.help.into());
        family.set_field_type(self.kind);
        family.set_metric(all);
        family
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.into());
    pair.set_value(value.into());
    pair
}

/// Nothing of a page is kept: a gauge for each series would take more memory than all that is known of a model.
struct Exposed {
    described: Vec<Desc>,
    models: ModelMetrics,
}

impl Collector for Exposed {
    fn desc(&self) -> Vec<&Desc> {
        self.described.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let models = self.models.0.lock().unwrap_or_else(PoisonError::into_inner);
        FAMILIES.iter().map(|family| family.collect(&models)).collect()
    }
}

#[cfg(test)]
#[path = "tests/model_metrics.rs"]
mod tests;
