//! The operator's own ServiceMonitor and PrometheusRule: some alerts and panels of models stand on series that only the operator
//! has, and are silent with it. They are written here and not by the chart, for the labels that a Prometheus wants are only known
//! in the cluster, and may change.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::Service,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use super::{
    Error,
    apply::{Applied, Applier, Obstacle},
    credentials::bounded,
    ledger::Ledger,
    observe::Caches,
    writer::Writer,
};
use crate::{
    api::names,
    monitoring::{
        OptionalKind, Presence,
        rules::itself,
        surroundings::{Labels, Picking, Surroundings},
    },
    resources::{Child, ChildKind, Owner},
};

/// How soon a write that failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// The Service in front of the operator's metrics, as the chart makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnService {
    pub namespace: String,
    pub name: String,
}

/// Keeps both as the cluster's Prometheus objects want them.
pub struct OwnMonitor {
    pub client: Client,
    pub writer: Writer,
    pub caches: Arc<Caches>,
    pub service: OwnService,
    pub ledger: Ledger,
}

impl OwnMonitor {
    /// Runs until it is dropped.
    pub async fn run(self) {
        self.caches.namespaces.ready().await;
        self.caches.ecosystem.settled().await;
        let mut changes = self.caches.ecosystem.changes();
        loop {
            // From here on a change is a new one.
            changes.borrow_and_update();
            let done = self.bring().await;
            if let Err(error) = &done {
                tracing::warn!(%error, "nobody watches the operator itself; this is tried again");
            }
            let pause = if done.is_ok() { Duration::MAX } else { AGAIN };
            // The sender lives as long as the caches: an error can only mean the end.
            if let Ok(Err(_)) = tokio::time::timeout(pause, changes.changed()).await {
                return;
            }
        }
    }

    async fn bring(&self) -> Result<(), Error> {
        let around = self.caches.surroundings(&self.service.namespace);
        let usable = |kind| around.presence(kind) == Presence::Ready;
        if ![OptionalKind::ServiceMonitor, OptionalKind::PrometheusRule].into_iter().any(usable) {
            return Ok(());
        }
        let api: Api<Service> = Api::namespaced(self.client.clone(), &self.service.namespace);
        let found = bounded(api.get_opt(&self.service.name)).await;
        let Some(service) = found.map_err(|error| Error::Setup(error.to_string()))? else {
            return Err(Error::Setup(format!("there is no Service {}/{}", self.service.namespace, self.service.name)));
        };
        let mut applied = Applied::default();
        if usable(OptionalKind::ServiceMonitor) {
            self.keep(&service, &monitor(&service, &around), &mut applied).await?;
        }
        if usable(OptionalKind::PrometheusRule) {
            self.keep(&service, &alerts(&service, &around), &mut applied).await?;
        }
        let obstacles: Vec<String> = applied.obstacles.into_iter().map(|obstacle| obstacle.message).collect();
        if obstacles.is_empty() { Ok(()) } else { Err(Error::Obstructed(obstacles.join("; "))) }
    }

    async fn keep(&self, service: &Service, child: &Child, applied: &mut Applied) -> Result<(), Error> {
        let owner = Owner {
            namespace: service.namespace().unwrap_or_default(),
            name: service.name_any(),
            uid: service.uid().unwrap_or_default(),
        };
        let applier =
            Applier { writer: &self.writer, caches: &self.caches, ledger: &self.ledger, owner: &owner, generation: 0 };
        let mut live = self.caches.children(child.kind).get(&(child.namespace.clone(), child.name.clone()));
        if live.is_none() {
            // Without our label no watch brings it.
            live = self.writer.read(child.kind, &child.namespace, &child.name).await?.map(Arc::new);
        }
        match live {
            Some(live) if live.value()["metadata"]["labels"][names::MANAGED_BY] != names::MODELSHIP => {
                applied.obstacles.push(not_ours(child));
            }
            Some(live) => applier.settle(child, &live, applied).await?,
            None => applier.send(child, applied).await?,
        }
        if !std::mem::take(&mut applied.notes).is_empty() {
            tracing::info!("the {} of the operator itself was changed by hand and has been put back", child.kind);
        }
        Ok(())
    }
}

fn not_ours(child: &Child) -> Obstacle {
    let Child { kind, namespace, name, .. } = child;
    Obstacle {
        reason: "NameConflict",
        message: format!(
            "{kind} {namespace}/{name} exists without the label {}={} and is left alone; delete or rename it",
            names::MANAGED_BY,
            names::MODELSHIP
        ),
        passing: false,
    }
}

/// What Prometheus should scrape of the operator.
fn monitor(service: &Service, around: &Surroundings) -> Child {
    // Without the version: it changes with every upgrade.
    let lasting = |(key, _): &(&String, &String)| {
        ["app.kubernetes.io/name", "app.kubernetes.io/instance"].contains(&key.as_str())
    };
    let selected: Labels =
        service.labels().iter().filter(lasting).map(|(key, value)| (key.clone(), value.clone())).collect();
    let endpoint = json!({"port": names::METRICS_PORT, "path": "/metrics", "interval": "15s"});
    let spec = json!({"selector": {"matchLabels": selected}, "endpoints": [endpoint]});
    let metadata = metadata(service, around, OptionalKind::ServiceMonitor);
    Child::seal(ChildKind::ServiceMonitor, json!({"metadata": metadata, "spec": spec}))
}

