//! What is sent: bodies from files, or requests made of a table's rows.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::table::Table;
use crate::exporter::reading::is_json;

/// The largest file that is read: 100 MiB, more than any request that a model server takes by default.
pub const FILE_MAX: u64 = 100 * 1024 * 1024;
/// All files of one run together.
const TOTAL_MAX: usize = 1024 * 1024 * 1024;
const FILES_MAX: usize = 10_000;

pub const JSON: &str = "application/json";
pub const CSV: &str = "text/csv";

/// The body of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub body: Bytes,
    pub content_type: &'static str,
}

/// Everything that can be sent, in order; what is asked for beyond the end starts over.
#[derive(Debug, Default)]
pub struct Payloads {
    bodies: Vec<Payload>,
    tables: Vec<Table>,
}

impl Payloads {
    /// The same in every request.
    pub fn only(body: Payload) -> Self {
        Self { bodies: vec![body], tables: Vec::new() }
    }

    /// `None` when nothing is given.
    ///
    /// # Errors
    /// A sentence that names the file, the line where there is one, and what is wrong.
    pub fn read(files: &[PathBuf], dirs: &[PathBuf], tables: &[PathBuf], rows: usize) -> Result<Option<Self>, String> {
        let mut payloads = Self::default();
        let mut paths = files.to_vec();
        for dir in dirs {
            paths.extend(list(dir)?);
        }
        let mut total = 0;
        for path in &paths {
            let body = body(path)?;
            total += body.body.len();
            if total > TOTAL_MAX {
                return Err(format!("{}: with this file they are more than 1 GiB together", path.display()));
            }
            payloads.bodies.push(body);
        }
        for path in tables {
            let bytes = bounded(path)?;
            let table = Table::read(&bytes, rows).map_err(|error| format!("{}{error}", path.display()))?;
            payloads.tables.push(table);
        }
        Ok((payloads.len() > 0).then_some(payloads))
    }

    /// How many different requests there are.
    pub fn len(&self) -> usize {
        self.bodies.len() + self.tables.iter().map(Table::requests).sum::<usize>()
    }

    /// The body of the request with that number.
    pub fn get(&self, number: u64) -> Payload {
        // The remainder is less than a length in memory.
        let mut at = (number % self.len().max(1) as u64) as usize;
        if let Some(body) = self.bodies.get(at) {
            return body.clone();
        }
        at -= self.bodies.len();
        for table in &self.tables {
            if at < table.requests() {
                return Payload { body: table.request(at), content_type: JSON };
            }
            at -= table.requests();
        }
        Payload { body: Bytes::new(), content_type: JSON }
    }
}

/// The body in a file, or in standard input for `-`. What ends in .csv is sent as such, all else has to be JSON.
///
/// # Errors
/// A sentence that names the file and says what is wrong.
pub fn body(path: &Path) -> Result<Payload, String> {
    let body = bounded(path)?;
    if path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("csv")) {
        return Ok(Payload { body: body.into(), content_type: CSV });
    }
    // Python writes NaN and Infinity as such, and model servers read them.
    let read = serde_json::from_slice::<IgnoredAny>(&body);
    read.or_else(|error| if is_json(&body) { Ok(IgnoredAny) } else { Err(error) }).map_err(|error| {
        match body.is_empty() {
            true => format!("{}: is empty; a request has a JSON body", path.display()),
            false => format!("{}, line {}, column {}: not JSON: {error}", path.display(), error.line(), error.column()),
        }
    })?;
    Ok(Payload { body: body.into(), content_type: JSON })
}

fn bounded(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    match path.as_os_str() == "-" {
        true => std::io::stdin().lock().take(FILE_MAX + 1).read_to_end(&mut bytes),
        false => File::open(path).map_err(wrong)?.take(FILE_MAX + 1).read_to_end(&mut bytes),
    }
    .map_err(wrong)?;
    match bytes.len() as u64 > FILE_MAX {
        true => Err(format!("{}: is larger than 100 MiB; send smaller requests", path.display())),
        false => Ok(bytes),
    }
}

/// The .json and .csv files of a folder, by name.
fn list(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let fits = path.extension().is_some_and(|kind| kind == "json" || kind == "csv");
        if fits && path.is_file() {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            return Err(format!("{}: holds more than {FILES_MAX} files; use a folder with fewer", dir.display()));
        }
    }
    paths.sort();
    match paths.is_empty() {
        true => Err(format!("{}: holds no *.json and no *.csv file", dir.display())),
        false => Ok(paths),
    }
}

#[cfg(test)]
#[path = "tests/payload.rs"]
mod tests;
