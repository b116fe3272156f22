//! What a class is called: one key for all ways to write a value, and names that are fit to be labels.

use super::{
    json::{Next, Scanner, Text},
    row::Unread,
};

/// Bytes of a class's name; a longer one is cut. Prometheus has no limit of its own, but every series pays for it.
pub const LONGEST_NAME: usize = 64;
/// Takes what is too much. Real classes with this name are counted with it.
pub const OTHER: &str = "__other__";
/// A label that is empty is the same as one that is absent.
const EMPTY: &str = "__empty__";
/// From here on whole numbers are no longer told apart by a double, and keep their digits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The key of a class, from the bytes of one JSON value. `1`, `1.0`, `1e0`, `"1"` and `"1.0"` are one class, and so are
/// `true`, `"true"` and `"True"`; `1` and `true` are two.
pub(super) fn key(value: &[u8]) -> Result<String, Unread> {
    let mut scanner = Scanner::new(value, true);
    match scanner.next().map_err(|_| Unread::Kind)? {
        Next::Text => Ok(text_key(&scanner.text().map_err(|_| Unread::Kind)?.decode(LONGEST_NAME))),
        Next::Bool => Ok(scanner.bool().map_err(|_| Unread::Kind)?.to_string()),
        Next::Number => {
            let number = scanner.number().map_err(|_| Unread::Kind)?;
            number_key(number, value.trim_ascii())
        }
        Next::Null => Err(Unread::Missing),
        Next::List | Next::Object => Err(Unread::Kind),
    }
}

/// The key of a text: that of the number or boolean it spells, if it does.
pub(super) fn text_key(text: &str) -> String {
    match text {
        "True" => return "true".into(),
        "False" => return "false".into(),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    // As in JSON, 007 is no number: codes with zeros in front stay apart.
    let spelled = match digits {
        [b'0', b'0'..=b'9', ..] => false,
        [b'0'..=b'9', .., b'0'..=b'9'] | [b'0'..=b'9'] => true,
        _ => false,
    };
    let number = text.parse::<f64>().ok().filter(|_| spelled);
    match number.and_then(|number| number_key(number, text.as_bytes()).ok()) {
        Some(key) => key,
        None => tidy(text),
    }
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
