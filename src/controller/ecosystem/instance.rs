//! The pods of a Prometheus, which can be asked.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::{
    controller::index::{Indexed, Key},
    monitoring::surroundings::{INSTANCE_OF, SHARD},
};

/// A pod of a Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Instance {
    pub namespace: String,
    pub name: String,
    pub prometheus: String,
    /// Empty where there are no shards.
    pub shard: String,
    /// `None` while it is not ready.
    pub address: Option<IpAddr>,
}

impl Instance {
    pub fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let ready = status.is_some_and(|status| {
            status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        });
        let address = status.and_then(|status| status.pod_ip.as_ref()?.parse().ok());
        // An Alertmanager's pods bear the label, too.
        let of_prometheus = pod.labels().get("app.kubernetes.io/name").is_some_and(|name| name == "prometheus");
        Self {
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            prometheus: pod.labels().get(INSTANCE_OF).filter(|_| of_prometheus).cloned().unwrap_or_default(),
            shard: pod.labels().get(SHARD).cloned().unwrap_or_default(),
            address: address.filter(|_| ready),
        }
    }
}

impl Indexed for Instance {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
    fn group(&self) -> Key {
        (self.namespace.clone(), self.prometheus.clone())
    }
    fn uid(&self) -> &str {
        &self.name
    }
    fn version(&self) -> u64 {
        0
    }
}
