//! How predictions are to be read: the field `predictions` of the settings.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    class,
    path::Path,
    reference::{self, Reference},
    tracks,
};

/// Classes that may be declared, and that `maxClasses` may allow: each is a time series per pod.
pub const MOST_CLASSES: usize = 200;
const DEFAULT_CLASSES: usize = 50;
const MOST_BINS: usize = 100;

/// What a prediction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The class itself: a text, a number or a boolean.
    Class,
    /// One probability, of the positive of two classes.
    Probability,
    /// A row of numbers, one per class; the largest is the prediction.
    Probabilities,
    /// A number that is no class.
    Number,
    /// Any number of classes: a list of them, or a row that says for each whether it is one.
    Labels,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Probability => "probability",
            Self::Probabilities => "probabilities",
            Self::Number => "number",
            Self::Labels => "labels",
        }
    }
}

/// How predictions are read. It can be recorded, and handed back as `predictions.found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    pub kind: Kind,
    /// Where in a row.
    pub path: Path,
    /// The path of requests whose answers hold predictions; none where every path's may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_path: Option<String>,
    /// Rows that it was found from.
    #[serde(default)]
    pub rows: u64,
    /// How likely the next row is to fit, in percent.
    #[serde(default)]
    pub certainty: u8,
    /// Whether it is final. Else later rows may correct it. Exporters that know no such word decided at the first row.
    #[serde(default)]
    pub settled: bool,
}

impl Decided {
    /// What somebody has said.
    pub fn said(kind: Kind, path: Path, request_path: Option<String>) -> Self {
        Self { kind, path, request_path, rows: 0, certainty: 100, settled: true }
    }

    /// Whether the other one only knows more: the path of requests.
    pub(super) fn fits(&self, other: &Self) -> bool {
        self.request_path.is_none() && (self.kind, &self.path) == (other.kind, &other.path)
    }

    /// Whether both read alike, however sure they are.
    pub fn reads_as(&self, other: &Self) -> bool {
        (self.kind, &self.path, &self.request_path) == (other.kind, &other.path, &other.request_path)
    }
}

/// A class that is known beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// How the model says it, in the form of [`class::Key`]; none when it is told by its position.
    pub value: Option<String>,
    pub name: String,
}

/// How predictions are to be read. Made by [`check`].
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub(super) kind: Option<Kind>,
    pub(super) path: Option<Path>,
    /// The only path of requests whose answers hold predictions.
    pub(super) request_path: Option<String>,
    pub(super) classes: Vec<Class>,
    /// The position in `classes` of the one that a `probability` is about.
    pub(super) positive: usize,
    pub(super) threshold: f64,
    pub(super) bins: Option<Vec<f64>>,
    pub(super) max_classes: usize,
    pub(super) found: Option<Decided>,
    pub(super) reference: Option<Reference>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            kind: None,
            path: None,
            request_path: None,
            classes: Vec::new(),
            positive: 1,
            threshold: 0.5,
            bins: None,
            max_classes: DEFAULT_CLASSES,
            found: None,
            reference: None,
        }
    }
}

impl Reading {
    /// What these settings decide by themselves, when both `kind` and `path` are given.
    pub(super) fn said(&self) -> Option<Decided> {
        Some(Decided::said(self.kind?, self.path.clone()?, self.request_path.clone()))
    }

    /// Whether it is said, or known from the training, which classes there are.
    pub(super) fn names_classes(&self) -> bool {
        !self.classes.is_empty() || matches!(self.reference, Some(Reference::Classes(_)))
    }

    /// Whether something is left to be found.
    pub fn is_open(&self) -> bool {
        self.kind.is_none() || self.path.is_none()
    }

    /// Whether this way to read is one that the settings allow.
    pub fn agrees(&self, decided: &Decided) -> bool {
        let asked = |path: &String| decided.request_path.as_ref().is_none_or(|found| found == path);
        self.kind.is_none_or(|kind| kind == decided.kind)
            && self.path.as_ref().is_none_or(|path| *path == decided.path)
            && self.request_path.as_ref().is_none_or(asked)
    }

