//! On which nodes a template's pods may run, and what that means for the platforms that count. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Affinity, NodeSelectorRequirement, NodeSelectorTerm};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{
    images::{Digest, ImageDetails, Platform},
    resources::merge,
};

/// A label whose value is each node's own.
pub const HOST_NAME: &str = "kubernetes.io/hostname";
const ARCHITECTURE: &str = "kubernetes.io/arch";
const OPERATING_SYSTEM: &str = "kubernetes.io/os";

/// A node that takes pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: String,
    pub platform: Platform,
    pub labels: BTreeMap<String, String>,
}

/// What a template demands of nodes.
#[derive(Default)]
struct Demands {
    labels: BTreeMap<String, String>,
    /// One of these has to hold; empty: nothing is demanded.
    terms: Vec<NodeSelectorTerm>,
}

/// The platforms that an image has to be for: those of the nodes that the template admits. Where it admits none, those that it
/// asks for by name, since an autoscaler may bring such nodes only once a pod waits for them; where it names none either,
/// those of all nodes.
pub fn platforms(template: Option<&Value>, nodes: &[&Node]) -> BTreeSet<Platform> {
    let demands = template.map(Demands::of).unwrap_or_default();
    let of = |nodes: &[&Node]| nodes.iter().map(|node| node.platform.clone()).collect::<BTreeSet<_>>();
    let admitted: Vec<&Node> = nodes.iter().copied().filter(|node| demands.admit(node)).collect();
    let named = || BTreeSet::from_iter(demands.named_platforms());
    [of(&admitted), named()].into_iter().find(|platforms| !platforms.is_empty()).unwrap_or_else(|| of(nodes))
}

/// What is to be said of nodes that cannot run the image: from which the pods are kept, and on which they may end all the same.
/// `asked` is the user's template, `made` the one that pods are made by: one that runs is not changed for nodes that join.
pub fn warning(asked: Option<&Value>, made: &Value, image: &ImageDetails, nodes: &[&Node]) -> Option<String> {
    let exposed = unfit(made, image, nodes);
    let kept: BTreeSet<Platform> = unfit(asked.unwrap_or(&Value::Null), image, nodes);
    let kept: BTreeSet<Platform> = kept.difference(&exposed).cloned().collect();
    let of = |platforms: &BTreeSet<Platform>| {
        let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("nodes of {} cannot run it", names.join(", ")))
    };
    let kept = of(&kept).map(|words| format!("{words}, and its pods are kept from them"));
    let exposed = of(&exposed).map(|words| {
        format!(
            "{words}, but its pods may be put there: build the image for them, or set nodeSelector {ARCHITECTURE} in \
             spec.podTemplate"
        )
    });
    kept.into_iter().chain(exposed).reduce(|kept, exposed| format!("{kept}; {exposed}"))
}

/// The platforms of the nodes that the template admits though the image is not for them.
fn unfit(template: &Value, image: &ImageDetails, nodes: &[&Node]) -> BTreeSet<Platform> {
    let unable: Vec<&&Node> = nodes.iter().filter(|node| !runs(image, &node.platform)).collect();
    // Nearly always: what the template demands need not be read.
    if unable.is_empty() {
        return BTreeSet::new();
    }
    let demands = Demands::of(template);
    unable.into_iter().filter(|node| demands.admit(node)).map(|node| node.platform.clone()).collect()
}

fn runs(image: &ImageDetails, node: &Platform) -> bool {
    image.platforms.iter().any(|(platform, _)| platform.fits(node))
}

