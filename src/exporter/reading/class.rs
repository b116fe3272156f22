//! What a class is called: which class a value means, and names that are fit to be labels.

use std::collections::HashMap;

use super::{
    json::{Next, Scanner, Text},
    row::Unread,
};

/// Bytes of a class's name; a longer one is cut. Prometheus has no limit of its own, but every series pays for it.
pub const LONGEST_NAME: usize = 64;
/// Takes what is too much. Real classes with this name are counted with it.
pub const OTHER: &str = "__other__";
/// A row of any number of classes that has none of them.
pub const NONE: &str = "__none__";
/// A label that is empty is the same as one that is absent.
const EMPTY: &str = "__empty__";
/// From here on whole numbers are no longer told apart by a double, and keep their digits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How a model said a class. A text stays as it is: `"1.10"` and `"1.1"` are two. A number has many ways to be written and
/// one key: `1`, `1.0` and `1e0` are `1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Text(String),
    Number(String),
}

impl Key {
    /// The key of the bytes of one JSON value. A boolean is the text that spells it.
    pub fn of(value: &[u8]) -> Result<Self, Unread> {
        let mut scanner = Scanner::new(value, true);
        match scanner.next().map_err(|_| Unread::Kind)? {
            Next::Text => Ok(Self::Text(tidy(&scanner.text().map_err(|_| Unread::Kind)?.decode(LONGEST_NAME)))),
            Next::Bool => Ok(Self::Text(scanner.bool().map_err(|_| Unread::Kind)?.to_string())),
            Next::Number => {
                let number = scanner.number().map_err(|_| Unread::Kind)?;
                number_key(number, value.trim_ascii()).map(Self::Number)
            }
            Next::Null => Err(Unread::Missing),
            Next::List | Next::Object => Err(Unread::Kind),
        }
    }

    /// What the class is called when nobody gave it a name.
    pub fn into_name(self) -> String {
        let (Self::Text(name) | Self::Number(name)) = self;
        name
    }
}

/// Values that stand for classes with names, and how they are found.
///
/// 1. A value that is written like this one, be it a text or a number: the text `"0"` and the number `0` mean the value 0.
/// 2. For a number, the one value that spells the same number: `0` means `"0.0"`, if no other value spells 0.
/// 3. For a text, the one that spells the same boolean; and the same number only where classes have no values but
///    positions, which are numbers. Else `"1.10"` would be `"1.1"`.
#[derive(Debug, Default)]
pub(super) struct Known {
    exact: HashMap<String, String>,
    /// By the number or boolean that is spelled; none where two classes spell the same.
    spelled: HashMap<String, Option<String>>,
    positional: bool,
}

impl Known {
    /// Adds pairs of value and name. What was added before goes first.
    pub fn add(&mut self, pairs: &[(String, String)]) {
        let mut spelled: HashMap<String, Option<String>> = HashMap::new();
        for (value, name) in pairs {
            self.exact.entry(value.clone()).or_insert_with(|| name.clone());
            if let Some(key) = spells(value) {
                let one = spelled.entry(key).or_insert_with(|| Some(name.clone()));
                if one.as_ref() != Some(name) {
                    *one = None;
                }
            }
        }
        for (key, name) in spelled {
            self.spelled.entry(key).or_insert(name);
        }
    }

    /// Says that the values are positions.
    pub fn by_position(&mut self) {
        self.positional = true;
    }

    pub fn name(&self, key: &Key) -> Option<&String> {
        let (Key::Text(text) | Key::Number(text)) = key;
        self.exact.get(text).or_else(|| {
            let spelled = match key {
                Key::Number(number) => number.clone(),
                Key::Text(text) => {
                    spells(text).filter(|spelled| self.positional || matches!(spelled.as_str(), "true" | "false"))?
                }
            };
            self.spelled.get(&spelled)?.as_ref()
        })
    }
}

/// The key of the number or boolean that a text spells.
pub(super) fn spells(text: &str) -> Option<String> {
    match text {
        "True" | "true" => return Some("true".into()),
        "False" | "false" => return Some("false".into()),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    // As in JSON, 007 is no number: codes with zeros in front stay apart.
    let spelled = match digits {
        [b'0', b'0'..=b'9', ..] => false,
        [b'0'..=b'9', .., b'0'..=b'9'] | [b'0'..=b'9'] => true,
        _ => false,
    };
    let number = text.parse::<f64>().ok().filter(|_| spelled)?;
    number_key(number, text.as_bytes()).ok()
}

fn number_key(number: f64, digits: &[u8]) -> Result<String, Unread> {
    if number.is_nan() {
        return Err(Unread::NotANumber);
    }
    if number.is_infinite() {
        return Err(Unread::Infinite);
    }
    // Adding zero takes the sign off -0.
    let number = number + 0.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Ok(format!("{number:.0}"));
    }
    let whole = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    Ok(if whole { tidy(&String::from_utf8_lossy(digits)) } else { tidy(&number.to_string()) })
}

/// Makes a name fit to be a label: not empty, not longer than [`LONGEST_NAME`], without control characters.
pub(super) fn tidy(name: &str) -> String {
    if name.is_empty() {
        return EMPTY.into();
    }
    let mut tidy = String::with_capacity(name.len().min(LONGEST_NAME));
    for character in name.chars() {
        let character = if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        if tidy.len() + character.len_utf8() > LONGEST_NAME {
            break;
        }
        tidy.push(character);
    }
    tidy
}

/// Whether a text may be a class as far as can be seen: short, and one line. Sentences are not counted as classes.
pub(super) fn fits(text: Text<'_>) -> bool {
    text.raw.len() <= LONGEST_NAME && !text.decode(LONGEST_NAME).chars().any(char::is_control)
}
