//! The user's own panels, in a row of their own at the end. What they say is kept; what Grafana needs and they leave out
//! is filled in, so that a panel copied from an exported dashboard works, and so does one of three lines.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::grid;

const TITLE: &str = "Yours";

pub(super) fn append(panels: &mut Vec<Value>, own: &[Value]) {
    if own.is_empty() {
        return;
    }
    let mut own = own.to_vec();
    let inside = panels.iter().flat_map(|row| row["panels"].as_array().into_iter().flatten());
    let mut ids = Ids { taken: panels.iter().chain(inside).filter_map(|panel| panel["id"].as_u64()).collect() };
    own.iter_mut().for_each(|panel| ids.keep(panel));
    let mut row = json!({"id": ids.next(), "type": "row", "title": TITLE, "collapsed": false, "panels": []});
    let top = grid::bottom(panels);
    grid::place(&mut row, (0, top), (24, 1));
    panels.push(row);
    own.iter_mut().for_each(|panel| complete(panel, &mut ids));
    place(&mut own, top + 1);
    panels.append(&mut own);
}

/// Numbers of panels: unique within a board.
struct Ids {
    taken: BTreeSet<u64>,
}

impl Ids {
    /// Keeps the numbers that are free. Two panels of one number would be one to Grafana: the later one's is taken away.
    fn keep(&mut self, panel: &mut Value) {
        if !panel["id"].as_u64().is_some_and(|id| self.taken.insert(id)) {
            panel["id"] = Value::Null;
        }
        objects(panel, "panels").for_each(|inner| self.keep(inner));
    }

    fn next(&mut self) -> u64 {
        let next = (1..).find(|id| !self.taken.contains(id)).unwrap_or_default();
        self.taken.insert(next);
        next
    }
}

fn complete(panel: &mut Value, ids: &mut Ids) {
    if panel["id"].is_null() {
        panel["id"] = ids.next().into();
    }
    if grid::is_row(panel) {
        objects(panel, "panels").for_each(|inner| complete(inner, ids));
        return;
    }
    let has_targets = panel["targets"].as_array().is_some_and(|targets| !targets.is_empty());
    if has_targets && is_absent(&panel["datasource"]) {
        panel["datasource"] = ours();
    }
    let mixed = panel["datasource"]["uid"] == "-- Mixed --";
    let of_panel = if mixed { ours() } else { panel["datasource"].clone() };
    for (at, target) in objects(panel, "targets").enumerate() {
        if is_absent(&target["datasource"]) {
            target["datasource"] = of_panel.clone();
        }
        if target["refId"].is_null() {
            target["refId"] = format!("Q{at}").into();
        }
    }
}

/// What a field lists, if there is such a field: looking must not make one.
fn objects<'a>(panel: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = panel.get_mut(field).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter(|inner| inner.is_object())
}

fn ours() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// `${DS_…}` is what "export for sharing" leaves behind; only the dialog for imports would fill it in.
fn is_absent(datasource: &Value) -> bool {
    let name = datasource["uid"].as_str().or(datasource.as_str());
    datasource.is_null() || name.is_some_and(|name| name.starts_with("${DS_"))
}

/// Panels with a place of their own keep it, counted from the row; the others follow below, two in a line.
fn place(own: &mut [Value], top: u64) {
    // No board is as long as that; the bound only keeps sums within what a number holds.
    let side = |panel: &Value, side: &str| panel["gridPos"][side].as_u64().map(|at| at.min(100_000));
    let given = |panel: &Value| Some((side(panel, "x")?, side(panel, "y")?));
    let first = own.iter().filter_map(given).map(|(_, y)| y).min().unwrap_or(0);
    let mut placed: Vec<[u64; 4]> = Vec::new();
    for panel in own.iter_mut().filter(|panel| given(panel).is_some()) {
        let (w, h) = grid::size(panel);
        let (x, y) = given(panel).unwrap_or_default();
        let mut area = [x.min(24 - w), top + y - first, w, h];
        while placed.iter().any(|other| overlap(other, &area)) {
            area[1] += 1;
        }
        placed.push(area);
        let [x, y, w, h] = area;
        grid::place(panel, (x, y), (w, h));
    }
    let (mut x, mut y, mut high) = (0, placed.iter().map(|[_, y, _, h]| y + h).max().unwrap_or(top), 0);
    for panel in own.iter_mut().filter(|panel| given(panel).is_none()) {
        let (w, h) = grid::size(panel);
        if x + w > 24 {
            (x, y, high) = (0, y + high, 0);
        }
        grid::place(panel, (x, y), (w, h));
        (x, high) = (x + w, high.max(h));
    }
}

fn overlap([ax, ay, aw, ah]: &[u64; 4], [bx, by, bw, bh]: &[u64; 4]) -> bool {
    ax < &(bx + bw) && bx < &(ax + aw) && ay < &(by + bh) && by < &(ay + ah)
}
