//! Every request that changes the cluster goes through here: refused without the lease, bounded in time, counted.

use std::{future::Future, time::Duration};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy},
    core::DynamicObject,
};
use serde_json::{Value, json};

use super::{Error, lease::Guard, live::Live};
use crate::{
    api::{StoredModelDeployment, conditions::shorten, names},
    resources::{Child, ChildKind, Owner},
    telemetry::Metrics,
};

/// The client has no read timeout of its own and repeats 429, 503 and 504 by itself: this bounds all of it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Of a change to the state that was just read: others write at the same time.
const TRIES: u32 = 3;

/// Bytes of what events.k8s.io/v1 takes (its validation: `NoteLengthLimit`, `ReportingInstanceLengthLimit`): it refuses more.
const NOTE_MAX: usize = 1024;
const INSTANCE_MAX: usize = 128;

/// What came of a deletion.
enum End {
    /// It was gone, or another state or object of that name is there.
    NotIt,
    Done,
    /// A finalizer keeps it for now.
    Kept(Box<Live>),
}

/// An event about a ModelDeployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub warning: bool,
    pub reason: String,
    pub text: String,
}

/// The one who writes.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    guard: Guard,
    metrics: Metrics,
    identity: String,
}

impl Writer {
    pub fn new(client: Client, guard: Guard, metrics: Metrics, identity: String) -> Self {
        Self { client, guard, metrics, identity }
    }

    /// Reads a child by name; for a child that no watch has brought.
    ///
    /// # Errors
    /// As the API server refuses, or when it does not answer in time.
    pub async fn read(&self, kind: ChildKind, namespace: &str, name: &str) -> Result<Option<Live>, Error> {
        let api = self.api(kind, namespace);
        let what = format!("read {kind} {namespace}/{name}");
        let found = self.send("get", kind.as_str(), what, api.get_opt(name)).await?;
        Ok(found.map(|object| Live::of(kind, object)))
    }

    /// Applies an intent; returns the object as it is now, and its managed fields.
    ///
    /// # Errors
    /// As the API server refuses, or when it does not answer in time, or without the lease.
    pub async fn apply(&self, child: &Child) -> Result<(Live, Value), Error> {
        self.guard.check()?;
        let api = self.api(child.kind, &child.namespace);
        let what = format!("apply {} {}/{}", child.kind, child.namespace, child.name);
        let params = PatchParams::apply(names::MANAGER).force().validation_strict();
        let body = child.whole();
        let patch = Patch::Apply(&body);
        let object = self.send("apply", child.kind.as_str(), what, api.patch(&child.name, &params, &patch)).await?;
        let managed = json!(object.metadata.managed_fields);
        Ok((Live::of(child.kind, object), managed))
    }

    /// Takes over `spec.replicas` of a Deployment under a second manager, at its live value: when we stop sending the
    /// field, it must not fall back to the default of 1.
    ///
    /// # Errors
    /// As [`Writer::apply`].
    pub async fn hand_over_replicas(&self, child: &Child, replicas: i32) -> Result<Live, Error> {
        self.guard.check()?;
        let api = self.api(child.kind, &child.namespace);
        let what = format!("hand over the replicas of {} {}/{}", child.kind, child.namespace, child.name);
        let body = json!({
            "apiVersion": child.body["apiVersion"],
            "kind": child.body["kind"],
            "metadata": {"name": child.name, "namespace": child.namespace},
            "spec": {"replicas": replicas},
        });
        let params = PatchParams::apply(names::SCALE_MANAGER).force();
        let patch = Patch::Apply(&body);
        let object = self.send("apply", child.kind.as_str(), what, api.patch(&child.name, &params, &patch)).await?;
        Ok(Live::of(child.kind, object))
    }

