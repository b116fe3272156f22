//! Where in one row of an answer, or in the whole of it, the prediction is: a small part of JSONPath.

use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::json::{Next, Scanner, Stop};

/// More steps than any answer that was ever seen needs.
const STEPS: usize = 8;
/// Bytes of a path in all.
const LENGTH: usize = 256;
/// Positions in a list.
const POSITIONS: usize = 10_000;

/// A way from a row of an answer to the prediction in it: `$` (the row itself), `$.label`, `$[0]`, `$['a b']`,
/// `$.outputs[0].class`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Key(String),
    Position(usize),
}

/// A path that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the path {path:?} cannot be read ({what}): a path leads from one row of the answer to the prediction in it, \
     and is $ for the row itself, or like $.label, $[0], $['a b'], $.result.classes[0]"
)]
pub struct PathError {
    path: String,
    what: &'static str,
}

impl Path {
    /// The row itself.
    pub fn root() -> Self {
        Self::default()
    }

    pub(super) fn key(name: &str) -> Self {
        Self(vec![Step::Key(name.to_owned())])
    }

    pub(super) fn then_key(mut self, name: &str) -> Self {
        self.0.push(Step::Key(name.to_owned()));
        self
    }

    pub(super) fn then_position(mut self, position: usize) -> Self {
        self.0.push(Step::Position(position));
        self
    }

    /// Its first key and the way on from there; none when it does not begin with a key.
    pub(super) fn first_key(&self) -> Option<(&str, &[Step])> {
        match self.0.split_first() {
            Some((Step::Key(key), rest)) => Some((key, rest)),
            _ => None,
        }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// The bytes that `steps` lead to within `row`, which holds one valid value; none when they lead nowhere.
pub(super) fn walk(row: &[u8], steps: &[Step]) -> Option<Range<usize>> {
    let mut found = 0..row.len();
    for step in steps {
        let inner = one_step(row.get(found.clone())?, step).ok()??;
        found = found.start + inner.start..found.start + inner.end;
    }
    Some(found)
}

fn one_step(value: &[u8], step: &Step) -> Result<Option<Range<usize>>, Stop> {
    let mut scanner = Scanner::new(value, true);
    let mut found = None;
    match (scanner.next()?, step) {
        (Next::Object, Step::Key(key)) => scanner.object(|scanner, name| {
            let span = scanner.span()?;
            // Keys with escapes are rare, and compared by what they mean.
            if found.is_none() && (name.is(key) || name.raw.contains(&b'\\') && name.decode(LENGTH) == *key) {
                found = Some(span);
            }
            Ok(())
        })?,
        (Next::List, Step::Position(position)) => {
            let mut at = 0;
            scanner.list(|scanner| {
                let span = scanner.span()?;
                if at == *position {
                    found = Some(span);
                }
                at += 1;
                Ok(())
            })?;
        }
        _ => {}
    }
    Ok(found)
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let error = |what| PathError { path: path.chars().take(LENGTH).collect(), what };
        if path.len() > LENGTH {
            return Err(error("it is longer than 256 bytes"));
        }
        let mut rest = path.strip_prefix('$').ok_or_else(|| error("it does not begin with $"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = step(rest).map_err(error)?;
            steps.push(step);
            if steps.len() > STEPS {
                return Err(error("it has more than eight steps"));
            }
            rest = left;
        }
        Ok(Self(steps))
    }
}

/// The first step of `path`, and what is left of it.
fn step(path: &str) -> Result<(Step, &str), &'static str> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, left) = rest.split_at(end);
        return match name {
            "" => Err("two dots in a row, or one at the end: searching at any depth is not possible"),
            "*" => Err("* is not possible: it must lead to one value"),
            name if plain(name) => Ok((Step::Key(name.to_owned()), left)),
            _ => Err("a name with other characters than letters, digits, _ and - is written like ['a b']"),
        };
    }
    let rest = path.strip_prefix('[').ok_or("after $ or ] comes a dot or an opening bracket")?;
    for quote in ['\'', '"'] {
        if let Some(rest) = rest.strip_prefix(quote) {
            let (name, left) = rest.split_once(quote).ok_or("a quotation mark is not closed")?;
            let left = left.strip_prefix(']').ok_or("a quoted name is not followed by ]")?;
            if name.contains('\\') || name.chars().any(char::is_control) {
                return Err("backslashes and control characters in a name are not possible");
            }
            return Ok((Step::Key(name.to_owned()), left));
        }
    }
    let (position, left) = rest.split_once(']').ok_or("an opening bracket is not closed")?;
    match position.parse() {
        Ok(position) if position <= POSITIONS && !rest.starts_with('+') => Ok((Step::Position(position), left)),
        _ => Err("in brackets stands a position from 0 to 10000 or a quoted name; filters and slices are not possible"),
    }
}

fn plain(name: &str) -> bool {
    name.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                Step::Key(key) if plain(key) && !key.is_empty() => write!(f, ".{key}")?,
                Step::Key(key) if key.contains('\'') => write!(f, "[\"{key}\"]")?,
                Step::Key(key) => write!(f, "['{key}']")?,
                Step::Position(position) => write!(f, "[{position}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
