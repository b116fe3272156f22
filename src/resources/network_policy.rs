//! The NetworkPolicy, where it is asked for: predictions are for everybody, metrics and probes for those who need them.
//!
//! The kubelet is in no rule, for none can name it: what comes from a pod's own node is always let in. Another scraper gets
//! in by a NetworkPolicy of its own beside this one, for what any of them admits is admitted.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde_json::json;

use super::{Child, ChildKind, Owner};
use crate::api::{names, valid::ValidSpec};

/// What the Prometheus Operator and Prometheus' own chart call its pods.
const PROMETHEUS: (&str, &str) = ("app.kubernetes.io/name", "prometheus");
/// What the Prometheus Operator calls those of a PrometheusAgent.
const AGENT: (&str, &str) = ("app.kubernetes.io/name", "prometheus-agent");

pub fn build(owner: &Owner, spec: &ValidSpec) -> Option<Child> {
    // Without the exporter there is nothing to shield: the one port is for users.
    if spec.exporter.is_none() || !spec.service.network_policy {
        return None;
    }
    // Of both tracks: a candidate's pods are asked by the stable ones'.
    let own_pods = || labels((names::MODEL, &owner.name));
    let own = NetworkPolicyPeer { pod_selector: Some(own_pods()), ..NetworkPolicyPeer::default() };
    let operator = anywhere((names::COMPONENT, names::OPERATOR));
    let policy = NetworkPolicy {
        metadata: owner.child_metadata(&owner.name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(own_pods()),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![
                rule(None, &[names::EXPORTER_HTTP]),
                rule(Some(vec![anywhere(PROMETHEUS), anywhere(AGENT)]), &[names::EXPORTER_METRICS]),
                rule(Some(vec![operator, own]), &[names::EXPORTER_METRICS, names::EXPORTER_PROBES]),
            ]),
            egress: None,
        }),
    };
    Some(Child::seal(ChildKind::NetworkPolicy, json!(policy)))
}

/// Without `from` everybody, also from outside the cluster.
fn rule(from: Option<Vec<NetworkPolicyPeer>>, ports: &[u16]) -> NetworkPolicyIngressRule {
    let port = |number: &u16| NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(*number))),
        protocol: Some("TCP".into()),
        end_port: None,
    };
    NetworkPolicyIngressRule { from, ports: Some(ports.iter().map(port).collect()) }
}

/// Pods with a label, in any namespace.
fn anywhere(label: (&str, &str)) -> NetworkPolicyPeer {
    let everywhere = LabelSelector::default();
    NetworkPolicyPeer { namespace_selector: Some(everywhere), pod_selector: Some(labels(label)), ip_block: None }
}

fn labels((name, value): (&str, &str)) -> LabelSelector {
    let labels = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}
