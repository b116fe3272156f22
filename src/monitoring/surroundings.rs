//! What of the Prometheus Operator's world is there, and who of it would pick an object of ours up.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::{
    ResourceExt as _,
    core::{DynamicObject, Selector, SelectorExt as _},
};
use serde::Deserialize as _;
use serde_json::Value;

use super::{OptionalKind, Presence, Reader, bindings::Bound};
use crate::api::labels;

/// What one field pair of a Prometheus or Alertmanager object selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selects {
    /// `None` selects nothing, an empty selector everything.
    pub objects: Option<LabelSelector>,
    /// `None` selects the namespace of the Prometheus alone.
    pub namespaces: Option<LabelSelector>,
}

/// An object of one of [`OptionalKind::PICKERS`], reduced to what it picks up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collector {
    pub kind: OptionalKind,
    pub namespace: String,
    pub name: String,
    /// Of a Prometheus or a PrometheusAgent: which ServiceMonitors.
    pub monitors: Selects,
    /// Of a Prometheus or a ThanosRuler: which PrometheusRules.
    pub rules: Selects,
    /// Of an Alertmanager: which AlertmanagerConfigs.
    pub configs: Selects,
    /// The path that its pages lie under.
    pub prefix: String,
    /// It looks for targets in EndpointSlices, which its own role must allow.
    pub slices: bool,
}

/// The label by which prometheus-operator marks the pods of a Prometheus.
pub const INSTANCE_OF: &str = "operator.prometheus.io/name";
/// The label that says which shard of it a pod is; each shard scrapes targets of its own.
pub const SHARD: &str = "operator.prometheus.io/shard";

impl Collector {
    /// Reduces an object of that kind to what it selects.
    pub fn of(kind: OptionalKind, object: &DynamicObject) -> Self {
        let selector = |field: &str| -> Option<LabelSelector> {
            let value: &Value = &object.data["spec"][field];
            Option::<LabelSelector>::deserialize(value).ok().flatten()
        };
        let selects =
            |objects: &str, namespaces: &str| Selects { objects: selector(objects), namespaces: selector(namespaces) };
        Self {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            monitors: selects("serviceMonitorSelector", "serviceMonitorNamespaceSelector"),
            rules: selects("ruleSelector", "ruleNamespaceSelector"),
            configs: selects("alertmanagerConfigSelector", "alertmanagerConfigNamespaceSelector"),
            prefix: object.data["spec"]["routePrefix"].as_str().unwrap_or_default().to_owned(),
            slices: object.data["spec"]["serviceDiscoveryRole"] == "EndpointSlice",
        }
    }

    /// What it selects of that kind.
    pub fn selects(&self, kind: OptionalKind) -> &Selects {
        match kind {
            OptionalKind::ServiceMonitor => &self.monitors,
            OptionalKind::PrometheusRule => &self.rules,
            _ => &self.configs,
        }
    }
}

impl std::fmt::Display for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What Prometheus itself says of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nothing yet, or it cannot be asked.
    #[default]
    Awaited,
    /// It scrapes the model and evaluates its rules.
    Seen,
    /// It knows no target of the model.
    NotScraped,
    /// It knows targets of the model, and none of them answers.
    ScrapeFails,
    /// It scrapes the model, and does not evaluate its rules.
    NotEvaluated,
    /// It evaluates the model's rules, and has no series of what the operator tells of the model.
    OperatorNotScraped,
}

/// Labels, by name.
pub type Labels = BTreeMap<String, String>;

/// What is known of the world around one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surroundings {
    pub kinds: BTreeMap<OptionalKind, Presence>,
    /// In the order of [`OptionalKind::PICKERS`], those of one kind in the order of their names.
    pub collectors: Vec<Arc<Collector>>,
    /// Who else may read our objects.
    pub readers: Vec<Reader>,
    /// What prometheus-operator itself says of the model's objects.
    pub bindings: Vec<Bound>,
    /// Labels of the model's namespace.
    pub namespace_labels: Labels,
    pub proof: Proof,
    /// Prometheus objects, by namespace and name, that have no metrics of containers.
    pub without_containers: Vec<(String, String)>,
    /// What was told last, on Prometheus' own word: that somebody scrapes the model, whoever it is.
    pub scraped_by_others: bool,
}

