//! The rules of models in the real promtool: that it takes them, and when they fire.
#![allow(clippy::unwrap_used)]

mod drift;
mod errors;
mod generated;
mod health;
mod itself;
mod latency;
mod operator;
mod predictions;
mod properties;
mod resources;
mod support;
mod texts;
mod traffic;
