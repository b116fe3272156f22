//! What the objects of a model say about its e-mail. Pure.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt as _, core::DynamicObject};
use serde_json::Value;

use super::report::{Finding, Trouble};
use crate::{
    api::{StoredModelDeployment, conditions, units},
    monitoring::{
        mail::{PASSWORD, speaks_tls_first},
        surroundings::Labels,
    },
};

/// Whom the model's alerts are mailed to.
///
/// # Errors
/// When the model asks for no mail.
pub fn recipients(model: &StoredModelDeployment) -> Result<String, Trouble> {
    let spec = model.spec.value();
    let monitoring = &spec["monitoring"];
    let name = described(model);
    if monitoring["enabled"] == false {
        return Err(Trouble::new(
            format!("ModelDeployment {name} is not monitored"),
            "take spec.monitoring.enabled: false out of it",
        ));
    }
    let to: Vec<&str> = monitoring["email"]["to"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match to.is_empty() {
        true => Err(Trouble::new(
            format!("ModelDeployment {name} asks for no e-mail"),
            "name somebody in its spec: monitoring: {email: {to: [team@example.org]}}",
        )),
        false => Ok(to.join(", ")),
    }
}

fn described(model: &StoredModelDeployment) -> String {
    format!("{}/{}", model.namespace().unwrap_or_default(), model.name_any())
}

/// What the operator says. Only what keeps the mail itself from being set up ends the way here.
///
/// # Errors
/// When the condition's reason is one of e-mail.
pub fn condition(model: &StoredModelDeployment) -> Result<Finding, Trouble> {
    let status = model.known_status();
    let Some(found) = conditions::find(&status.conditions, conditions::MONITORING_READY) else {
        return Ok(Finding::Doubtful(
            "it has no condition MonitoringReady yet; is the operator running, in a version that has it?".to_owned(),
        ));
    };
    let words = format!("its condition MonitoringReady is {} ({}): {}", found.status, found.reason, found.message);
    if found.observed_generation < model.metadata.generation {
        return Ok(Finding::Doubtful(format!("{words}; that was said of the spec before this one")));
    }
    match (found.status.as_str(), found.reason.starts_with("Email")) {
        ("True", _) => Ok(Finding::Good(words)),
        (_, true) => Err(Trouble::new(words, "mend what the message names; the operator looks again within a minute")),
        (_, false) => Ok(Finding::Doubtful(words)),
    }
}

/// A key of a Secret in the model's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    pub secret: String,
    pub key: String,
}

impl SecretKey {
    fn of(value: &Value) -> Option<Self> {
        Some(Self { secret: value["name"].as_str()?.to_owned(), key: value["key"].as_str()?.to_owned() })
    }

    /// Whether the Secret has something under that key.
    ///
    /// # Errors
    /// When it has not.
    pub fn present(&self, namespace: &str, found: Option<&Secret>) -> Result<(), Trouble> {
        let Self { secret, key } = self;
        let Some(found) = found else {
            return Err(Trouble::new(
                format!("Secret {namespace}/{secret} is not there"),
                format!(
                    "kubectl -n {namespace} create secret generic {secret} --from-literal username=… --from-literal password=…"
                ),
            ));
        };
        let bytes = found.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
        match bytes {
            None | Some([]) => Err(Trouble::new(
                format!("Secret {namespace}/{secret} has no key {key}"),
                format!("add it: kubectl -n {namespace} edit secret {secret}, under stringData"),
            )),
            // A certificate ends with one; of a password it becomes a part, and the server refuses it.
            Some([.., b'\n']) if key == PASSWORD => Err(Trouble::new(
                format!("the key {key} of Secret {namespace}/{secret} ends with a line break"),
                "make it of a file without one: printf %s … > password",
            )),
            Some(_) => Ok(()),
        }
    }
}

/// What an AlertmanagerConfig of Modelship's says.
#[derive(Debug, PartialEq)]
pub struct Settings {
    /// As prometheus-operator calls it in Alertmanager's own configuration.
    pub receiver: String,
    /// For people.
    pub words: String,
    pub secrets: Vec<SecretKey>,
    pub labels: Labels,
    /// How long Alertmanager collects alerts for the first mail.
    pub group_wait: Duration,
    /// How long it waits between two mails.
    pub group_interval: Duration,
}

impl Settings {
    /// # Errors
    /// When it is not one that sends e-mail.
    pub fn of(object: &DynamicObject) -> Result<Self, Trouble> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let spec = &object.data["spec"];
        let receiver = &spec["receivers"][0];
        // One for each address; in all else they are the same.
        let mails = receiver["emailConfigs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let to: Vec<&str> = mails.iter().filter_map(|mail| mail["to"].as_str()).collect();
        let mail = &receiver["emailConfigs"][0];
        let text = |field: &str| mail[field].as_str().unwrap_or_default();
        let (Some(receiver), false) = (receiver["name"].as_str(), to.is_empty()) else {
            return Err(Trouble::new(
                format!("AlertmanagerConfig {namespace}/{name} sends no e-mail"),
                format!(
                    "it is not the one that Modelship writes: remove it or rename it, and look at the condition MonitoringReady of {name}"
                ),
            ));
        };
        let login = match text("authUsername") {
            "" => "without a login".to_owned(),
            user => format!("as {user}"),
        };
        let tls = match mail["requireTLS"] == false && !speaks_tls_first(text("smarthost")) {
            true => "without TLS",
            false => "over TLS",
        };
        let secrets = [&mail["authPassword"], &mail["tlsConfig"]["ca"]["secret"]];
        let time = |field: &str, usual| {
            spec["route"][field].as_str().and_then(|text| units::duration(text).ok()).unwrap_or(usual)
        };
        Ok(Self {
            receiver: format!("{namespace}/{name}/{receiver}"),
            words: format!(
                "AlertmanagerConfig {namespace}/{name}: from {} to {} through {} {tls}, {login}",
                text("from"),
                to.join(", "),
                text("smarthost")
            ),
            secrets: secrets.into_iter().filter_map(SecretKey::of).collect(),
            labels: object.labels().clone(),
            group_wait: time("groupWait", Duration::from_secs(30)),
            group_interval: time("groupInterval", Duration::from_secs(300)),
        })
    }
}

#[cfg(test)]
#[path = "tests/settings.rs"]
mod tests;
