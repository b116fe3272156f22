//! Requests made of a table's rows, in the `dataframe_split` form that MLflow's scoring server takes.

use bytes::Bytes;
use csv::StringRecord;
use serde_json::{Number, Value};

/// A table in memory; bodies are made when they are sent, since each would repeat the names of all columns.
#[derive(Debug)]
pub struct Table {
    columns: Vec<String>,
    kinds: Vec<Kind>,
    rows: Vec<StringRecord>,
    rows_per_request: usize,
}

/// What all cells of a column are that are not missing, as pandas reads them.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Numbers,
    Booleans,
    Text,
}

impl Table {
    /// Reads a header and rows.
    ///
    /// # Errors
    /// What follows the file's name in a message: ", line 7: …" or ": …".
    pub fn read(bytes: &[u8], rows_per_request: usize) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(bytes);
        let columns: Vec<String> = reader.headers().map_err(|error| told(&error))?.iter().map(str::to_owned).collect();
        if columns.is_empty() {
            return Err(": is empty; the first line has to name the columns".to_owned());
        }
        if let Some(at) = (1..columns.len()).find(|at| columns[..*at].contains(&columns[*at])) {
            return Err(format!(", line 1: the column '{}' is named twice", columns[at]));
        }
        let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(|error| told(&error))?;
        if rows.is_empty() {
            return Err(": has a header, but no rows".to_owned());
        }
        let kinds = (0..columns.len()).map(|column| kind(&rows, column)).collect();
        Ok(Self { columns, kinds, rows, rows_per_request: rows_per_request.max(1) })
    }

    /// How many requests the rows make; the last may be shorter.
    pub fn requests(&self) -> usize {
        self.rows.len().div_ceil(self.rows_per_request)
    }

    /// The body of one of them.
    pub fn request(&self, at: usize) -> Bytes {
        let rows = self.rows.iter().skip(at * self.rows_per_request).take(self.rows_per_request);
        let data: Vec<Value> =
            rows.map(|row| row.iter().zip(&self.kinds).map(|(cell, kind)| value(cell, *kind)).collect()).collect();
        serde_json::json!({"dataframe_split": {"columns": self.columns, "data": data}}).to_string().into()
    }
}

fn told(error: &csv::Error) -> String {
    let line = error.position().map_or(String::new(), |position| format!(", line {}", position.line()));
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}: has {len} cells where the header names {expected_len} columns")
        }
        csv::ErrorKind::Utf8 { .. } => format!("{line}: is not UTF-8; save the file in that encoding"),
        _ => format!("{line}: {error}"),
    }
}

fn kind(rows: &[StringRecord], column: usize) -> Kind {
    let present = || rows.iter().filter_map(|row| row.get(column)).filter(|cell| !is_missing(cell));
    match present().next() {
        None => Kind::Text,
        Some(_) if present().all(|cell| number(cell).is_some()) => Kind::Numbers,
        Some(_) if present().all(|cell| boolean(cell).is_some()) => Kind::Booleans,
        Some(_) => Kind::Text,
    }
}

/// As pandas reads them back; in a column of text an empty cell is an empty text.
fn is_missing(cell: &str) -> bool {
    matches!(cell.trim(), "" | "NaN" | "nan")
}

fn value(cell: &str, kind: Kind) -> Value {
    match kind {
        Kind::Numbers => number(cell).map_or(Value::Null, Value::Number),
        Kind::Booleans => boolean(cell).map_or(Value::Null, Value::Bool),
        Kind::Text => Value::String(cell.to_owned()),
    }
}

/// Sent as text, `False` would be as true as any text to a model written in Python.
fn boolean(cell: &str) -> Option<bool> {
    match cell.trim() {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}

/// `007` is no number but a name: read as 7, it would be another one.
fn number(cell: &str) -> Option<Number> {
    let cell = cell.trim();
    let digits = cell.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
        return None;
    }
    // Whole numbers stay whole: a model's signature tells integers from floats.
    let whole = cell.parse().map(|whole: i64| whole.into()).or_else(|_| cell.parse().map(|whole: u64| whole.into()));
    // Infinities are no JSON, and stay text.
    whole.ok().or_else(|| cell.parse().ok().and_then(Number::from_f64))
}

#[cfg(test)]
#[path = "tests/table.rs"]
mod tests;
