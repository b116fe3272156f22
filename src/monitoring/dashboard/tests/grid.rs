//! Where panels stand.

use super::*;

fn area(panel: &Value) -> [u64; 4] {
    ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap())
}

/// As Grafana's layout has it: within the grid, and no two in one place.
pub(super) fn check(board: &Value) {
    let panels = board["panels"].as_array().unwrap();
    within(panels);
    // Rows of the users' are kept as they are.
    let ours = |panel: &&Value| panel["collapsed"] == true && panel["panels"][0]["gridPos"].is_object();
    for row in panels.iter().filter(ours) {
        let inside = row["panels"].as_array().unwrap();
        within(inside);
        assert_eq!(area(&inside[0])[1], area(row)[1] + 1, "{}", row["title"]);
    }
}

fn within(panels: &[Value]) {
    for (at, panel) in panels.iter().enumerate() {
        let [x, y, w, h] = area(panel);
        assert!(w > 0 && h > 0 && x + w <= 24, "{}: {:?}", panel["title"], area(panel));
        for other in &panels[at + 1..] {
            let [ox, oy, ow, oh] = area(other);
            let overlap = x < ox + ow && ox < x + w && y < oy + oh && oy < y + h;
            assert!(!overlap, "{} and {} overlap", panel["title"], other["title"]);
        }
    }
}

#[test]
fn panels_lie_within_the_grid_and_never_overlap() {
    all().iter().for_each(check);
    for server in [json!({"pythonMetrics": false}), json!({"shareProcessNamespace": false})] {
        check(&with(json!({"server": server})));
    }
    for kind in ["class", "probability", "probabilities", "number"] {
        check(&with(json!({"predictions": {"kind": kind}})));
    }
    check(&with(json!({"exporter": {"enabled": false}})));
}

#[test]
fn no_line_of_a_models_board_has_a_hole() {
    for board in [
        with(json!({})),
        with(json!({"predictions": {"kind": "number"}})),
        with(json!({"exporter": {"enabled": false}})),
    ] {
        let top = board["panels"].as_array().unwrap();
        let rows = top.iter().filter(|panel| panel["collapsed"] == true).map(|row| row["panels"].as_array().unwrap());
        for panels in rows.chain([top]) {
            let mut widths = std::collections::BTreeMap::<u64, u64>::new();
            for [_, y, w, _] in panels.iter().map(area) {
                *widths.entry(y).or_default() += w;
            }
            assert!(widths.values().all(|width| *width == 24), "{widths:?}");
        }
    }
}

#[test]
fn every_board_as_it_is_written_stands_as_a_board_with_everything_is_laid_out() {
    for board in [MODEL, MODELS, OPERATOR] {
        let written: Value = serde_json::from_str(board).unwrap();
        let mut panels: Vec<Value> =
            written["panels"].as_array().unwrap().iter().cloned().flat_map(super::super::grid::unfolded).collect();
        super::super::grid::lay_out(&mut panels);
        super::super::grid::fold(&mut panels);
        assert_eq!(panels.len(), written["panels"].as_array().unwrap().len());
        let laid_out = json!({"panels": panels});
        for (laid_out, written) in everything(&laid_out).zip(everything(&written)) {
            assert_eq!(laid_out["gridPos"], written["gridPos"], "{}", written["title"]);
        }
    }
}

#[test]
fn a_row_whose_panels_are_all_left_out_goes_too() {
    let row = |id: u64| json!({"id": id, "type": "row"});
    let mut panels = vec![row(1), row(2), json!({"id": 3, "gridPos": {"w": 6, "h": 4}}), row(4)];
    super::super::grid::lay_out(&mut panels);
    let ids: Vec<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [2, 3]);
    assert_eq!(area(&panels[1]), [0, 1, 24, 4]);
}

#[test]
fn what_is_detail_lies_inside_closed_rows_and_nothing_else_does() {
    let closed = |board: &Value| -> Vec<String> {
        let rows = board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] == "row");
        rows.clone().for_each(|row| {
            assert_eq!(row["collapsed"] == true, !row["panels"].as_array().unwrap().is_empty(), "{}", row["title"]);
        });
        rows.filter(|row| row["collapsed"] == true).map(|row| row["title"].as_str().unwrap().to_owned()).collect()
    };
    let [model, _, models, operator] = <[Value; 4]>::try_from(all()).unwrap();
    assert_eq!(closed(&model), ["Errors", "Drift", "Resources", "Roll-outs"]);
    assert!(closed(&models).is_empty());
    assert_eq!(closed(&operator), ["Kubernetes", "Registries", "The operator's process"]);
    let own = monitored(json!({"extraPanels": [{"type": "text", "title": "Note"}]}));
    assert!(!closed(&own).contains(&"Yours".to_owned()));
}
