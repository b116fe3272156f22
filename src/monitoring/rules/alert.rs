//! The shape that all alerts share: labels, annotations, links.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    catalogue,
    promql::{self, Scope, quote},
};
use crate::{
    api::monitoring::Alert,
    monitoring::{Subject, dashboard},
};

/// How much it matters. Alerts of kind info are often muted on their own (kube-prometheus-stack does so): what users
/// switch on in order to be told is a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// An alert before it becomes JSON. The texts are Go templates: what was not written here goes through [`text`].
pub(super) struct Rule {
    pub alert: Alert,
    pub expr: String,
    pub pending: Duration,
    /// Other than the catalogue's.
    pub severity: Option<Severity>,
    /// Tell apart several rules of one alert.
    pub labels: Vec<(&'static str, String)>,
    /// What is wrong, as the end of a sentence that begins with the model.
    pub summary: String,
    /// The value beside its bound.
    pub measured: String,
    /// What to do first.
    pub first: String,
}

impl Rule {
    pub fn new(alert: Alert, expr: String) -> Self {
        Self {
            alert,
            expr,
            pending: Duration::ZERO,
            severity: None,
            labels: Vec::new(),
            summary: String::new(),
            measured: String::new(),
            first: String::new(),
        }
    }

    /// How long it must hold.
    pub fn pending(mut self, pending: Duration) -> Self {
        self.pending = pending;
        self
    }

    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }

    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.summary = text.into();
        self
    }

    pub fn measured(mut self, text: impl Into<String>) -> Self {
        self.measured = text.into();
        self
    }

    pub fn first(mut self, text: impl Into<String>) -> Self {
        self.first = text.into();
        self
    }

    pub fn json(self, subject: &Subject, scope: &Scope) -> Value {
        let name = format!("{:?}", self.alert);
        let severity = self.severity.unwrap_or_else(|| catalogue::severity(self.alert));
        let mut labels = own_labels(scope, text);
        labels.insert("severity".into(), severity.name().into());
        // Labels of alerts are templates too.
        labels.extend(self.labels.into_iter().map(|(name, value)| (name.to_owned(), text(&value).into())));
        let title = title(scope);
        let mut annotations = json!({
            "summary": format!("{title} {}.", self.summary),
            "description": format!("{} {}{}", self.measured, self.first, version(scope)),
            "runbook_url": catalogue::runbook_url(&name),
        });
        if subject.monitoring.dashboard.is_some() {
            // Grafana's own address is not known here.
            annotations["dashboard"] = format!("/d/{}", dashboard::uid(subject.owner)).into();
        }
        let mut rule = json!({"alert": name, "expr": self.expr, "labels": labels, "annotations": annotations});
        if !self.pending.is_zero() {
            rule["for"] = promql::duration(self.pending).into();
        }
        rule
    }
}

/// What every alert and every recorded series carries: without a label namespace no AlertmanagerConfig lets an alert's
/// e-mail out. `write` makes a value safe where it stands.
pub(super) fn own_labels(scope: &Scope, write: impl Fn(&str) -> String) -> Map<String, Value> {
    let labels = [("namespace", &scope.namespace), ("model", &scope.model)];
    labels.into_iter().map(|(name, value)| (name.to_owned(), write(value).into())).collect()
}

/// Text in a template of Go that means just itself.
pub fn text(text: &str) -> String {
    text.replace('{', r#"{{"{"}}"#)
}

/// The model by name, at the beginning of a sentence.
fn title(scope: &Scope) -> String {
    format!("Model {}/{}", text(&scope.namespace), text(&scope.model))
}

/// A command of kubectl about the model.
pub(super) fn kubectl(scope: &Scope, command: &str) -> String {
    format!("kubectl -n {} {command}", text(&scope.namespace))
}

/// A sentence about the version that users get, where the operator tells it.
fn version(scope: &Scope) -> String {
    let query = format!("max by (digest, tag) ({})", scope.told("modelship_model_version_info", "track=\"stable\""));
    format!(
        "{{{{ range query {} }}}} The version that users get is {{{{ .Labels.digest }}}}{{{{ with .Labels.tag }}}} \
         (tag {{{{ . }}}}){{{{ end }}}}.{{{{ end }}}}",
        quote(&query)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_never_begin_an_action() {
        assert_eq!(text("{{ $value }}"), r#"{{"{"}}{{"{"}} $value }}"#);
        assert_eq!(text("a{"), r#"a{{"{"}}"#);
        assert_eq!(text("plain } text"), "plain } text");
    }
}
