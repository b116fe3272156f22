//! What the API server is asked: the objects on an alert's way, and the pods behind them.

use std::{net::IpAddr, sync::Arc};

use k8s_openapi::{
    api::core::v1::{Namespace, Pod, Secret},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, LogParams},
    core::DynamicObject,
};

use super::{
    door::Door,
    log,
    report::Trouble,
    settings::{SecretKey, Settings},
};
use crate::{
    api::{StoredModelDeployment, names},
    cli::target::{self, forward},
    monitoring::{
        OptionalKind,
        surroundings::{Collector, INSTANCE_OF, Labels, Picking},
    },
    resources::Owner,
};

/// prometheus-operator gives every Alertmanager and every Prometheus the same port.
const ALERTMANAGER_PORT: u16 = 9093;
const PROMETHEUS_PORT: u16 = 9090;
/// Lines of a log that are looked through.
const LOG_LINES: i64 = 500;
/// Of each kind of object.
const MOST: u32 = 500;

/// Looks at the objects of one model's namespace, and at whoever selects them.
pub struct Cluster {
    pub client: Client,
    pub owner: Owner,
}

/// The pods behind an Alertmanager or a Prometheus.
pub struct Pods {
    pub doors: Vec<Door>,
    pub addresses: Vec<IpAddr>,
    /// Those that are not ready.
    pub absent: usize,
}

impl Cluster {
    /// # Errors
    /// When it is not there, or may not be read.
    pub async fn model(&self) -> Result<StoredModelDeployment, Trouble> {
        let Owner { namespace, name, .. } = &self.owner;
        let api: Api<StoredModelDeployment> = Api::namespaced(self.client.clone(), namespace);
        api.get(name).await.map_err(|error| {
            let words = target::missing_model(&error, namespace, name);
            Trouble::new(words, "choose another --namespace or --context, or apply the ModelDeployment")
        })
    }

    /// # Errors
    /// When it is not there, or may not be read, or is of somebody else.
    pub async fn settings(&self) -> Result<Settings, Trouble> {
        let Owner { namespace, name, .. } = &self.owner;
        let kind = OptionalKind::AlertmanagerConfig;
        let found = self.namespaced(kind).get_opt(name).await.map_err(|error| self.refused(&error, "get", kind))?;
        match found {
            Some(object) => Settings::of(&object),
            None => Err(Trouble::new(
                format!("AlertmanagerConfig {namespace}/{name} is not there, or its kind is not installed"),
                format!("the condition MonitoringReady says why: kubectl -n {namespace} describe mdl {name}"),
            )),
        }
    }

