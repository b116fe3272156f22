//! Where alerts are sent: the AlertmanagerConfig of one model.

use serde_json::{Value, json};
use url::Url;

use super::{Shortcoming, Subject, rules::text, surroundings::Labels};
use crate::{
    api::monitoring::valid::{Email, host_and_port},
    resources::{Child, ChildKind},
};

/// What the operator was told about mail, for models that do not say it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailDefaults {
    pub from: Option<String>,
    pub smarthost: Option<String>,
    /// Name of a Secret in each model's namespace.
    pub secret: Option<String>,
    /// `Some(false)`: plain text, for a relay within the cluster.
    pub require_tls: Option<bool>,
    /// Grafana's address, for the links to dashboards: `https://grafana.example.org`. Without it they are paths.
    pub grafana: Option<Url>,
}

impl MailDefaults {
    /// The Secret that a model's mail needs, if any. That of the defaults is for their server, as is their word on TLS: a model
    /// that names a server of its own gets neither.
    pub fn secret_of<'a>(&'a self, email: &'a Email) -> Option<&'a str> {
        email.secret.as_deref().or(self.secret.as_deref().filter(|_| email.smarthost.is_none()))
    }

    /// What stands before a dashboard's path in a mail, as text in a template of Go.
    fn before_paths(&self) -> String {
        self.grafana.as_ref().map(|url| text(url.as_str().trim_end_matches('/'))).unwrap_or_default()
    }
}

/// What a Secret says of mail. The password itself is never kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MailSecret {
    /// None is named.
    #[default]
    None,
    Missing,
    /// It could not be read, and why.
    Unreadable(String),
    Found {
        username: Option<String>,
        smarthost: Option<String>,
        from: Option<String>,
        has_password: bool,
        /// The certificate of a certification authority that the mail server's own comes from.
        has_ca: bool,
    },
}

/// The key of a Secret that holds the password.
pub const PASSWORD: &str = "password";
/// The key that may hold the certificate (PEM) of a certification authority of one's own.
pub const CA: &str = "ca.crt";

/// The AlertmanagerConfig, or why there can be none.
pub fn config(
    subject: &Subject,
    email: &Email,
    defaults: &MailDefaults,
    secret: &MailSecret,
    labels: &Labels,
) -> Result<Child, Shortcoming> {
    let owner = subject.owner;
    let settings = settings(email, defaults, secret, &owner.namespace)?;
    // Alertmanager gives a mail to nobody once its server refuses one of the recipients, and tries for ever.
    let mails: Vec<Value> = email.to.iter().map(|to| addressed(&settings, to)).collect();
    let metadata = owner.labelled_metadata(&owner.name, labels);
    Ok(Child::seal(
        ChildKind::AlertmanagerConfig,
        json!({
            "metadata": metadata,
            "spec": {
                "route": {
                    "receiver": RECEIVER,
                    // One bad roll-out trips several alerts: one mail for those that are as urgent. What is told of late, since
                    // its group has just been told of something, is never the worse.
                    "groupBy": ["namespace", "model", "severity", "test"],
                    "groupWait": "30s",
                    "groupInterval": "5m",
                    "repeatInterval": "12h",
                    // Alertmanager may have been told to add no matcher for the namespace by itself.
                    "matchers": [
                        {"name": "namespace", "value": owner.namespace, "matchType": "="},
                        {"name": "model", "value": owner.name, "matchType": "="},
                    ],
                },
                "receivers": [{"name": RECEIVER, "emailConfigs": mails}],
            },
        }),
    ))
}

const RECEIVER: &str = "email";

/// The first alert's sentence: it is what a phone shows of a mail.
const SUBJECT: &str = r#"{{ if eq .Status "resolved" }}Resolved: {{ end }}{{ (index .Alerts 0).Annotations.summary }}{{ if gt (len .Alerts) 1 }} (and more){{ end }}"#;