    /// Whether the kind is the user's word.
    pub(super) fn names_kind(&self) -> bool {
        self.kind.is_some()
    }
}

/// Reads the settings. `null` and an empty object leave everything to be found; unknown fields are ignored, since they
/// may be those of a newer version.
///
/// ```
/// # use modelship_exporter::reading::check;
/// # use serde_json::json;
/// assert!(check(&json!({"kind": "class", "classes": [{"value": 0, "name": "stay"}]})).is_ok());
/// assert!(check(&json!({"kind": "klass"})).is_err());
/// ```
///
/// # Errors
/// A sentence that says which field is wrong, and what it may be.
pub fn check(settings: &Value) -> Result<Reading, String> {
    let fields = match settings {
        Value::Null => return Ok(Reading::default()),
        Value::Object(fields) => fields,
        other => {
            return Err(format!("predictions is {}, but must be an object like {{\"kind\": \"class\"}}", a(other)));
        }
    };
    let default = Reading::default();
    let mut reading = Reading {
        kind: given(fields, "kind").map(|value| kind(value, "predictions.kind")).transpose()?,
        path: given(fields, "path").map(|value| path(value, "predictions.path")).transpose()?,
        request_path: given(fields, "requestPath").map(request_path).transpose()?,
        classes: given(fields, "classes").map(classes).transpose()?.unwrap_or_default(),
        threshold: given(fields, "threshold").map(threshold).transpose()?.unwrap_or(default.threshold),
        bins: given(fields, "bins").map(bins).transpose()?,
        max_classes: given(fields, "maxClasses").map(max_classes).transpose()?.unwrap_or(default.max_classes),
        found: given(fields, "found").map(found).transpose()?.flatten(),
        ..default
    };
    if let Some(value) = given(fields, "positive") {
        reading.positive = positive(value, &reading.classes)?;
    }
    if let Some(value) = given(fields, "reference") {
        reading.reference = Some(reference::parse(value, &reading.classes)?);
    }
    Ok(reading)
}

