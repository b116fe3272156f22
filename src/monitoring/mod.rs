//! The monitoring of one model: what Prometheus scrapes and evaluates, what Grafana draws, where alerts are sent. Pure.

pub mod bindings;
pub mod bundle;
pub mod dashboard;
pub mod kinds;
pub mod mail;
pub mod renderer;
pub mod rules;
pub mod service_monitor;
pub mod surroundings;
pub mod verdict;

pub use bundle::{Bundle, bundle};
pub use kinds::{OptionalKind, Presence, Reader};
pub use mail::{MailDefaults, MailSecret};
pub use renderer::Renderer;
pub use surroundings::Surroundings;

use crate::{
    api::{monitoring::valid::Monitoring, valid::ValidSpec},
    resources::Owner,
};

/// A model as its monitoring sees it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub owner: &'a Owner,
    pub spec: &'a ValidSpec,
    pub monitoring: &'a Monitoring,
}

/// Something that keeps a part of the monitoring from working, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortcoming {
    pub reason: &'static str,
    pub message: String,
}
