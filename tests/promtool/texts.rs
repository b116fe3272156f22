//! What people read: the words of an alert, with every template filled in.

use serde_json::{Value, json};

use super::support::check_tests;

const LABELS: &str =
    "namespace=\"cellar\",model=\"grape-scorer\",track=\"stable\",pod=\"grape-scorer-5d8f7c9b64-a1b2c\"";

fn test(series: &Value, alert: &str, labels: Value, annotations: Value) -> Value {
    let mut labels = labels;
    labels["namespace"] = "cellar".into();
    labels["model"] = "grape-scorer".into();
    let mut annotations = annotations;
    annotations["runbook_url"] =
        format!("https://github.com/modelship/modelship/blob/main/src/monitoring/runbooks/{alert}.md").into();
    // printf cellar/grape-scorer | sha256sum
    annotations["dashboard"] = "/d/ms-8b52a3c94f1184ea0e3b2cf5c68a0c44".into();
    json!({
        "name": alert,
        "interval": "15s",
        "input_series": series,
        "alert_rule_test": [{
            "eval_time": "30m",
            "alertname": alert,
            "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
        }],
    })
}

fn series(name: &str, values: &str) -> Value {
    let (metric, more) =
        name.split_once(',').map_or((name, String::new()), |(metric, more)| (metric, format!(",{more}")));
    json!({"series": format!("{metric}{{{LABELS}{more}}}"), "values": values})
}

#[test]
fn an_alert_names_model_value_bound_cause_and_version() {
    let version = "modelship_model_version_info{model_namespace=\"cellar\",model=\"grape-scorer\",track=\"stable\",digest=\"4f5a6b7c8d9e\",tag=\"vintage\"}";
    let all = json!([
        series("http_request_duration_seconds_count", "0+100x240"),
        series("http_request_errors_total,cause=\"model\"", "0+10x240"),
        series("http_request_errors_total,cause=\"timeout\"", "0+2x240"),
        series("http_request_errors_total,cause=\"client\"", "0+30x240"),
        {"series": version, "values": "1x240"},
        {"series": version.replace("model_namespace", "pod=\"another operator\",model_namespace"), "values": "1x240"},
    ]);
    let annotations = json!({
        "summary": "Model cellar/grape-scorer fails 12% of the requests sent to it.",
        "description": "Of the requests of the last 5m (or hour, with little traffic), 12% failed; the bound is 5%. Who caused it, \
                        in the last hour: client 3600 model 1200 timeout 240. First: kubectl -n cellar logs -l modelship.dev/model=grape-scorer \
                        -c model --tail 50 --prefix for an error of the model's own code. The version that users get is 4f5a6b7c8d9e (tag \
                        vintage).",
    });
    check_tests(&json!({}), vec![test(&all, "HighErrorRatio", json!({"severity": "critical"}), annotations)]);
}

#[test]
fn a_class_is_called_what_it_is_called_even_if_it_looks_like_a_template() {
    for (class, quoted) in [("{{ $value }}", "{{ $value }}"), ("{", "{"), (r#"a\b "c/d" }}"#, r#"a\\b \"c/d\" }}"#)] {
        let all = json!([series(&format!("model_predictions_total,class=\"{quoted}\""), "0+10x240")]);
        let annotations = json!({
            "summary": format!("Model cellar/grape-scorer predicts {class} unusually often: 100% of the time."),
            "description": format!(
                "Of the predictions of the last 1h, 100% were {class}; the bound is 40%, from 50 predictions on. First: compare on \
                 the dashboard since when, and whether traffic or the version changed then."
            ),
        });
        let labels = json!({"severity": "warning", "class": class});
        check_tests(
            &json!({"monitoring": {"alerts": {"classShare": [{"class": class, "above": "40%"}]}}}),
            vec![test(&all, "HighClassShare", labels, annotations)],
        );
    }
}

#[test]
fn an_alert_about_a_pod_names_it() {
    let all = json!([series("process_open_fds", "900x240"), series("process_max_fds", "1000x240")]);
    let annotations = json!({
        "summary": "Model cellar/grape-scorer has so many files and connections open that it will soon be refused more.",
        "description": "Pod grape-scorer-5d8f7c9b64-a1b2c has 90% of the files open that it may; the bound is 80%. First: kubectl -n \
                        cellar delete pod grape-scorer-5d8f7c9b64-a1b2c to be answered again; then look for files or connections \
                        that the model's code never closes.",
    });
    let labels = json!({"severity": "warning", "pod": "grape-scorer-5d8f7c9b64-a1b2c"});
    check_tests(&json!({}), vec![test(&all, "TooManyOpenFiles", labels, annotations)]);
}
