//! MLflow's tracking server and model registry, and DagsHub, which speaks the same REST API: from an alias, a version or a
//! run id to the run and its metrics. No knowledge of Kubernetes, and nothing is ever written.

mod answer;
pub mod client;
pub mod login;
pub mod problem;
pub mod uri;

pub use client::{Client, Server, Which};
pub use login::Login;
pub use problem::Problem;
pub use uri::TrackingUri;

use std::collections::BTreeMap;

/// A run that has finished well.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub id: String,
    /// The registered model's version that led to it.
    pub version: Option<String>,
    /// The last value of each metric, as far as it is a finite number.
    pub metrics: BTreeMap<String, f64>,
    /// Metrics that are none: NaN and infinity.
    pub left_out: Vec<String>,
}

#[cfg(test)]
#[path = "tests/fake.rs"]
mod fake;

#[cfg(test)]
#[path = "tests/client.rs"]
mod tests;
