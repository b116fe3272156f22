//! All that watches one model, as far as the cluster has a place for it.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    MailDefaults, MailSecret, Renderer, Shortcoming, Subject,
    kinds::{OptionalKind, Presence},
    mail,
    rules::{self, Sources},
    service_monitor,
    surroundings::{Proof, Surroundings},
    verdict::NOTHING_SELECTS,
};
use crate::{
    api::{monitoring::valid::Email, valid::ValidSpec},
    resources::{Child, ChildKind, Owner},
};

/// The objects, and what stands in the way of the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundle {
    pub children: Vec<Child>,
    pub shortcomings: Vec<Shortcoming>,
    /// What should work, going by who selects what, in a sentence.
    pub words: String,
    /// The same once Prometheus itself says that it does.
    pub seen: String,
    /// By whose word somebody scrapes the model whom nobody sees, in a sentence.
    pub elsewhere: Option<String>,
    /// What Prometheus should be seen to do.
    pub expectation: Expectation,
    /// What Prometheus itself says.
    pub proof: Proof,
    /// What may be, by means of others that cannot be seen, a sentence each.
    pub unverified: Vec<String>,
    /// Something is not known yet, so that nothing can be said.
    pub pending: bool,
}

/// Which Prometheus objects, by namespace and name, should scrape a model and evaluate its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    pub scraped_by: Vec<(String, String)>,
    pub evaluated_by: Vec<(String, String)>,
    /// Some of the rules stand on series that only the operator has.
    pub told: bool,
}

/// What `monitoring` leads to; `None` when it is switched off.
pub fn bundle(
    renderer: &Renderer,
    owner: &Owner,
    spec: &ValidSpec,
    around: &Surroundings,
    defaults: &MailDefaults,
    secret: &MailSecret,
) -> Option<Bundle> {
    let monitoring = spec.monitoring.as_ref()?;
    let subject = Subject { owner, spec, monitoring };
    let mut work = Work {
        renderer,
        subject,
        around,
        bundle: Bundle::default(),
        promised: Vec::new(),
        seen: Vec::new(),
        needed: BTreeSet::new(),
    };
    if spec.exporter.is_some() {
        work.monitor();
    }
    work.rules();
    work.board();
    if let Some(email) = &monitoring.email {
        work.mail(email, defaults, secret);
    }
    work.prove();
    work.tell_of_missing();
    let Work { mut bundle, promised, seen, .. } = work;
    bundle.words = promised.join("; ");
    bundle.seen = seen.join("; ");
    Some(bundle)
}

/// Every object, whether a cluster has a place for it or not: for review.
pub fn everything(owner: &Owner, spec: &ValidSpec, defaults: &MailDefaults, secret: &MailSecret) -> Bundle {
    let kinds = OptionalKind::ALL.into_iter().map(|kind| (kind, Presence::Ready)).collect();
    let around = Surroundings { kinds, ..Surroundings::default() };
    let mut bundle = bundle(&Renderer::default(), owner, spec, &around, defaults, secret).unwrap_or_default();
    // Who picks it up is a question for a cluster.
    bundle.shortcomings.retain(|shortcoming| shortcoming.reason != NOTHING_SELECTS);
    bundle
}

/// By these words a controller that has just started knows what one before it found.
pub const NO_CONTAINERS: &str = "has no container_memory_working_set_bytes";

pub(super) struct Work<'a> {
    renderer: &'a Renderer,
    pub subject: Subject<'a>,
    pub around: &'a Surroundings,
    pub bundle: Bundle,
    pub promised: Vec<String>,
    pub seen: Vec<String>,
    /// Kinds without which something is missing.
    pub needed: BTreeSet<OptionalKind>,
}

