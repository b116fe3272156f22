//! One row of an answer: what its prediction is, once it is settled how to read it.

use std::borrow::Cow;

use super::{
    class,
    json::{Next, Scanner, Stop, Text},
    settings::{Kind, MOST_CLASSES},
};

/// Fields of a class and of its probability, in lists of the likeliest classes.
const LABELS: [&str; 6] = ["label", "class", "className", "class_name", "name", "category"];
const SCORES: [&str; 4] = ["score", "probability", "prob", "confidence"];

/// A prediction.
#[derive(Clone, Debug, PartialEq)]
pub enum Read<'a> {
    /// The bytes of the value that is the class.
    Class(&'a [u8]),
    Number(f64),
    /// From 0 to 1.
    Probability(f64),
    /// Position and value of the largest number of a row, the first of several, and how many numbers there are.
    Top {
        position: usize,
        value: f64,
        of: usize,
    },
    /// The likeliest of several classes that are named: the bytes of its name as a JSON value, and its probability.
    Named {
        name: Cow<'a, [u8]>,
        value: f64,
    },
    /// The classes that the row has, each once.
    Labels(Vec<Label<'a>>),
}

/// One of several classes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Label<'a> {
    /// By the bytes of a JSON value.
    Said(Cow<'a, [u8]>),
    /// By its position in the row.
    At { position: usize, of: usize },
}

/// Why a row has no prediction that can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The path leads nowhere, or to null.
    Missing,
    /// What is there is not of the kind.
    Kind,
    NotANumber,
    Infinite,
    /// A probability below 0 or above 1.
    Range,
}

impl Unread {
    pub const ALL: [Self; 5] = [Self::Missing, Self::Kind, Self::NotANumber, Self::Infinite, Self::Range];

    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Kind => "kind",
            Self::NotANumber => "nan",
            Self::Infinite => "infinite",
            Self::Range => "range",
        }
    }
}

impl From<Stop> for Unread {
    fn from(_: Stop) -> Self {
        Self::Kind
    }
}

/// Reads the value that the path led to. From `threshold` on a probability makes a label.
pub fn read(kind: Kind, value: &[u8], threshold: f64) -> Result<Read<'_>, Unread> {
    let mut scanner = Scanner::new(value, true);
    let next = scanner.next()?;
    if next == Next::Null {
        return Err(Unread::Missing);
    }
    match kind {
        Kind::Class => match next {
            Next::Text | Next::Bool => Ok(Read::Class(value)),
            Next::Number => finite(scanner.number()?).map(|_| Read::Class(value)),
            _ => Err(Unread::Kind),
        },
        Kind::Number => number(&mut scanner, next).map(Read::Number),
        Kind::Probability => number(&mut scanner, next).and_then(probability).map(Read::Probability),
        Kind::Probabilities => match next {
            Next::List => top(value),
            Next::Object => likeliest(value),
            _ => Err(Unread::Kind),
        },
        Kind::Labels => match next {
            Next::Text => Ok(Read::Labels(vec![Label::Said(Cow::Borrowed(value))])),
            Next::List => labels(value, threshold),
            Next::Object => named(value, threshold),
            _ => Err(Unread::Kind),
        },
    }
}

/// A number, or a text that spells one: decimals are often written that way.
fn number(scanner: &mut Scanner<'_>, next: Next) -> Result<f64, Unread> {
    match next {
        Next::Number => finite(scanner.number()?),
        Next::Text => {
            let text = scanner.text()?;
            spelled(text).ok_or(Unread::Kind).and_then(finite)
        }
        _ => Err(Unread::Kind),
    }
}

/// The number that a text spells.
pub(super) fn spelled(text: Text<'_>) -> Option<f64> {
    let text = text.decode(class::LONGEST_NAME);
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|_| plain)
}

fn finite(number: f64) -> Result<f64, Unread> {
    match number {
        number if number.is_nan() => Err(Unread::NotANumber),
        number if number.is_infinite() => Err(Unread::Infinite),
        number => Ok(number),
    }
}

/// Rounding in the model may leave a probability a hair outside.
fn probability(number: f64) -> Result<f64, Unread> {
    let hair = 1e-6;
    if (-hair..=1.0 + hair).contains(&number) { Ok(number.clamp(0.0, 1.0)) } else { Err(Unread::Range) }
}

fn top(row: &[u8]) -> Result<Read<'_>, Unread> {
    let mut of = 0;
    let mut best: Option<(usize, f64)> = None;
    let mut ranked: Option<(&[u8], f64)> = None;
    let mut problem = None;
    Scanner::new(row, true).list(|scanner| {
        let value = match scanner.next()? {
            Next::Number => scanner.number()?,
            Next::Bool => f64::from(u8::from(scanner.bool()?)),
            Next::Object => {
                let (label, score) = scored(scanner)?.ok_or(Stop::Malformed)?;
                if ranked.is_none_or(|(_, top)| score > top) {
                    ranked = Some((label, score));
                }
                return Ok(());
            }
            _ => return Err(Stop::Malformed),
        };
        match finite(value) {
            Ok(value) if best.is_none_or(|(_, top)| value > top) => best = Some((of, value)),
            Ok(_) => {}
            Err(unread) => problem = Some(unread),
        }
        of += 1;
        Ok(())
    })?;
    match (best, ranked, problem) {
        (_, _, Some(problem)) => Err(problem),
        (Some((position, value)), None, None) => Ok(Read::Top { position, value, of }),
        (None, Some((name, value)), None) => Ok(Read::Named { name: Cow::Borrowed(name), value }),
        (Some(_), Some(_), None) => Err(Unread::Kind),
        (None, None, None) => Err(Unread::Missing),
    }
}

