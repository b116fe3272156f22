//! Kinds that a cluster may lack, get later, or lose: what is known of them. What cannot be watched is known as such, and holds
//! nothing up.

mod instance;
mod watcher;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use super::index::{Index, Indexed, Key};
use crate::monitoring::{OptionalKind, Presence, Reader, Surroundings, surroundings::Collector};
use instance::Instance;
pub use watcher::Watcher;
pub(super) use watcher::forbidden;

/// What is known of the optional kinds.
pub struct Ecosystem {
    kinds: Mutex<BTreeMap<OptionalKind, Presence>>,
    settled: watch::Sender<bool>,
    /// Told of whatever changes but for single models: a kind, who selects what, what is the operator's own.
    changes: watch::Sender<()>,
    collectors: Collectors,
    /// The definitions that show who else may read our objects.
    readers: Mutex<BTreeSet<&'static str>>,
    instances: Arc<Index<Instance>>,
}

/// Whoever selects objects of ours, by kind.
#[derive(Default)]
struct Collectors {
    prometheuses: Arc<Index<Collector>>,
    agents: Arc<Index<Collector>>,
    rulers: Arc<Index<Collector>>,
    alertmanagers: Arc<Index<Collector>>,
}

impl Collectors {
    /// `None` for a kind that selects nothing.
    fn of(&self, kind: OptionalKind) -> Option<&Arc<Index<Collector>>> {
        match kind {
            OptionalKind::Prometheus => Some(&self.prometheuses),
            OptionalKind::PrometheusAgent => Some(&self.agents),
            OptionalKind::ThanosRuler => Some(&self.rulers),
            OptionalKind::Alertmanager => Some(&self.alertmanagers),
            OptionalKind::ServiceMonitor | OptionalKind::PrometheusRule | OptionalKind::AlertmanagerConfig => None,
        }
    }
}

impl Default for Ecosystem {
    fn default() -> Self {
        Self {
            kinds: Mutex::default(),
            settled: watch::Sender::new(false),
            changes: watch::Sender::new(()),
            collectors: Collectors::default(),
            readers: Mutex::default(),
            instances: Arc::default(),
        }
    }
}

impl Ecosystem {
    /// Waits until of each kind it is known whether it is there, and what of it, or that it cannot be known now.
    pub async fn settled(&self) {
        // The sender lives as long as `self`.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(super) fn changed(&self) {
        self.changes.send_replace(());
    }

    /// In the order of their names.
    pub fn prometheuses(&self) -> Vec<Arc<Collector>> {
        in_order(&self.collectors.prometheuses)
    }

    /// Where a Prometheus, by namespace and name, can be asked: at a pod of each shard. `None` while one of its shards
    /// cannot be: what is not seen may be there.
    pub fn addresses_of(&self, prometheus: &Key) -> Option<Vec<IpAddr>> {
        let mut shards: BTreeMap<String, Option<IpAddr>> = BTreeMap::new();
        for instance in self.instances.group(prometheus) {
            let address = shards.entry(instance.shard.clone()).or_default();
            *address = address.or(instance.address);
        }
        shards.into_values().collect::<Option<Vec<_>>>().filter(|addresses| !addresses.is_empty())
    }

    /// All that is known, but for the model itself and its namespace.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings {
            kinds: self.lock().clone(),
            collectors: OptionalKind::PICKERS
                .into_iter()
                .filter_map(|kind| self.collectors.of(kind))
                .flat_map(|index| in_order(index))
                .collect(),
            readers: self.readers(),
            ..Surroundings::default()
        }
    }

    /// Notes how a kind stands; whether that is news.
    fn note(&self, kind: OptionalKind, presence: Presence) -> bool {
        let mut kinds = self.lock();
        let news = kinds.insert(kind, presence.clone()).as_ref() != Some(&presence);
        let known = |kind: &OptionalKind| kinds.get(kind).is_some_and(|presence| *presence != Presence::Unknown);
        if OptionalKind::ALL.iter().all(known) {
            self.settled.send_replace(true);
        }
        news
    }

    fn readers(&self) -> Vec<Reader> {
        let installed = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let shows = |reader: &Reader| reader.definitions().iter().any(|name| installed.contains(name));
        Reader::ALL.into_iter().filter(shows).collect()
    }

    /// Notes which of the definitions that show readers there are; whether that is news.
    fn note_readers(&self, change: impl FnOnce(&mut BTreeSet<&'static str>)) -> bool {
        let mut installed = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = installed.clone();
        change(&mut installed);
        *installed != before
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<OptionalKind, Presence>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_order(index: &Index<Collector>) -> Vec<Arc<Collector>> {
    let mut all = index.all();
    all.sort_by_key(|collector| collector.key());
    all
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::monitoring::surroundings::{INSTANCE_OF, SHARD};

    fn pod(name: &str, kind: &str, shard: Option<&str>, address: &str, ready: bool) -> Instance {
        let mut labels = json!({INSTANCE_OF: "main", "app.kubernetes.io/name": kind});
        if let Some(shard) = shard {
            labels[SHARD] = json!(shard);
        }
        let ready = if ready { "True" } else { "False" };
        let pod = json!({
            "metadata": {"namespace": "monitoring", "name": name, "labels": labels},
            "status": {"podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
        });
        Instance::of(&serde_json::from_value(pod).unwrap())
    }

    fn addresses(pods: impl IntoIterator<Item = Instance>) -> Option<Vec<String>> {
        let ecosystem = Ecosystem::default();
        for pod in pods {
            ecosystem.instances.observe(Event::Apply(pod));
        }
        let found = ecosystem.addresses_of(&("monitoring".into(), "main".into()));
        found.map(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn of_each_shard_a_pod_that_is_ready_is_asked() {
        let all = [
            pod("a-0", "prometheus", Some("0"), "10.0.0.1", false),
            pod("a-1", "prometheus", Some("0"), "10.0.0.2", true),
            pod("b-0", "prometheus", Some("1"), "10.0.0.3", true),
            pod("b-1", "prometheus", Some("1"), "10.0.0.4", true),
            pod("mail-0", "alertmanager", None, "10.0.0.5", true),
        ];
        assert_eq!(addresses(all).unwrap(), ["10.0.0.2", "10.0.0.3"]);
        let one = [pod("a-0", "prometheus", None, "10.0.0.1", true), pod("a-1", "prometheus", None, "10.0.0.2", true)];
        assert_eq!(addresses(one).unwrap(), ["10.0.0.1"]);
    }

    #[test]
    fn nobody_is_asked_while_a_shard_is_silent() {
        let silent = [
            pod("a-0", "prometheus", Some("0"), "10.0.0.1", true),
            pod("b-0", "prometheus", Some("1"), "10.0.0.2", false),
        ];
        assert_eq!(addresses(silent), None);
        assert_eq!(addresses([]), None);
    }
}
