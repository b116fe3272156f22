//! What a user writes ([`spec`]) and reads ([`status`]), and the step between them: [`valid`] turns a raw
//! spec into types that cannot be wrong. No I/O in this room.

mod bounds;
pub mod conditions;
mod findings;
mod idle;
pub(crate) mod labels;
pub mod meaning;
pub mod mlflow;
pub mod monitoring;
pub mod names;
mod pod_template;
mod predictions;
pub mod schema;
pub mod spec;
pub mod status;
mod stored;
pub mod units;
pub mod valid;

pub use meaning::Meaning;
pub use spec::{ModelDeployment, ModelDeploymentSpec};
pub use status::ModelDeploymentStatus;
pub(crate) use stored::metadata;
pub use stored::{JsonText, StoredModelDeployment};
pub use valid::{Invalid, ValidSpec};