impl Surroundings {
    pub fn presence(&self, kind: OptionalKind) -> Presence {
        self.kinds.get(&kind).cloned().unwrap_or_default()
    }

    /// Whoever may select objects of that kind.
    pub fn pickers(&self, kind: OptionalKind) -> Vec<Arc<Collector>> {
        let may = |collector: &&Arc<Collector>| kind.pickers().contains(&collector.kind);
        self.collectors.iter().filter(may).cloned().collect()
    }

    /// Those that can be asked what they scrape and evaluate.
    pub fn prometheuses(&self) -> impl Iterator<Item = &Arc<Collector>> {
        self.collectors.iter().filter(|collector| collector.kind == OptionalKind::Prometheus)
    }
}

/// One side of the matter: the objects of one kind and namespace, which somebody might select.
#[derive(Clone, Copy)]
pub struct Picking<'a> {
    pub kind: OptionalKind,
    pub namespace: &'a str,
    pub namespace_labels: &'a Labels,
}

impl Picking<'_> {
    /// Whether that one looks into the namespace at all.
    fn admits(&self, collector: &Collector) -> bool {
        match &collector.selects(self.kind).namespaces {
            None => collector.namespace == self.namespace,
            Some(selector) => matches(selector, self.namespace_labels),
        }
    }

    /// Whether that one picks up an object with these labels.
    pub fn picks(&self, collector: &Collector, labels: &Labels) -> bool {
        let objects = collector.selects(self.kind).objects.as_ref();
        self.admits(collector) && objects.is_some_and(|selector| matches(selector, labels))
    }

    /// Labels that make as many of them as possible pick an object up, beside the ones that it has anyway. Of two that
    /// want different values of one label, the first has its way. While one of the first kind picks it up, no other kind is
    /// asked: an agent that writes to a store that costs money, or a ruler, may be kept apart on purpose.
    pub fn adopt(&self, collectors: &[Arc<Collector>], own: &Labels) -> Labels {
        let is_first = |collector: &&Arc<Collector>| self.kind.pickers().first() == Some(&collector.kind);
        let first: Vec<Arc<Collector>> = collectors.iter().filter(is_first).cloned().collect();
        let adopted = self.wanted(&first, own);
        let all = adopted.clone().into_iter().chain(own.clone()).collect();
        if first.iter().any(|collector| self.picks(collector, &all)) {
            return adopted;
        }
        self.wanted(collectors, own)
    }

    fn wanted(&self, collectors: &[Arc<Collector>], own: &Labels) -> Labels {
        let mut adopted = Labels::new();
        for collector in collectors.iter().filter(|collector| self.admits(collector)) {
            let Some(selector) = &collector.selects(self.kind).objects else { continue };
            let present = |key: &str| own.get(key).or_else(|| adopted.get(key));
            let wanted = asked_for(selector, present);
            // One label that no object can bear, and the API server would refuse the whole object.
            let legal = wanted.iter().all(|(key, value)| labels::is_label(key, value));
            if legal && wanted.iter().all(|(key, value)| present(key).is_none_or(|present| present == value)) {
                adopted.extend(wanted.into_iter().filter(|(key, _)| !own.contains_key(key)));
            }
        }
        adopted
    }

    /// Why that one does not pick the object up, in a few words.
    pub fn complaint(&self, collector: &Collector) -> String {
        let selects = collector.selects(self.kind);
        match (&selects.objects, &selects.namespaces) {
            (None, _) => format!("{collector} selects nothing at all: its selector is not set"),
            _ if !self.admits(collector) => match &selects.namespaces {
                None => format!("{collector} looks into its own namespace alone"),
                Some(selector) => format!("{collector} wants a namespace with {}", words(selector)),
            },
            (Some(selector), _) => format!("{collector} wants {}", words(selector)),
        }
    }
}

/// A selector that cannot be read selects nothing.
fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

