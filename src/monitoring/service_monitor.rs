//! What Prometheus scrapes of one model.

use std::time::Duration;

use serde_json::json;

use super::{Subject, surroundings::Labels};
use crate::{
    api::names,
    resources::{Child, ChildKind},
};

/// More series than any model should have: a mistake here is a gap in one model's data, not the end of Prometheus.
const SAMPLE_LIMIT: u32 = 10_000;

/// Series that the exporter shows of the model's container: Prometheus calls a series' container the one that was asked.
pub const OF_THE_MODEL: &str = "process_.+|python_.+|model_processes";

/// The ServiceMonitor; `None` without an exporter.
pub fn build(subject: &Subject, labels: &Labels) -> Option<Child> {
    let Subject { owner, spec, monitoring } = subject;
    spec.exporter.as_ref()?;
    let metadata = owner.labelled_metadata(&owner.name, labels);
    Some(Child::seal(
        ChildKind::ServiceMonitor,
        json!({
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": {
                    names::MODEL: owner.name,
                    "app.kubernetes.io/component": "metrics",
                }},
                "sampleLimit": SAMPLE_LIMIT,
                "endpoints": [{
                    "port": names::METRICS_PORT,
                    "path": "/metrics",
                    "interval": duration(monitoring.scrape_interval),
                    "scrapeTimeout": duration(monitoring.scrape_timeout),
                    "relabelings": [
                        // Users' queries know this job, which no Service can be called.
                        {"action": "replace", "targetLabel": "job", "replacement": monitoring.job},
                        {"action": "replace", "targetLabel": "model", "replacement": owner.name},
                        {"action": "replace", "sourceLabels": ["__meta_kubernetes_pod_label_modelship_dev_track"], "targetLabel": "track"},
                    ],
                    "metricRelabelings": [{
                        "action": "replace",
                        "sourceLabels": ["__name__"],
                        "regex": OF_THE_MODEL,
                        "targetLabel": "container",
                        "replacement": names::MODEL_CONTAINER,
                    }],
                }],
            },
        }),
    ))
}

/// As Prometheus writes durations.
pub fn duration(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}
