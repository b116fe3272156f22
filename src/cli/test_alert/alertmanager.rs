//! The conversation with the replicas of an Alertmanager. As Prometheus does, each is told: they agree among themselves who
//! sends.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{counts::Counts, door::Door, report::Trouble};
use crate::{monitoring::dashboard, resources::Owner};

/// What the alert is called. No rule has this name.
pub const ALERT: &str = "ModelshipTest";
const HELP_URL: &str = "https://github.com/modelship/modelship/blob/main/src/monitoring/EMAIL.md";

/// The alert, as Prometheus would send it. `id` tells it from those of other tests: one that Alertmanager has mailed already
/// is not mailed again for hours.
pub fn alert(owner: &Owner, id: &str, board: bool, since: Timestamp, until: Timestamp) -> Value {
    let Owner { namespace, name, .. } = owner;
    let mut annotations = json!({
        "summary": format!("This is a test: e-mail about model {namespace}/{name} arrives."),
        "description": "Somebody ran modelship test-alert. Nothing is wrong with the model.",
        "runbook_url": HELP_URL,
    });
    if board {
        annotations["dashboard"] = format!("/d/{}", dashboard::uid(owner)).into();
    }
    json!({
        "labels": {"alertname": ALERT, "namespace": namespace, "model": name, "severity": "info", "test": id},
        "annotations": annotations,
        "startsAt": since.to_string(),
        "endsAt": until.to_string(),
    })
}

/// An alert as Alertmanager has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub receivers: Vec<String>,
    /// `unprocessed`, `active` or `suppressed`
    pub state: String,
    /// Silences and other alerts that keep it from being sent, by id.
    pub silences: Vec<String>,
    pub inhibited: bool,
}

impl Seen {
    fn of(alert: &Value) -> Self {
        let texts = |list: &Value, field: Option<&str>| -> Vec<String> {
            let items = list.as_array().into_iter().flatten();
            items.filter_map(|item| field.map_or(item, |field| &item[field]).as_str()).map(str::to_owned).collect()
        };
        let status = &alert["status"];
        Self {
            receivers: texts(&alert["receivers"], Some("name")),
            state: status["state"].as_str().unwrap_or_default().to_owned(),
            silences: texts(&status["silencedBy"], None),
            inhibited: !texts(&status["inhibitedBy"], None).is_empty(),
        }
    }

    /// Whether it is on its way to the receiver; `None`: not known yet.
    ///
    /// # Errors
    /// When it goes elsewhere, or is held back.
    pub fn judge(&self, receiver: &str) -> Option<Result<(), Trouble>> {
        if !self.receivers.iter().any(|name| name == receiver) {
            let others = if self.receivers.is_empty() { "nobody".to_owned() } else { self.receivers.join(", ") };
            return Some(Err(Trouble::new(
                format!("Alertmanager sends the alert to {others}, and not to {receiver}"),
                "look at spec.alertmanagerConfigMatcherStrategy of the Alertmanager object, and for a route without continue: true that stands before",
            )));
        }
        match self.state.as_str() {
            "active" => Some(Ok(())),
            "suppressed" => {
                let (words, remedy) = match (self.silences.is_empty(), self.inhibited) {
                    (false, _) => (
                        format!("is silenced (by {})", self.silences.join(", ")),
                        "let the silence expire: amtool silence expire, or Alertmanager's page of silences",
                    ),
                    (true, true) => (
                        "is inhibited by another alert that fires".to_owned(),
                        "try again when that is over; an inhibition rule holds back severity info meanwhile, and no model's warnings unless it names them",
                    ),
                    (true, false) => (
                        "is muted at this time of day".to_owned(),
                        "look at the time intervals of Alertmanager's routes",
                    ),
                };
                Some(Err(Trouble::new(format!("the alert is there, and {words}"), remedy)))
            }
            _ => None,
        }
    }
}

/// Whether a replica knows a receiver of that name.
///
/// # Errors
/// When it cannot be asked.
pub async fn knows_receiver(replica: &Door, receiver: &str) -> Result<bool, String> {
    let receivers = replica.json("/api/v2/receivers").await?;
    Ok(receivers.as_array().into_iter().flatten().any(|known| known["name"] == receiver))
}

/// # Errors
/// When it is not taken.
pub async fn post(replica: &Door, alert: &Value) -> Result<(), String> {
    replica.post("/api/v2/alerts", &json!([alert])).await
}

/// The alerts that a replica has, of all those with these labels.
///
/// # Errors
/// When it cannot be asked.
pub async fn alerts(replica: &Door, labels: &[(&str, &str)]) -> Result<Vec<Seen>, String> {
    let mut query = Serializer::new(String::new());
    for (name, value) in labels {
        query.append_pair("filter", &format!("{name}={value:?}"));
    }
    let found = replica.json(&format!("/api/v2/alerts?{}", query.finish())).await?;
    Ok(found.as_array().into_iter().flatten().map(Seen::of).collect())
}

/// What all replicas together have sent.
///
/// # Errors
/// When one of them cannot be asked.
pub async fn counts(replicas: &[Door], receiver: &str) -> Result<Counts, String> {
    let mut all = Counts::default();
    for replica in replicas {
        let page = replica.get("/metrics").await?;
        all = all + Counts::of(&String::from_utf8_lossy(&page), receiver);
    }
    Ok(all)
}

/// Since when the alert is said to fire: for so long that Alertmanager collects no others for the first mail.
pub fn since(now: Timestamp, group_wait: Duration) -> Timestamp {
    now - group_wait - Duration::from_secs(1)
}

#[cfg(test)]
#[path = "tests/alertmanager.rs"]
mod tests;
