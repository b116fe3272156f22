//! What becomes of the objects that watch a model: by who selects them, by what prometheus-operator says of them, and by
//! Prometheus' own word.

use std::sync::Arc;

use super::{
    Shortcoming,
    bundle::{Expectation, Work},
    kinds::{OptionalKind, Presence},
    rules,
    surroundings::{Collector, Labels, Picking, Proof},
};

pub const NOTHING_SELECTS: &str = "NothingSelects";
pub const OPERATOR_NOT_SCRAPED: &str = "OperatorNotScraped";
/// By these words an operator that has just started knows that Prometheus has told another of series that it does not scrape.
pub const SOMEBODY_SCRAPES: &str = "somebody scrapes it";

/// Who picks an object up.
pub(super) struct Pickers {
    pub labels: Labels,
    pub by: Vec<Arc<Collector>>,
}

impl Pickers {
    /// Those that can be asked, by namespace and name.
    pub fn prometheuses(&self) -> Vec<(String, String)> {
        let asked = self.by.iter().filter(|collector| collector.kind == OptionalKind::Prometheus);
        asked.map(|collector| (collector.namespace.clone(), collector.name.clone())).collect()
    }

    /// Those of one kind, in words.
    fn of(&self, kind: OptionalKind) -> Option<String> {
        let of_kind = self.by.iter().filter(|collector| collector.kind == kind);
        let names = of_kind.map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        (!names.is_empty()).then(|| format!("{} {names}", kind.as_str()))
    }

    pub fn words(&self) -> String {
        OptionalKind::PICKERS.into_iter().filter_map(|kind| self.of(kind)).collect::<Vec<_>>().join(" and ")
    }
}

