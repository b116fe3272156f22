//! What a user's `podTemplate` may not touch: all that Modelship must be able to rely on in a pod.

use serde_json::Value;

use super::{findings::Findings, labels, names};

/// `podTemplate` may add and change anything but what Modelship must be able to rely on.
pub fn check(template: &Value, port: u16, findings: &mut Findings) {
    const AT: &str = "spec.podTemplate";
    if !template.is_object() {
        findings.add(AT, "must be an object with metadata and spec, as in a Deployment");
        return;
    }
    for key in template.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !matches!(key.as_str(), "metadata" | "spec") {
            findings.add(format!("{AT}.{key}"), "is not part of a pod template; it has metadata and spec");
        }
    }
    check_shape(template, findings);
    for kind in ["labels", "annotations"] {
        let keys = template.pointer(&format!("/metadata/{kind}")).and_then(Value::as_object);
        for (key, value) in keys.into_iter().flatten() {
            let at = format!("{AT}.metadata.{kind}");
            if key.starts_with("modelship.dev/") || *key == names::MANAGED_BY {
                findings.add(at, format!("'{key}' is Modelship's own; leave it out"));
            } else if let Some(fault) = wrong_entry(kind, key, value) {
                findings.add(at, fault);
            }
        }
    }
    // A null removes what it names, and selectors, the Service and the autoscaler stand on these.
    for part in ["/metadata", "/metadata/labels", "/spec", "/spec/containers"] {
        if template.pointer(part).is_some_and(Value::is_null) {
            findings.add(format!("{AT}{}", part.replace('/', ".")), "must not be null; leave it out");
        }
    }
    for list in ["containers", "initContainers"] {
        let containers = template.pointer(&format!("/spec/{list}")).and_then(Value::as_array);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            check_container(&format!("{AT}.spec.{list}[{index}]"), container, port, findings);
        }
    }
}

fn wrong_entry(kind: &str, key: &str, value: &Value) -> Option<String> {
    if kind == "annotations" {
        return labels::wrong_annotation(key);
    }
    // A null takes a label away, and what else is no text the API server tells.
    labels::wrong_name(key).or_else(|| labels::wrong_value(value.as_str().unwrap_or_default()))
}

/// What is merged takes the place of what is rendered unless both are objects.
fn check_shape(template: &Value, findings: &mut Findings) {
    let mut wrong = |part: &str, what: &str| {
        findings.add(format!("spec.podTemplate{}", part.replace('/', ".")), format!("must be {what}, or left out"));
    };
    // A null is an absent part, or is refused for what it would remove.
    let fits = |part: &str, fits: fn(&Value) -> bool| {
        template.pointer(part).is_none_or(|value| value.is_null() || fits(value))
    };
    for (part, what) in [
        ("/metadata", "an object with labels and annotations"),
        ("/metadata/labels", "an object such as {team: risk}"),
        ("/metadata/annotations", "an object such as {note: text}"),
        ("/spec", "an object, the spec of a pod"),
        ("/spec/nodeSelector", "an object such as {disk: ssd}"),
    ] {
        if !fits(part, Value::is_object) {
            wrong(part, what);
        }
    }
    for part in ["/spec/containers", "/spec/initContainers"] {
        if !fits(part, Value::is_array) {
            wrong(part, "a list of containers, each with its name");
        }
    }
}

fn check_container(at: &str, container: &Value, port: u16, findings: &mut Findings) {
    let Some(name) = container.get("name").and_then(Value::as_str) else {
        findings.add(at, format!("needs a name; '{}' is the model's container", names::MODEL_CONTAINER));
        return;
    };
    if [names::MODEL_CONTAINER, names::EXPORTER_CONTAINER].contains(&name) && container.get("image").is_some() {
        findings.add(
            format!("{at}.image"),
            format!("the image of container '{name}' is Modelship's to set; use spec.image for the model's"),
        );
    }
    if name == names::MODEL_CONTAINER && container.get("ports").is_some_and(|ports| !ports.is_array()) {
        findings.add(format!("{at}.ports"), "must be a list; the model's own port stays whatever it holds");
    }
    let ports = container.get("ports").and_then(Value::as_array);
    for (index, listed) in ports.into_iter().flatten().enumerate() {
        let named = listed.get("name").and_then(Value::as_str);
        if named.is_some_and(|named| [names::HTTP_PORT, names::METRICS_PORT, names::MODEL_PORT].contains(&named)) {
            findings.add(
                format!("{at}.ports[{index}].name"),
                "the port names http, metrics and model are Modelship's; use another",
            );
        }
        let number = listed.get("containerPort").and_then(Value::as_u64);
        let ours = |number: u64| {
            number == u64::from(port) || names::EXPORTER_PORTS.iter().any(|taken| u64::from(*taken) == number)
        };
        if number.is_some_and(ours) {
            findings.add(
                format!("{at}.ports[{index}].containerPort"),
                "is the model's port (spec.server.port) or one of the exporter's (9800 to 9802); use another",
            );
        }
    }
}
