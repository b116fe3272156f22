//! An API server in a few maps: lists in pages, watches, one lease, and writes that come back as they were sent. It stands in
//! where the real one will not do what a test is about: fail on purpose, answer late, or say something malformed.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{StreamExt as _, channel::mpsc};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::watch;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Cheap to clone; all clones are one server.
#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<State>>,
    /// While it is true, writes other than the lease's are not answered.
    silent: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// By plural.
    objects: BTreeMap<String, Vec<Value>>,
    watches: BTreeMap<String, Vec<mpsc::UnboundedSender<String>>>,
    /// What a watch is told that begins at an earlier version.
    log: BTreeMap<String, Vec<(u64, String)>>,
    forbidden: BTreeSet<String>,
    lease: Option<Value>,
    lease_fails: bool,
    /// Method, plural, name and body of every write but the lease's.
    writes: Vec<(Method, String, String, Value)>,
    /// What a DELETE is answered by, in place of success.
    deleted: Option<Value>,
    /// By plural: the code that these of the next writes are answered by.
    refused: BTreeMap<String, (u16, Range<usize>)>,
}

impl Default for Server {
    fn default() -> Self {
        Self { state: Arc::default(), silent: watch::Sender::new(false) }
    }
}

impl Server {
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "default")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an object, whatever it is, and tells those who watch.
    pub fn put(&self, plural: &str, mut object: Value) {
        let mut state = self.state();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let name = object["metadata"]["name"].clone();
        let all = state.objects.entry(plural.to_owned()).or_default();
        let known = all.iter_mut().find(|known| known["metadata"]["name"] == name);
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        match known {
            Some(known) => *known = object.clone(),
            None => all.push(object.clone()),
        }
        state.tell(plural, kind, &object);
    }

    /// Stores an object without a word to those who watch: they will only see it in the next list.
    pub fn put_unseen(&self, plural: &str, object: Value) {
        let watches = self.state().watches.remove(plural).unwrap_or_default();
        self.put(plural, object);
        let mut state = self.state();
        state.log.entry(plural.to_owned()).or_default().pop();
        state.watches.insert(plural.to_owned(), watches);
    }

    pub fn stored(&self, plural: &str) -> Vec<Value> {
        self.state().objects.get(plural).cloned().unwrap_or_default()
    }

    pub fn remove(&self, plural: &str, name: &str) {
        let mut state = self.state();
        let all = state.objects.entry(plural.to_owned()).or_default();
        let at = all.iter().position(|known| known["metadata"]["name"] == name).expect("it is there");
        let mut object = all.remove(at);
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.tell(plural, "DELETED", &object);
    }

    /// Ends the watches of that kind so that they list anew.
    pub fn expire(&self, plural: &str) {
        let gone =
            json!({"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"});
        let mut state = self.state();
        state.version += 1;
        state.tell(plural, "ERROR", &gone);
    }

    pub fn forbid(&self, plural: &str, forbidden: bool) {
        match forbidden {
            true => self.state().forbidden.insert(plural.to_owned()),
            false => self.state().forbidden.remove(plural),
        };
    }

    pub fn set_lease(&self, spec: Value) {
        let mut state = self.state();
        state.version += 1;
        let version = state.version.to_string();
        state.lease = Some(json!({"metadata": {"name": "lease", "resourceVersion": version}, "spec": spec}));
    }

    pub fn lease(&self) -> Value {
        self.state().lease.clone().unwrap_or_default()["spec"].clone()
    }

    pub fn fail_leases(&self, fails: bool) {
        self.state().lease_fails = fails;
    }

    pub fn keep_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    /// Refuses writes of a kind, the next one being number 0.
    pub fn refuse(&self, plural: &str, code: u16, which: Range<usize>) {
        self.state().refused.insert(plural.to_owned(), (code, which));
    }

    pub fn answer_deletion_by(&self, object: Value) {
        self.state().deleted = Some(object);
    }

    pub fn writes(&self) -> Vec<(Method, String, String, Value)> {
        self.state().writes.clone()
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let steps: Vec<&str> = parts.uri.path().split('/').filter(|step| !step.is_empty()).collect();
        let rest = &steps[if steps[0] == "api" { 2 } else { 3 }..];
        let rest = if rest.first() == Some(&"namespaces") && rest.len() > 2 { &rest[2..] } else { rest };
        let (plural, name) = (rest[0], rest.get(1).copied().unwrap_or_default());
        if plural == "leases" {
            return self.state().answer_lease(&parts.method, body);
        }
        if self.state().forbidden.contains(plural) {
            return failure(403, &format!("{plural} is forbidden"));
        }
        let query = parts.uri.query().unwrap_or_default();
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        match parts.method {
            Method::GET if parameter("watch") == Some("true") => {
                let from = parameter("resourceVersion").and_then(|version| version.parse().ok());
                self.state().watch(plural, from.unwrap_or(0))
            }
            Method::GET if name.is_empty() => {
                let number = |text: Option<&str>| text.and_then(|text| text.parse().ok());
                let (from, most) = (number(parameter("continue")).unwrap_or(0), number(parameter("limit")));
                respond(200, &self.state().list(plural, from, most.unwrap_or(usize::MAX)))
            }
            Method::GET => match self.state().find(plural, name) {
                Some(object) => respond(200, &object),
                None => failure(404, "not found"),
            },
            method => {
                self.state().writes.push((method.clone(), plural.to_owned(), rest[1..].join("/"), body.clone()));
                let mut silent = self.silent.subscribe();
                let _ = silent.wait_for(|silent| !silent).await;
                let mut state = self.state();
                if let Some((code, which)) = state.refused.get_mut(plural) {
                    let now = which.contains(&0);
                    *which = which.start.saturating_sub(1)..which.end.saturating_sub(1);
                    if now {
                        return failure(*code, "not now");
                    }
                }
                state.write(&method, body)
            }
        }
    }
}

