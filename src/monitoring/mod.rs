//! The monitoring of one model: what Prometheus scrapes and evaluates, what Grafana draws, where alerts are sent. Pure.

pub mod dashboard;
pub mod rules;

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
