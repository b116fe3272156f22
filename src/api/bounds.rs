//! The bounds of the schema, held once more before anything is read: objects outlive the CRD that they were admitted under,
//! `modelship render` has no API server, and no schema bounds what keeps unknown fields. Whatever is parsed later is short. And
//! where it cannot be parsed, the schema tells which field it is.

use std::{collections::BTreeMap, io, sync::LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use super::{conditions::shorten, findings::Invalid, schema};

/// Bytes, as JSON, of a field that keeps unknown fields: ten times what people write.
const LARGEST_TREE: usize = 64 * 1024;
/// Levels of lists and objects in such a field; half of what serde_json reads.
const DEEPEST_TREE: usize = 64;
/// Bytes of a key: the longest that labels, annotations and resources may have, with a prefix.
const LONGEST_KEY: usize = 317;

/// Bytes of a wrong word that are shown.
const LONGEST_SHOWN: usize = 64;

/// What is longer, larger or deeper than the schema allows.
pub(super) fn exceeded(spec: &Value) -> Vec<Invalid> {
    found(spec, Bound::excess)
}

/// What is of another type than the schema says, is none of the words that it lists, or is missing.
pub(super) fn misshapen(spec: &Value) -> Vec<Invalid> {
    found(spec, Bound::misfit)
}

/// What is wrong with one value, and what to do about it.
type Judge = fn(&Bound, &Value) -> Option<String>;

fn found(spec: &Value, judge: Judge) -> Vec<Invalid> {
    let mut found = Vec::new();
    SPEC.check(spec, judge, &mut found);
    found.into_iter().map(|(path, message)| Invalid { field: format!("spec{path}"), message }).collect()
}

/// What a value may hold, and each value in it.
#[derive(Default)]
struct Bound {
    /// The schema's word for its type; `None`: any.
    kind: Option<String>,
    /// The only words that it may be; empty: any.
    words: Vec<String>,
    /// Fields that must be there.
    required: Vec<String>,
    /// Characters of a text, items of a list, fields of an object.
    most: Option<usize>,
    fields: BTreeMap<String, Bound>,
    /// Of the items of a list, and of fields that are not named.
    each: Option<Box<Bound>>,
    /// Whether it may hold what the schema does not know.
    open: bool,
}

/// Of the schema only what is needed: the whole is a hundred times larger.
static SPEC: LazyLock<Bound> = LazyLock::new(|| {
    let versions = schema::crd().spec.versions.into_iter();
    let mut schemas = versions.filter_map(|version| version.schema?.open_api_v3_schema?.properties?.remove("spec"));
    schemas.next().map(|spec| Bound::of(&spec)).unwrap_or_default()
});

impl Bound {
    fn of(schema: &JSONSchemaProps) -> Self {
        let items = match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
            _ => None,
        };
        let values = match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values),
            _ => None,
        };
        let each = items.or(values).map(|each| Box::new(Self::of(each)));
        let most = schema.max_length.or(schema.max_items).or(schema.max_properties);
        let words = schema.enum_.iter().flatten().filter_map(|word| word.0.as_str().map(str::to_owned));
        Self {
            kind: schema.type_.clone(),
            words: words.collect(),
            required: schema.required.clone().unwrap_or_default(),
            most: most.and_then(|most| usize::try_from(most).ok()),
            fields: schema.properties.iter().flatten().map(|(name, field)| (name.clone(), Self::of(field))).collect(),
            // Many small trees are a large one.
            open: schema.x_kubernetes_preserve_unknown_fields == Some(true)
                || each.as_ref().is_some_and(|each| each.open),
            each,
        }
    }

    /// Adds what is wrong: where, counted from here, and what to do about it. What is wrong itself is not looked into.
    fn check(&self, value: &Value, judge: Judge, found: &mut Vec<(String, String)>) {
        if let Some(message) = judge(self, value) {
            return found.push((String::new(), message));
        }
        match value {
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.within(None, item, judge, found, || format!("[{at}]"));
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.within(self.fields.get(name), field, judge, found, || format!(".{name}"));
                }
            }
            _ => {}
        }
    }

    fn within(
        &self,
        field: Option<&Self>,
        value: &Value,
        judge: Judge,
        found: &mut Vec<(String, String)>,
        step: impl Fn() -> String,
    ) {
        let Some(bound) = field.or(self.each.as_deref()) else { return };
        let known = found.len();
        bound.check(value, judge, found);
        found.iter_mut().skip(known).for_each(|(path, _)| path.insert_str(0, &step()));
    }

    fn excess(&self, value: &Value) -> Option<String> {
        let (length, what) = match value {
            Value::String(text) => (text.chars().count(), "characters"),
            Value::Array(items) => (items.len(), "items"),
            Value::Object(fields) => (fields.len(), "fields"),
            _ => return None,
        };
        if let Some(most) = self.most.filter(|most| length > *most) {
            return Some(format!("has {length} {what}; {most} are the most"));
        }
        if let Some(message) = self.open.then(|| too_large(value)).flatten() {
            return Some(message);
        }
        let long = value.as_object()?.keys().find(|key| key.len() > LONGEST_KEY)?;
        Some(format!("has a key of {} bytes; {LONGEST_KEY} are the most", long.len()))
    }

    fn misfit(&self, value: &Value) -> Option<String> {
        let (fits, wanted) = match self.kind.as_deref()? {
            "string" => (value.is_string(), "text"),
            "integer" => (value.is_i64() || value.is_u64(), "a whole number"),
            "boolean" => (value.is_boolean(), "true or false"),
            "array" => (value.is_array(), "a list"),
            "object" => (value.is_object(), "an object"),
            _ => return None,
        };
        // A null is an absent field.
        if !fits && !value.is_null() {
            return Some(format!("{} must be {wanted}", shorten(&value.to_string(), LONGEST_SHOWN)));
        }
        let word =
            value.as_str().filter(|word| !self.words.is_empty() && !self.words.iter().any(|known| known == word));
        if let Some(word) = word {
            return Some(format!("'{}' is none of {}", shorten(word, LONGEST_SHOWN), self.words.join(", ")));
        }
        let missing = self.required.iter().find(|name| value.is_object() && value[name.as_str()].is_null())?;
        Some(format!("needs {missing}"))
    }
}

fn too_large(tree: &Value) -> Option<String> {
    if is_deeper(tree, DEEPEST_TREE) {
        return Some(format!("nests deeper than {DEEPEST_TREE} levels; nobody reads it then"));
    }
    let mut size = Size(0);
    // A counter refuses nothing.
    let bytes = serde_json::to_writer(&mut size, tree).map_or(usize::MAX, |()| size.0);
    (bytes > LARGEST_TREE).then(|| format!("has {bytes} bytes as JSON; {LARGEST_TREE} are the most"))
}

fn is_deeper(tree: &Value, levels: usize) -> bool {
    let mut within: Box<dyn Iterator<Item = &Value>> = match tree {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => return false,
    };
    levels == 0 || within.any(|inner| is_deeper(inner, levels - 1))
}

/// Counts what is written.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/bounds.rs"]
mod tests;
