//! A model's pods, reached through the API server by whoever is outside the cluster.

use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::{
    api::core::v1::{Pod, Service},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, Client, api::ListParams, client::UpgradeConnectionError};
use tokio::{sync::Mutex, time::Instant};

use super::Link;
use crate::api::names;

/// How old the list of pods may be when a connection is opened: a roll-out replaces them, as a Service would notice.
const LIST_MAX_AGE: Duration = Duration::from_secs(5);
/// Pods that are taken into account.
const PODS_MAX: u32 = 500;

/// Opens connections to the ready pods of a Service, in turn.
pub struct Forward {
    api: Api<Pod>,
    namespace: String,
    model: String,
    selector: String,
    port: IntOrString,
    pods: Mutex<Pods>,
}

struct Pods {
    /// Names and ports.
    ready: Vec<(String, u16)>,
    listed: Instant,
    next: usize,
}

impl Forward {
    /// Finds the pods behind the Service that is named after the model, and says how many are ready.
    ///
    /// # Errors
    /// A sentence that says what is missing or forbidden.
    pub async fn find(client: Client, namespace: &str, model: &str) -> Result<(Self, usize), String> {
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let service = services.get(model).await.map_err(|error| refused(&error, "get services", namespace))?;
        let forward = Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            model: model.to_owned(),
            selector: selector(&service).ok_or_else(|| format!("the Service '{model}' selects no pods"))?,
            port: target_port(&service),
            pods: Mutex::new(Pods { ready: Vec::new(), listed: Instant::now(), next: 0 }),
        };
        let ready = forward.list().await?;
        let found = ready.len();
        forward.pods.lock().await.ready = ready;
        Ok((forward, found))
    }

    /// # Errors
    /// A sentence that names the pod and says why it was not reached.
    pub async fn connect(&self) -> Result<Link, String> {
        let (pod, port) = self.choose().await?;
        match self.open(&pod, port).await {
            Ok(link) => Ok(link),
            Err(words) => {
                // The pod may be gone since it was listed; others serve in its place. A ban stays what it is.
                self.forget(&pod).await;
                match self.choose().await {
                    Ok((other, port)) if other != pod => self.open(&other, port).await,
                    _ => Err(words),
                }
            }
        }
    }

    /// The next pod in turn.
    async fn choose(&self) -> Result<(String, u16), String> {
        let mut pods = self.pods.lock().await;
        if pods.ready.is_empty() || pods.listed.elapsed() > LIST_MAX_AGE {
            pods.ready = self.list().await?;
            pods.listed = Instant::now();
        }
        pods.next = (pods.next + 1) % pods.ready.len().max(1);
        pods.ready.get(pods.next).cloned().ok_or_else(|| format!("no pod of '{}' is ready to answer", self.model))
    }

    async fn forget(&self, pod: &str) {
        self.pods.lock().await.ready.retain(|(name, _)| name != pod);
    }

    /// The ready pods, at least one.
    async fn list(&self) -> Result<Vec<(String, u16)>, String> {
        let Self { namespace, model, selector, .. } = self;
        let pods = self.api.list(&ListParams::default().labels(selector).limit(PODS_MAX)).await;
        let pods = pods.map_err(|error| refused(&error, "list pods", namespace))?.items;
        let ready: Vec<_> = pods.iter().filter_map(|pod| reachable(pod, &self.port)).collect();
        match ready.is_empty() {
            true => Err(format!(
                "no pod of '{model}' in namespace '{namespace}' is ready to answer ({} found by {selector})",
                pods.len()
            )),
            false => Ok(ready),
        }
    }

    async fn open(&self, pod: &str, port: u16) -> Result<Link, String> {
        open(&self.api, &self.namespace, pod, port).await
    }
}

/// A connection to a port of a pod of that namespace.
///
/// # Errors
/// A sentence that says why it was not reached.
pub async fn open(api: &Api<Pod>, namespace: &str, pod: &str, port: u16) -> Result<Link, String> {
    let mut forwarder = api.portforward(pod, &[port]).await.map_err(|error| {
        // Older API servers ask for get, newer ones for create.
        let words = refused(&error, "create (and get) pods/portforward", namespace);
        format!("cannot reach pod '{pod}': {words}")
    })?;
    let complaint = forwarder.take_error(port);
    match (forwarder.take_stream(port), complaint) {
        (Some(stream), Some(complaint)) => Ok(Link { stream: Box::new(stream), complaint: complaint.boxed() }),
        _ => Err(format!("the port-forward to pod '{pod}' gave no stream")),
    }
}

/// The API server's refusal in words that say what to ask an administrator for.
pub fn refused(error: &kube::Error, right: &str, namespace: &str) -> String {
    let status = match error {
        kube::Error::Api(status) => Some(status.code),
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => Some(status.as_u16()),
        _ => None,
    };
    match status {
        Some(401) => {
            "the cluster does not accept these credentials; log in again, or choose another --context".to_owned()
        }
        Some(403) => format!("forbidden: this user may not {right} in namespace '{namespace}'; a Role must allow it"),
        Some(404) => format!("cannot {right} in namespace '{namespace}': what was asked for does not exist (any more)"),
        _ => format!("cannot {right} in namespace '{namespace}': {}", chain(error)),
    }
}

/// An error with its causes: the outermost alone often says no more than that there was one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}

fn selector(service: &Service) -> Option<String> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!labels.is_empty()).then(|| labels.join(","))
}

/// What the Service's `http` port leads to in a pod.
fn target_port(service: &Service) -> IntOrString {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let http = ports.into_iter().flatten().find(|port| port.name.as_deref() == Some(names::HTTP_PORT));
    http.and_then(|port| port.target_port.clone()).unwrap_or_else(|| IntOrString::String(names::HTTP_PORT.into()))
}

/// Name and port of a pod that serves and is not about to end.
pub fn reachable(pod: &Pod, port: &IntOrString) -> Option<(String, u16)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    if !ready || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(wanted) => {
            let spec = pod.spec.as_ref()?;
            // The exporter may be a sidecar among the init containers.
            let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
            let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
            ports.find(|port| port.name.as_deref() == Some(wanted))?.container_port
        }
    };
    Some((pod.metadata.name.clone()?, u16::try_from(number).ok()?))
}

#[cfg(test)]
#[path = "../tests/forward.rs"]
pub(super) mod tests;
