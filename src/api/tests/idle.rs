use serde_json::{Value, json};

use crate::api::ValidSpec;

fn idle(fields: Value) -> Vec<String> {
    let mut spec = json!({"image": {"repository": "vintner/wine"}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    ValidSpec::parse("grape-scorer", &spec).unwrap().idle
}

#[test]
fn what_has_an_effect_is_not_told() {
    let email = json!({"to": ["team@example.org"], "secret": "smtp"});
    for fields in [
        json!({}),
        json!({"monitoring": {"email": email, "alerts": {"latencyP95": "1s"}}}),
        json!({"monitoring": {"enabled": false}}),
        json!({"exporter": {"enabled": false}}),
        json!({"server": {"workers": 2, "pythonMetrics": true, "metricsPort": 8002}, "service": {"aliases": {"/a": "/b"}}}),
        json!({"server": {"resources": {"limits": {"memory": "1Gi", "cpu": 1}}},
               "monitoring": {"alerts": {"memory": "80%", "cpuThrottling": "10%"}}}),
        json!({"monitoring": {"alerts": {"memory": "80%"}}, "podTemplate": {"spec": {"containers": [{"name": "model"}]}}}),
        json!({"predictions": {"kind": "number", "bins": ["0", "1"]}}),
        json!({"predictions": {"kind": "probability", "threshold": "0.3"}}),
        json!({"predictions": {"classes": [{"value": "0", "name": "stay"}, {"value": "no", "name": "stay"}]}}),
        json!({"monitoring": {"alerts": {"disabled": ["HighLatency", "PredictionDrift"], "errorRatio": "1%"}}}),
        // Their windows shape the recorded series and the board, whether anybody is alerted or not.
        json!({"monitoring": {"alerts": {"disabled": ["PredictionDrift"], "drift": {"window": "6h", "psi": "0.1"}}}}),
        json!({"monitoring": {"alerts": {"disabled": ["HighTraffic"], "highTraffic": "5000/2h"}}}),
        json!({"exporter": {"enabled": false}, "monitoring": {"labels": {"a": "b"}, "alerts": {"downFor": "5m", "restarts": 2}}}),
        json!({"predictions": {"kind": "probability"}, "monitoring": {"alerts": {"classShare": [
            {"scoreAbove": "0.9", "above": "10%"}, {"class": "churn", "above": "40%"},
        ]}}}),
        json!({"monitoring": {"alerts": {"classShare": [{"scoreAbove": "0.9", "above": "10%"}]}}}),
        json!({"exporter": {"enabled": false}, "service": {"networkPolicy": false}}),
        json!({"service": {"type": "LoadBalancer", "nodePort": 30080}}),
        json!({"monitoring": {"extraPanels": [{"type": "stat", "title": "Grapes"}]}}),
    ] {
        assert_eq!(idle(fields.clone()), [""; 0], "{fields}");
    }
}

#[test]
fn what_has_none_is_told_with_the_reason() {
    let email = json!({"to": ["team@example.org"]});
    for (fields, field, why) in [
        (json!({"monitoring": {"enabled": false, "email": email}}), "spec.monitoring.email:", "enabled is false"),
        (
            json!({"monitoring": {"enabled": false, "extraRules": [{"record": "a", "expr": "b"}]}}),
            "spec.monitoring.extraRules:",
            "enabled is false",
        ),
        (
            json!({"exporter": {"enabled": false}, "service": {"aliases": {"/a": "/b"}}}),
            "spec.service.aliases:",
            "for the exporter",
        ),
        (
            json!({"exporter": {"enabled": false}, "predictions": {"kind": "class"}}),
            "spec.predictions:",
            "for the exporter",
        ),
        (
            json!({"exporter": {"enabled": false}, "server": {"metricsPath": "/metrics"}}),
            "spec.server.metricsPath",
            "for the exporter",
        ),
        (
            json!({"exporter": {"enabled": false}, "server": {"pythonMetrics": true}}),
            "spec.server.pythonMetrics:",
            "for the exporter",
        ),
        (
            json!({"exporter": {"enabled": false}, "service": {"networkPolicy": true}}),
            "spec.service.networkPolicy:",
            "for the exporter",
        ),
        (
            json!({"exporter": {"enabled": false}, "monitoring": {"scrapeInterval": "30s"}}),
            "spec.monitoring.scrapeInterval and job:",
            "nothing is scraped",
        ),
        (
            json!({"exporter": {"enabled": false}, "monitoring": {"alerts": {"latencyP95": "300ms"}}}),
            "spec.monitoring.alerts.latencyP95:",
            "what the exporter measures",
        ),
        (
            json!({"monitoring": {"alerts": {"disabled": ["HighLatency"], "latencyP95": "300ms"}}}),
            "spec.monitoring.alerts.latencyP95:",
            "HighLatency is among spec.monitoring.alerts.disabled",
        ),
        (
            json!({"monitoring": {"alerts": {"disabled": ["HighTraffic"], "highTraffic": "100/s"}}}),
            "spec.monitoring.alerts.highTraffic:",
            "HighTraffic is among",
        ),
        (
            json!({"monitoring": {"alerts": {"disabled": ["PredictionDrift"], "drift": {"minimum": 20}}}}),
            "spec.monitoring.alerts.drift:",
            "PredictionDrift is among",
        ),
        (
            json!({"exporter": {"enabled": false}, "monitoring": {"alerts": {"disabled": ["PredictionDrift"], "drift": {"window": "6h"}}}}),
            "spec.monitoring.alerts.drift:",
            "PredictionDrift is among",
        ),
        (
            json!({"predictions": {"kind": "number"}, "monitoring": {"alerts": {"classShare": [{"class": "churn", "above": "40%"}]}}}),
            "spec.monitoring.alerts.classShare[0]:",
            "numbers have no classes",
        ),
        (
            json!({"predictions": {"kind": "class"}, "monitoring": {"alerts": {"classShare": [{"scoreAbove": "0.9", "above": "10%"}]}}}),
            "spec.monitoring.alerts.classShare[0]:",
            "scoreAbove is for kind: probability",
        ),
        (
            json!({"monitoring": {"dashboard": {"enabled": false}, "extraPanels": [{"type": "stat", "title": "Grapes"}]}}),
            "spec.monitoring.extraPanels:",
            "no",
        ),
        (json!({"monitoring": {"enabled": false, "job": "wine"}}), "spec.monitoring.job:", "enabled is false"),
        (
            json!({"monitoring": {"enabled": false, "labels": {"a": "b"}}}),
            "spec.monitoring.labels:",
            "enabled is false",
        ),
        (
            json!({"predictions": {"kind": "number", "maxClasses": 3}}),
            "spec.predictions.maxClasses:",
            "numbers have no",
        ),
        (
            json!({"predictions": {"maxClasses": 3, "classes": [{"value": "0", "name": "a"}]}}),
            "spec.predictions.maxClasses:",
            "declares them",
        ),
        (json!({"service": {"nodePort": 30080}}), "spec.service.nodePort:", "type NodePort or LoadBalancer"),
        (json!({"server": {"type": "http", "workers": 2}}), "spec.server.workers:", "MLflow"),
        (
            json!({"predictions": {"classes": [{"name": "stay"}, {"name": "stay"}]}}),
            "spec.predictions.classes:",
            "'stay' is at two positions",
        ),
        (json!({"monitoring": {"alerts": {"memory": "80%"}}}), "spec.monitoring.alerts.memory:", "limits.memory"),
        (
            json!({"monitoring": {"alerts": {"cpuThrottling": "10%"}}}),
            "spec.monitoring.alerts.cpuThrottling:",
            "limits.cpu",
        ),
        (
            json!({"server": {"shareProcessNamespace": false}, "monitoring": {"alerts": {"openFiles": "50%"}}}),
            "spec.monitoring.alerts.openFiles:",
            "shareProcessNamespace",
        ),
        (
            json!({"monitoring": {"dashboard": {"enabled": false, "folder": "Wine"}}}),
            "spec.monitoring.dashboard:",
            "no dashboard",
        ),
        (
            json!({"predictions": {"kind": "class", "threshold": "0.3"}}),
            "spec.predictions.threshold:",
            "kind: probability",
        ),
        (json!({"predictions": {"kind": "class", "bins": ["0"]}}), "spec.predictions.bins:", "kind: number"),
        (
            json!({"predictions": {"kind": "class", "maxClasses": 3, "classes": [{"value": "0", "name": "a"}]}}),
            "spec.predictions.maxClasses:",
            "declares them",
        ),
    ] {
        let told = idle(fields.clone());
        assert_eq!(told.len(), 1, "{fields}: {told:?}");
        assert!(told[0].starts_with(field) && told[0].contains(why), "{told:?}");
    }
}
