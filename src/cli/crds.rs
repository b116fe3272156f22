//! `modelship crds`

use std::io::Write;

use crate::api::schema;

pub fn run() -> Result<(), String> {
    let yaml = schema::crd_yaml().map_err(|error| error.to_string())?;
    std::io::stdout().write_all(yaml.as_bytes()).map_err(|error| error.to_string())
}
