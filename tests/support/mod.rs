//! What the tests against a real API server share: a world of its own for each test, an operator in the test's process,
//! and a tap on its requests.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

pub mod audit;
pub mod door;
pub mod kubelet;
pub mod mlflow;
pub mod nodes;
pub mod operator;
pub mod registry;
pub mod rest;
pub mod tap;
pub mod world;

pub use kubelet::Kubelet;
pub use mlflow::Mlflow;
pub use nodes::Nodes;
pub use operator::{Operator, Options};
pub use rest::at_rest;
pub use tap::Tap;
pub use world::{World, eventually, eventually_within};