    /// Whether the Secrets have what they should; `None`: this user may not look.
    ///
    /// # Errors
    /// When something is missing.
    pub async fn secrets(&self, keys: &[SecretKey]) -> Result<Option<()>, Trouble> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.owner.namespace);
        for key in keys {
            match api.get_opt(&key.secret).await {
                Ok(found) => key.present(&self.owner.namespace, found.as_ref())?,
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(()))
    }

    /// The Alertmanager objects that select an object with these labels.
    ///
    /// # Errors
    /// When there are none.
    pub async fn alertmanagers(&self, labels: &Labels) -> Result<Vec<Arc<Collector>>, Trouble> {
        let kind = OptionalKind::Alertmanager;
        let all = self.collectors(kind).await.map_err(|error| self.refused(&error, "list", kind))?;
        let namespace_labels = self.namespace_labels().await;
        let picking = Picking {
            kind: OptionalKind::AlertmanagerConfig,
            namespace: &self.owner.namespace,
            namespace_labels: &namespace_labels,
        };
        selected(&picking, all, labels)
    }

    /// The Prometheus objects that evaluate the model's rules, and the ThanosRulers, as far as this user sees them.
    ///
    /// # Errors
    /// When that cannot be seen.
    pub async fn evaluators(&self) -> Result<Vec<Arc<Collector>>, Trouble> {
        let (rules, kind) = (OptionalKind::PrometheusRule, OptionalKind::Prometheus);
        let found = self.namespaced(rules).get_opt(&self.owner.name).await;
        let Some(rule) = found.map_err(|error| self.refused(&error, "get", rules))? else { return Ok(Vec::new()) };
        let mut all = self.collectors(kind).await.map_err(|error| self.refused(&error, "list", kind))?;
        // Few clusters have any, or the definition.
        all.extend(self.collectors(OptionalKind::ThanosRuler).await.unwrap_or_default());
        let namespace_labels = self.namespace_labels().await;
        let picking = Picking { kind: rules, namespace: &self.owner.namespace, namespace_labels: &namespace_labels };
        all.retain(|collector| picking.picks(collector, rule.labels()));
        Ok(all)
    }

    /// # Errors
    /// When they may not be listed.
    pub async fn alertmanager_pods(&self, alertmanager: &Collector) -> Result<Pods, Trouble> {
        let labels = format!("alertmanager={},app.kubernetes.io/name=alertmanager", alertmanager.name);
        self.pods(alertmanager, &labels, ALERTMANAGER_PORT).await
    }

    /// # Errors
    /// When they may not be listed.
    pub async fn prometheus_pods(&self, prometheus: &Collector) -> Result<Pods, Trouble> {
        let labels = format!("{INSTANCE_OF}={},app.kubernetes.io/name=prometheus", prometheus.name);
        self.pods(prometheus, &labels, PROMETHEUS_PORT).await
    }

    /// What an Alertmanager's pods have logged of a receiver within so many seconds, if this user may read that.
    pub async fn logged(
        &self,
        alertmanager: &Collector,
        pods: &[Door],
        receiver: &str,
        seconds: i64,
    ) -> Option<String> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &alertmanager.namespace);
        let params = LogParams {
            container: Some("alertmanager".into()),
            since_seconds: Some(seconds.max(1)),
            tail_lines: Some(LOG_LINES),
            ..LogParams::default()
        };
        for pod in pods {
            let text = api.logs(&pod.name, &params).await.unwrap_or_default();
            if let Some(words) = log::complaint(&text, receiver) {
                return Some(words);
            }
        }
        None
    }

    async fn pods(&self, collector: &Collector, labels: &str, port: u16) -> Result<Pods, Trouble> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &collector.namespace);
        let listed = api.list(&ListParams::default().labels(labels).limit(MOST)).await.map_err(|error| {
            let words = forward::refused(&error, "list pods", &collector.namespace);
            Trouble::new(words, "have somebody run this who may, or be granted it")
        })?;
        let all = listed.items.len();
        let wanted = IntOrString::Int(i32::from(port));
        let ready: Vec<(String, &Pod)> =
            listed.items.iter().filter_map(|pod| Some((forward::reachable(pod, &wanted)?.0, pod))).collect();
        let addresses = ready.iter().flat_map(|(_, pod)| addresses(pod)).collect();
        let door = |(name, _): &(String, &Pod)| {
            Door::to_pod(&self.client, &collector.namespace, name, port, &collector.prefix)
        };
        let doors: Vec<Door> = ready.iter().map(door).collect();
        Ok(Pods { absent: all - doors.len(), doors, addresses })
    }

    async fn collectors(&self, kind: OptionalKind) -> Result<Vec<Arc<Collector>>, kube::Error> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind.api_resource());
        let listed = api.list(&ListParams::default().limit(MOST)).await?;
        Ok(listed.items.iter().map(|object| Arc::new(Collector::of(kind, object))).collect())
    }

    /// Those of the model's namespace; when this user may not see them, the one that every namespace has.
    async fn namespace_labels(&self) -> Labels {
        let api: Api<Namespace> = Api::all(self.client.clone());
        match api.get(&self.owner.namespace).await {
            Ok(namespace) => namespace.labels().clone(),
            Err(_) => Labels::from([("kubernetes.io/metadata.name".to_owned(), self.owner.namespace.clone())]),
        }
    }

    fn namespaced(&self, kind: OptionalKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.owner.namespace, &kind.api_resource())
    }

    fn refused(&self, error: &kube::Error, verb: &str, kind: OptionalKind) -> Trouble {
        if matches!(error, kube::Error::Api(status) if status.code == 404) {
            let remedy = "the Prometheus Operator (kube-prometheus-stack) brings it";
            return Trouble::new(format!("CRD {} is not installed", kind.definition()), remedy);
        }
        let right = format!("{verb} {}", kind.definition());
        let words = forward::refused(error, &right, &self.owner.namespace);
        Trouble::new(words, "have somebody run this who may, or be granted it")
    }
}

/// # Errors
/// When nobody selects them, with what each one wants.
fn selected(picking: &Picking, all: Vec<Arc<Collector>>, labels: &Labels) -> Result<Vec<Arc<Collector>>, Trouble> {
    let remedy = "set spec.monitoring.labels of the ModelDeployment, or mend the selectors of the Alertmanager object";
    if all.is_empty() {
        return Err(Trouble::new(
            "there is no Alertmanager object in the cluster",
            "create one, or enable it in the chart of the Prometheus stack",
        ));
    }
    let by: Vec<_> = all.iter().filter(|collector| picking.picks(collector, labels)).cloned().collect();
    match by.is_empty() {
        false => Ok(by),
        true => {
            let wants: Vec<String> = all.iter().map(|collector| picking.complaint(collector)).collect();
            let own = labels.iter().filter(|(key, _)| *key != names::MODEL && !key.starts_with("app.kubernetes.io/"));
            let own: Vec<String> = own.map(|(key, value)| format!("{key}={value}")).collect();
            let has = if own.is_empty() { "no label of its own choice".to_owned() } else { own.join(", ") };
            Err(Trouble::new(
                format!("no Alertmanager selects the AlertmanagerConfig, which has {has}: {}", wants.join(", and ")),
                remedy,
            ))
        }
    }
}

fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let addresses = pod.status.iter().flat_map(|status| status.pod_ips.iter().flatten());
    addresses.filter_map(|address| address.ip.parse().ok()).collect()
}

#[cfg(test)]
#[path = "tests/cluster.rs"]
pub(super) mod tests;