    /// Merges fields into a child, where server-side apply can only add to what others have left: a list replaces the one that
    /// is there, a null removes.
    ///
    /// # Errors
    /// As [`Writer::apply`].
    pub async fn replace(&self, child: &Child, fields: Value) -> Result<Live, Error> {
        self.guard.check()?;
        let api = self.api(child.kind, &child.namespace);
        let what = format!("replace fields of {} {}/{}", child.kind, child.namespace, child.name);
        let params = PatchParams { field_manager: Some(names::MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(fields);
        let object = self.send("patch", child.kind.as_str(), what, api.patch(&child.name, &params, &patch)).await?;
        Ok(Live::of(child.kind, object))
    }

    /// Takes what others have written of a child out of its managed fields. Whoever restores a backup holds every field beside
    /// us, and what we drop from our intent would stay for ever. No value changes by it.
    ///
    /// # Errors
    /// As [`Writer::apply`]; a conflict only if the object has changed under each of [`TRIES`].
    pub async fn hold_alone(&self, child: &Child) -> Result<Option<Live>, Error> {
        let mut tries = 1;
        loop {
            match self.try_to_hold_alone(child).await {
                Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_to_hold_alone(&self, child: &Child) -> Result<Option<Live>, Error> {
        let api = self.api(child.kind, &child.namespace);
        let what = format!("read {} {}/{}", child.kind, child.namespace, child.name);
        let Some(found) = self.send("get", child.kind.as_str(), what, api.get_opt(&child.name)).await? else {
            return Ok(None);
        };
        let held = found.metadata.managed_fields.unwrap_or_default();
        // Those who apply, and autoscalers and controllers by their subresources, go on writing.
        let lasting =
            |entry: &&ManagedFieldsEntry| entry.operation.as_deref() == Some("Apply") || entry.subresource.is_some();
        let kept: Vec<&ManagedFieldsEntry> = held.iter().filter(lasting).collect();
        if kept.len() == held.len() || kept.is_empty() {
            return Ok(None);
        }
        let metadata = json!({"resourceVersion": found.metadata.resource_version, "managedFields": kept});
        self.replace(child, json!({"metadata": metadata})).await.map(Some)
    }

    /// Deletes exactly this object, not a successor of the same name. Returns it as it is now if a finalizer keeps it: its name
    /// is not free until that is done.
    ///
    /// # Errors
    /// As the API server refuses; an object that is gone already is no error.
    pub async fn delete(&self, live: &Live) -> Result<Option<Live>, Error> {
        let preconditions = Preconditions { uid: Some(live.uid.clone()), resource_version: None };
        match self.end(live, preconditions, PropagationPolicy::Background).await? {
            End::Kept(leaving) => Ok(Some(*leaving)),
            End::Done | End::NotIt => Ok(None),
        }
    }

    /// Deletes an object and leaves all that it owns: of a Deployment, the pods go on running. Not if it has changed since it
    /// was read: who handed it over may have thought better of it. Returns whether it was deleted.
    ///
    /// # Errors
    /// As [`Writer::delete`].
    pub async fn delete_alone(&self, live: &Live) -> Result<bool, Error> {
        let version = Some(live.version.to_string());
        let preconditions = Preconditions { uid: Some(live.uid.clone()), resource_version: version };
        let end = self.end(live, preconditions, PropagationPolicy::Orphan).await?;
        Ok(!matches!(end, End::NotIt))
    }

    async fn end(&self, live: &Live, exactly: Preconditions, owned: PropagationPolicy) -> Result<End, Error> {
        self.guard.check()?;
        let api = self.api(live.kind, &live.namespace);
        let what = format!("delete {} {}/{}", live.kind, live.namespace, live.name);
        let params =
            DeleteParams { preconditions: Some(exactly), propagation_policy: Some(owned), ..DeleteParams::default() };
        match self.send("delete", live.kind.as_str(), what, api.delete(&live.name, &params)).await {
            Ok(answer) => {
                let left = answer.left().map(|left| Live::of(live.kind, left)).filter(|left| left.deleting);
                Ok(left.map_or(End::Done, |left| End::Kept(Box::new(left))))
            }
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(End::NotIt),
            Err(error) => Err(error),
        }
    }

    /// Patches the status; returns the object as it is now, or `None` if it is gone.
    ///
    /// # Errors
    /// As [`Writer::apply`].
    pub async fn patch_status(&self, owner: &Owner, patch: &Value) -> Result<Option<StoredModelDeployment>, Error> {
        self.guard.check()?;
        let api: Api<StoredModelDeployment> = Api::namespaced(self.client.clone(), &owner.namespace);
        let what = format!("status of ModelDeployment {}/{}", owner.namespace, owner.name);
        // The uid makes the patch fail on a successor of the same name.
        let body = json!({"metadata": {"uid": owner.uid}, "status": patch});
        let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
        let sent = api.patch_status(&owner.name, &params, &patch);
        match self.send("patch", "ModelDeployment/status", what, sent).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Publishes an event about the owner.
    ///
    /// # Errors
    /// As [`Writer::apply`].
    pub async fn publish(&self, owner: &Owner, note: &Note) -> Result<(), Error> {
        self.guard.check()?;
        let now = Timestamp::now();
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", owner.name, now.as_nanosecond())),
                namespace: Some(owner.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            action: Some("Reconcile".into()),
            reason: Some(note.reason.clone()),
            note: Some(shorten(&note.text, NOTE_MAX)),
            type_: Some(if note.warning { "Warning" } else { "Normal" }.into()),
            reporting_controller: Some("modelship.dev/controller".into()),
            reporting_instance: Some(shorten(&self.identity, INSTANCE_MAX)),
            regarding: Some(ObjectReference {
                api_version: Some(format!("{}/v1alpha1", names::GROUP)),
                kind: Some("ModelDeployment".into()),
                name: Some(owner.name.clone()),
                namespace: Some(owner.namespace.clone()),
                uid: Some(owner.uid.clone()),
                ..ObjectReference::default()
            }),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &owner.namespace);
        let what = format!("event {} on {}/{}", note.reason, owner.namespace, owner.name);
        self.send("create", "Event", what, api.create(&PostParams::default(), &event)).await.map(|_| ())
    }

    fn api(&self, kind: ChildKind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.api_resource())
    }

    async fn send<T>(
        &self,
        verb: &str,
        kind: &str,
        what: String,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        let outcome = match tokio::time::timeout(TIMEOUT, request).await {
            Err(_) => Err(Error::TimedOut { what, seconds: TIMEOUT.as_secs() }),
            Ok(Err(error)) => Err(Error::of(what, error)),
            Ok(Ok(answer)) => Ok(answer),
        };
        self.metrics.request(verb, kind, outcome.as_ref().err().map_or("ok", Error::category));
        outcome
    }
}

#[cfg(test)]
#[path = "tests/writer.rs"]
pub(super) mod tests;
