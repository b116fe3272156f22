//! The rules of well-made dashboards, one test each.

use std::collections::BTreeSet;

use super::*;

const OURS: &str = "${datasource}";

#[test]
fn a_board_is_classic_json_of_schema_version_39() {
    for board in all() {
        assert_eq!(board["schemaVersion"], 39, "{}", board["title"]);
        assert!(board.get("__inputs").is_none() && board.get("id").is_none() && board.get("apiVersion").is_none());
    }
}

#[test]
fn a_uid_has_at_most_forty_characters_that_grafana_takes() {
    for board in all() {
        let uid = board["uid"].as_str().unwrap();
        let taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        assert!((8..=40).contains(&uid.len()) && uid.chars().all(taken), "{uid}");
    }
}

#[test]
fn no_two_boards_share_uid_or_title() {
    let namespaces = ["ml", "risk", "ml-churn"];
    let models = namespaces
        .iter()
        .flat_map(|namespace| ["churn", "churn-churn", "credit-scoring"].map(|name| (namespace, name)));
    let mut boards: Vec<Value> =
        models.map(|(namespace, name)| Model::new(namespace, name, json!({})).board()).collect();
    boards.extend([MODELS, OPERATOR].map(|board| serde_json::from_str::<Value>(board).unwrap()));
    for field in ["uid", "title"] {
        let different: BTreeSet<&str> = boards.iter().map(|board| board[field].as_str().unwrap()).collect();
        assert_eq!(different.len(), boards.len(), "{field}");
    }
}

#[test]
fn no_two_boards_share_a_file() {
    let key = |namespace: &str, name: &str| key(&Model::new(namespace, name, json!({})).owner);
    assert_ne!(key("ml", "churn-model"), key("ml-churn", "model"));
    // The chart's boards have no dot but the last one.
    assert_eq!(key("modelship", "models"), "modelship.models.json");
}

#[test]
fn the_uid_is_the_one_that_mails_link_to() {
    // printf ml/churn | sha256sum | cut -c1-32
    assert_eq!(two()[0]["uid"], "ms-15aea2bcaa86abaa52f7eea10fbd91ab");
    assert_eq!(two()[0]["title"], "ml / churn");
}

#[test]
fn refresh_and_time_range_are_set() {
    for board in all() {
        assert_eq!((&board["refresh"], &board["time"]), (&json!("30s"), &json!({"from": "now-6h", "to": "now"})));
    }
}

#[test]
fn nobody_edits_a_board_that_would_be_overwritten() {
    assert!(all().iter().all(|board| board["editable"] == false));
}

#[test]
fn boards_are_found_by_tag_and_lead_to_each_other_and_to_the_runbooks() {
    for board in all() {
        assert_eq!(board["tags"][0], "modelship");
        let links = board["links"].as_array().unwrap();
        assert!(links.iter().any(|link| link["type"] == "dashboards" && link["tags"] == json!(["modelship"])));
        assert!(links.iter().any(|link| link["url"].as_str().unwrap().ends_with("/src/monitoring/runbooks")));
    }
}

#[test]
fn the_data_source_is_a_variable_called_data_source() {
    for board in all() {
        let variable = variable(&board, "datasource");
        assert_eq!((&variable["type"], &variable["query"]), (&json!("datasource"), &json!("prometheus")));
        assert_eq!(variable["label"], "Data source");
        assert_eq!(variable["current"], json!({"text": "default", "value": "default"}));
    }
}

#[test]
fn job_and_instance_are_variables_for_several_values_that_begin_with_all() {
    let operator = serde_json::from_str(OPERATOR).unwrap();
    for board in two().into_iter().chain([operator]) {
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let variable = variable(&board, name);
            assert_eq!((&variable["type"], &variable["label"]), (&json!("query"), &json!(label)));
            assert_eq!((&variable["multi"], &variable["includeAll"]), (&json!(true), &json!(true)));
            assert_eq!((&variable["allValue"], &variable["current"]["value"]), (&json!(".+"), &json!("$__all")));
            assert_eq!(variable["datasource"]["uid"], OURS);
        }
    }
}

#[test]
fn variables_are_read_anew_when_the_time_range_changes() {
    for board in all() {
        let variables = board["templating"]["list"].as_array().unwrap();
        assert!(
            variables.iter().filter(|variable| variable["type"] == "query").all(|variable| variable["refresh"] == 2)
        );
    }
}

#[test]
fn every_panel_has_title_description_and_unit() {
    for board in all() {
        for panel in panels(&board) {
            let (title, description) = (panel["title"].as_str().unwrap(), panel["description"].as_str().unwrap());
            assert!(!title.is_empty() && !title.ends_with('.'), "{title}");
            assert!(description.ends_with('.') && description.contains(' '), "{title}: {description}");
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
            assert!(unit.is_some_and(|unit| !unit.is_empty()), "{title}: unit");
        }
    }
}

#[test]
fn every_panel_says_what_it_means_that_there_is_nothing() {
    for board in all() {
        for panel in panels(&board) {
            let text = panel["fieldConfig"]["defaults"]["noValue"].as_str().unwrap();
            assert!(!text.is_empty() && text != "No data", "{}: {text}", panel["title"]);
        }
    }
}

#[test]
fn panels_and_their_targets_name_the_chosen_data_source_and_no_other() {
    for board in all() {
        for panel in panels(&board) {
            assert_eq!(panel["datasource"], json!({"type": "prometheus", "uid": OURS}), "{}", panel["title"]);
        }
        for target in targets(&board) {
            assert_eq!(target["datasource"], json!({"type": "prometheus", "uid": OURS}), "{target}");
        }
    }
}

