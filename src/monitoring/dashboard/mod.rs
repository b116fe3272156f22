//! The Grafana dashboard of one model: `dashboards/model.json`, without what does not apply to the model, with its bounds
//! drawn, and with the user's own panels at the end.
//!
//! Queries in that file name the model by hidden variables (`$namespace`, `$model`, …) of which only the values are
//! filled in here: no text is ever pasted into a query, so a name cannot break one.

mod bounds;
mod extra;
mod grid;
pub(crate) mod query;
mod shares;
mod template;

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) use self::grid::unfolded;
use self::template::Marks;
use super::Subject;
use crate::{api::units::Traffic, resources::Owner};

/// The per-model board, with its marks.
pub const MODEL: &str = include_str!("../../../dashboards/model.json");
/// All models, one row each.
pub const MODELS: &str = include_str!("../../../dashboards/models.json");
/// The operator's own board.
pub const OPERATOR: &str = include_str!("../../../dashboards/operator.json");

/// A rate over fewer scrapes has gaps.
const SCRAPES: u32 = 4;
/// What figures of now are taken over, where that is scrapes enough.
const RECENT: Duration = Duration::from_secs(300);
/// The longest interval at which kubelets are usually scraped: Prometheus' own default.
const KUBELETS: Duration = Duration::from_secs(60);

/// The dashboard's JSON.
pub fn board(subject: &Subject) -> Value {
    let mut board = template::frame();
    let Subject { owner, monitoring, .. } = subject;
    board["uid"] = uid(owner).into();
    board["title"] = format!("{} / {}", owner.namespace, owner.name).into();
    let window = match monitoring.alerts.high_traffic {
        Some(Traffic::Total(_, window)) => window,
        _ => bounds::HOUR,
    };
    let recent = monitoring.scrape_interval.saturating_mul(SCRAPES).max(RECENT);
    for (name, value) in [
        ("namespace", owner.namespace.clone()),
        ("model", owner.name.clone()),
        ("traffic_window", bounds::text(window)),
        ("drift_window", bounds::text(monitoring.alerts.drift.window)),
        ("recent_window", bounds::text(recent)),
    ] {
        template::set_constant(&mut board, name, &value);
    }
    let panels = template::panels().iter().filter(|(marks, _)| marks.apply_to(subject));
    let mut panels: Vec<Value> = panels.filter_map(|(marks, panel)| finish(marks, panel, subject)).collect();
    grid::lay_out(&mut panels);
    grid::fold(&mut panels);
    extra::append(&mut panels, &monitoring.extra_panels);
    board["panels"] = panels.into();
    board
}

/// Unique by model, and the same for as long as the model keeps its name: links to it stay good.
pub fn uid(owner: &Owner) -> String {
    let hash = Sha256::digest(format!("{}/{}", owner.namespace, owner.name));
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("ms-{digits}")
}

/// The dashboard's file, as Grafana's sidecar writes those of all ConfigMaps into one directory. No name of a namespace has a
/// dot, so no two models share it.
pub fn key(owner: &Owner) -> String {
    format!("{}.{}.json", owner.namespace, owner.name)
}

/// What is the model's own in a panel. `None`: nothing is left to show.
fn finish(marks: &Marks, panel: &Value, subject: &Subject) -> Option<Value> {
    let mut panel = panel.clone();
    if marks.shares {
        panel["targets"] = shares::targets(&subject.monitoring.alerts.class_share)?.into();
    }
    if let Some(bound) = marks.bound {
        bounds::draw(bound, &mut panel, &subject.monitoring.alerts);
    }
    let links = marks.alerts_of(&subject.monitoring.alerts).map(|alert| {
        json!({
            "title": format!("What to do: {alert:?}"),
            "url": format!("https://github.com/modelship/modelship/blob/main/src/monitoring/runbooks/{alert:?}.md"),
            "targetBlank": true,
        })
    });
    let links: Vec<Value> = links.collect();
    if !links.is_empty() {
        panel["links"] = links.into();
    }
    // Grafana takes rates over four of these, and by itself knows of only one interval for all that it draws.
    let interval = subject.monitoring.scrape_interval;
    let targets = panel.get_mut("targets").and_then(Value::as_array_mut);
    for target in targets.into_iter().flatten() {
        let kubelets = target["expr"].as_str().is_some_and(|query| query.contains("(container_"));
        target["interval"] = bounds::text(if kubelets { interval.max(KUBELETS) } else { interval }).into();
    }
    Some(panel)
}

#[cfg(test)]
mod tests;
