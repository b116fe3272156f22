//! Which fields of an answer may hold its predictions, by their names.

use std::ops::Range;

use super::{
    json::{Next, Scanner, Text},
    path::{Path, Step},
};

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
/// Figures that stand beside a prediction.
const FIGURES: [&str; 5] = ["std", "stddev", "stderr", "threshold", "confidence"];
/// Ends of the names of a prediction's bounds.
const BOUNDS: [&str; 2] = ["_lower", "_upper"];
/// So many of [`ENDS`], the first, are of fields that hold a class: a number in them has no fraction.
const OF_A_CLASS: usize = 3;
/// What pandas calls the only column when it has no name.
const UNNAMED: &str = "0";
/// Bytes of a name that may be shown as a part of a path, or of a shape.
const LONGEST: usize = 32;

/// How well a field's name tells that the prediction is in it; lower is better, none for not at all.
pub(super) fn rank(name: Text<'_>) -> Option<usize> {
    if let Some(place) = FIELDS.iter().position(|field| name.is(field)) {
        return Some(place);
    }
    let name = identifier(name)?.as_bytes();
    let ends = |end: &str| name.len().checked_sub(end.len()).and_then(|start| name.get(start..));
    let place = ENDS.iter().position(|end| ends(end).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes())))?;
    Some(FIELDS.len() + place)
}

/// What a key says of the object that it is in, whose numbers may be the probabilities of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// It may be a class.
    Class,
    /// It ends like the name of a field, at this place of [`ENDS`]: seats are of `first_class` and `economy_class`.
    End { place: usize, of_a_class: bool },
    /// It is a quantile, or a quarter: `q1`.
    Quantile,
    /// It is a word that answers have beside their predictions, and people have for classes: `ok`, `error`.
    Beside,
    /// It is a field, and so the object is no map of classes, unless somebody says so.
    Field,
}

/// What this key says.
pub(super) fn tells(key: Text<'_>) -> Tells {
    let name = identifier(key).unwrap_or_default();
    let of_a_number = || FIGURES.contains(&name) || BOUNDS.iter().any(|end| name.ends_with(end));
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    match rank(key).map(|place| place.checked_sub(FIELDS.len())) {
        Some(None) => Tells::Field,
        Some(Some(place)) => Tells::End { place, of_a_class: place < OF_A_CLASS },
        None if of_a_number() => Tells::Field,
        None if name.strip_prefix('q').is_some_and(digits) => Tells::Quantile,
        None if OTHERS.iter().any(|other| key.is(other)) => Tells::Beside,
        None => Tells::Class,
    }
}

/// Worse than any that [`rank`] gives.
pub(super) const UNRANKED: usize = FIELDS.len() + ENDS.len();

/// Whether a key is the number of a row or a class: `"0"`, `"1"`, …
pub(super) fn is_position(key: Text<'_>, position: usize) -> bool {
    std::str::from_utf8(key.raw)
        .is_ok_and(|key| key.parse() == Ok(position) && (key == "0" || !key.starts_with(['0', '+'])))
}

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

/// The only field of a row: its key, and where its value is.
pub(super) fn only(row: &[u8]) -> Option<(Text<'_>, Range<usize>)> {
    let mut scanner = Scanner::new(row, true);
    if scanner.next() != Ok(Next::Object) {
        return None;
    }
    let (mut members, mut only) = (0_usize, None);
    let read = scanner.object(|scanner, key| {
        members += 1;
        only = Some((key, scanner.span()?));
        Ok(())
    });
    only.filter(|_| members == 1 && read.is_ok())
}

/// Whether one of these fields, the only one of its row each, stands for the other: pandas calls the only column 0 when it
/// has no name, which may be so for one row and not for several.
pub(super) fn same_column(one: &Path, other: &Path) -> bool {
    let unnamed = |path: &Path| matches!(path.steps(), [Step::Key(key)] if key == UNNAMED);
    let named = |path: &Path| matches!(path.steps(), [Step::Key(_)]);
    unnamed(one) && named(other) || named(one) && unnamed(other)
}

/// The value of a row's only field, if it stands for the one that `steps` lead to, which the row lacks.
pub(super) fn stand_in(row: &[u8], steps: &[Step]) -> Option<Range<usize>> {
    let [Step::Key(wanted)] = steps else { return None };
    let (key, value) = only(row)?;
    let column = || rank(key).is_some() || identifier(key).is_some_and(|name| !is_other(name));
    (key.is(UNNAMED) || wanted == UNNAMED && column()).then_some(value)
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
        let named = if key.is(UNNAMED) { Some(UNNAMED) } else { identifier(key).filter(|name| !is_other(name)) };
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