#[test]
fn no_text_holds_what_only_the_import_dialog_fills_in() {
    assert!(all().iter().all(|board| !board.to_string().contains("${DS_")));
}

#[test]
fn every_panel_has_targets_whose_letters_differ() {
    for board in all() {
        for panel in panels(&board) {
            let letters: Vec<&str> =
                panel["targets"].as_array().unwrap().iter().map(|t| t["refId"].as_str().unwrap()).collect();
            assert!(!letters.is_empty(), "{}", panel["title"]);
            assert_eq!(letters.iter().collect::<BTreeSet<_>>().len(), letters.len(), "{}", panel["title"]);
        }
    }
}

#[test]
fn ids_of_panels_are_unique() {
    for board in all() {
        let ids: Vec<u64> = everything(&board).map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }
}

#[test]
fn a_model_has_at_least_twenty_panels() {
    let bare = Model::new("ml", "churn", json!({"exporter": {"enabled": false}})).board();
    let [one, other] = two();
    assert!(panels(&one).count() >= 20 && panels(&other).count() >= 20);
    assert!(panels(&bare).count() < 20);
}

#[test]
fn a_board_is_far_smaller_than_the_largest_object_that_kubernetes_takes() {
    for board in all() {
        assert!(board.to_string().len() < 200_000, "{}", board.to_string().len());
    }
}

#[test]
fn nothing_is_null_but_where_thresholds_begin() {
    fn nulls(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Null => found.push(at.to_owned()),
            Value::Array(items) => items.iter().for_each(|item| nulls(item, at, found)),
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| nulls(value, &format!("{at}.{name}"), found))
            }
            _ => {}
        }
    }
    let own = json!([{"type": "text", "title": "Note"}, {"type": "row", "title": "Mine"}]);
    for board in all().into_iter().chain([monitored(json!({"extraPanels": own}))]) {
        let mut found = Vec::new();
        nulls(&board, "", &mut found);
        found.retain(|at| !at.ends_with(".thresholds.steps.value") && !at.ends_with(".value.steps.value"));
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn grafana_never_sees_the_marks() {
    for board in two() {
        assert!(everything(&board).all(|panel| panel.get("modelship").is_none()));
    }
}

#[test]
fn roll_outs_are_marked_at_the_time_that_a_metric_holds() {
    let board = with(json!({}));
    let marker = &board["annotations"]["list"][1];
    assert_eq!(
        (&marker["useValueForTime"], &marker["enable"], &marker["datasource"]["uid"]),
        (&json!(true), &json!(true), &json!(OURS))
    );
    // Grafana counts in milliseconds.
    let expr = marker["expr"].as_str().unwrap();
    assert!(expr.contains("modelship_model_stable_since_timestamp_seconds") && expr.ends_with("* 1000"), "{expr}");
}

#[test]
fn what_says_now_is_asked_for_now() {
    for board in all() {
        for panel in panels(&board) {
            let figure = ["stat", "gauge", "bargauge", "table", "barchart"].iter().any(|kind| panel["type"] == *kind);
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(
                    (&target["instant"], &target["range"]),
                    (&json!(figure), &json!(!figure)),
                    "{}",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn no_legend_shows_the_last_of_a_range_as_if_it_were_of_now() {
    for board in all() {
        for panel in panels(&board) {
            let calcs = panel["options"]["legend"]["calcs"].as_array().into_iter().flatten();
            let last: Vec<&Value> = calcs.filter(|calc| calc.as_str().unwrap().starts_with("last")).collect();
            assert!(last.is_empty(), "{}", panel["title"]);
        }
    }
}

#[test]
fn no_data_is_never_of_the_colour_of_good_news() {
    let drawn = two().into_iter().map(|board| (board, true));
    let written = [MODEL, MODELS, OPERATOR].map(|board| (serde_json::from_str(board).unwrap(), false));
    for (board, bounds) in drawn.chain(written) {
        for panel in panels(&board) {
            let base = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["color"];
            // What a floor draws is lines, which take nothing from it.
            let floor = bounds && panel["type"] == "timeseries" && *base == "red";
            assert!(*base == "text" || floor, "{}: {base}", panel["title"]);
            for property in panel["fieldConfig"]["overrides"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|o| o["properties"].as_array().unwrap())
            {
                assert!(
                    property["id"] != "thresholds" || property["value"]["steps"][0]["color"] == "text",
                    "{}",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn a_quantile_is_named_as_one() {
    for board in all() {
        for panel in panels(&board) {
            for target in panel["targets"].as_array().unwrap() {
                let Some((_, rest)) = target["expr"].as_str().unwrap().split_once("histogram_quantile(0.") else {
                    continue;
                };
                let digits = rest.split_once(',').unwrap().0;
                let name = format!("p{digits:0<2}");
                let shown = format!("{} {}", panel["title"], target["legendFormat"]);
                let column = panel["fieldConfig"]["overrides"].to_string();
                let table = panel["type"] == "table" && column.contains(&format!("({name})"));
                assert!(shown.contains(&name) || table, "{name}: {shown}");
            }
        }
    }
}

#[test]
fn bytes_are_counted_as_limits_count_them() {
    for board in all() {
        assert!(!board.to_string().contains("decmbytes") && !board.to_string().contains("decbytes"));
        for target in targets(&board) {
            let expr = target["expr"].as_str().unwrap();
            assert!(!expr.contains("1e6") && !expr.contains("1e9"), "{expr}");
        }
    }
}
