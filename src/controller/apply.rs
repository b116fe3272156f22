//! The only step that writes children. Ordered so that a crash after any request leaves a state that is legal and that
//! the next start completes without creating or deleting anything twice.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    Error,
    compare::{FILES, first_difference, holder},
    decide::Plan,
    index::Indexed as _,
    ledger::{Asked, Ledger, Outcome},
    live::Live,
    observe::Caches,
    remarks, unions,
    writer::{Note, Writer},
};
use crate::{
    api::names,
    monitoring::bundle,
    resources::{Child, ChildKind, Owner},
};

/// Something between us and what we want, for the conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub reason: &'static str,
    pub message: String,
    /// Time alone may help.
    pub passing: bool,
}

/// What came of applying a plan.
#[derive(Default)]
pub struct Applied {
    pub obstacles: Vec<Obstacle>,
    /// What keeps the monitoring from being written. It says nothing of the model itself.
    pub monitoring: Vec<Obstacle>,
    /// Hand-made changes that were put back.
    pub notes: Vec<Note>,
    /// The users' Service does not lead to the model's pods.
    pub cut_off: bool,
    /// Children that had lost their owner and have it again.
    pub adopted: Vec<String>,
    /// When the first of what was refused may be asked for again: nothing that we watch tells when it would be taken.
    pub again: Option<Instant>,
}

impl Applied {
    fn refused(&mut self, obstacle: Obstacle, until: Instant) {
        self.obstacles.push(obstacle);
        self.again = self.again.into_iter().chain([until]).min();
    }
}

/// One thing to do for a model. What is said against it is its own trouble: the others are done all the same.
#[derive(Clone, Copy)]
enum Step<'a> {
    Bring(&'a Child),
    /// The Deployment, whose live number of replicas is kept when Modelship stops sending it.
    HandOver(&'a Child, i32),
    Remove(&'a Live),
}

impl Step<'_> {
    /// Kind and name of the object.
    fn about(&self) -> (ChildKind, &str) {
        match self {
            Step::Bring(child) | Step::HandOver(child, _) => (child.kind, &child.name),
            Step::Remove(live) => (live.kind, &live.name),
        }
    }
}

/// Applies plans.
pub struct Applier<'a> {
    pub writer: &'a Writer,
    pub caches: &'a Caches,
    pub ledger: &'a Ledger,
    pub owner: &'a Owner,
    /// Of the owner's spec.
    pub generation: i64,
}

