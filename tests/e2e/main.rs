//! Real pods and real images on a real node, with Modelship installed by its chart: `tests/run` sets all of it up.

#[path = "../support/mod.rs"]
mod support;

mod asking;
mod exporter;
mod graceful;
mod installed;
mod killed;
mod labels;
mod monitoring;
mod operator;
mod private;
mod real_model;
mod recreate;
mod stage;
mod traffic;
mod trouble;
mod watched;
