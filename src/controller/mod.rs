//! The loop: observe → validate → decide → apply → report. The only room that talks to the Kubernetes API.
//!
//! | step | file | may |
//! |---|---|---|
//! | observe | [`streams`] (`decoding`), [`ecosystem`], [`index`], [`observe`], [`readings`], [`sights`], [`runs`], [`unwell`] (`asking`) | read caches; ask exporters, Prometheus and MLflow |
//! | validate | [`crate::api::valid`] | – |
//! | decide | [`decide`], [`training`], [`judge`], [`unread`] | – (pure) |
//! | apply | [`apply`], [`compare`] (`unions`), [`ledger`] | write children, through [`writer`] |
//! | report | [`report`], [`story`] | write status and events, through [`writer`] |

pub mod apply;
mod asking;
pub mod backoff;
pub mod compare;
pub mod credentials;
pub mod decide;
mod decoding;
pub mod ecosystem;
pub mod error;
mod hand_over;
pub mod index;
pub mod judge;
pub mod lease;
pub mod ledger;
pub mod live;
pub mod mail_secrets;
pub mod model_metrics;
pub mod observe;
pub mod own_image;
pub mod own_monitor;
pub mod pages;
pub mod readings;
pub mod reconcile;
mod remarks;
pub mod replacing;
mod report;
pub mod run;
pub mod runs;
#[cfg(test)]
#[path = "tests/server.rs"]
mod server;
pub mod sights;
pub mod specs;
pub mod story;
pub mod streams;
pub mod training;
mod unions;
pub mod unread;
pub mod unwell;
pub mod writer;

pub use error::Error;
pub use run::{Settings, run};
