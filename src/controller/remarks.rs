//! What is said of a child: why it could not be written, who contests it, what was put back. Pure.

use serde_json::{Value, json};

use super::{
    Error,
    apply::Obstacle,
    compare::{Path, first_difference},
    writer::Note,
};
use crate::{
    api::names,
    resources::{Child, ChildKind, template},
};

/// That children which had lost their owner have it again.
pub fn adopted(children: &[String]) -> Option<Note> {
    (!children.is_empty()).then(|| Note {
        warning: false,
        reason: "Adopted".into(),
        text: format!("had lost their owner, and belong to this ModelDeployment again: {}", children.join(", ")),
    })
}

/// That somebody goes on changing a field.
pub fn contested(child: &Child, field: &str, manager: &str) -> Obstacle {
    Obstacle {
        reason: "Contested",
        message: format!(
            "{field} of {} {} is changed back by {manager}; Modelship has stopped writing it. Make the two agree",
            child.kind, child.name
        ),
        passing: false,
    }
}

/// Why an object could not be written, or not be deleted.
pub fn refused((kind, name): (ChildKind, &str), error: &Error) -> Obstacle {
    let passing = |reason, message| Obstacle { reason, message, passing: true };
    let Error::Refused { code, message, .. } = error else {
        let message = format!("the API server has not answered about {kind} {name} ({})", error.category());
        return passing("ApiServerError", message + AGAIN);
    };
    if *code == 404 && kind.optional().is_some() {
        // Its definition is gone, which the watch of definitions will tell too.
        return passing("NotInstalled", format!("the cluster does not know {kind} any more"));
    }
    if !error.is_verdict() {
        // Not the words themselves, for they change from try to try.
        let why = match unanswering_webhook(message) {
            Some(webhook) => format!("its admission webhook {webhook} does not answer"),
            None => error.category().to_owned(),
        };
        return passing(
            "ApiServerError",
            format!("the API server did not take a change of {kind} {name}: {why}") + AGAIN,
        );
    }
    // The API server checks what came out of the merge with the user's podTemplate.
    let of_template = kind == ChildKind::Deployment && message.contains("spec.template");
    let (reason, hint) = match code {
        // Whatever its code: some answer as if a right were missing, and some quote fields that nobody has to mend.
        _ if is_policys(message) => ("Rejected", "satisfy that policy in the spec, or ask who keeps it"),
        403 => ("Forbidden", "grant it, or raise the quota"),
        // Most likely it was installed before the field was invented.
        _ if kind.optional().is_some() => ("Rejected", "upgrade the CustomResourceDefinition"),
        _ if of_template => ("InvalidPodTemplate", "mend spec.podTemplate or spec.server"),
        _ => ("Rejected", "mend the spec"),
    };
    Obstacle { reason, message: format!("the API server refuses {kind} {name}: {message} ({hint})"), passing: false }
}

/// Whether an admission webhook or a ValidatingAdmissionPolicy of the cluster has refused, as the API server words it.
fn is_policys(message: &str) -> bool {
    ["admission webhook \"", "ValidatingAdmissionPolicy '"]
        .iter()
        .any(|who| message.split_once(who).is_some_and(|(_, rest)| rest.contains(" denied ")))
}

const AGAIN: &str = "; it is tried again, and nothing else waits for it";

/// Its name, as the API server says it: `failed calling webhook "NAME": …`.
fn unanswering_webhook(message: &str) -> Option<&str> {
    message.split_once("failed calling webhook \"")?.1.split_once('"').map(|(name, _)| name)
}

/// The difference that a person would name. `kubectl rollout undo` changes our annotations, too, which come first: of a Deployment
/// it is the model's image, or else what differs in its spec.
pub fn telling(child: &Child, live: &Value) -> Option<Path> {
    let spec = |body: &Value| json!({"spec": body["spec"]});
    let (wanted, live) = (spec(&child.body), spec(live));
    let image = model_image(&wanted).map(|image| {
        let container = json!({"name": names::MODEL_CONTAINER, "image": image});
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    });
    image.and_then(|image| first_difference(&image, &live)).or_else(|| first_difference(&wanted, &live))
}

/// The image of the model's container in a Deployment.
fn model_image(body: &Value) -> Option<&str> {
    template::pulled(&body["spec"]["template"])
}

/// That a change by hand was put back, and what to do instead. `version_of` tells the version whose pods pull an image.
pub fn put_back(child: &Child, live: &Value, field: &str, version_of: impl Fn(&str) -> Option<String>) -> Note {
    let (kind, name) = (child.kind, &child.name);
    let instead = match field {
        "spec.replicas" => format!("use kubectl scale mdl/{name}, or spec.autoscaling"),
        field if field.ends_with("[model].image") => {
            // Pods pull the image in an index, and a version is called by the index.
            let version = model_image(live).map(|image| version_of(image).unwrap_or_else(|| image.to_owned()));
            match version.as_deref().and_then(|version| version.split_once('@')) {
                Some((_, digest)) => {
                    format!("to run that version, set spec.image.pin: {digest} in the ModelDeployment {name}")
                }
                None => format!("to run a version, set spec.image.pin: sha256:… in the ModelDeployment {name}"),
            }
        }
        _ => "change the ModelDeployment instead".to_owned(),
    };
    Note {
        warning: true,
        reason: "PutBack".into(),
        text: format!("{field} of {kind} {name} was changed by hand and has been put back; {instead}"),
    }
}

#[cfg(test)]
#[path = "tests/remarks.rs"]
mod tests;
