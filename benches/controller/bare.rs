//! The least that can be done: the very requests that the operator made, sent by a client that decides nothing, compares
//! nothing and reads no answer.
//!
//! What to send is learned from a round of the operator: the audit log tells each object's requests in their order; the
//! children's bodies are rendered by Modelship's own builders, status and events are those that the operator left.

use std::collections::HashMap;

use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{GetParams, ListParams, Patch, PatchParams, PostParams},
    client::Body,
    core::{ApiResource, DynamicObject, Request as Build},
};
use modelship::{
    api::{StoredModelDeployment, ValidSpec, names},
    images::Digest,
    monitoring::{MailDefaults, MailSecret, Renderer, Surroundings, bundle},
    resources::{
        Child, ChildKind, Owner, Track, deployment, disruption_budget,
        exporter::{self, Sidecar},
        revision::Revision,
        service, template,
    },
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{
    CONCURRENCY,
    audit::Request,
    load::{Created, Shape, name, tag},
    support::World,
};

/// Stands for the uid that is known only once the ModelDeployment exists; as long as one.
const UID: &str = "00000000-0000-0000-0000-000000000000";

/// What the operator is told, too: no pod runs here.
pub const EXPORTER_IMAGE: &str = "docker.io/modelship/modelship:bench";

/// The digests behind the tags.
pub type Digests = HashMap<&'static str, Digest>;

/// All requests of a round, by the number of the object.
pub struct Script(Vec<Vec<http::Request<Vec<u8>>>>);

/// A round of the operator, to be learned from.
pub struct Lesson<'a> {
    pub world: &'a World,
    pub shape: Shape,
    pub count: usize,
    pub requests: &'a [Request],
    pub digests: &'a Digests,
}

impl Lesson<'_> {
    /// The same for another namespace.
    pub async fn script(&self, namespace: &str) -> Script {
        let models: Api<StoredModelDeployment> = self.world.api();
        let models = models.list(&ListParams::default()).await.expect("the ModelDeployments").items;
        let status: HashMap<String, Value> =
            models.into_iter().map(|model| (model.name_any(), json!(model.known_status()))).collect();
        let mut events = self.events(namespace).await;
        let mut sequences: HashMap<&str, Vec<&Request>> = HashMap::new();
        for request in self.requests {
            if let Some(model) = request.model() {
                sequences.entry(model).or_default().push(request);
            }
        }
        let objects = (0..self.count).map(|number| {
            let name = name(number);
            let mut requests = sequences.remove(name.as_str()).unwrap_or_default();
            requests.sort_by_key(|request| request.received);
            let mut object = Object {
                owner: Owner { namespace: namespace.to_owned(), name: name.clone(), uid: UID.to_owned() },
                children: children(namespace, self.shape, number, self.digests),
                status: status[&name].clone(),
                patches: 0,
                patches_left: requests.iter().filter(|request| request.resource == "modeldeployments/status").count(),
                events: events.remove(&name).unwrap_or_default(),
            };
            requests.into_iter().map(|request| object.repeat(request)).collect()
        });
        Script(objects.collect())
    }

    /// The events that the operator left, by ModelDeployment, the last one first.
    async fn events(&self, namespace: &str) -> HashMap<String, Vec<Event>> {
        let api: Api<Event> = self.world.api();
        let mut found = api.list(&ListParams::default()).await.expect("the events").items;
        found.retain(|event| event.reporting_controller.as_deref() == Some("modelship.dev/controller"));
        found.sort_by_key(|event| std::cmp::Reverse(event.event_time.as_ref().map(|time| time.0)));
        let mut events: HashMap<String, Vec<Event>> = HashMap::new();
        for mut event in found {
            let regarding = event.regarding.as_mut().expect("an event about something");
            regarding.namespace = Some(namespace.to_owned());
            regarding.uid = Some(UID.to_owned());
            let model = regarding.name.clone().expect("a name");
            event.metadata = kube::api::ObjectMeta {
                name: event.metadata.name,
                namespace: Some(namespace.to_owned()),
                ..kube::api::ObjectMeta::default()
            };
            events.entry(model).or_default().push(event);
        }
        events
    }
}

fn children(namespace: &str, shape: Shape, number: usize, digests: &Digests) -> Vec<Child> {
    let owner = Owner { namespace: namespace.to_owned(), name: name(number), uid: UID.to_owned() };
    let stored = shape.spec(number);
    let spec = ValidSpec::parse(&owner.name, &stored).expect("a valid spec");
    let digest = &digests[tag(number)];
    let image = template::pinned(&spec, digest);
    let hash = template::inputs_hash(&stored, &image);
    let sidecar = Sidecar { image: EXPORTER_IMAGE.into(), pull_secrets: Vec::new() };
    let template = template::render(&owner, &spec, digest, &sidecar, &Map::new());
    let revision = Revision::new(&owner, 1, hash, image, template);
    let (around, mail) = (Surroundings::default(), MailDefaults::default());
    let watching = bundle(&Renderer::default(), &owner, &spec, &around, &mail, &MailSecret::None);
    [
        Some(service::build(&owner, &spec)),
        exporter::metrics_service(&owner, &spec),
        exporter::settings(&owner, &spec, None),
        Some(revision.child(&owner)),
        Some(deployment::build(&owner, &spec, &revision.template, Track::Stable)),
        disruption_budget::build(&owner, &spec),
    ]
    .into_iter()
    .flatten()
    .chain(watching.into_iter().flat_map(|bundle| bundle.children))
    .collect()
}