/// The template, kept to the nodes that can run the image where some of those that it admits cannot: what the user demands of
/// platforms stands, and is narrowed where it leaves several.
pub fn steered(mut template: Value, image: Option<&ImageDetails>, nodes: &[&Node]) -> Value {
    let (Some(image), demands) = (image, Demands::of(&template)) else { return template };
    let admitted: BTreeSet<&Platform> =
        nodes.iter().filter(|node| demands.admit(node)).map(|node| &node.platform).collect();
    let fitting: BTreeSet<&Platform> = admitted.iter().copied().filter(|platform| runs(image, platform)).collect();
    for (label, part) in
        [(OPERATING_SYSTEM, Platform::os as fn(&Platform) -> &str), (ARCHITECTURE, Platform::architecture)]
    {
        let (all, wanted): (BTreeSet<&str>, BTreeSet<&str>) =
            (admitted.iter().map(|node| part(node)).collect(), fitting.iter().map(|node| part(node)).collect());
        if let (true, true, Some(only)) = (all.len() > 1, wanted.len() == 1, wanted.first())
            && let Some(selector) = merge::object_at(&mut template, &["spec", "nodeSelector"])
        {
            selector.insert(label.to_owned(), json!(only));
        }
    }
    template
}

/// The image in an index that every node would run that the template admits, now and later: the only one, or the only one
/// for what the template's nodeSelector names. Else a node of another platform may join, and would run another.
pub fn only_image<'a>(template: &Value, index: &'a ImageDetails) -> Option<&'a Digest> {
    let demands = Demands::of(template);
    let demanded = |label: &str, part: &str| demands.labels.get(label).is_none_or(|wanted| wanted == part);
    let may_run = |platform: &Platform| {
        demanded(OPERATING_SYSTEM, platform.os()) && demanded(ARCHITECTURE, platform.architecture())
    };
    let mut images = index.platforms.iter().filter(|(platform, _)| may_run(platform)).map(|(_, image)| image);
    let first = images.next().filter(|image| **image != index.digest)?;
    images.all(|other| other == first).then_some(first)
}

impl Demands {
    fn of(template: &Value) -> Self {
        let spec = &template["spec"];
        let labels = BTreeMap::deserialize(&spec["nodeSelector"]).unwrap_or_default();
        let affinity = Affinity::deserialize(&spec["affinity"]).ok().and_then(|affinity| affinity.node_affinity);
        let required = affinity.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution);
        Self { labels, terms: required.map(|required| required.node_selector_terms).unwrap_or_default() }
    }

    fn admit(&self, node: &Node) -> bool {
        self.labels.iter().all(|(name, value)| node.labels.get(name) == Some(value))
            && (self.terms.is_empty() || self.terms.iter().any(|term| holds(term, node)))
    }

    fn expressions(&self) -> impl Iterator<Item = &NodeSelectorRequirement> {
        self.terms.iter().flat_map(|term| term.match_expressions.iter().flatten())
    }

    fn named_platforms(&self) -> Vec<Platform> {
        let named = |label: &str| match self.labels.get(label) {
            Some(value) => vec![value.clone()],
            None => {
                let named = self.expressions().filter(|one| one.key == label && one.operator == "In");
                named.flat_map(|one| one.values.iter().flatten()).cloned().collect()
            }
        };
        let system = named(OPERATING_SYSTEM).into_iter().next().unwrap_or_else(|| "linux".to_owned());
        named(ARCHITECTURE).iter().map(|architecture| Platform::new(&system, architecture, None)).collect()
    }
}

/// As the scheduler has it: a term without demands admits nothing.
fn holds(term: &NodeSelectorTerm, node: &Node) -> bool {
    let (expressions, fields) = (term.match_expressions.iter().flatten(), term.match_fields.iter().flatten());
    if expressions.clone().next().is_none() && fields.clone().next().is_none() {
        return false;
    }
    expressions.into_iter().all(|one| met(one, node.labels.get(&one.key).map(String::as_str)))
        && fields.into_iter().all(|one| met(one, (one.key == "metadata.name").then_some(node.name.as_str())))
}

fn met(demand: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = demand.values.as_deref().unwrap_or_default();
    let among = value.is_some_and(|value| values.iter().any(|one| one == value));
    let number = |text: &str| text.parse::<i64>().ok();
    let compared = || Some((number(value?)?, number(values.first()?)?));
    match demand.operator.as_str() {
        "In" => among,
        "NotIn" => !among,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared().is_some_and(|(value, bound)| value > bound),
        "Lt" => compared().is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

#[cfg(test)]
#[path = "tests/placement.rs"]
mod tests;
