//! The monitoring of a model: what a user writes ([`spec`]), and the same with every default filled in ([`valid`]).

mod extra;
pub(super) mod query;
pub mod spec;
mod template;
pub mod valid;

pub use spec::{Alert, Monitoring};
