//! A tracking server that can be told to misbehave, on a real socket of this machine. What a good one says is heard from a
//! real one in `tests/servers` and `tests/api`.

use std::sync::{Arc, Mutex};

use axum::{body::Body, extract::Request, response::Response};
use http::{StatusCode, header};
use serde_json::Value;

/// A path that was asked for, and the header `Authorization`.
type Came = (String, Option<String>);

/// The server; it ends with the runtime of its test.
pub(super) struct Fake {
    pub uri: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Fake {
    /// Answers by the path below `/api/2.0/mlflow/`.
    pub async fn with(answer: impl Fn(&str) -> Response + Clone + Send + Sync + 'static) -> Self {
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let noted = came.clone();
        let app = axum::Router::new().fallback(move |request: Request| {
            let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
            let signed = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            noted.lock().unwrap().push((path.clone(), signed));
            let answer = answer(path.strip_prefix("/tracking/api/2.0/mlflow/").unwrap_or(&path));
            async move { answer }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/tracking", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { uri, came }
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.came.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// What the header `Authorization` held.
    pub fn signed(&self) -> Vec<Option<String>> {
        self.came.lock().unwrap().iter().map(|(_, signed)| signed.clone()).collect()
    }
}

pub(super) fn json(value: &Value) -> Response {
    Response::new(Body::from(value.to_string()))
}

pub(super) fn error(status: StatusCode, body: &'static str) -> Response {
    Response::builder().status(status).body(Body::from(body)).unwrap()
}
