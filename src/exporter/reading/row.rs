//! One row of an answer: what its prediction is, once it is settled how to read it.

use super::{
    class,
    json::{Next, Scanner, Stop},
    settings::Kind,
};

/// A prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// Reads the value that the path led to.
pub fn read(kind: Kind, value: &[u8]) -> Result<Read<'_>, Unread> {
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
        Kind::Probabilities if next == Next::List => top(&mut scanner),
        Kind::Probabilities => Err(Unread::Kind),
    }
}

/// A number, or a text that spells one: decimals are often written that way.
fn number(scanner: &mut Scanner<'_>, next: Next) -> Result<f64, Unread> {
    match next {
        Next::Number => finite(scanner.number()?),
        Next::Text => {
            let text = scanner.text()?.decode(class::LONGEST_NAME);
            let spelled = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
            text.parse().ok().filter(|_| spelled).ok_or(Unread::Kind).and_then(finite)
        }
        _ => Err(Unread::Kind),
    }
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

fn top(scanner: &mut Scanner<'_>) -> Result<Read<'static>, Unread> {
    let mut of = 0;
    let mut best: Option<(usize, f64)> = None;
    let mut problem = None;
    scanner.list(|scanner| {
        let value = match scanner.next()? {
            Next::Number => scanner.number()?,
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
    match (best, problem) {
        (_, Some(problem)) => Err(problem),
        (Some((position, value)), None) => Ok(Read::Top { position, value, of }),
        (None, None) => Err(Unread::Missing),
    }
}
