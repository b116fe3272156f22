//! `modelship crds`

use crate::api::schema;

pub fn run() -> Result<(), String> {
    super::print(&schema::crd_yaml().map_err(|error| error.to_string())?)
}