impl Applier<'_> {
    /// Brings the children to the plan.
    ///
    /// # Errors
    /// When a request could not be made or answered. What the API server says against one child is an [`Obstacle`] instead:
    /// it does not keep the others from being written, and the next try is that child's alone.
    pub async fn apply(&self, plan: &Plan) -> Result<Applied, Error> {
        let Plan {
            service,
            metrics_service,
            settings,
            network_policy,
            workload,
            budget,
            autoscaler,
            monitoring,
            orphans,
            target: _,
            progress: _,
            completed: _,
            held: _,
            accepted: _,
        } = plan;
        let (watching, orphans): (Vec<&Live>, Vec<&Live>) =
            orphans.iter().map(Arc::as_ref).partition(|live| watches(live));
        let mut steps: Vec<Step> = Vec::new();
        // An autoscaler that is switched off goes first: it would fight the replicas that the Deployment is about to get.
        let (first, last): (Vec<&Live>, Vec<&Live>) =
            orphans.into_iter().partition(|orphan| orphan.kind == ChildKind::HorizontalPodAutoscaler);
        steps.extend(first.into_iter().map(Step::Remove));
        // The settings before the pods that read them, and what shields pods before there are any.
        let before = [service].into_iter().chain(metrics_service).chain(settings).chain(network_policy);
        steps.extend(before.map(Step::Bring));
        if let Some(workload) = workload {
            // The template is stored before it is used: whoever starts after a crash here renders nothing anew, and goes
            // on to the version that was decided on, even if the registry is away by then.
            steps.push(Step::Bring(&workload.revision));
            steps.push(match workload.hand_over {
                Some(replicas) => Step::HandOver(&workload.deployment, replicas),
                None => Step::Bring(&workload.deployment),
            });
        }
        // After the Deployment: both refer to its pods.
        steps.extend(budget.iter().chain(autoscaler).map(Step::Bring));
        let mut applied = Applied::default();
        for step in steps {
            // One that is used without being stored is rolled back by whoever starts next while the registry is away.
            if step.about().0 == ChildKind::Deployment && !self.template_is_stored(plan, &applied) {
                continue;
            }
            self.step(step, &mut applied).await?;
        }
        applied.cut_off = !applied.obstacles.is_empty() && !self.leads(service);
        // Last: whatever becomes of it, the model serves.
        let watched = monitoring.iter().flat_map(|bundle| &bundle.children).map(Step::Bring);
        let mut beside = self.beside(watched.chain(watching.into_iter().map(Step::Remove))).await?;
        applied.again = applied.again.into_iter().chain(beside.again).min();
        applied.monitoring = beside.obstacles;
        applied.notes.append(&mut beside.notes);
        applied.adopted.append(&mut beside.adopted);
        for orphan in last {
            self.step(Step::Remove(orphan), &mut applied).await?;
        }
        applied.notes.extend(remarks::adopted(&applied.adopted));
        Ok(applied)
    }

    /// Whether what the Deployment is to run would be found after a restart. Asked only when something is in the way: else it
    /// was just stored.
    fn template_is_stored(&self, plan: &Plan, applied: &Applied) -> bool {
        applied.obstacles.is_empty() || self.is_stored(plan)
    }

    /// Whether the wanted template is there.
    pub fn is_stored(&self, plan: &Plan) -> bool {
        let stored = |revision: &Child| {
            let live = self.caches.children(revision.kind).get(&(revision.namespace.clone(), revision.name.clone()));
            live.is_some_and(|live| live.belongs_to(self.owner))
        };
        plan.workload.as_ref().is_some_and(|workload| stored(&workload.revision))
    }

    /// Whether the Service that is there selects the model's pods. Asked only when something is in the way: else it was just
    /// seen to hold all that is wanted. The caches have it, so that no endpoints need be watched.
    fn leads(&self, service: &Child) -> bool {
        let key = (service.namespace.clone(), service.name.clone());
        let live = self.caches.children(ChildKind::Service).get(&key);
        let wanted = json!({"spec": {"selector": service.body["spec"]["selector"]}});
        live.is_some_and(|live| live.belongs_to(self.owner) && first_difference(&wanted, &live.value()).is_none())
    }

    /// Does what the model can do without. Not even a request without an answer is the model's trouble; there will be none to
    /// the next ones either, so that one is enough in a turn.
    async fn beside(&self, steps: impl Iterator<Item = Step<'_>>) -> Result<Applied, Error> {
        let mut applied = Applied::default();
        for step in steps {
            match self.step(step, &mut applied).await {
                Ok(()) => {}
                Err(error) if error.is_farewell() || matches!(error, Error::LeaseLost) => return Err(error),
                Err(error) => {
                    self.refuse(self.asked(step), remarks::refused(step.about(), &error), &mut applied);
                    break;
                }
            }
        }
        Ok(applied)
    }

    async fn step(&self, step: Step<'_>, applied: &mut Applied) -> Result<(), Error> {
        let asked = self.asked(step);
        if let Some((obstacle, until)) = self.ledger.refused(&asked) {
            applied.refused(obstacle, until);
            return Ok(());
        }
        let done = match step {
            Step::Bring(child) => self.bring(child, applied).await,
            Step::HandOver(child, replicas) => self.hand_over(child, replicas, applied).await,
            Step::Remove(live) => self.remove(live).await,
        };
        match done {
            Ok(None) => self.ledger.taken(&asked),
            Ok(Some(obstacle)) => self.refuse(asked, obstacle, applied),
            Err(error) if error.is_answer() => self.refuse(asked, remarks::refused(step.about(), &error), applied),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn asked(&self, step: Step) -> Asked {
        match step {
            Step::Bring(child) | Step::HandOver(child, _) => {
                let live = self.caches.children(child.kind).get(&(child.namespace.clone(), child.name.clone()));
                Asked::to_bring(child, live.as_deref(), self.generation)
            }
            Step::Remove(live) => Asked::to_remove(live, self.generation),
        }
    }

    fn refuse(&self, asked: Asked, obstacle: Obstacle, applied: &mut Applied) {
        let Owner { namespace, name, .. } = self.owner;
        let until = self.ledger.refuse(asked, obstacle.clone());
        let retry_in = until.saturating_duration_since(Instant::now());
        tracing::warn!(
            model = format!("{namespace}/{name}"),
            reason = obstacle.reason,
            ?retry_in,
            "{}",
            obstacle.message
        );
        applied.refused(obstacle, until);
    }

    async fn remove(&self, live: &Live) -> Result<Option<Obstacle>, Error> {
        let index = self.caches.children(live.kind);
        match self.writer.delete(live).await? {
            Some(leaving) => index.wrote(leaving),
            None => index.deleted(&live.key(), live.uid()),
        }
        Ok(None)
    }

    async fn hand_over(&self, child: &Child, replicas: i32, applied: &mut Applied) -> Result<Option<Obstacle>, Error> {
        let live = self.writer.hand_over_replicas(child, replicas).await?;
        self.caches.children(ChildKind::Deployment).wrote(live);
        self.bring(child, applied).await
    }

    /// Brings one child to its intent, unless it is not ours.
    async fn bring(&self, child: &Child, applied: &mut Applied) -> Result<Option<Obstacle>, Error> {
        let index = self.caches.children(child.kind);
        let key = (child.namespace.clone(), child.name.clone());
        let mut live = index.get(&key);
        if live.is_none()
            && let Some(found) = self.writer.read(child.kind, &child.namespace, &child.name).await?
        {
            // Without our labels no watch brings it: a user's own object, or ours with the labels taken off.
            if found.belongs_to(self.owner) {
                index.wrote(found.clone());
            }
            live = Some(found.into());
        }
        let Some(live) = live else {
            self.send(child, applied).await?;
            return Ok(None);
        };
        if !live.belongs_to(self.owner) {
            return self.take_over(child, &live, applied).await;
        }
        self.settle(child, &live, applied).await?;
        Ok(None)
    }

    /// Brings an object that is ours to its intent, unless it is there already, or others contest it.
    pub(super) async fn settle(&self, child: &Child, live: &Live, applied: &mut Applied) -> Result<(), Error> {
        if live.deleting {
            applied.obstacles.push(Obstacle {
                reason: "WaitingForDeletion",
                message: format!("{} {} is being deleted; it is made anew when it is gone", child.kind, child.name),
                passing: true,
            });
            return Ok(());
        }
        match self.ledger.outcome(child, live) {
            Some(Outcome::Holds) => return Ok(()),
            Some(Outcome::Contested { field, manager }) => {
                applied.obstacles.push(remarks::contested(child, &field, &manager));
                return Ok(());
            }
            None => {}
        }
        let Some(difference) = first_difference(&child.body, &live.value()) else {
            self.ledger.note(child, live, Outcome::Holds);
            return Ok(());
        };
        let held = self.ledger.held(child, live);
        if live.owner.is_none() && !held {
            return self.take_back(child, live, applied).await;
        }
        if !held && live.intent.as_deref() != Some(&child.hash) {
            return self.send_over(child, live, applied).await;
        }
        let field = remarks::telling(child, &live.value()).unwrap_or(difference).to_string();
        if !self.ledger.may_put_back(child, live) {
            let manager = "somebody else, again and again".to_owned();
            applied.obstacles.push(remarks::contested(child, &field, &manager));
            self.ledger.note(child, live, Outcome::Contested { field, manager });
            return Ok(());
        }
        self.send_over(child, live, applied).await?;
        // What the API server refuses is not put back, and nobody contests it.
        self.ledger.put_back(child);
        let version_of = |image: &str| self.caches.version_of(self.owner, image);
        applied.notes.push(remarks::put_back(child, &live.value(), &field, version_of));
        Ok(())
    }

    /// Sends it to an object that may stand in its way by what it holds itself.
    async fn send_over(&self, child: &Child, live: &Live, applied: &mut Applied) -> Result<(), Error> {
        match self.send(child, applied).await {
            Err(error) if error.is_verdict() => match in_the_way(child, live) {
                Some(fields) => {
                    self.caches.children(child.kind).wrote(self.writer.replace(child, fields).await?);
                    self.send(child, applied).await
                }
                None => Err(error),
            },
            other => other,
        }
    }

    /// Takes back a child that has lost its owner. After a crash between the two writes others go on holding its fields; that
    /// shows only when one of them is dropped from our intent.
    async fn take_back(&self, child: &Child, live: &Live, applied: &mut Applied) -> Result<(), Error> {
        self.send_over(child, live, applied).await?;
        applied.adopted.push(format!("{} {}", child.kind, child.name));
        match self.writer.hold_alone(child).await {
            Ok(live) => live.into_iter().for_each(|live| self.caches.children(child.kind).wrote(live)),
            // The child is whole, and what is left shows only later, if at all: as after a crash.
            Err(error) if error.is_answer() => {
                tracing::warn!(%error, "others go on holding fields of {} {}", child.kind, child.name);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) async fn send(&self, child: &Child, applied: &mut Applied) -> Result<(), Error> {
        let (mut live, managed) = self.writer.apply(child).await?;
        let mut difference = first_difference(&child.body, &live.value());
        if let Some(surplus) = difference.as_ref().and_then(|_| surplus(child, &live)) {
            live = self.writer.replace(child, surplus).await?;
            difference = first_difference(&child.body, &live.value());
        }
        let outcome = match difference {
            None => Outcome::Holds,
            Some(path) => {
                let manager =
                    holder(&managed, &path, names::MANAGER).unwrap_or_else(|| "an admission webhook".to_owned());
                applied.obstacles.push(remarks::contested(child, &path.to_string(), &manager));
                Outcome::Contested { field: path.to_string(), manager }
            }
        };
        self.ledger.note(child, &live, outcome);
        self.caches.children(child.kind).wrote(live);
        Ok(())
    }
}

/// What others have put into a ConfigMap of ours: server-side apply leaves it, and it would be a file beside ours in a pod.
fn surplus(child: &Child, live: &Live) -> Option<Value> {
    if child.kind != ChildKind::ConfigMap {
        return None;
    }
    let live = live.value();
    let theirs = FILES.into_iter().filter_map(|field| {
        let theirs = live[field].as_object()?.keys().filter(|key| child.body[field].get(key.as_str()).is_none());
        let theirs: Map<String, Value> = theirs.map(|key| (key.clone(), Value::Null)).collect();
        (!theirs.is_empty()).then(|| (field.to_owned(), Value::Object(theirs)))
    });
    let theirs: Map<String, Value> = theirs.collect();
    (!theirs.is_empty()).then_some(Value::Object(theirs))
}

/// What the live object holds that ours cannot stand beside, as the patch that makes room.
fn in_the_way(child: &Child, live: &Live) -> Option<Value> {
    match names_clash(child, live) {
        true => Some(json!({"spec": {"ports": child.body["spec"]["ports"]}})),
        false => unions::patch(child, live),
    }
}

/// Ports of a Service are told apart by number: one whose number was changed by hand stays beside the one that is put
/// back, and the API server refuses two of one name.
fn names_clash(child: &Child, live: &Live) -> bool {
    let ports = |body: &Value| body["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let number = |port: &Value| (port["port"].clone(), port["protocol"].clone());
    let wanted = ports(&child.body);
    child.kind == ChildKind::Service
        && ports(&live.value())
            .iter()
            .any(|theirs| wanted.iter().any(|ours| ours["name"] == theirs["name"] && number(ours) != number(theirs)))
}

/// Whether it only watches the model.
fn watches(live: &Live) -> bool {
    let model = live.model.as_deref().unwrap_or_default();
    live.kind.optional().is_some() || (live.kind == ChildKind::ConfigMap && live.name == bundle::dashboard_name(model))
}

#[cfg(test)]
#[path = "tests/apply.rs"]
pub(super) mod tests;
