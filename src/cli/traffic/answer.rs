//! What a model's answer says: classes, their names, and the words of a refusal.

use serde_json::{Number, Value};

use crate::{api::spec::PredictionClass, exporter::reading::by_position};

/// Characters of a class's label, as in the CRD.
const LABEL_MAX: usize = 64;
/// Characters of a model's message: it may hold a whole stack trace.
const MESSAGE_MAX: usize = 400;

/// What one row of an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The class as the answer writes it.
    pub text: String,
    /// It is not written but told by the position of the largest number.
    position: Option<usize>,
}

impl Label {
    fn written(text: String) -> Self {
        Self { text, position: None }
    }
}

/// One label for each row of an answer; nothing when it is no answer of predictions.
///
/// Texts and numbers are labels themselves, a row of numbers is read by the position of its largest, and an object by
/// its `prediction` or `label`.
pub fn classes_of(body: &[u8]) -> Vec<Label> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let predictions = match &answer {
        Value::Object(fields) => fields.get("predictions").unwrap_or(&Value::Null),
        other => other,
    };
    match predictions {
        Value::Array(rows) => rows.iter().filter_map(label).collect(),
        single => label(single).into_iter().collect(),
    }
}

fn label(row: &Value) -> Option<Label> {
    match row {
        Value::String(text) => Some(Label::written(clean(text, LABEL_MAX))),
        Value::Number(number) => Some(Label::written(plain(number))),
        Value::Bool(truth) => Some(Label::written(truth.to_string())),
        Value::Array(cells) => match cells.as_slice() {
            [single] => label(single),
            cells => largest(cells).map(|at| Label { text: at.to_string(), position: Some(at) }),
        },
        // Bounded by the parser's own limit of depth.
        Value::Object(fields) => fields.get("prediction").or_else(|| fields.get("label")).and_then(label),
        Value::Null => None,
    }
}

/// The first position of the largest, if all are numbers.
fn largest(cells: &[Value]) -> Option<usize> {
    let figures: Vec<f64> = cells.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let mut best: Option<(usize, f64)> = None;
    for (at, figure) in figures.into_iter().enumerate() {
        if best.is_none_or(|(_, most)| figure > most) {
            best = Some((at, figure));
        }
    }
    best.map(|(at, _)| at)
}

/// `1` and `1.0` are one class.
fn plain(number: &Number) -> String {
    match number.as_f64() {
        // Display writes a whole f64 without a fraction.
        Some(figure) if !number.is_i64() && !number.is_u64() => figure.to_string(),
        _ => number.to_string(),
    }
}

/// What a ModelDeployment calls the classes that stand in answers as values, or as positions.
#[derive(Clone, Debug, Default)]
pub struct Names {
    classes: Vec<PredictionClass>,
    /// Which of them a position means, as the exporter takes it.
    places: Vec<usize>,
}

impl Names {
    pub fn new(classes: &[PredictionClass]) -> Self {
        let places = by_position(classes.iter().map(|class| class.value.as_deref()));
        Self { classes: classes.to_vec(), places }
    }

    /// The name of a label of [`classes_of`], if it has one.
    pub fn of(&self, label: &Label) -> Option<&str> {
        let by_value = self.classes.iter().any(|class| class.value.is_some());
        let class = match label.position {
            Some(position) => self.places.get(position).and_then(|place| self.classes.get(*place)),
            None if by_value => {
                self.classes.iter().find(|class| class.value.as_deref().is_some_and(|value| same(value, &label.text)))
            }
            None => label.text.parse().ok().and_then(|position: usize| self.classes.get(position)),
        };
        class.map(|class| class.name.as_str())
    }
}

fn same(value: &str, label: &str) -> bool {
    let figure = |text: &str| text.trim().parse::<f64>().ok().filter(|figure| figure.is_finite());
    // Python's truths are written True.
    let truth = |text: &str| text.trim().to_ascii_lowercase().parse::<bool>().ok();
    value == label
        || figure(value).is_some_and(|value| figure(label) == Some(value))
        || truth(value).is_some_and(|value| truth(label) == Some(value))
}

/// The words in which a server says no: the field that its kind of server uses for them, or else the text itself.
pub fn message_of(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let field = |name: &str| match parsed.as_ref()?.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    // MLflow writes message, FastAPI detail, many others error.
    let words = ["message", "detail", "error"].into_iter().find_map(field);
    let words = words.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(MESSAGE_MAX * 4)]).into_owned());
    clean(&words, MESSAGE_MAX)
}

/// Bounded, on one line, and without what would steer a terminal.
fn clean(text: &str, most: usize) -> String {
    let mut shown: String = text.trim().chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.trim().chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
#[path = "tests/answer.rs"]
mod tests;