impl State {
    fn tell(&mut self, plural: &str, kind: &str, object: &Value) {
        // The type first, as the real one does it.
        let line = format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
        self.log.entry(plural.to_owned()).or_default().push((self.version, line.clone()));
        self.watches.entry(plural.to_owned()).or_default().retain(|watch| watch.unbounded_send(line.clone()).is_ok());
    }

    fn watch(&mut self, plural: &str, from: u64) -> Answer {
        let (sender, lines) = mpsc::unbounded();
        let missed = self.log.get(plural).into_iter().flatten().filter(|(version, _)| *version > from);
        missed.for_each(|(_, line)| drop(sender.unbounded_send(line.clone())));
        self.watches.entry(plural.to_owned()).or_default().push(sender);
        let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(Bytes::from(line))));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn list(&self, plural: &str, from: usize, most: usize) -> Value {
        let all = self.objects.get(plural).map_or(&[][..], Vec::as_slice);
        let items: Vec<&Value> = all.iter().skip(from).take(most).collect();
        let to = from + items.len();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if to < all.len() {
            metadata["continue"] = json!(to.to_string());
        }
        json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items})
    }

    fn find(&self, plural: &str, name: &str) -> Option<Value> {
        self.objects.get(plural)?.iter().find(|known| known["metadata"]["name"] == name).cloned()
    }

    fn write(&mut self, method: &Method, mut body: Value) -> Answer {
        if method == Method::DELETE {
            let success = json!({"kind": "Status", "status": "Success", "metadata": {}});
            return respond(200, self.deleted.as_ref().unwrap_or(&success));
        }
        self.version += 1;
        body["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if body["metadata"]["uid"].is_null() {
            body["metadata"]["uid"] = json!("made");
        }
        respond(200, &body)
    }

    fn answer_lease(&mut self, method: &Method, mut body: Value) -> Answer {
        if self.lease_fails {
            return failure(500, "etcd has no leader");
        }
        match (method, &self.lease) {
            (&Method::GET, Some(lease)) => respond(200, lease),
            (&Method::GET, None) => failure(404, "not found"),
            (_, Some(lease)) if lease["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] => {
                failure(409, "the object has been modified")
            }
            _ => {
                self.version += 1;
                body["metadata"]["resourceVersion"] = json!(self.version.to_string());
                self.lease = Some(body.clone());
                respond(200, &body)
            }
        }
    }
}

fn failure(code: u16, message: &str) -> Answer {
    let reason = [(403, "Forbidden"), (404, "NotFound"), (409, "Conflict")].iter().find(|(known, _)| *known == code);
    let reason = reason.map_or("InternalError", |(_, reason)| reason);
    respond(code, &json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}))
}

fn respond(code: u16, body: &Value) -> Answer {
    Response::builder().status(code).body(Full::from(body.to_string()).boxed_unsync()).expect("a response")
}

/// A value inside so many lists.
pub fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}
