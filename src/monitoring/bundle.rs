//! All that watches one model, as far as the cluster has a place for it.

use std::sync::Arc;

use serde_json::json;

use super::{
    MailDefaults, MailSecret, Renderer, Shortcoming, Subject, mail,
    rules::{self, Sources},
    service_monitor,
    surroundings::{Collector, Labels, OptionalKind, Picking, Presence, Proof, Selects, Surroundings},
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
    /// What Prometheus should be seen to do.
    pub expectation: Expectation,
    /// What Prometheus itself says.
    pub proof: Proof,
    /// Something is not known yet, so that nothing can be said.
    pub pending: bool,
}

/// Which Prometheus objects, by namespace and name, should scrape a model and evaluate its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    pub scraped_by: Vec<(String, String)>,
    pub evaluated_by: Vec<(String, String)>,
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
    let mut work =
        Work { renderer, subject, around, bundle: Bundle::default(), promised: Vec::new(), seen: Vec::new() };
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

const NOTHING_SELECTS: &str = "NothingSelects";

struct Work<'a> {
    renderer: &'a Renderer,
    subject: Subject<'a>,
    around: &'a Surroundings,
    bundle: Bundle,
    promised: Vec<String>,
    seen: Vec<String>,
}

/// Who picks an object up.
struct Pickers {
    labels: Labels,
    by: Vec<Arc<Collector>>,
}

impl Pickers {
    fn names(&self) -> Vec<(String, String)> {
        self.by.iter().map(|collector| (collector.namespace.clone(), collector.name.clone())).collect()
    }

    fn words(&self) -> String {
        self.by.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    }
}

type Select = fn(&Collector) -> &Selects;

/// What a collector that selects an object of ours may be said to do.
struct Does {
    promised: &'static str,
    seen: &'static str,
}

