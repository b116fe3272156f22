//! Statuses as kube-controller-manager 1.36.3 writes them.

use super::*;

fn status(kind: &str, reason: &str, message: &str) -> Value {
    let others =
        json!({"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange", "message": "within"});
    let condition = json!({
        "type": kind, "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2026-11-30T12:00:00Z",
    });
    json!({"conditions": [others, condition], "currentReplicas": 1, "desiredReplicas": 0})
}

fn words(status: &Value) -> Option<String> {
    let owner = Owner { namespace: "tasting-room".into(), name: "grape".into(), uid: String::new() };
    Idle::of(status).map(|idle| idle.words(&owner))
}

#[test]
fn why_nothing_is_scaled_is_said_with_what_to_do_and_in_words_that_stay() {
    const FAILED: &str = "the HPA was unable to compute the replica count: failed to get cpu container metric value: ";
    let unmeasured = |why: &str| status("ScalingActive", "FailedGetContainerResourceMetric", &format!("{FAILED}{why}"));
    let api = "unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server";
    let rows = [
        (
            unmeasured(&format!("{api} could not find the requested resource (get pods.metrics.k8s.io)")),
            "install metrics-server",
            true,
        ),
        (
            unmeasured(&format!("{api} is currently unable to handle the request (get pods.metrics.k8s.io)")),
            "kubectl describe apiservice",
            false,
        ),
        (
            unmeasured("did not receive metrics for targeted pods (pods might be unready)"),
            "(FailedGetContainerResourceMetric); kubectl describe hpa grape",
            false,
        ),
        (
            status("ScalingActive", "AmbiguousSelector", "pods by selector a=b are controlled by multiple HPAs: [a b]"),
            "kubectl get hpa -n tasting-room",
            true,
        ),
        (
            status("AbleToScale", "FailedUpdateScale", "unable to update the target scale: …"),
            "(FailedUpdateScale)",
            false,
        ),
    ];
    let due = "2026-11-30T12:05:00Z".parse().ok();
    for (status, expected, at_once) in rows {
        let said = words(&status).unwrap();
        assert!(said.starts_with("spec.autoscaling: ") && said.contains(expected), "no '{expected}' in: {said}");
        assert_eq!(Idle::of(&status).unwrap().due(), due.filter(|_| !at_once), "{said}");
    }
}

#[test]
fn an_autoscaler_that_scales_or_was_told_not_to_is_not_idle() {
    let zero =
        status("ScalingActive", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero");
    let mut active = status("ScalingActive", "ValidMetricFound", "the HPA was able to …");
    active["conditions"][1]["status"] = json!("True");
    for status in [zero, active, json!({}), json!({"conditions": null}), json!("?"), Value::Null] {
        assert_eq!(Idle::of(&status), None, "{status}");
    }
}
