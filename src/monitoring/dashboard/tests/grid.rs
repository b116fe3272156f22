//! Where panels stand.

use super::*;

fn area(panel: &Value) -> [u64; 4] {
    ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap())
}

/// As Grafana's layout has it: within the grid, and no two in one place.
pub(super) fn check(board: &Value) {
    let panels = board["panels"].as_array().unwrap();
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
        let mut widths = std::collections::BTreeMap::<u64, u64>::new();
        for panel in board["panels"].as_array().unwrap() {
            let [_, y, w, _] = area(panel);
            *widths.entry(y).or_default() += w;
        }
        assert!(widths.values().all(|width| *width == 24), "{widths:?}");
    }
}

#[test]
fn the_template_stands_as_a_board_with_everything_is_laid_out() {
    let template: Value = serde_json::from_str(MODEL).unwrap();
    let mut panels = template["panels"].as_array().unwrap().clone();
    super::super::grid::lay_out(&mut panels);
    for (laid_out, written) in panels.iter().zip(template["panels"].as_array().unwrap()) {
        assert_eq!(laid_out["gridPos"], written["gridPos"], "{}", written["title"]);
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
