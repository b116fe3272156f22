//! Pages of a pod, asked over connections through the API server.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::timeout;

use crate::cli::target::{Link, forward};

/// For a whole exchange, its connection included.
const PATIENCE: Duration = Duration::from_secs(15);
/// Alertmanager's page of metrics has some 100 kB.
const LARGEST: usize = 16 << 20;
/// Characters of an unwelcome answer that are shown.
const SHOWN: usize = 200;

type Connect = Box<dyn Fn() -> BoxFuture<'static, Result<Link, String>> + Send + Sync>;

/// One pod's server.
pub struct Door {
    /// For people.
    pub name: String,
    /// The path that its pages lie under.
    prefix: String,
    connect: Connect,
}

impl Door {
    pub fn new(name: String, prefix: &str, connect: Connect) -> Self {
        Self { name, prefix: prefix.trim_end_matches('/').to_owned(), connect }
    }

    /// A port of a pod, by a port-forward.
    pub fn to_pod(client: &Client, namespace: &str, pod: &str, port: u16, prefix: &str) -> Self {
        let (namespace, name) = (namespace.to_owned(), pod.to_owned());
        let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let connect = move || -> BoxFuture<'static, Result<Link, String>> {
            let (api, namespace, name) = (api.clone(), namespace.clone(), name.clone());
            Box::pin(async move { forward::open(&api, &namespace, &name, port).await })
        };
        Self::new(pod.to_owned(), prefix, Box::new(connect))
    }

    /// # Errors
    /// A sentence that says what came instead of a page.
    pub async fn get(&self, path: &str) -> Result<Bytes, String> {
        self.bounded(Method::GET, path, Bytes::new()).await
    }

    /// # Errors
    /// A sentence that says what came instead of JSON.
    pub async fn json(&self, path: &str) -> Result<Value, String> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).map_err(|error| format!("{path} is not JSON: {error}"))
    }

    /// # Errors
    /// A sentence that says why it was not taken.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(), String> {
        self.bounded(Method::POST, path, body.to_string().into()).await.map(drop)
    }

    async fn bounded(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, String> {
        let answer = timeout(PATIENCE, self.exchange(method, path, body)).await;
        answer.unwrap_or_else(|_| Err(format!("{path} is not answered within {PATIENCE:?}")))
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, "localhost")
            .header(header::USER_AGENT, concat!("modelship/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let Link { stream, complaint } = (self.connect)().await?;
        let broken = |error: hyper::Error| format!("{path} is not answered: {error}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the sender.
        tokio::spawn(connection);
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            // What the node says explains more than the end of the stream does.
            Err(error) => {
                let said = timeout(Duration::from_millis(100), complaint).await.ok().flatten();
                return Err(
                    said.map_or_else(|| broken(error), |said| format!("{path} is not answered: {}", said.trim()))
                );
            }
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| format!("{path}: {error}"))?.to_bytes();
        match status.is_success() {
            true => Ok(body),
            false => {
                let said: String = String::from_utf8_lossy(&body).trim().chars().take(SHOWN).collect();
                Err(format!("{path} is answered with {status}: {said}"))
            }
        }
    }
}