/// What is sent for one object.
struct Object {
    owner: Owner,
    children: Vec<Child>,
    status: Value,
    patches: usize,
    patches_left: usize,
    events: Vec<Event>,
}

impl Object {
    fn repeat(&mut self, request: &Request) -> http::Request<Vec<u8>> {
        let built = match (request.verb.as_str(), request.resource.as_str()) {
            ("create", "events") => self.event(),
            ("patch", "modeldeployments/status") => self.status_patch(),
            (verb, plural) => self.child(verb, plural, &request.name),
        };
        built.expect("a request")
    }

    fn child(
        &self,
        verb: &str,
        plural: &str,
        name: &str,
    ) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
        // A revision's name holds a hash over the owner's uid, which is another here.
        let asked = |child: &&Child| {
            child.kind.api_resource().plural == plural
                && (child.kind == ChildKind::ControllerRevision || child.name == name)
        };
        let child = self.children.iter().find(asked);
        let child = child.unwrap_or_else(|| panic!("the operator made a request to {verb} {plural}: teach the bench"));
        let resource = child.kind.api_resource();
        let build = Build::new(DynamicObject::url_path(&resource, Some(&child.namespace)));
        match verb {
            "get" => build.get(&child.name, &GetParams::default()),
            "patch" => {
                let params = PatchParams::apply(names::MANAGER).force().validation_strict();
                build.patch(&child.name, &params, &Patch::Apply(&child.whole()))
            }
            verb => panic!("the operator made a request to {verb} {plural}: teach the bench"),
        }
    }

    /// The first patch carries everything, the further ones what changes later. Each differs from the one before, or
    /// the API server would not store it; the last leaves what the operator left.
    fn status_patch(&mut self) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
        self.patches += 1;
        self.patches_left -= 1;
        let mut status = self.status.clone();
        if self.patches > 1 {
            let fields = status.as_object_mut().expect("a status");
            fields.retain(|field, _| {
                ["conditions", "available", "candidate", "stable", "history"].contains(&field.as_str())
            });
        }
        if self.patches_left > 0 {
            status["available"] = json!(format!("{}/-", self.patches));
        }
        let body = json!({"metadata": {"uid": self.owner.uid}, "status": status});
        let build = Build::new(StoredModelDeployment::url_path(&(), Some(&self.owner.namespace)));
        build.patch_subresource("status", &self.owner.name, &PatchParams::default(), &Patch::Merge(&body))
    }

    fn event(&mut self) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
        let event = self.events.pop().expect("an event for each request that made one");
        let resource = ApiResource::erase::<Event>(&());
        let build = Build::new(DynamicObject::url_path(&resource, Some(&self.owner.namespace)));
        build.create(&PostParams::default(), serde_json::to_vec(&event).expect("JSON"))
    }
}

impl Script {
    /// Opens the one connection that the operator, too, has open when a round begins.
    pub async fn warm(&self, client: &Client) {
        client.apiserver_version().await.expect("the API server answers");
    }

    /// Sends an object's requests one after the other, of so many objects at a time as the operator works on.
    pub async fn play(self, client: &Client, created: mpsc::Receiver<Created>) {
        let mut sequences: Vec<Option<_>> = self.0.into_iter().map(Some).collect();
        let created = stream::unfold(created, |mut queue| async { queue.recv().await.map(|next| (next, queue)) });
        created
            .map(|Created { number, uid }| (uid, sequences[number].take().expect("each object is created once")))
            .for_each_concurrent(CONCURRENCY, |(uid, requests)| async move {
                for request in requests {
                    send(client, request, &uid).await;
                }
            })
            .await;
    }
}

async fn send(client: &Client, request: http::Request<Vec<u8>>, uid: &str) {
    let what = format!("{} {}", request.method(), request.uri());
    let request = request.map(|body| {
        let text = String::from_utf8(body).expect("JSON is text");
        Body::from(text.replace(UID, uid).into_bytes())
    });
    let read = request.method() == http::Method::GET;
    let response = client.send(request).await.expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("all of the answer").to_bytes();
    assert!(status.is_success() || (read && status == 404), "{what}: {status}: {}", String::from_utf8_lossy(&body));
}