impl Work<'_> {
    fn monitor(&mut self) {
        let picked = self.pickers(OptionalKind::ServiceMonitor);
        if self.usable(OptionalKind::ServiceMonitor)
            && let Some(child) = service_monitor::build(&self.subject, &picked.labels)
        {
            self.bundle.children.push(child);
            self.judge(OptionalKind::ServiceMonitor, &picked, "scrapes it");
            self.bundle.expectation.scraped_by = picked.prometheuses();
        }
    }

    fn rules(&mut self) {
        let picked = self.pickers(OptionalKind::PrometheusRule);
        let asked = picked.prometheuses();
        let without = |name| self.around.without_containers.contains(name);
        // One that has them is enough; while somebody cannot be asked, they are taken to be there.
        let sources =
            Sources { cadvisor: asked.len() < picked.by.len() || asked.is_empty() || !asked.iter().all(without) };
        if !self.usable(OptionalKind::PrometheusRule) {
            return;
        }
        // The user's own in an object of their own: one that Prometheus refuses takes its whole object with it.
        let [ours, own] = self.renderer.groups(&self.subject, sources);
        let name = &self.subject.owner.name;
        for (name, groups) in [(name.clone(), ours), (extra_rules_name(name), own)] {
            if groups.reduced != json!([]) {
                let metadata = self.subject.owner.labelled_metadata(&name, &picked.labels);
                let body = json!({"metadata": metadata, "spec": {"groups": groups.reduced}});
                self.bundle.children.push(Child::seal_reduced(ChildKind::PrometheusRule, body, groups.large));
            }
        }
        self.judge(OptionalKind::PrometheusRule, &picked, "evaluates its rules");
        if !sources.cadvisor && rules::need_containers(&self.subject) {
            self.bundle.shortcomings.push(Shortcoming {
                reason: "NoContainerMetrics",
                message: format!(
                    "{} {NO_CONTAINERS}, so the alerts HighMemory and CpuThrottled are left out: have it scrape the kubelets' /metrics/cadvisor, or name both in spec.monitoring.alerts.disabled",
                    picked.words()
                ),
            });
        }
        // It is told by a rule about requests, which only an exporter counts.
        if self.subject.spec.exporter.is_some() {
            self.bundle.expectation.told = !asked.is_empty() && !rules::told_by_the_operator(&self.subject).is_empty();
            self.bundle.expectation.evaluated_by = asked;
        }
    }

    fn board(&mut self) {
        let Some(wanted) = &self.subject.monitoring.dashboard else { return };
        let owner = self.subject.owner;
        let name = dashboard_name(&owner.name);
        let mut metadata = owner.labelled_metadata(&name, &wanted.labels);
        if let Some(folder) = &wanted.folder {
            metadata.annotations.get_or_insert_default().insert("grafana_folder".into(), folder.clone());
        }
        let board = self.renderer.board(&self.subject);
        let body = json!({"metadata": metadata, "data": board.reduced});
        self.bundle.children.push(Child::seal_reduced(ChildKind::ConfigMap, body, board.large));
        let words = format!("its dashboard is in ConfigMap {name}");
        self.promised.push(words.clone());
        self.seen.push(words);
    }

    fn mail(&mut self, email: &Email, defaults: &MailDefaults, secret: &MailSecret) {
        let picked = self.pickers(OptionalKind::AlertmanagerConfig);
        let usable = self.usable(OptionalKind::AlertmanagerConfig);
        match mail::config(&self.subject, email, defaults, secret, &picked.labels) {
            Err(shortcoming) => self.bundle.shortcomings.push(shortcoming),
            Ok(child) if usable => {
                self.bundle.children.push(child);
                self.judge(OptionalKind::AlertmanagerConfig, &picked, "mails its alerts");
            }
            Ok(_) => {}
        }
    }

    fn usable(&mut self, kind: OptionalKind) -> bool {
        match self.around.presence(kind) {
            Presence::Ready => return true,
            Presence::Unknown => self.bundle.pending = true,
            Presence::Missing | Presence::Failing | Presence::Forbidden => {
                self.needed.extend([kind].into_iter().chain(kind.pickers().first().copied()));
            }
        }
        false
    }
}

/// Whether the spec asks for an object of that kind and name.
pub fn wants(owner: &Owner, spec: &ValidSpec, kind: ChildKind, name: &str) -> bool {
    let Some(monitoring) = &spec.monitoring else { return false };
    match kind {
        ChildKind::ServiceMonitor => spec.exporter.is_some(),
        ChildKind::PrometheusRule if name == extra_rules_name(&owner.name) => !monitoring.extra_rules.is_empty(),
        ChildKind::AlertmanagerConfig => monitoring.email.is_some(),
        _ => true,
    }
}

/// The PrometheusRule of the user's own rules.
pub fn extra_rules_name(model: &str) -> String {
    format!("{model}-extra")
}

/// The ConfigMap of the dashboard.
pub fn dashboard_name(model: &str) -> String {
    format!("{model}-dashboard")
}

#[cfg(test)]
#[path = "tests/bundle.rs"]
mod tests;