/// A field that is there and not null.
pub(super) fn given<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// What a value is, in words, for a message. Long texts are cut.
pub(super) fn a(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{:?}", text.chars().take(64).collect::<String>()),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

const KINDS: &str = "class, probability, probabilities, number, labels";

fn kind(value: &Value, field: &str) -> Result<Kind, String> {
    Kind::deserialize(value).map_err(|_| format!("{field} is {}, but must be one of {KINDS}", a(value)))
}

fn path(value: &Value, field: &str) -> Result<Path, String> {
    let text = value.as_str().ok_or_else(|| format!("{field} is {}, but must be a text like \"$.label\"", a(value)))?;
    text.parse().map_err(|error| format!("{field}: {error}"))
}

fn request_path(value: &Value) -> Result<String, String> {
    let path =
        value.as_str().filter(|path| path.starts_with('/') && !path.contains(['?', '#'])).and_then(tracks::named);
    path.ok_or_else(|| {
        format!(
            "predictions.requestPath is {}, but must be a path of at most {} bytes like \"/predict\"",
            a(value),
            tracks::LONGEST_PATH
        )
    })
}

/// A kind that a newer exporter has found is left to be found again.
fn found(value: &Value) -> Result<Option<Decided>, String> {
    let Value::Object(fields) = value else {
        return Err(format!(
            "predictions.found is {}, but must be an object like {{\"kind\": \"class\", \"path\": \"$\"}}",
            a(value)
        ));
    };
    let field = |name| fields.get(name).unwrap_or(&Value::Null);
    let number = |name| field(name).as_u64().unwrap_or(0);
    let path = path(field("path"), "predictions.found.path")?;
    let Ok(kind) = kind(field("kind"), "predictions.found.kind") else { return Ok(None) };
    Ok(Some(Decided {
        kind,
        path,
        request_path: field("requestPath").as_str().and_then(tracks::named),
        rows: number("rows"),
        certainty: u8::try_from(number("certainty")).unwrap_or(100).min(100),
        settled: field("settled").as_bool().unwrap_or(false),
    }))
}

fn classes(value: &Value) -> Result<Vec<Class>, String> {
    let list = value.as_array().ok_or_else(|| {
        format!(
            "predictions.classes is {}, but must be a list like [{{\"value\": \"0\", \"name\": \"stay\"}}]",
            a(value)
        )
    })?;
    if list.len() > MOST_CLASSES {
        return Err(format!("predictions.classes has {} classes, but at most {MOST_CLASSES} are possible", list.len()));
    }
    let mut classes: Vec<Class> = Vec::with_capacity(list.len());
    for (at, item) in list.iter().enumerate() {
        let class = one_class(item, at)?;
        if let Some(value) = &class.value
            && classes.iter().any(|other| other.value.as_ref() == Some(value))
        {
            return Err(format!("predictions.classes[{at}].value: {value:?} already has a name; each value has one"));
        }
        classes.push(class);
    }
    Ok(classes)
}

fn one_class(item: &Value, at: usize) -> Result<Class, String> {
    let (value, name) = match item {
        Value::String(name) => (None, name),
        Value::Object(fields) => {
            let name = fields.get("name").and_then(Value::as_str).ok_or_else(|| {
                format!("predictions.classes[{at}] has no name: write {{\"value\": \"0\", \"name\": \"stay\"}}")
            })?;
            return named(given(fields, "value"), name, at);
        }
        other => {
            return Err(format!(
                "predictions.classes[{at}] is {}, but must be a name, or an object with value and name",
                a(other)
            ));
        }
    };
    named(value, name, at)
}

fn named(value: Option<&Value>, name: &str, at: usize) -> Result<Class, String> {
    if name.is_empty() {
        return Err(format!("predictions.classes[{at}].name is empty: a class needs a name"));
    }
    let value = value.map(|value| match value {
        Value::String(_) | Value::Bool(_) | Value::Number(_) => class::Key::of(value.to_string().as_bytes())
            .map(class::Key::into_name)
            .map_err(|_| format!("predictions.classes[{at}].value is {}, which is no class", a(value))),
        other => {
            Err(format!("predictions.classes[{at}].value is {}, but must be a text, a number or a boolean", a(other)))
        }
    });
    Ok(Class { value: value.transpose()?, name: class::tidy(name) })
}

fn positive(value: &Value, classes: &[Class]) -> Result<usize, String> {
    let name = value.as_str().map(class::tidy);
    let position = classes.iter().position(|class| Some(&class.name) == name.as_ref());
    match (position, classes.len()) {
        (Some(position), 2) => Ok(position),
        (_, 2) => Err(format!(
            "predictions.positive is {}, but must be one of the two names in predictions.classes: {} or {}",
            a(value),
            classes.first().map_or("", |class| &class.name),
            classes.get(1).map_or("", |class| &class.name),
        )),
        _ => Err("predictions.positive needs two classes in predictions.classes, and names one of them".into()),
    }
}

fn threshold(value: &Value) -> Result<f64, String> {
    value
        .as_f64()
        .filter(|threshold| (0.0..=1.0).contains(threshold))
        .ok_or_else(|| format!("predictions.threshold is {}, but must be a number from 0 to 1, like 0.5", a(value)))
}

fn bins(value: &Value) -> Result<Vec<f64>, String> {
    let wrong = || {
        format!(
            "predictions.bins is {}, but must be a list of 1 to {MOST_BINS} rising numbers, the upper bounds of the \
             bins, like [0, 10, 100]",
            if value.is_array() { "a list that does not rise, or with something else in it".into() } else { a(value) }
        )
    };
    let list = value.as_array().filter(|list| (1..=MOST_BINS).contains(&list.len())).ok_or_else(wrong)?;
    let bounds: Vec<f64> = list.iter().filter_map(Value::as_f64).filter(|bound| bound.is_finite()).collect();
    let rising = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if rising && bounds.len() == list.len() { Ok(bounds) } else { Err(wrong()) }
}

fn max_classes(value: &Value) -> Result<usize, String> {
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
    count.filter(|count| (1..=MOST_CLASSES).contains(count)).ok_or_else(|| {
        format!("predictions.maxClasses is {}, but must be a whole number from 1 to {MOST_CLASSES}", a(value))
    })
}