/// GRAFANA stands for what is put before the dashboard's path.
const TEXT: &str = r#"{{ range .Alerts }}{{ if eq .Status "resolved" }}RESOLVED {{ end }}{{ .Labels.alertname }} ({{ .Labels.severity }}) of model {{ .Labels.model }} in namespace {{ .Labels.namespace }}
{{ .Annotations.summary }}
{{ .Annotations.description }}
Since {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}{{ if eq .Status "resolved" }} until {{ .EndsAt.Format "2006-01-02 15:04:05 MST" }}{{ end }}
What to do: {{ .Annotations.runbook_url }}
{{ with .Annotations.dashboard }}Dashboard: GRAFANA{{ . }}
{{ end }}
{{ end }}Sent by Modelship through {{ .ExternalURL }}
"#;

fn settings(
    email: &Email,
    defaults: &MailDefaults,
    secret: &MailSecret,
    namespace: &str,
) -> Result<Value, Shortcoming> {
    let name = defaults.secret_of(email).unwrap_or_default();
    let lacks = |message: String| Shortcoming { reason: "EmailIncomplete", message };
    let (username, found_smarthost, found_from) = match secret {
        MailSecret::None => (None, None, None),
        MailSecret::Missing => {
            return Err(Shortcoming {
                reason: "EmailSecretMissing",
                message: format!(
                    "Secret {namespace}/{name} is not there; create it with the keys username and password (kubectl create secret generic {name} --from-literal …)"
                ),
            });
        }
        MailSecret::Unreadable(why) => {
            return Err(Shortcoming {
                reason: "EmailSecretUnreadable",
                message: format!("Secret {namespace}/{name} could not be read: {why}"),
            });
        }
        MailSecret::Found { has_password: false, .. } => {
            return Err(lacks(format!("Secret {namespace}/{name} has no key {PASSWORD}")));
        }
        MailSecret::Found { username: None, .. } => {
            return Err(lacks(format!("Secret {namespace}/{name} has no key username")));
        }
        MailSecret::Found { username, smarthost, from, .. } => (username.clone(), smarthost.clone(), from.clone()),
    };
    let own = email.smarthost.is_some() || (email.secret.is_some() && found_smarthost.is_some());
    let require_tls = email.require_tls.or(defaults.require_tls.filter(|_| !own)).unwrap_or(true);
    let smarthost = email.smarthost.clone().or(found_smarthost).or_else(|| defaults.smarthost.clone());
    let Some(smarthost) = smarthost else {
        return Err(lacks(
            "nobody names the mail server: set spec.monitoring.email.smarthost, the key smarthost of its Secret, or defaults.email.smarthost in the chart's values"
                .to_owned(),
        ));
    };
    if !host_and_port(&smarthost) {
        return Err(lacks(format!("the mail server '{smarthost}' must be a host and its port: smtp.example.org:587")));
    }
    let Some(from) = email.from.clone().or(found_from).or_else(|| defaults.from.clone()) else {
        return Err(lacks(
            "nobody names the sender: set spec.monitoring.email.from, the key from of its Secret, or defaults.email.from in the chart's values"
                .to_owned(),
        ));
    };
    let mut settings = json!({
        "from": from,
        "smarthost": smarthost,
        "requireTLS": require_tls && !speaks_tls_first(&smarthost),
        "sendResolved": email.send_resolved,
        "headers": [{"key": "Subject", "value": SUBJECT}],
        "text": TEXT.replace("GRAFANA", &defaults.before_paths()),
        // Without it Alertmanager sends its own page beside the text, in words that nobody chose.
        "html": "",
    });
    if let Some(username) = username {
        settings["authUsername"] = json!(username);
        settings["authPassword"] = json!({"name": name, "key": PASSWORD});
    }
    // Without it the authorities count that Alertmanager's image knows.
    if matches!(secret, MailSecret::Found { has_ca: true, .. }) {
        settings["tlsConfig"] = json!({"ca": {"secret": {"name": name, "key": CA}}});
    }
    Ok(settings)
}

/// Whether Alertmanager speaks TLS on this port from the first byte, as everybody does (RFC 8314, 3.3). Up to 0.30 it would wait
/// for STARTTLS within it if TLS were required, in vain.
pub fn speaks_tls_first(smarthost: &str) -> bool {
    smarthost.rsplit_once(':').is_some_and(|(_, port)| port == "465")
}

fn addressed(settings: &Value, to: &str) -> Value {
    let mut mail = settings.clone();
    mail["to"] = json!(to);
    mail
}

#[cfg(test)]
#[path = "tests/mail.rs"]
mod tests;
