//! A layer in the client of an operator under test: it keeps a record of every request, and can end the operator's
//! contact with the world before or after a chosen one, as SIGKILL would.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::Body;
use tokio::sync::watch;
use tower::{Layer, Service};

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    /// Plural and, where there is one, subresource: `deployments`, `modeldeployments/status`.
    pub resource: String,
    pub name: Option<String>,
    pub code: u16,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{} → {}", self.method, self.resource, self.name.as_deref().unwrap_or("*"), self.code)
    }
}

/// When the operator is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The call is never sent.
    Before(usize),
    /// The call is carried out, its answer is lost.
    After(usize),
}

#[derive(Default)]
struct Record {
    /// Calls that count for the crash matrix, in the order in which they were begun.
    begun: usize,
    calls: Vec<Call>,
    crash: Option<Crash>,
}

/// Cheap to clone; all clones share the record.
#[derive(Clone)]
pub struct Tap {
    record: Arc<Mutex<Record>>,
    crashed: watch::Sender<bool>,
}

impl Default for Tap {
    fn default() -> Self {
        Self { record: Arc::default(), crashed: watch::Sender::new(false) }
    }
}

impl Tap {
    pub fn crashing(crash: Crash) -> Self {
        let tap = Self::default();
        tap.record.lock().expect("nobody panics with the record in hand").crash = Some(crash);
        tap
    }

    /// Resolves once the operator has been cut off.
    pub async fn crashed(&self) {
        let _ = self.crashed.subscribe().wait_for(|crashed| *crashed).await;
    }

    pub fn has_crashed(&self) -> bool {
        *self.crashed.borrow()
    }

    /// Answered calls that count: watches, the lease and events are left out.
    pub fn calls(&self) -> Vec<Call> {
        self.record.lock().expect("nobody panics with the record in hand").calls.clone()
    }

    /// Objects that were created: by POST, or by an apply that found nothing.
    pub fn created(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.code == 201).collect()
    }

    pub fn deleted(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.method == Method::DELETE && call.code < 300).collect()
    }

    /// Everything but reads.
    pub fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.method != Method::GET).collect()
    }

    fn cut(&self) {
        self.crashed.send_replace(true);
    }
}

impl<S> Layer<S> for Tap {
    type Service = Tapped<S>;

    fn layer(&self, inner: S) -> Tapped<S> {
        Tapped { inner, tap: self.clone() }
    }
}

#[derive(Clone)]
pub struct Tapped<S> {
    inner: S,
    tap: Tap,
}

impl<S, B> Service<Request<Body>> for Tapped<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let counted = counted(&request);
        let tap = self.tap.clone();
        let mut index = None;
        let mut dead = tap.has_crashed();
        if counted.is_some() && !dead {
            let mut record = tap.record.lock().expect("nobody panics with the record in hand");
            index = Some(record.begun);
            record.begun += 1;
            if record.crash == index.map(Crash::Before) {
                drop(record);
                tap.cut();
                dead = true;
            }
        }
        if dead {
            return Box::pin(std::future::pending());
        }
        let answer = self.inner.call(request);
        let heard = tap.clone();
        // On its own: what a process has sent is answered, and counts, though the process ends meanwhile.
        let recorded = tokio::spawn(async move {
            let answer = answer.await;
            if let (Some(mut call), Ok(response)) = (counted, &answer) {
                call.code = response.status().as_u16();
                let crash = {
                    let mut record = tap.record.lock().expect("nobody panics with the record in hand");
                    record.calls.push(call);
                    record.crash == index.map(Crash::After)
                };
                if crash {
                    tap.cut();
                }
            }
            answer
        });
        Box::pin(async move {
            let answer = recorded.await.expect("it is not cancelled and does not panic");
            if heard.has_crashed() {
                // The process is gone: it hears no more answers.
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

fn counted(request: &Request<Body>) -> Option<Call> {
    let uri = request.uri();
    if uri.query().is_some_and(|query| query.contains("watch=true")) {
        return None;
    }
    let steps: Vec<&str> = uri.path().split('/').filter(|step| !step.is_empty()).collect();
    // /api/v1/… or /apis/GROUP/VERSION/…, then namespaces/NAMESPACE/ for namespaced objects.
    let rest = steps.get(if *steps.first()? == "api" { 2 } else { 3 }..)?;
    let rest = if rest.first() == Some(&"namespaces") && rest.len() > 2 { &rest[2..] } else { rest };
    let plural = *rest.first()?;
    if ["leases", "events"].contains(&plural) {
        return None;
    }
    let resource = rest.get(2).map_or(plural.to_owned(), |sub| format!("{plural}/{sub}"));
    Some(Call { method: request.method().clone(), resource, name: rest.get(1).map(ToString::to_string), code: 0 })
}
