//! Which version is wanted ([`target`]), whether its training was good enough ([`gate`]), how far it has got ([`progress`]),
//! which came before ([`history`]), and on which nodes it may run ([`placement`]). Pure: everything is a function of what was observed ([`facts`]). `kubelet` reads what
//! nodes say of a container, `remedy` tells it to people.

pub mod facts;
pub mod gate;
pub mod history;
mod kubelet;
pub mod placement;
pub mod progress;
mod remedy;
pub mod target;

pub use facts::{DeploymentFacts, PodFacts, Unwell};
pub use progress::Progress;
pub use target::{Target, Unresolved};

#[cfg(test)]
#[path = "tests/fixtures.rs"]
pub(crate) mod fixtures;
