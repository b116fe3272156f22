//! The only step that writes children. Ordered so that a crash after any request leaves a state that is legal and that
//! the next start completes without creating or deleting anything twice.

use serde_json::Value;

use super::{
    Error,
    compare::{first_difference, holder},
    decide::Plan,
    index::Indexed as _,
    ledger::{Ledger, Outcome},
    live::Live,
    observe::Caches,
    writer::{Note, Writer},
};
use crate::{
    api::names,
    resources::{Child, ChildKind, Owner},
};

/// Something between us and what we want, for the conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub reason: &'static str,
    pub message: String,
    /// Time alone may help.
    pub passing: bool,
    /// Nothing that we watch tells when it is gone: look again.
    pub retry: bool,
}

/// What came of applying a plan.
#[derive(Default)]
pub struct Applied {
    pub obstacles: Vec<Obstacle>,
    /// What keeps the monitoring from being written. It says nothing of the model itself.
    pub monitoring: Vec<Obstacle>,
    /// Hand-made changes that were put back.
    pub notes: Vec<Note>,
}

impl Applied {
    /// Something that nothing we watch will tell the end of.
    pub fn to_retry(&self) -> Option<&Obstacle> {
        self.obstacles.iter().chain(&self.monitoring).find(|obstacle| obstacle.retry)
    }
}

/// Applies plans.
pub struct Applier<'a> {
    pub writer: &'a Writer,
    pub caches: &'a Caches,
    pub ledger: &'a Ledger,
    pub owner: &'a Owner,
}