/// What is told of the operator.
fn alerts(service: &Service, around: &Surroundings) -> Child {
    let groups = itself::groups(&service.namespace().unwrap_or_default(), &service.name_any());
    let metadata = metadata(service, around, OptionalKind::PrometheusRule);
    Child::seal(ChildKind::PrometheusRule, json!({"metadata": metadata, "spec": {"groups": groups}}))
}

/// The Service's name, the labels that are wanted, and an owner: it goes when the chart is uninstalled.
fn metadata(service: &Service, around: &Surroundings, kind: OptionalKind) -> ObjectMeta {
    let (namespace, name) = (service.namespace().unwrap_or_default(), service.name_any());
    let own = Labels::from([(names::MANAGED_BY.to_owned(), names::MODELSHIP.to_owned())]);
    let picking = Picking { kind, namespace: &namespace, namespace_labels: &around.namespace_labels };
    let labels = picking.adopt(&around.pickers(kind), &own).into_iter().chain(own).collect();
    ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(namespace),
        labels: Some(labels),
        owner_references: Some(vec![OwnerReference {
            api_version: "v1".into(),
            kind: "Service".into(),
            name,
            uid: service.uid().unwrap_or_default(),
            ..OwnerReference::default()
        }]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        controller::{server::Server, writer},
        monitoring::surroundings::{Collector, Selects},
    };

    fn service() -> Service {
        serde_json::from_value(json!({"metadata": {
            "name": "harbour-metrics", "namespace": "harbour", "uid": "7", "labels": {"app.kubernetes.io/name": "modelship", "app.kubernetes.io/version": "1.2.3"},
        }}))
        .unwrap()
    }

    #[tokio::test]
    async fn what_an_admin_has_made_under_its_name_is_left_alone() {
        let child = monitor(&service(), &Surroundings::default());
        let theirs = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": child.name, "namespace": child.namespace, "uid": "8"}, "spec": {}});
        let mut ours = theirs.clone();
        ours["metadata"]["labels"] = json!({names::MANAGED_BY: names::MODELSHIP});
        for (there, written) in [(None, true), (Some(theirs), false), (Some(ours), true)] {
            let server = Server::default();
            there.into_iter().for_each(|there| server.put("servicemonitors", there));
            let own = OwnMonitor {
                client: server.client(),
                writer: writer::tests::writer(&server).await,
                caches: Arc::default(),
                service: OwnService { namespace: "harbour".into(), name: "harbour-metrics".into() },
                ledger: Ledger::default(),
            };
            let mut applied = Applied::default();
            own.keep(&service(), &child, &mut applied).await.unwrap();
            assert_eq!(!server.writes().is_empty(), written);
            let told: Vec<_> = applied.obstacles.into_iter().map(|obstacle| obstacle.message).collect();
            assert_eq!(told.is_empty(), written, "{told:?}");
            assert!(written || told[0].contains("ServiceMonitor harbour/harbour-metrics exists"), "{told:?}");
        }
    }

    #[test]
    fn they_find_the_service_that_owns_them_and_bear_the_labels_that_are_wanted() {
        let service = service();
        let selector = |value: Value| serde_json::from_value(value).unwrap();
        let prometheus = Collector {
            monitors: Selects {
                objects: Some(selector(json!({"matchLabels": {"release": "kps"}}))),
                namespaces: Some(selector(json!({}))),
            },
            rules: Selects {
                objects: Some(selector(json!({"matchLabels": {"role": "alert-rules"}}))),
                namespaces: Some(selector(json!({}))),
            },
            ..Collector::default()
        };
        let around = Surroundings { collectors: vec![Arc::new(prometheus)], ..Surroundings::default() };
        let child = monitor(&service, &around);
        assert_eq!((child.namespace.as_str(), child.name.as_str()), ("harbour", "harbour-metrics"));
        assert_eq!(child.body["metadata"]["labels"]["release"], "kps");
        assert_eq!(child.body["metadata"]["ownerReferences"][0]["uid"], "7");
        assert_eq!(child.body["spec"]["selector"]["matchLabels"], json!({"app.kubernetes.io/name": "modelship"}));
        let child = alerts(&service, &around);
        assert_eq!((child.namespace.as_str(), child.name.as_str()), ("harbour", "harbour-metrics"));
        assert_eq!(child.body["metadata"]["labels"]["role"], "alert-rules");
        assert_eq!(child.body["metadata"]["ownerReferences"][0]["uid"], "7");
        let down = &child.whole()["spec"]["groups"][0]["rules"][0];
        assert!(down["expr"].as_str().unwrap().contains(r#"{namespace="harbour",job="harbour-metrics"}"#), "{down}");
    }
}
