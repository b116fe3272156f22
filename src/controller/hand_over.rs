//! Objects of others under our names: they are left alone, unless who made them hands them over.
//!
//! A hand-written Deployment cannot become ours as it is, for its selector is immutable: it is deleted without its pods, and
//! ours takes the name. Its pods go on running, and the team's Service goes on leading to them, until all replicas of ours
//! answer; only then is the Service taken over: one pod would not bear what several have borne. So nobody who asks is turned
//! away, and the pods left are for the team to delete.

use serde_json::{Map, Value, json};

use super::{
    Error,
    apply::{Applied, Applier, Obstacle},
    live::Live,
    writer::Note,
};
use crate::{
    api::names,
    resources::{Child, ChildKind, Owner},
};

impl Applier<'_> {
    /// Takes an object that is not ours, if it is handed over; otherwise the obstacle that it is.
    pub(super) async fn take_over(
        &self,
        child: &Child,
        live: &Live,
        applied: &mut Applied,
    ) -> Result<Option<Obstacle>, Error> {
        let body = live.value();
        let possible = may_be_handed_over(child, live, &body, self.owner);
        let given = body["metadata"]["annotations"][names::HAND_OVER] == "true";
        match child.kind {
            ChildKind::Deployment if possible && given => self.succeed(child, live, &body, applied).await,
            ChildKind::Service if possible && given => self.take_service(child, &body, applied).await,
            _ => Ok(Some(conflict(child, possible, &body))),
        }
    }

    /// Makes room for our Deployment.
    async fn succeed(
        &self,
        child: &Child,
        live: &Live,
        body: &Value,
        applied: &mut Applied,
    ) -> Result<Option<Obstacle>, Error> {
        if !live.deleting && self.writer.delete_alone(live).await? {
            applied.notes.push(handed_over(format!(
                "Deployment {} is replaced, as its annotation asks; its pods run on without it until you delete them: {}",
                child.name,
                deletion(child, &body["spec"]["selector"]),
            )));
        }
        Ok(Some(Obstacle {
            reason: "WaitingForDeletion",
            message: format!("Deployment {} was handed over and is being replaced; its pods run on", child.name),
            passing: true,
        }))
    }

    /// Leads the Service to our pods, once as many answer as are wanted.
    async fn take_service(
        &self,
        child: &Child,
        body: &Value,
        applied: &mut Applied,
    ) -> Result<Option<Obstacle>, Error> {
        let ours = self.caches.children(ChildKind::Deployment).get(&(child.namespace.clone(), child.name.clone()));
        let facts = ours.filter(|live| live.belongs_to(self.owner)).and_then(|live| live.deployment());
        if !facts.is_some_and(|facts| facts.wanted > 0 && facts.available >= facts.wanted) {
            // Our Deployment is watched: this need not be looked at by the clock.
            applied.obstacles.push(Obstacle {
                reason: "HandingOver",
                message: format!(
                    "Service {} was handed over, and goes on leading where it did until all replicas of the model answer",
                    child.name
                ),
                passing: true,
            });
            return Ok(None);
        }
        // In one request: between two of them it would lead nowhere.
        let theirs = body["spec"]["selector"].as_object().into_iter().flatten();
        let mut selector: Map<String, Value> = theirs.map(|(key, _)| (key.clone(), Value::Null)).collect();
        selector.extend(child.body["spec"]["selector"].as_object().cloned().unwrap_or_default());
        self.writer
            .replace(child, json!({"spec": {"selector": selector, "ports": child.body["spec"]["ports"]}}))
            .await?;
        self.send(child, applied).await?;
        applied.notes.push(handed_over(format!(
            "Service {} leads to the model now, as its annotation asks; it led to the pods with {}",
            child.name,
            written(&body["spec"]["selector"])
        )));
        Ok(None)
    }
}

/// Whether it would be taken if its annotation said so.
fn may_be_handed_over(child: &Child, live: &Live, body: &Value, owner: &Owner) -> bool {
    live.owner.is_none()
        && match child.kind {
            ChildKind::Deployment => true,
            // Clients of a headless Service ask the pods' own ports, which are others now.
            ChildKind::Service => child.name == owner.name && body["spec"]["clusterIP"] != "None",
            _ => false,
        }
}

fn handed_over(text: String) -> Note {
    Note { warning: false, reason: "HandedOver".into(), text }
}

/// The command that deletes what a Deployment with this selector has left, and nothing of ours: the team's labels may be on
/// the model's pods, too.
fn deletion(child: &Child, selector: &Value) -> String {
    let labels = written(&selector["matchLabels"]);
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(requirement);
    let all: Vec<String> = [labels].into_iter().filter(|labels| !labels.is_empty()).chain(expressions).collect();
    // In single quotes, for a shell would read `!` and brackets.
    format!("kubectl delete replicaset -n {} --selector '{},!{}'", child.namespace, all.join(","), names::MODEL)
}

/// An expression of a selector as kubectl takes it.
fn requirement(expression: &Value) -> String {
    let key = expression["key"].as_str().unwrap_or_default();
    let values: Vec<&str> = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match expression["operator"].as_str() {
        Some("In") => format!("{key} in ({})", values.join(",")),
        Some("NotIn") => format!("{key} notin ({})", values.join(",")),
        Some("DoesNotExist") => format!("!{key}"),
        _ => key.to_owned(),
    }
}

/// Labels as kubectl takes them.
fn written(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
}

fn conflict(child: &Child, possible: bool, body: &Value) -> Obstacle {
    if is_the_operators(child, body) {
        let (kind, name) = (child.kind, &child.name);
        let message = format!(
            "{kind} {name} is what watches the operator of Modelship itself, which runs in this namespace; it is left alone. Choose another metadata.name"
        );
        return Obstacle { reason: "NameConflict", message, passing: false };
    }
    let owners = body["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let whose = owners
        .filter(|owner| owner["controller"] == true)
        .find_map(|owner| Some(format!(" but to {} {}", owner["kind"].as_str()?, owner["name"].as_str()?)));
    let (kind, name) = (child.kind, &child.name);
    let hand_over = match possible {
        true => {
            let resource = kind.api_resource().plural;
            format!("; or hand it over, its pods run on: kubectl annotate {resource} {name} {}=true", names::HAND_OVER)
        }
        false => String::new(),
    };
    Obstacle {
        reason: "NameConflict",
        message: format!(
            "{kind} {name} exists and does not belong to this ModelDeployment{}; it is left alone. Delete or rename it, or choose another metadata.name{hand_over}",
            whose.unwrap_or_default()
        ),
        passing: false,
    }
}

/// Whether Modelship made it, and for no model: see `own_monitor`.
fn is_the_operators(child: &Child, body: &Value) -> bool {
    let labels = &body["metadata"]["labels"];
    child.kind.optional().is_some() && labels[names::MANAGED_BY] == names::MODELSHIP && labels[names::MODEL].is_null()
}

#[cfg(test)]
#[path = "tests/hand_over.rs"]
mod tests;
