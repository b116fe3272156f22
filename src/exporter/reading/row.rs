//! One row of an answer: what its prediction is, once it is settled how to read it.

use std::{borrow::Cow, ops::Range};

use super::{
    class,
    json::{Next, Scanner, Stop, Text},
    settings::{Kind, MOST_CLASSES},
};

/// Fields of a class and of its probability, in lists of the likeliest classes.
const LABELS: [&str; 8] = ["label", "class", "className", "class_name", "name", "category", "entity_group", "entity"];
const SCORES: [&str; 4] = ["score", "probability", "prob", "confidence"];

/// Fields of the classes of a row, and of as many probabilities: `{"labels": ["b", "a"], "scores": [0.7, 0.3]}`.
pub(super) const NAMES: [&str; 3] = ["labels", "classes", "class_names"];
const CHANCES: [&str; 4] = ["scores", "probabilities", "probs", "proba"];

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
            Next::Text => {
                classified(scanner.text()?).map(|(name, value)| Read::Named { name, value }).ok_or(Unread::Kind)
            }
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

/// Whether a value is a number with a fraction.
pub(super) fn is_fraction(value: &[u8]) -> bool {
    let mut scanner = Scanner::new(value, true);
    let point = || value.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    scanner.next() == Ok(Next::Number) && point() && scanner.number().is_ok_and(|number| number.fract() != 0.0)
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
    let mut ranked: Option<(Cow<'_, [u8]>, f64)> = None;
    let mut problem = None;
    Scanner::new(row, true).list(|scanner| {
        let value = match scanner.next()? {
            Next::Number => scanner.number()?,
            Next::Bool => f64::from(u8::from(scanner.bool()?)),
            Next::Object => {
                let (label, score) = scored(scanner)?.ok_or(Stop::Malformed)?;
                if ranked.as_ref().is_none_or(|(_, top)| score > *top) {
                    ranked = Some((Cow::Borrowed(label), score));
                }
                return Ok(());
            }
            Next::Text => {
                let (label, score) = classified(scanner.text()?).ok_or(Stop::Malformed)?;
                if ranked.as_ref().is_none_or(|(_, top)| score > *top) {
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
        (None, Some((name, value)), None) => Ok(Read::Named { name, value }),
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

/// What a text of Triton's classification extension says, `score:index` or `score:index:label`: the class, as a JSON
/// value, and its score.
pub(super) fn classified(text: Text<'_>) -> Option<(Cow<'_, [u8]>, f64)> {
    let (score, class) = split(text.raw).filter(|(score, _)| score.contains(&b'.'))?;
    let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e');
    let score: f64 =
        std::str::from_utf8(score).ok().filter(|score| score.bytes().all(|byte| plain(&byte)))?.parse().ok()?;
    let (index, label) = split(class).map_or((class, None), |(index, label)| (index, Some(label)));
    let indexed = !index.is_empty() && index.iter().all(u8::is_ascii_digit);
    let name = match label {
        Some(label) => Cow::Owned([b"\"", label, b"\""].concat()),
        None => Cow::Borrowed(index),
    };
    indexed.then_some((name, score))
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b':')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Where in a row the names of its classes are, and their probabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub names: Range<usize>,
    pub chances: Range<usize>,
}

/// The names of a row's classes and their probabilities, which are lists of one length side by side.
pub(super) fn paired(row: &[u8]) -> Result<Option<Pair>, Stop> {
    let (mut names, mut chances) = (None, None);
    Scanner::new(row, true).object(|scanner, key| {
        let next = scanner.next()?;
        let place = match next {
            Next::List if NAMES.iter().any(|name| key.is(name)) => &mut names,
            Next::List if CHANCES.iter().any(|name| key.is(name)) => &mut chances,
            _ => return scanner.skip(),
        };
        let (mut items, mut alike) = (0_usize, true);
        let (start, what) =
            (scanner.at(), if NAMES.iter().any(|name| key.is(name)) { Next::Text } else { Next::Number });
        scanner.list(|scanner| {
            items += 1;
            alike &= scanner.next()? == what;
            scanner.skip()
        })?;
        // Two such lists, and nobody knows which is meant.
        *place = Some(if place.is_none() && alike { (start..scanner.at(), items) } else { (0..0, 0) });
        Ok(())
    })?;
    Ok(match (names, chances) {
        (Some((names, of)), Some((chances, numbers))) if of == numbers && of > 0 => Some(Pair { names, chances }),
        _ => None,
    })
}

/// The likeliest class of such a row.
fn likeliest_of_pair(row: &[u8], pair: Pair) -> Result<Read<'_>, Unread> {
    let Read::Top { position, value, .. } = top(row.get(pair.chances).unwrap_or_default())? else {
        return Err(Unread::Kind);
    };
    let (mut at, mut name) = (0, None);
    let names = row.get(pair.names).unwrap_or_default();
    Scanner::new(names, true).list(|scanner| {
        let span = scanner.span()?;
        if at == position {
            name = names.get(span);
        }
        at += 1;
        Ok(())
    })?;
    name.map(|name| Read::Named { name: Cow::Borrowed(name), value }).ok_or(Unread::Kind)
}

/// The likeliest class of an object of class → probability, or of classes beside their probabilities.
fn likeliest(row: &[u8]) -> Result<Read<'_>, Unread> {
    let mut best: Option<(Text<'_>, f64)> = None;
    let (mut problem, mut void) = (None, true);
    let numbers = Scanner::new(row, true).object(|scanner, key| {
        let value = match scanner.next()? {
            Next::Number => scanner.number()?,
            _ => return Err(Stop::Malformed),
        };
        void &= value == 0.0;
        match finite(value) {
            Ok(value) if best.is_none_or(|(_, top)| value > top) => best = Some((key, value)),
            Ok(_) => {}
            Err(unread) => problem = Some(unread),
        }
        Ok(())
    });
    if numbers.is_err() {
        return likeliest_of_pair(row, paired(row)?.ok_or(Unread::Kind)?);
    }
    match (best, problem) {
        (_, Some(problem)) => Err(problem),
        // Flags of which none is set.
        (Some(_), None) if void => Err(Unread::Kind),
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
