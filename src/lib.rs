//! Modelship puts machine-learning models into service on Kubernetes and keeps them there.
//!
//! The rooms, in the order in which data flows through them:
//!
//! * [`api`]: what a user writes and reads. No I/O.
//! * [`images`]: references, registries, and the poller that notices a push.
//! * [`mlflow`]: the client of MLflow's tracking server and model registry, and of DagsHub's.
//! * [`rollout`]: which version is wanted, how far it has got, and what happened before. Pure.
//! * [`resources`]: one pure function for each child object.
//! * [`monitoring`]: what watches a model: scraping, rules, dashboard, e-mail. Pure.
//! * [`controller`]: the loop; the only room that talks to the Kubernetes API.
//! * [`exporter`]: the sidecar in front of every model: it forwards requests and measures them and their predictions. A crate and
//!   a program of its own: it runs beside every model, and what of a program's file is mapped counts as memory of each.
//! * [`cli`]: the subcommands.
//! * [`telemetry`]: logs, metrics and health.
//! * [`outside`]: HTTP to servers outside the cluster.
//! * [`yaml`]: how what is printed is written.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod cli;
pub mod controller;
pub mod images;
pub mod mlflow;
pub mod monitoring;
pub mod outside;
pub mod resources;
pub mod rollout;
pub mod telemetry;
pub mod yaml;

pub use modelship_exporter as exporter;
