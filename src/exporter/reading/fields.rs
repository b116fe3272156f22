//! Which fields of an answer may hold its predictions, by their names.

use super::json::{Next, Scanner, Text};

/// Fields of a whole answer whose list holds the rows, the most telling first.
pub(super) const LISTS: [&str; 6] = ["predictions", "outputs", "prediction", "results", "result", "predict"];
/// Fields that hold the prediction within a row, the most telling first.
const FIELDS: [&str; 20] = [
    "prediction",
    "predictions",
    "predicted",
    "predicted_class",
    "predicted_label",
    "label",
    "class",
    "category",
    "y_pred",
    // tidymodels' frames; skl2onnx; Prophet and pmdarima; vetiver and H2O.
    ".pred_class",
    ".pred",
    "output_label",
    "yhat",
    "predict",
    "output",
    "result",
    "value",
    "score",
    "probability",
    "probabilities",
];
/// Ends of names that tell as much: `churn_probability`, `predictedClass`, `predicted_mean`. After all of [`FIELDS`].
const ENDS: [&str; 10] = [
    "class",
    "label",
    "category",
    "prediction",
    "predicted",
    "predicted_mean",
    "probability",
    "proba",
    "scores",
    "score",
];
/// Names that tell of something else than a prediction, even where nothing else is in a row.
const OTHERS: [&str; 22] = [
    "id",
    "index",
    "key",
    "uuid",
    "name",
    "version",
    "model",
    "time",
    "timestamp",
    "date",
    "ds",
    "status",
    "state",
    "message",
    "error",
    "errors",
    "detail",
    "ok",
    "success",
    "token",
    "took",
    "text",
];
/// Bytes of a name that may be shown as a part of a path, or of a shape.
const LONGEST: usize = 32;

/// How well a field's name tells that the prediction is in it; lower is better, none for not at all.
pub(super) fn rank(name: Text<'_>) -> Option<usize> {
    if let Some(place) = FIELDS.iter().position(|field| name.is(field)) {
        return Some(place);
    }
    let name = identifier(name)?.to_ascii_lowercase();
    let place = ENDS.iter().position(|end| name.ends_with(end) && name.len() > end.len() || name == *end)?;
    Some(FIELDS.len() + place)
}

/// Worse than any that [`rank`] gives.
pub(super) const UNRANKED: usize = FIELDS.len() + ENDS.len();

/// Whether a name tells of something else than a prediction.
pub(super) fn is_other(name: &str) -> bool {
    OTHERS.contains(&name)
}

/// A name as programs have it, short, and so the program's and no person's: it may be shown.
pub(super) fn identifier(name: Text<'_>) -> Option<&str> {
    let name = std::str::from_utf8(name.raw).ok().filter(|name| (1..=LONGEST).contains(&name.len()))?;
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let begins = name.bytes().find(|byte| *byte != b'.').is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    (begins && name.bytes().all(part)).then_some(name)
}

/// The fields of a row that may hold its prediction, the most telling first. A found path is made of these alone, so that
/// no other word of an answer gets into a label.
pub(super) fn of_row(row: &[u8]) -> Vec<String> {
    let mut scanner = Scanner::new(row, true);
    let (mut members, mut ranked, mut only) = (0_usize, Vec::new(), None);
    if scanner.next() != Ok(Next::Object) {
        return Vec::new();
    }
    let read = scanner.object(|scanner, key| {
        members += 1;
        if let Some(rank) = rank(key) {
            ranked.push((rank, key.decode(LONGEST)));
        }
        // MLflow makes records of a pandas Series: its only column has the Series' name, or is called 0.
        let named = if key.is("0") { Some("0") } else { identifier(key).filter(|name| !is_other(name)) };
        only = named.filter(|_| members == 1).map(str::to_owned);
        scanner.skip()
    });
    if read.is_err() {
        return Vec::new();
    }
    ranked.sort();
    let ranked: Vec<String> = ranked.into_iter().map(|(_, name)| name).collect();
    if ranked.is_empty() { only.into_iter().collect() } else { ranked }
}