/// The labels that satisfy a selector most simply, beside those that are present.
fn asked_for<'a>(selector: &LabelSelector, present: impl Fn(&str) -> Option<&'a String>) -> Labels {
    let mut labels: Labels = selector.match_labels.clone().unwrap_or_default();
    for LabelSelectorRequirement { key, operator, values } in selector.match_expressions.iter().flatten() {
        let values = values.as_deref().unwrap_or_default();
        let missing = match (operator.as_str(), labels.get(key).or_else(|| present(key))) {
            ("In", Some(value)) if values.contains(value) => None,
            ("In", _) => values.first().cloned(),
            ("Exists", None) => Some("true".to_owned()),
            _ => None,
        };
        if let Some(value) = missing {
            labels.entry(key.clone()).or_insert(value);
        }
    }
    labels
}

fn words(selector: &LabelSelector) -> String {
    let mut words: Vec<String> =
        selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    for LabelSelectorRequirement { key, operator, values } in selector.match_expressions.iter().flatten() {
        let values = values.as_deref().unwrap_or_default().join(", ");
        words.push(match operator.as_str() {
            "Exists" => format!("the label {key}"),
            "DoesNotExist" => format!("no label {key}"),
            "NotIn" => format!("{key} not in ({values})"),
            _ => format!("{key} in ({values})"),
        });
    }
    if words.is_empty() { "anything".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(value: Value) -> Labels {
        serde_json::from_value(value).unwrap()
    }

    fn prometheus(name: &str, objects: Value, namespaces: Value) -> Arc<Collector> {
        let selector = |value: Value| serde_json::from_value::<Option<LabelSelector>>(value).unwrap();
        let monitors = Selects { objects: selector(objects), namespaces: selector(namespaces) };
        Arc::new(Collector { namespace: "monitoring".into(), name: name.into(), monitors, ..Collector::default() })
    }

    fn picking(namespace_labels: &Labels) -> Picking<'_> {
        Picking { kind: OptionalKind::ServiceMonitor, namespace: "tasting-room", namespace_labels }
    }

    #[test]
    fn a_prometheus_and_an_alertmanager_are_reduced_to_what_they_select() {
        let object = |spec: Value| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"namespace": "monitoring", "name": "main"}, "spec": spec}))
                .unwrap()
        };
        let kps = json!({"matchLabels": {"release": "kps"}});
        let reduced = Collector::of(
            OptionalKind::Prometheus,
            &object(json!({
                "serviceMonitorSelector": {}, "ruleSelector": kps, "ruleNamespaceSelector": {},
                "alertmanagerConfigSelector": null, "routePrefix": "/prometheus", "serviceDiscoveryRole": "EndpointSlice",
            })),
        );
        assert!(reduced.slices);
        assert_eq!((reduced.to_string().as_str(), reduced.prefix.as_str()), ("monitoring/main", "/prometheus"));
        assert_eq!(reduced.monitors, Selects { objects: Some(LabelSelector::default()), namespaces: None });
        assert_eq!(reduced.rules.objects, serde_json::from_value(kps).unwrap());
        assert_eq!(reduced.configs, Selects::default(), "what is null is not set");
        assert_eq!(Collector::of(OptionalKind::Prometheus, &object(json!({}))).rules, Selects::default());
    }

    #[test]
    fn an_unset_selector_selects_nothing_and_an_empty_one_everything() {
        let none = Labels::new();
        let picks = |collector: Arc<Collector>| picking(&none).picks(&collector, &none);
        assert!(!picks(prometheus("bare", json!(null), json!({}))));
        assert!(picks(prometheus("open", json!({}), json!({}))));
    }

    #[test]
    fn without_a_namespace_selector_only_its_own_namespace_is_seen() {
        let none = Labels::new();
        let shy = prometheus("shy", json!({}), json!(null));
        assert!(!picking(&none).picks(&shy, &none));
        assert!(Picking { namespace: "monitoring", ..picking(&none) }.picks(&shy, &none));
        assert_eq!(picking(&none).complaint(&shy), "monitoring/shy looks into its own namespace alone");
    }

    #[test]
    fn the_labels_that_are_asked_for_are_adopted() {
        let (none, own) = (Labels::new(), labels(json!({"app": "model"})));
        let rows = [
            (json!({"matchLabels": {"release": "kps"}}), json!({"release": "kps"})),
            (
                json!({"matchExpressions": [{"key": "release", "operator": "In", "values": ["kps", "other"]}]}),
                json!({"release": "kps"}),
            ),
            (json!({"matchExpressions": [{"key": "scrape", "operator": "Exists"}]}), json!({"scrape": "true"})),
            (json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}), json!({})),
            (json!({"matchLabels": {"app": "model"}}), json!({})),
            (
                json!({
                    "matchLabels": {"release": "kps"},
                    "matchExpressions": [
                        {"key": "app", "operator": "Exists"},
                        {"key": "app", "operator": "In", "values": ["website", "model"]},
                        {"key": "release", "operator": "Exists"},
                        {"key": "release", "operator": "In", "values": ["other", "kps"]},
                    ],
                }),
                json!({"release": "kps"}),
            ),
            (json!({}), json!({})),
        ];
        for (selector, adopted) in rows {
            let collector = prometheus("kps", selector.clone(), json!({}));
            let found = picking(&none).adopt(std::slice::from_ref(&collector), &own);
            assert_eq!(found, labels(adopted), "{selector}");
            let all = own.clone().into_iter().chain(found).collect();
            assert!(picking(&none).picks(&collector, &all), "{selector}");
        }
    }

    #[test]
    fn of_two_that_want_different_values_the_first_has_its_way_and_the_other_is_named() {
        let none = Labels::new();
        let first = prometheus("kps", json!({"matchLabels": {"release": "kps"}}), json!({}));
        let second = prometheus("team", json!({"matchLabels": {"release": "team"}}), json!({}));
        let third = prometheus("more", json!({"matchLabels": {"team": "ml"}}), json!({}));
        let found = picking(&none).adopt(&[first, second.clone(), third], &none);
        assert_eq!(found, labels(json!({"release": "kps", "team": "ml"})));
        assert!(!picking(&none).picks(&second, &found));
        assert_eq!(picking(&none).complaint(&second), "monitoring/team wants release=team");
    }

    #[test]
    fn a_label_that_no_object_can_bear_is_not_adopted() {
        let (none, long) = (Labels::new(), "x".repeat(64));
        let right = prometheus("kps", json!({"matchLabels": {"release": "kps"}}), json!({}));
        for wrong in [json!({"team": "a b"}), json!({long: "a"}), json!({"team": "ml", "a/b/c": "d"})] {
            let wrong = prometheus("typo", json!({"matchLabels": wrong}), json!({}));
            let found = picking(&none).adopt(&[wrong, right.clone()], &none);
            assert_eq!(found, labels(json!({"release": "kps"})));
        }
    }

    #[test]
    fn a_value_that_the_first_wants_is_kept_where_the_second_takes_it_too() {
        let (none, adopted) = (Labels::new(), labels(json!({"release": "kps", "team": "ml"})));
        let first = prometheus("kps", json!({"matchLabels": {"release": "kps"}}), json!({}));
        for second in [
            json!({"key": "release", "operator": "Exists"}),
            json!({"key": "release", "operator": "In", "values": ["team", "kps"]}),
        ] {
            let selector = json!({"matchLabels": {"team": "ml"}, "matchExpressions": [second]});
            let second = prometheus("team", selector, json!({}));
            assert_eq!(picking(&none).adopt(&[first.clone(), second.clone()], &none), adopted);
            assert!(picking(&none).picks(&second, &adopted));
        }
    }

    #[test]
    fn who_does_not_look_into_the_namespace_is_not_listened_to() {
        let none = Labels::new();
        let only =
            prometheus("prod", json!({"matchLabels": {"release": "prod"}}), json!({"matchLabels": {"env": "prod"}}));
        assert_eq!(picking(&none).adopt(std::slice::from_ref(&only), &none), none);
        assert_eq!(picking(&none).complaint(&only), "monitoring/prod wants a namespace with env=prod");
        let prod = labels(json!({"env": "prod"}));
        assert_eq!(picking(&prod).adopt(&[only], &none), labels(json!({"release": "prod"})));
    }
}