impl Work<'_> {
    fn monitor(&mut self) {
        let picked = self.pickers(&self.around.prometheuses, |collector| &collector.monitors);
        if self.usable(OptionalKind::ServiceMonitor)
            && let Some(child) = service_monitor::build(&self.subject, &picked.labels)
        {
            self.bundle.children.push(child);
            let does = Does { promised: "selects its ServiceMonitor", seen: "scrapes it" };
            self.judge(&picked, OptionalKind::Prometheus, |collector| &collector.monitors, &does);
            self.bundle.expectation.scraped_by = picked.names();
        }
    }

    fn rules(&mut self) {
        let picked = self.pickers(&self.around.prometheuses, |collector| &collector.rules);
        let without = |name| self.around.without_containers.contains(name);
        // One that has them is enough; while nobody can be asked, they are taken to be there.
        let sources = Sources { cadvisor: picked.by.is_empty() || !picked.names().iter().all(without) };
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
        let does = Does { promised: "selects its PrometheusRule", seen: "evaluates its rules" };
        self.judge(&picked, OptionalKind::Prometheus, |collector| &collector.rules, &does);
        if !sources.cadvisor && rules::need_containers(&self.subject) {
            self.bundle.shortcomings.push(Shortcoming {
                reason: "NoContainerMetrics",
                message: format!(
                    "Prometheus {} {NO_CONTAINERS}, so the alerts HighMemory and CpuThrottled are left out: have it scrape the kubelets' /metrics/cadvisor, or name both in spec.monitoring.alerts.disabled",
                    picked.words()
                ),
            });
        }
        // It is told by a rule about requests, which only an exporter counts.
        if self.subject.spec.exporter.is_some() {
            self.bundle.expectation.evaluated_by = picked.names();
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
        let picked = self.pickers(&self.around.alertmanagers, |collector| &collector.configs);
        match mail::config(&self.subject, email, defaults, secret, &picked.labels) {
            Err(shortcoming) => self.bundle.shortcomings.push(shortcoming),
            Ok(child) if self.usable(OptionalKind::AlertmanagerConfig) => {
                self.bundle.children.push(child);
                // Whether it sends them nobody asks.
                let does = Does { promised: "selects its AlertmanagerConfig", seen: "selects its AlertmanagerConfig" };
                self.judge(&picked, OptionalKind::Alertmanager, |collector| &collector.configs, &does);
            }
            Ok(_) => {}
        }
    }

    fn usable(&mut self, kind: OptionalKind) -> bool {
        match self.around.presence(kind) {
            Presence::Ready => return true,
            Presence::Unknown => self.bundle.pending = true,
            Presence::Missing | Presence::Failing | Presence::Forbidden => {}
        }
        false
    }

    fn picking(&self, select: Select) -> Picking<'_> {
        let (namespace, namespace_labels) = (self.subject.owner.namespace.as_str(), &self.around.namespace_labels);
        Picking { namespace, namespace_labels, select }
    }

    fn pickers(&self, collectors: &[Arc<Collector>], select: Select) -> Pickers {
        let picking = self.picking(select);
        let own = self.subject.owner.labels();
        let labels = match &self.subject.monitoring.labels {
            Some(labels) => labels.clone(),
            None => picking.adopt(collectors, &own),
        };
        let all: Labels = labels.clone().into_iter().chain(own).collect();
        let by = collectors.iter().filter(|collector| picking.picks(collector, &all)).cloned().collect();
        Pickers { by, labels }
    }

    /// Whether somebody picks up what was just added.
    fn judge(&mut self, picked: &Pickers, who: OptionalKind, select: Select, does: &Does) {
        match self.around.presence(who) {
            Presence::Ready => {}
            Presence::Unknown => {
                self.bundle.pending = true;
                return;
            }
            // Told of with all the others.
            Presence::Missing | Presence::Failing | Presence::Forbidden => return,
        }
        if !picked.by.is_empty() {
            let by = format!("{} {}", who.as_str(), picked.words());
            self.promised.push(format!("{by} {}", does.promised));
            self.seen.push(format!("{by} {}", does.seen));
            return;
        }
        let collectors = match who {
            OptionalKind::Alertmanager => &self.around.alertmanagers,
            _ => &self.around.prometheuses,
        };
        let shortcoming = match collectors.is_empty() {
            true => Shortcoming {
                reason: NOTHING_SELECTS,
                message: format!("there is no {} object in the cluster, so nobody {}", who.as_str(), does.seen),
            },
            false => {
                let picking = self.picking(select);
                let wants: Vec<String> = collectors.iter().map(|collector| picking.complaint(collector)).collect();
                Shortcoming {
                    reason: "NotSelected",
                    message: format!(
                        "no {} {}, for none selects the labels {}: {}; set spec.monitoring.labels, or mend its selectors",
                        who.as_str(),
                        does.seen,
                        written(&picked.labels),
                        wants.join(", and ")
                    ),
                }
            }
        };
        if !self.bundle.shortcomings.contains(&shortcoming) {
            self.bundle.shortcomings.push(shortcoming);
        }
    }

    /// What Prometheus itself says of what it should do.
    fn prove(&mut self) {
        let Expectation { scraped_by, evaluated_by } = &self.bundle.expectation;
        let names = |keys: &[(String, String)]| {
            keys.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect::<Vec<_>>().join(" and ")
        };
        let (scrapers, evaluators) = (names(scraped_by), names(evaluated_by));
        self.bundle.proof = self.around.proof;
        let (reason, message) = match self.around.proof {
            Proof::Awaited | Proof::Seen => return,
            Proof::NotScraped => (
                "NotScraped",
                format!(
                    "Prometheus {scrapers} selects the ServiceMonitor and still knows no target of the model; look at its log, and at what prometheus-operator says of the ServiceMonitor"
                ),
            ),
            Proof::ScrapeFails => (
                "ScrapeFails",
                format!(
                    "Prometheus {scrapers} cannot scrape the model's pods; look at its page of targets, and for a NetworkPolicy that keeps it from port 9801"
                ),
            ),
            Proof::NotEvaluated => (
                "NotEvaluated",
                format!(
                    "Prometheus {evaluators} selects the PrometheusRule and does not evaluate it; look at its log, and at what prometheus-operator says of the PrometheusRule"
                ),
            ),
        };
        self.bundle.shortcomings.push(Shortcoming { reason, message });
    }

    /// Kinds that are missing or cannot be read, all in one sentence each.
    fn tell_of_missing(&mut self) {
        use OptionalKind::{Alertmanager, AlertmanagerConfig, Prometheus, PrometheusRule, ServiceMonitor};
        let mut needed = vec![PrometheusRule, Prometheus];
        if self.subject.spec.exporter.is_some() {
            needed.insert(0, ServiceMonitor);
        }
        if self.subject.monitoring.email.is_some() {
            needed.extend([AlertmanagerConfig, Alertmanager]);
        }
        let with = |presence: Presence| {
            let kinds = needed.iter().filter(|kind| self.around.presence(**kind) == presence);
            kinds.map(|kind| kind.definition()).collect::<Vec<_>>()
        };
        let (missing, forbidden, failing) =
            (with(Presence::Missing), with(Presence::Forbidden), with(Presence::Failing));
        let mut tell = |kinds: Vec<String>, reason, words: &dyn Fn(&str) -> String| {
            if !kinds.is_empty() {
                self.bundle.shortcomings.insert(0, Shortcoming { reason, message: words(&kinds.join(", ")) });
            }
        };
        tell(failing, "Unreadable", &|kinds| format!("{kinds} cannot be read at the moment"));
        tell(forbidden, "Forbidden", &|kinds| {
            format!("Modelship's role does not allow to list {kinds}; upgrade its chart, or grant it")
        });
        tell(missing, "NotInstalled", &|kinds| {
            format!(
                "CRD {kinds} is not installed; the Prometheus Operator (kube-prometheus-stack) brings it, and nothing has to be restarted then"
            )
        });
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

fn written(labels: &Labels) -> String {
    if labels.is_empty() {
        return "that it has".to_owned();
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "tests/bundle.rs"]
mod tests;
