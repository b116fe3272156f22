//! The user's own panels.

use super::{grid::check, *};

fn own(panels: Value) -> (Value, Vec<Value>) {
    let board = monitored(json!({"extraPanels": panels}));
    check(&board);
    let all = board["panels"].as_array().unwrap();
    let at = all.iter().position(|panel| panel["title"] == "Yours").unwrap();
    let own = all[at + 1..].to_vec();
    (board, own)
}

#[test]
fn a_panel_of_three_lines_gets_what_grafana_needs() {
    let (board, panels) = own(json!([
        {"type": "timeseries", "title": "Queue", "targets": [{"expr": "queue_length"}, {"expr": "queue_age"}]},
        {"type": "text", "title": "Note", "options": {"content": "ours"}},
    ]));
    let queue = &panels[0];
    assert_eq!(queue["datasource"], json!({"type": "prometheus", "uid": "${datasource}"}));
    assert_eq!(queue["targets"][1]["datasource"], queue["datasource"]);
    assert_ne!(queue["targets"][0]["refId"], queue["targets"][1]["refId"]);
    assert_eq!((&queue["gridPos"]["x"], &panels[1]["gridPos"]["x"]), (&json!(0), &json!(12)), "two in a line");
    assert!(panels[1].get("datasource").is_none(), "a text asks nothing");
    let ids = board["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_u64().unwrap());
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), board["panels"].as_array().unwrap().len());
}

#[test]
fn what_the_user_says_is_kept() {
    let mut mine = json!({
        "id": 4711, "type": "logs", "title": "it's \"logs\" of race/ethnicity", "description": "math score",
        "datasource": {"type": "loki", "uid": "loki-1"}, "gridPos": {"x": 6, "y": 90, "w": 18, "h": 5},
        "targets": [{"refId": "Z", "expr": "{app=\"$model\"}", "interval": "7s", "datasource": {"type": "loki", "uid": "loki-2"}}],
        "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []}, "customField": [1, {"a": null}],
    });
    let (_, panels) = own(json!([mine]));
    // Only the height of the row above is added.
    mine["gridPos"]["y"] = panels[0]["gridPos"]["y"].clone();
    assert_eq!(panels[0], mine);
}

#[test]
fn panels_keep_their_places_to_each_other() {
    let at = |x: u64, y: u64| json!({"type": "stat", "title": "s", "gridPos": {"x": x, "y": y, "w": 6, "h": 4}});
    let (board, panels) = own(json!([at(0, 40), at(6, 40), at(6, 44)]));
    let row = board["panels"].as_array().unwrap().iter().find(|panel| panel["title"] == "Yours").unwrap();
    let top = row["gridPos"]["y"].as_u64().unwrap() + 1;
    let places: Vec<(u64, u64)> = panels
        .iter()
        .map(|panel| (panel["gridPos"]["x"].as_u64().unwrap(), panel["gridPos"]["y"].as_u64().unwrap() - top))
        .collect();
    assert_eq!(places, [(0, 0), (6, 0), (6, 4)]);
}

#[test]
fn panels_on_top_of_each_other_are_moved_apart() {
    let one = json!({"type": "stat", "title": "s", "gridPos": {"x": 20, "y": 3, "w": 24, "h": 9}});
    let (_, panels) =
        own(json!([one, one, {"type": "stat", "title": "t", "gridPos": {"x": 99, "y": 3, "w": 900, "h": 0}}]));
    assert_eq!(panels.len(), 3);
}

#[test]
fn an_id_that_is_taken_gives_way_and_a_free_one_stays() {
    let (_, panels) = own(json!([
        {"type": "stat", "title": "a"}, {"type": "stat", "title": "b", "id": 11}, {"type": "stat", "title": "c", "id": 1},
        {"type": "stat", "title": "inside", "id": 601},
        {"type": "stat", "title": "d", "id": u64::MAX}, {"type": "stat", "title": "e", "id": -3}, {"type": "stat", "title": "f", "id": "x"},
    ]));
    assert_eq!((&panels[2]["id"], &panels[4]["id"]), (&json!(1), &json!(u64::MAX)));
    assert_ne!(panels[1]["id"], 11, "our own panel 11 has it");
    assert_ne!(panels[3]["id"], 601, "one of ours inside a closed row has it");
}

#[test]
fn what_an_export_leaves_to_the_import_dialog_is_the_chosen_data_source() {
    let exported = json!({"type": "prometheus", "uid": "${DS_PROMETHEUS}"});
    let (_, panels) = own(json!([
        {"type": "stat", "title": "new", "datasource": exported, "targets": [{"refId": "A", "expr": "up", "datasource": exported}]},
        {"type": "stat", "title": "old", "datasource": "${DS_PROMETHEUS}", "targets": [{"refId": "A", "expr": "up"}]},
        {"type": "stat", "title": "mixed", "datasource": {"type": "datasource", "uid": "-- Mixed --"}, "targets": [{"refId": "A", "expr": "up"}]},
    ]));
    let ours = json!({"type": "prometheus", "uid": "${datasource}"});
    assert!(panels.iter().all(|panel| panel["targets"][0]["datasource"] == ours));
    assert_eq!((&panels[0]["datasource"], &panels[1]["datasource"]), (&ours, &ours));
    assert_eq!(panels[2]["datasource"]["uid"], "-- Mixed --");
}

#[test]
fn panels_inside_a_row_of_the_users_are_completed_too() {
    let (_, panels) = own(json!([
        {"type": "row", "title": "Mine", "collapsed": true, "panels": [{"type": "stat", "title": "in", "targets": [{"expr": "up"}]}]},
    ]));
    let inner = &panels[0]["panels"][0];
    assert!(inner["id"].is_u64() && inner["datasource"]["uid"] == "${datasource}");
}

#[test]
fn odd_values_do_no_harm() {
    own(json!([
        {"type": "stat", "title": "a", "targets": "none", "gridPos": [1], "datasource": 7},
        {"type": "stat", "title": "b", "targets": [null, 3, "x"], "gridPos": {"x": -1, "y": u64::MAX}},
        {"type": "row", "title": "c", "panels": {"a": 1}},
        {"type": "stat", "title": "d", "gridPos": {"x": u64::MAX, "y": u64::MAX, "w": u64::MAX, "h": u64::MAX}},
    ]));
}

#[test]
fn without_panels_of_the_users_there_is_no_row_for_them() {
    assert!(!with(json!({})).to_string().contains("Yours"));
}