impl Applier<'_> {
    /// Brings the children to the plan.
    ///
    /// # Errors
    /// When a request could not be made or answered. What the API server refuses for good is an [`Obstacle`] instead, and
    /// does not keep the other children from being written.
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
        let mut applied = Applied::default();
        // An autoscaler that is switched off goes first: it would fight the replicas that the Deployment is about to get.
        for orphan in orphans.iter().filter(|orphan| orphan.kind == ChildKind::HorizontalPodAutoscaler) {
            self.delete(orphan).await?;
        }
        // The settings before the pods that read them, and what shields pods before there are any.
        for child in [service].into_iter().chain(metrics_service).chain(settings).chain(network_policy) {
            self.child(child, &mut applied).await?;
        }
        if let Some(workload) = workload {
            // The template is stored before it is used: whoever starts after a crash here renders nothing anew, and goes
            // on to the version that was decided on, even if the registry is away by then.
            self.child(&workload.revision, &mut applied).await?;
            if let Some(replicas) = workload.hand_over {
                let live = self.writer.hand_over_replicas(&workload.deployment, replicas).await?;
                self.caches.children(ChildKind::Deployment).wrote(live);
            }
            self.child(&workload.deployment, &mut applied).await?;
        }
        // After the Deployment: both refer to its pods.
        for child in budget.iter().chain(autoscaler) {
            self.child(child, &mut applied).await?;
        }
        // Last: whatever becomes of it, the model serves.
        let mut beside = Applied::default();
        for child in monitoring.iter().flat_map(|bundle| &bundle.children) {
            match self.child(child, &mut beside).await {
                Err(error) if error.is_not_found() => beside.obstacles.push(vanished(child)),
                other => other?,
            }
        }
        applied.monitoring = beside.obstacles;
        applied.notes.append(&mut beside.notes);
        for orphan in orphans.iter().filter(|orphan| orphan.kind != ChildKind::HorizontalPodAutoscaler) {
            self.delete(orphan).await?;
        }
        Ok(applied)
    }

    async fn delete(&self, live: &Live) -> Result<(), Error> {
        self.writer.delete(live).await?;
        self.caches.children(live.kind).deleted(&live.key(), live.uid());
        Ok(())
    }

    async fn child(&self, child: &Child, applied: &mut Applied) -> Result<(), Error> {
        match self.bring(child, applied).await {
            Err(error) if error.is_verdict() => {
                applied.obstacles.push(refused(child, &error));
                Ok(())
            }
            other => other,
        }
    }

    /// Brings one child to its intent, unless it is not ours.
    async fn bring(&self, child: &Child, applied: &mut Applied) -> Result<(), Error> {
        let index = self.caches.children(child.kind);
        let key = (child.namespace.clone(), child.name.clone());
        let mut live = index.get(&key);
        if live.is_none()
            && let Some(found) = self.writer.read(child.kind, &child.namespace, &child.name).await?
        {
            // Without our labels no watch brings it: a user's own object, or ours with the labels taken off.
            if found.owner.as_deref() == Some(&self.owner.uid) {
                index.wrote(found.clone());
            }
            live = Some(found.into());
        }
        let Some(live) = live else {
            return self.send(child, applied).await;
        };
        if live.owner.as_deref() != Some(&self.owner.uid) {
            applied.obstacles.push(conflict(child));
            return Ok(());
        }
        self.settle(child, &live, applied).await
    }

    /// Brings an object that is ours to its intent, unless it is there already, or others contest it.
    pub(super) async fn settle(&self, child: &Child, live: &Live, applied: &mut Applied) -> Result<(), Error> {
        if live.deleting {
            applied.obstacles.push(Obstacle {
                reason: "WaitingForDeletion",
                message: format!("{} {} is being deleted; it is made anew when it is gone", child.kind, child.name),
                passing: true,
                retry: false,
            });
            return Ok(());
        }
        match self.ledger.outcome(child, live) {
            Some(Outcome::Holds) => return Ok(()),
            Some(Outcome::Contested { field, manager }) => {
                applied.obstacles.push(contested(child, &field, &manager));
                return Ok(());
            }
            None => {}
        }
        let Some(difference) = first_difference(&child.body, &live.value()) else {
            self.ledger.note(child, live, Outcome::Holds);
            return Ok(());
        };
        if live.intent.as_deref() == Some(&child.hash) || self.ledger.held(child, live) {
            let field = difference.to_string();
            if !self.ledger.may_put_back(child, live) {
                let manager = "somebody else, again and again".to_owned();
                applied.obstacles.push(contested(child, &field, &manager));
                self.ledger.note(child, live, Outcome::Contested { field, manager });
                return Ok(());
            }
            applied.notes.push(put_back(child, &field));
        }
        match self.send(child, applied).await {
            Err(error) if error.is_verdict() && names_clash(child, live) => {
                self.caches.children(child.kind).wrote(self.writer.replace_ports(child).await?);
                self.send(child, applied).await
            }
            other => other,
        }
    }

    pub(super) async fn send(&self, child: &Child, applied: &mut Applied) -> Result<(), Error> {
        let (live, managed) = self.writer.apply(child).await?;
        let outcome = match first_difference(&child.body, &live.value()) {
            None => Outcome::Holds,
            Some(path) => {
                let manager =
                    holder(&managed, &path, names::MANAGER).unwrap_or_else(|| "an admission webhook".to_owned());
                applied.obstacles.push(contested(child, &path.to_string(), &manager));
                Outcome::Contested { field: path.to_string(), manager }
            }
        };
        self.ledger.note(child, &live, outcome);
        self.caches.children(child.kind).wrote(live);
        Ok(())
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

fn conflict(child: &Child) -> Obstacle {
    Obstacle {
        reason: "NameConflict",
        message: format!(
            "{} {} exists and does not belong to this ModelDeployment; it is left alone. Delete or rename it, or choose another metadata.name",
            child.kind, child.name
        ),
        passing: false,
        retry: true,
    }
}

/// Its definition is gone, which the watch of definitions will tell too.
fn vanished(child: &Child) -> Obstacle {
    Obstacle {
        reason: "NotInstalled",
        message: format!("the cluster does not know {} any more", child.kind),
        passing: true,
        retry: true,
    }
}

fn contested(child: &Child, field: &str, manager: &str) -> Obstacle {
    Obstacle {
        reason: "Contested",
        message: format!(
            "{field} of {} {} is changed back by {manager}; Modelship has stopped writing it. Make the two agree",
            child.kind, child.name
        ),
        passing: false,
        retry: false,
    }
}

fn refused(child: &Child, error: &Error) -> Obstacle {
    let Error::Refused { code, message, .. } = error else {
        return Obstacle { reason: "Refused", message: error.to_string(), passing: false, retry: true };
    };
    // The API server checks what came out of the merge with the user's podTemplate.
    let of_template = child.kind == ChildKind::Deployment && message.contains("spec.template");
    let (reason, hint) = match code {
        403 => ("Forbidden", "grant it, or raise the quota"),
        // Most likely it was installed before the field was invented.
        _ if child.kind.optional().is_some() => ("Rejected", "upgrade the CustomResourceDefinition"),
        _ if of_template => ("InvalidPodTemplate", "mend spec.podTemplate or spec.server"),
        _ => ("Rejected", "mend the spec"),
    };
    Obstacle {
        reason,
        message: format!("the API server refuses {} {}: {message} ({hint})", child.kind, child.name),
        passing: false,
        retry: true,
    }
}

fn put_back(child: &Child, field: &str) -> Note {
    let instead = match field {
        "spec.replicas" => format!("use kubectl scale mdl/{}, or spec.autoscaling", child.name),
        field if field.ends_with("[model].image") => "use spec.image.pin of the ModelDeployment".to_owned(),
        _ => "change the ModelDeployment instead".to_owned(),
    };
    Note {
        warning: true,
        reason: "PutBack".into(),
        text: format!("{field} of {} {} was changed by hand and has been put back; {instead}", child.kind, child.name),
    }
}