/// The class and its probability, of an object that has both and a finite number.
pub(super) fn scored<'a>(scanner: &mut Scanner<'a>) -> Result<Option<(&'a [u8], f64)>, Stop> {
    let (mut label, mut score) = (None, None);
    scanner.object(|scanner, key| {
        let next = scanner.next()?;
        if LABELS.iter().any(|name| key.is(name)) && matches!(next, Next::Text | Next::Number | Next::Bool) {
            let span = scanner.span()?;
            label = label.or(Some(scanner.within(&span)));
            return Ok(());
        }
        if SCORES.iter().any(|name| key.is(name)) && next == Next::Number {
            score = Some(scanner.number()?);
            return Ok(());
        }
        scanner.skip()
    })?;
    Ok(label.zip(score.filter(|score| score.is_finite())))
}

/// The likeliest class of an object of class → probability.
fn likeliest(row: &[u8]) -> Result<Read<'_>, Unread> {
    let mut best: Option<(Text<'_>, f64)> = None;
    let mut problem = None;
    Scanner::new(row, true).object(|scanner, key| {
        let value = match scanner.next()? {
            Next::Number => scanner.number()?,
            _ => return Err(Stop::Malformed),
        };
        match finite(value) {
            Ok(value) if best.is_none_or(|(_, top)| value > top) => best = Some((key, value)),
            Ok(_) => {}
            Err(unread) => problem = Some(unread),
        }
        Ok(())
    })?;
    match (best, problem) {
        (_, Some(problem)) => Err(problem),
        (Some((key, value)), None) => Ok(Read::Named { name: quoted(key), value }),
        (None, None) => Err(Unread::Missing),
    }
}

fn quoted(key: Text<'_>) -> Cow<'static, [u8]> {
    Cow::Owned([b"\"", key.raw, b"\""].concat())
}

/// The labels of a list: its texts; the positions of what is set, or of probabilities from the threshold on; or else its
/// numbers, which are the classes' own.
fn labels(row: &[u8], threshold: f64) -> Result<Read<'_>, Unread> {
    let (mut items, mut inside) = (Vec::new(), true);
    let bytes = row;
    Scanner::new(row, true).list(|scanner| {
        let next = scanner.next()?;
        let mut look = scanner.clone();
        let weight = match next {
            Next::Number => Some(look.number()?),
            Next::Bool => Some(f64::from(u8::from(look.bool()?))),
            Next::Object => scored(&mut look)?.map(|(_, score)| score),
            Next::Text => None,
            _ => return Err(Stop::Malformed),
        };
        inside &= weight.is_none_or(|weight| (0.0..=1.0).contains(&weight));
        let span = scanner.span()?;
        items.push((next, bytes.get(span).unwrap_or_default(), weight));
        Ok(())
    })?;
    let of = items.len();
    let mut found: Vec<Label<'_>> = Vec::new();
    for (position, (next, value, weight)) in items.into_iter().enumerate() {
        let label = match (next, weight) {
            (Next::Number, Some(weight)) if !weight.is_finite() => return finite(weight).map(|_| Read::Labels(found)),
            (Next::Text, _) => Label::Said(Cow::Borrowed(value)),
            (Next::Number | Next::Bool, Some(weight)) if inside && weight >= threshold.max(f64::MIN_POSITIVE) => {
                Label::At { position, of }
            }
            (Next::Number, Some(weight)) if !inside && weight.fract() == 0.0 => Label::Said(Cow::Borrowed(value)),
            (Next::Number, Some(_)) if !inside => return Err(Unread::Kind),
            (Next::Object, Some(score)) if score >= threshold => match scored(&mut Scanner::new(value, true))? {
                Some((label, _)) => Label::Said(Cow::Borrowed(label)),
                None => return Err(Unread::Kind),
            },
            (Next::Object, None) => return Err(Unread::Kind),
            _ => continue,
        };
        if found.len() < MOST_CLASSES && !found.contains(&label) {
            found.push(label);
        }
    }
    Ok(Read::Labels(found))
}

/// The labels of an object of class → probability, or of class → whether the row has it.
fn named(row: &[u8], threshold: f64) -> Result<Read<'_>, Unread> {
    let mut found = Vec::new();
    Scanner::new(row, true).object(|scanner, key| {
        let weight = match scanner.next()? {
            Next::Number => scanner.number()?,
            Next::Bool => f64::from(u8::from(scanner.bool()?)),
            _ => return Err(Stop::Malformed),
        };
        if weight >= threshold.max(f64::MIN_POSITIVE) && found.len() < MOST_CLASSES {
            found.push(Label::Said(quoted(key)));
        }
        Ok(())
    })?;
    Ok(Read::Labels(found))
}
