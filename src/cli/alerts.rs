//! `modelship alerts`: the index of a model's alerts. `make generate` writes src/monitoring/ALERTS.md with it.

use crate::monitoring::rules;

pub fn run() -> Result<(), String> {
    super::print(&rules::index()?)
}
