//! Grafana's grid: 24 columns, every panel with a place of its own.

use serde_json::{Value, json};

const COLUMNS: u64 = 24;

/// Gives every panel its place, in order: left to right, and each line as wide as the grid even when panels of it were
/// left out. A row that has no panels left goes too.
pub(super) fn lay_out(panels: &mut Vec<Value>) {
    let all = std::mem::take(panels);
    let mut lines: Vec<Vec<Value>> = Vec::new();
    for panel in all {
        let alone = is_row(&panel);
        if alone && lines.last().is_some_and(|line| line.iter().any(is_row)) {
            lines.pop();
        }
        match lines.last_mut() {
            Some(line) if !alone && !line.iter().any(is_row) && width(line) + size(&panel).0 <= COLUMNS => {
                line.push(panel);
            }
            _ => lines.push(vec![panel]),
        }
    }
    if lines.last().is_some_and(|line| line.iter().any(is_row)) {
        lines.pop();
    }
    let mut y = 0;
    for mut line in lines {
        let wide = width(&line).max(1);
        let high = line.iter().map(|panel| size(panel).1).max().unwrap_or(1);
        let (mut x, mut before) = (0, 0);
        for panel in &mut line {
            before += size(panel).0;
            let end = before * COLUMNS / wide;
            place(panel, (x, y), (end - x, high));
            x = end;
        }
        y += high;
        panels.append(&mut line);
    }
}

/// Puts the panels of closed rows inside them, as Grafana keeps them, and moves up what stands below.
pub(super) fn fold(panels: &mut Vec<Value>) {
    let mut folded: Vec<Value> = Vec::new();
    // By how much all above has become shorter, and the last row.
    let (mut up, mut inside) = (0, 0);
    for mut panel in std::mem::take(panels) {
        if is_row(&panel) {
            up += std::mem::take(&mut inside);
        }
        let y = top(&panel).saturating_sub(up);
        panel["gridPos"]["y"] = y.into();
        match folded.last_mut().filter(|row| row["collapsed"] == true && !is_row(&panel)) {
            Some(row) => {
                inside = inside.max((y + size(&panel).1).saturating_sub(top(row) + 1));
                row["panels"].as_array_mut().into_iter().for_each(|kept| kept.push(panel.clone()));
            }
            None => folded.push(panel),
        }
    }
    *panels = folded;
}

/// A row, and behind it the panels that it keeps inside; or the panel as it is.
pub(crate) fn unfolded(mut panel: Value) -> Vec<Value> {
    let inside = match is_row(&panel) {
        true => panel.get_mut("panels").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default(),
        false => Vec::new(),
    };
    [panel].into_iter().chain(inside).collect()
}

/// The first line below all panels.
pub(super) fn bottom(panels: &[Value]) -> u64 {
    panels.iter().map(|panel| top(panel) + size(panel).1).max().unwrap_or(0)
}

fn top(panel: &Value) -> u64 {
    panel["gridPos"]["y"].as_u64().unwrap_or(0)
}

pub(super) fn place(panel: &mut Value, (x, y): (u64, u64), (w, h): (u64, u64)) {
    panel["gridPos"] = json!({"x": x, "y": y, "w": w, "h": h});
}

pub(super) fn is_row(panel: &Value) -> bool {
    panel["type"] == "row"
}

/// Width and height.
pub(super) fn size(panel: &Value) -> (u64, u64) {
    let side = |name: &str, most: u64| panel["gridPos"][name].as_u64().map(|side| side.clamp(1, most));
    match is_row(panel) {
        true => (COLUMNS, 1),
        false => (side("w", COLUMNS).unwrap_or(COLUMNS / 2), side("h", 100).unwrap_or(8)),
    }
}

fn width(line: &[Value]) -> u64 {
    line.iter().map(|panel| size(panel).0).sum()
}