impl Work<'_> {
    fn picking(&self, kind: OptionalKind) -> Picking<'_> {
        let (namespace, namespace_labels) = (self.subject.owner.namespace.as_str(), &self.around.namespace_labels);
        Picking { kind, namespace, namespace_labels }
    }

    pub fn pickers(&self, kind: OptionalKind) -> Pickers {
        let picking = self.picking(kind);
        let collectors = self.around.pickers(kind);
        let own = self.subject.owner.labels();
        let labels = match &self.subject.monitoring.labels {
            Some(labels) => labels.clone(),
            None => picking.adopt(&collectors, &own),
        };
        let all: Labels = labels.clone().into_iter().chain(own).collect();
        let by = collectors.into_iter().filter(|collector| picking.picks(collector, &all)).collect();
        Pickers { by, labels }
    }

    /// Whether somebody picks up what was just added. `does`: what a Prometheus or Alertmanager is for.
    pub fn judge(&mut self, object: OptionalKind, picked: &Pickers, does: &str) {
        if object.pickers().iter().any(|kind| self.around.presence(*kind) == Presence::Unknown) {
            self.bundle.pending = true;
            return;
        }
        self.tell_of_refusals(object, picked);
        for kind in object.pickers() {
            if let Some(by) = picked.of(*kind) {
                let selects = format!("{by} selects its {}", object.as_str());
                // Only a Prometheus can be asked whether it does.
                let seen = if *kind == OptionalKind::Prometheus { format!("{by} {does}") } else { selects.clone() };
                self.promised.push(selects);
                self.seen.push(seen);
            }
        }
        if picked.by.is_empty() {
            self.nobody(object, picked, does);
        }
    }

    /// Refused by all that select it, an object is as good as not there.
    fn tell_of_refusals(&mut self, object: OptionalKind, picked: &Pickers) {
        let about = |name: &str| {
            let all = self.around.bindings.iter().filter(move |bound| bound.object == object && bound.name == *name);
            all.map(|bound| &bound.binding).collect::<Vec<_>>()
        };
        let ours = self.bundle.children.iter().filter(|child| child.kind.optional() == Some(object));
        let refused = ours.filter_map(|child| {
            let bindings = about(&child.name);
            let refusal = |collector: &Arc<Collector>| {
                let by = bindings.iter().find(|binding| binding.is_by(collector))?;
                by.refused.as_ref().map(|why| format!("{by} refuses it ({why})"))
            };
            let refusals: Vec<String> = picked.by.iter().map(refusal).collect::<Option<_>>()?;
            let message = format!("{} {} counts for nobody: {}", child.kind, child.name, refusals.join("; "));
            (!refusals.is_empty()).then_some(Shortcoming { reason: "NotAccepted", message })
        });
        let refused: Vec<Shortcoming> = refused.collect();
        self.bundle.shortcomings.extend(refused);
    }

    /// Nobody is seen to select an object.
    fn nobody(&mut self, object: OptionalKind, picked: &Pickers, does: &str) {
        if object == OptionalKind::ServiceMonitor
            && let Some(by) = self.has_series()
        {
            let words = format!("{SOMEBODY_SCRAPES}, for {by} has its series");
            self.promised.push(words.clone());
            self.seen.push(words.clone());
            self.bundle.elsewhere = Some(words);
            return;
        }
        let are = |presences: &[Presence]| -> Vec<OptionalKind> {
            let kinds = object.pickers().iter().copied();
            kinds.filter(|kind| presences.contains(&self.around.presence(*kind))).collect()
        };
        let (missing, unreadable) = (are(&[Presence::Missing]), are(&[Presence::Forbidden, Presence::Failing]));
        let accepted = self.accepted(object, &unreadable);
        if !accepted.is_empty() {
            self.promised.extend(accepted.clone());
            self.seen.extend(accepted);
            return;
        }
        let readers: Vec<&str> = self.around.readers.iter().filter_map(|reader| reader.reads(object)).collect();
        let none_at_all = self.around.pickers(object).is_empty();
        let complaint = self.complaint(object, picked, does);
        self.needed.extend(unreadable);
        if !readers.is_empty() {
            self.bundle.unverified.push(format!(
                "{}; it may be done by {}: whether it is cannot be seen from here, so look there",
                complaint.message,
                readers.join(", or ")
            ));
        } else if let Some(primary) = missing.first().filter(|_| none_at_all)
            && object.pickers().first() == Some(primary)
        {
            self.needed.insert(*primary);
        } else if !self.bundle.shortcomings.contains(&complaint) {
            self.bundle.shortcomings.push(complaint);
        }
    }

    /// The Prometheus that has series of the model without scraping it, by its own word.
    fn has_series(&self) -> Option<String> {
        let told = match self.around.proof {
            Proof::Seen | Proof::OperatorNotScraped => true,
            Proof::Awaited => self.around.scraped_by_others,
            Proof::NotScraped | Proof::ScrapeFails | Proof::NotEvaluated => false,
        };
        let ready = self.around.presence(OptionalKind::PrometheusRule) == Presence::Ready;
        self.pickers(OptionalKind::PrometheusRule).of(OptionalKind::Prometheus).filter(|_| told && ready)
    }

    /// Who has accepted an object, by prometheus-operator's word, of kinds that cannot be read.
    fn accepted(&self, object: OptionalKind, unreadable: &[OptionalKind]) -> Vec<String> {
        let bindings = self.around.bindings.iter().filter(|bound| bound.object == object).map(|bound| &bound.binding);
        bindings
            .filter(|binding| binding.refused.is_none() && unreadable.contains(&binding.kind))
            .map(|binding| format!("{binding} has accepted its {}", object.as_str()))
            .collect()
    }

    fn complaint(&self, object: OptionalKind, picked: &Pickers, does: &str) -> Shortcoming {
        let known = |kind: &&OptionalKind| self.around.presence(**kind) == Presence::Ready;
        let mut who: Vec<&str> = object.pickers().iter().filter(known).map(|kind| kind.as_str()).collect();
        if who.is_empty() {
            who = object.pickers().iter().map(|kind| kind.as_str()).collect();
        }
        let who = who.join(" or ");
        let picking = self.picking(object);
        let wants: Vec<String> =
            self.around.pickers(object).iter().map(|collector| picking.complaint(collector)).collect();
        match wants.is_empty() {
            true => Shortcoming {
                reason: NOTHING_SELECTS,
                message: format!("there is no {who} object in the cluster, so none {does}"),
            },
            false => Shortcoming {
                reason: "NotSelected",
                message: format!(
                    "no {who} {does}, for none selects the labels {}: {}; set spec.monitoring.labels, or mend its selectors",
                    written(&picked.labels),
                    wants.join(", and ")
                ),
            },
        }
    }

    /// What Prometheus itself says of what it should do.
    pub fn prove(&mut self) {
        let Expectation { scraped_by, evaluated_by, told: _ } = &self.bundle.expectation;
        let names = |keys: &[(String, String)]| {
            keys.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect::<Vec<_>>().join(" and ")
        };
        let (scrapers, evaluators) = (names(scraped_by), names(evaluated_by));
        let is_scraper = |collector: &&Arc<Collector>| {
            scraped_by.iter().any(|(namespace, name)| (namespace, name) == (&collector.namespace, &collector.name))
        };
        self.bundle.proof = self.around.proof;
        let (reason, message) = match self.around.proof {
            Proof::Awaited | Proof::Seen => return,
            Proof::NotScraped => {
                let by_slices = self.around.prometheuses().filter(is_scraper).any(|collector| collector.slices);
                let slices = match by_slices {
                    true => "; its serviceDiscoveryRole is EndpointSlice, which its own role must allow it to list",
                    false => "",
                };
                (
                    "NotScraped",
                    format!(
                        "Prometheus {scrapers} selects the ServiceMonitor and still knows no target of the model; look at its log, and at what prometheus-operator says of the ServiceMonitor{slices}"
                    ),
                )
            }
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
            Proof::OperatorNotScraped => (
                OPERATOR_NOT_SCRAPED,
                format!(
                    "Prometheus {evaluators} has no series of Modelship's operator, so these alerts of the model are silent: {}; have it scrape the operator (metrics.serviceMonitor in its chart's values, and this Prometheus must look into the operator's namespace), or name them in spec.monitoring.alerts.disabled",
                    rules::told_by_the_operator(&self.subject).join(", ")
                ),
            ),
        };
        self.bundle.shortcomings.push(Shortcoming { reason, message });
    }

    /// Kinds that are missing or cannot be read, all in one sentence each.
    pub fn tell_of_missing(&mut self) {
        let with = |presence: Presence| {
            let kinds = OptionalKind::ALL.into_iter().filter(|kind| self.needed.contains(kind));
            let kinds = kinds.filter(|kind| self.around.presence(*kind) == presence);
            kinds.map(OptionalKind::definition).collect::<Vec<_>>()
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

fn written(labels: &Labels) -> String {
    if labels.is_empty() {
        return "that it has".to_owned();
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}
