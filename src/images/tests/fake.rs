//! A registry that can be told to misbehave, on a real socket of this machine.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

use super::{hosts::lock, manifest::OCI_INDEX, manifest::OCI_MANIFEST, reference::Digest};

/// What came in, as far as tests look at it.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub method: Method,
    /// With the query.
    pub path: String,
    pub headers: HeaderMap,
}

impl Came {
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap())
    }

    pub fn is(&self, method: Method, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }
}

type Answer = Box<dyn Fn(&Came) -> Option<Response> + Send + Sync>;

struct Inner {
    came: Mutex<Vec<Came>>,
    things: Mutex<HashMap<String, (String, Vec<u8>)>>,
    answer: Answer,
}

/// The server; it ends with the runtime of its test.
#[derive(Clone)]
pub(super) struct Fake {
    pub host: String,
    inner: Arc<Inner>,
}

impl Fake {
    /// Serves what was [pushed](Fake::push), to everybody.
    pub async fn start() -> Self {
        Self::with(|_| None).await
    }

    /// Asks `answer` first; `None` means: as a good registry would.
    pub async fn with(answer: impl Fn(&Came) -> Option<Response> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let inner = Arc::new(Inner { came: Mutex::default(), things: Mutex::default(), answer: Box::new(answer) });
        let app = axum::Router::new().fallback(serve).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { host, inner }
    }

    /// Stores a single image for a platform under `alice/churn` and the tag; returns its digest.
    pub fn push(&self, tag: &str, architecture: &str, salt: &str) -> Digest {
        self.push_config(tag, json!({"os": "linux", "architecture": architecture, "salt": salt}))
    }

    /// The same with this configuration.
    pub fn push_config(&self, tag: &str, config: serde_json::Value) -> Digest {
        let config = config.to_string();
        let config = self.store("blobs", "application/octet-stream", config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 1, "digest": config},
        });
        let digest = self.store("manifests", OCI_MANIFEST, manifest.to_string());
        self.tag(tag, &digest);
        digest
    }

    /// Stores an index of these children; returns its digest.
    pub fn push_index(&self, tag: &str, children: &[(Option<&str>, &Digest)]) -> Digest {
        let children: Vec<_> = children
            .iter()
            .map(|(architecture, digest)| match architecture {
                Some(architecture) => json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest,
                                             "platform": {"os": "linux", "architecture": architecture}}),
                None => json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest}),
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children});
        let digest = self.store("manifests", OCI_INDEX, index.to_string());
        self.tag(tag, &digest);
        digest
    }

    /// Stores an index of these indexes, which have no platform; returns its digest.
    pub fn push_outer(&self, tag: &str, indexes: &[&Digest]) -> Digest {
        let children: Vec<_> =
            indexes.iter().map(|digest| json!({"mediaType": OCI_INDEX, "size": 1, "digest": digest})).collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children});
        let digest = self.store("manifests", OCI_INDEX, index.to_string());
        self.tag(tag, &digest);
        digest
    }

    pub fn store(&self, kind: &str, media_type: &str, content: String) -> Digest {
        let digest = Digest::of(&content);
        let mut things = lock(&self.inner.things);
        things.insert(format!("{kind}/{digest}"), (media_type.to_owned(), content.into_bytes()));
        digest
    }

    pub fn tag(&self, tag: &str, digest: &Digest) {
        let mut things = lock(&self.inner.things);
        let thing = things[&format!("manifests/{digest}")].clone();
        things.insert(format!("manifests/{tag}"), thing);
    }

    /// Removes a blob or a manifest.
    pub fn remove(&self, digest: &Digest) {
        lock(&self.inner.things).retain(|path, _| !path.ends_with(digest.as_str()));
    }

    pub fn came(&self) -> Vec<Came> {
        lock(&self.inner.came).clone()
    }

    pub fn count(&self, method: Method, part: &str) -> usize {
        self.came().iter().filter(|came| came.is(method.clone(), part)).count()
    }
}

async fn serve(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let came = Came { method: request.method().clone(), path, headers: request.headers().clone() };
    lock(&inner.came).push(came.clone());
    if let Some(answer) = (inner.answer)(&came) {
        return answer;
    }
    let path = came.path.split('?').next().unwrap_or_default();
    let Some(path) = path.strip_prefix("/v2/alice/churn/") else { return status(StatusCode::NOT_FOUND) };
    let Some((media_type, content)) = lock(&inner.things).get(path).cloned() else {
        return status(StatusCode::NOT_FOUND);
    };
    Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header("docker-content-digest", Digest::of(&content).as_str())
        .header(header::CONTENT_LENGTH, content.len())
        .body(if came.method == Method::HEAD { Body::empty() } else { Body::from(content) })
        .unwrap()
}

pub(super) fn status(status: StatusCode) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

pub(super) fn with_header(code: StatusCode, name: &'static str, value: &str) -> Response {
    Response::builder().status(code).header(name, value).body(Body::empty()).unwrap()
}

pub(super) fn ok(body: impl Into<Body>) -> Response {
    Response::new(body.into())
}
