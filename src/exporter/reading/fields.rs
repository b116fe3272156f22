//! Which fields of an answer may hold its predictions, by their names.

use std::ops::Range;

use super::{
    class,
    json::{Next, Scanner, Text},
    path::{Path, Step},
};

/// Fields of a whole answer whose list holds the rows, the most telling first.
pub(super) const LISTS: [&str; 6] = ["predictions", "outputs", "prediction", "results", "result", "predict"];
/// Fields that hold the prediction within a row, the most telling first.
const FIELDS: [&str; 22] = [
    "prediction",
    "predictions",
    "predicted",
    "predicted_class",
    "predicted_label",
    "label",
    "class",
    "category",
    "class_name",
    "className",
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
/// How names of whatever is predicted begin, `predicted_price`; these tell as much as the end of the same name.
const PREDICTED: (&str, &str) = ("predicted_", "predicted");
/// Last words of the names of what a person or a program is called, or wrote.
const NAMES: [&str; 4] = ["id", "uuid", "text", "timestamp"];
/// Last words of the names of what tells how a prediction came about, or how far it may be off.
const BESIDE: [&str; 10] =
    ["object", "ms", "seconds", "latency", "duration", "bound", "lower", "upper", "count", "unit"];
/// Fields of which the only ones beside another figure, or beside a text, may be meant by either.
const VALUE: &str = "value";
const SURE: [&str; 2] = ["score", "probability"];
/// Where a thing was found within a row: any of these, or both of a pair.
const PLACES: [&str; 6] = ["entity", "entity_group", "box", "bbox", "bounding_box", "boundingBox"];
const EXTENTS: [[&str; 2]; 3] = [["start", "end"], ["xmin", "ymin"], ["width", "height"]];
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
    let place = ENDS.iter().position(|end| {
        let begins = *end == PREDICTED.1 && name.starts_with(PREDICTED.0.as_bytes());
        begins || ends(end).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
    })?;
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
        None if name.strip_prefix('q').is_some_and(digits) || is_quantile(key.raw) => Tells::Quantile,
        None if is_day(key.raw) => Tells::Field,
        None if OTHERS.iter().any(|other| key.is(other)) => Tells::Beside,
        None => Tells::Class,
    }
}

/// Whether a key names a quantile: `0.1`, `10%`, `p90`, `q_0.9`.
fn is_quantile(key: &[u8]) -> bool {
    let Ok(key) = std::str::from_utf8(key) else { return false };
    let plain = |share: &str| share.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let within = |share: &str| plain(share) && share.parse::<f64>().is_ok_and(|share| 0.0 < share && share < 1.0);
    let hundredths = |share: &str| share.len() == 2 && share.bytes().all(|byte| byte.is_ascii_digit());
    let named = ["quantile_", "quantile", "q_", "q", "p_", "p"].iter().find_map(|start| key.strip_prefix(start));
    within(key)
        || named.is_some_and(|share| within(share) || hundredths(share))
        || key.strip_suffix('%').is_some_and(|share| !share.is_empty() && plain(share))
}

/// Whether a key begins with a day as ISO 8601 writes it.
fn is_day(key: &[u8]) -> bool {
    key.get(..10).is_some_and(|day| {
        day.iter().enumerate().all(|(at, byte)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() })
    })
}

/// Whether an object is of a thing that was found within a row: a name in a text, something in a picture.
pub(super) fn is_find(object: &[u8]) -> bool {
    let mut scanner = Scanner::new(object, true);
    let (mut placed, mut extents) = (false, [[false; 2]; EXTENTS.len()]);
    if scanner.next() != Ok(Next::Object) {
        return false;
    }
    let read = scanner.object(|scanner, key| {
        placed |= PLACES.iter().any(|name| key.is(name));
        for (seen, name) in extents.iter_mut().flatten().zip(EXTENTS.iter().flatten()) {
            *seen |= key.is(name);
        }
        scanner.skip()
    });
    read.is_ok() && (placed || extents.contains(&[true; 2]))
}

/// Whether something else in its row may as well be the prediction as the number in this field, which has a name for
/// anything: another figure, or a text of which the number may tell how sure it is.
pub(super) fn is_doubtful(row: &[u8], field: &str) -> bool {
    let sure = SURE.contains(&field);
    let predicted = field.starts_with(PREDICTED.0);
    if field != VALUE && !sure && !predicted {
        return false;
    }
    let mut doubtful = false;
    let read = Scanner::new(row, true).object(|scanner, key| {
        let next = scanner.next()?;
        let rival = match next {
            Next::Number if predicted => !key.is(field) && key.raw.starts_with(PREDICTED.0.as_bytes()),
            Next::Number => !sure && !key.is(field) && !stands_beside(key),
            Next::Text if sure => {
                let word = scanner.clone().text()?;
                !stands_beside(key) && class::fits(word) && !word.raw.iter().any(u8::is_ascii_digit)
            }
            _ => false,
        };
        doubtful |= rival;
        scanner.skip()
    });
    read.is_ok() && doubtful
}

/// Whether a field, by its name, is no prediction.
fn stands_beside(key: Text<'_>) -> bool {
    let Some(name) = identifier(key) else { return false };
    let last = name.rsplit(['_', '-']).next().unwrap_or_default();
    let of = |list: &[&str]| list.contains(&name) || list.contains(&last);
    let bound = || ["lower", "upper"].iter().any(|start| name.starts_with(start));
    of(&OTHERS) || of(&FIGURES) || of(&BESIDE) || bound()
}

/// Whether the first item of a list is an object with a field that may hold a prediction.
pub(super) fn may_predict(list: &[u8]) -> bool {
    let (mut items, mut tells) = (0, false);
    let read = Scanner::new(list, true).list(|scanner| {
        items += 1;
        if items > 1 || scanner.next()? != Next::Object {
            return scanner.skip();
        }
        scanner.object(|scanner, key| {
            tells |= rank(key).is_some();
            scanner.skip()
        })
    });
    read.is_ok() && tells
}

/// Worse than any that [`rank`] gives.
pub(super) const UNRANKED: usize = FIELDS.len() + ENDS.len();

/// Whether a key is the number of a row or a class: `"0"`, `"1"`, …
pub(super) fn is_position(key: Text<'_>, position: usize) -> bool {
    std::str::from_utf8(key.raw)
        .is_ok_and(|key| key.parse() == Ok(position) && (key == "0" || !key.starts_with(['0', '+'])))
}

/// Whether a name tells of something else than a prediction, or is no column's but one row's: `cust-19`.
pub(super) fn is_other(name: &str) -> bool {
    let last = name.rsplit(['_', '-']).next().unwrap_or_default();
    OTHERS.contains(&name) || NAMES.contains(&last) || name.bytes().filter(u8::is_ascii_digit).count() >= 2
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
