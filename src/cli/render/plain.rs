//! For a Prometheus and a Grafana that no operator looks after: the same rules and boards, as files of theirs.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    api::names,
    monitoring::{
        Subject, dashboard,
        rules::{self, Sources},
        service_monitor::{OF_THE_MODEL, duration},
    },
};

/// The containers' series come from the kubelets, which such a Prometheus may well scrape.
const SOURCES: Sources = Sources { cadvisor: true };

/// Writes `prometheus.yml`, `rules.yml` and a board for each model.
///
/// # Errors
/// When a file cannot be written.
pub fn write(subjects: &[Subject], folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let put = |name: &str, content: String| {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))
    };
    let yaml = |value: &Value| crate::yaml::to_string(value).map_err(|error| error.to_string());
    put("prometheus.yml", format!("{ABOUT}{}", yaml(&prometheus(subjects))?))?;
    put("rules.yml", yaml(&rules(subjects))?)?;
    for subject in subjects {
        let board = serde_json::to_string_pretty(&dashboard::board(subject)).map_err(|error| error.to_string())?;
        put(&format!("{}.{}.json", subject.owner.namespace, subject.owner.name), board)?;
    }
    Ok(())
}

const ABOUT: &str = "\
# To be merged into prometheus.yml of a Prometheus that runs in the cluster, with the right to get, list and watch
# services, endpoints and pods. Import the JSON files as dashboards into Grafana.
";

fn prometheus(subjects: &[Subject]) -> Value {
    let jobs: Vec<Value> = subjects.iter().filter(|subject| subject.spec.exporter.is_some()).map(job).collect();
    json!({"rule_files": ["rules.yml"], "scrape_configs": jobs})
}

/// What a ServiceMonitor of the same model is turned into.
fn job(subject: &Subject) -> Value {
    let Subject { owner, monitoring, .. } = subject;
    let copy = |from: &str, to: &str| json!({"source_labels": [from], "target_label": to});
    let keep = |label: &str, value: &str| json!({"action": "keep", "source_labels": [label], "regex": value});
    json!({
        "job_name": format!("modelship/{}/{}", owner.namespace, owner.name),
        "scrape_interval": duration(monitoring.scrape_interval),
        "scrape_timeout": duration(monitoring.scrape_timeout),
        "kubernetes_sd_configs": [{"role": "endpoints", "namespaces": {"names": [owner.namespace]}}],
        "relabel_configs": [
            keep("__meta_kubernetes_service_name", &crate::resources::exporter::metrics_name(&owner.name)),
            keep("__meta_kubernetes_endpoint_port_name", names::METRICS_PORT),
            copy("__meta_kubernetes_namespace", "namespace"),
            copy("__meta_kubernetes_pod_name", "pod"),
            copy("__meta_kubernetes_pod_container_name", "container"),
            copy("__meta_kubernetes_service_name", "service"),
            copy("__meta_kubernetes_pod_label_modelship_dev_track", "track"),
            {"target_label": "job", "replacement": monitoring.job},
            {"target_label": "model", "replacement": owner.name},
        ],
        "metric_relabel_configs": [{
            "source_labels": ["__name__"],
            "regex": OF_THE_MODEL,
            "target_label": "container",
            "replacement": names::MODEL_CONTAINER,
        }],
    })
}

fn rules(subjects: &[Subject]) -> Value {
    let groups: Vec<Value> = subjects.iter().flat_map(|subject| rules::groups(subject, SOURCES)).collect();
    json!({"groups": groups})
}

/// Unit tests of the rules that [`write`] writes, for `promtool test rules`.
pub fn promtool_tests(subjects: &[Subject]) -> Value {
    let mut all = subjects.iter().map(|subject| rules::promtool_tests(subject, SOURCES));
    let mut first = all.next().unwrap_or_default();
    for mut other in all {
        if let (Some(tests), Some(more)) = (first["tests"].as_array_mut(), other["tests"].as_array_mut()) {
            tests.append(more);
        }
    }
    first
}
