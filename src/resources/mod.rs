//! The children of a ModelDeployment: one pure function for each kind, `Option` when the part is switched off.
//!
//! A child is what Modelship *wants* of an object, not the whole object: it is sent by server-side apply, and what it does
//! not mention belongs to others.

pub mod autoscaler;
pub mod child;
pub mod deployment;
pub mod disruption_budget;
pub mod exporter;
pub mod hash;
pub mod merge;
pub mod network_policy;
pub mod owner;
pub mod revision;
pub mod service;
pub mod template;

pub use child::{Child, ChildKind};
pub use owner::{Owner, Track};
