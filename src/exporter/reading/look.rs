//! What the value of one row looks like, and where in the row it stands, while nobody has said what predictions are.

use super::{
    answer::Rows,
    class, fields,
    json::{Next, Scanner, Stop},
    path::{Path, walk},
    row,
    settings::{Kind, Reading},
};

/// By how much the sum of probabilities may differ from 1: single precision, rounded for people.
const SUM: f64 = 1e-3;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Look {
    /// A short text without a digit.
    Label,
    /// A short text with a digit: a code, an identifier, a figure with its unit.
    Coded,
    /// A text that spells a number with a fraction.
    Spelled,
    /// A text that is too long for a class, or of several lines.
    Prose,
    Bool,
    Number(f64),
    /// Two or more numbers from 0 to 1 whose sum is 1, of which some have a fraction.
    Shares(usize),
    /// Two or more of 0, 1, false, true, and how many are set.
    Indicators {
        set: usize,
        of: usize,
    },
    /// Two or more other numbers.
    Numbers(usize),
    /// Two or more short texts.
    Texts,
    NoItem,
    /// An object of class → probability, or a list of labels with their scores.
    Ranking,
    /// Null, or a number that is none.
    Void,
    Nothing,
}

/// A value that may be a row's prediction.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    /// Where it stands.
    pub path: Path,
    pub value: &'a [u8],
    /// The look of the value or, of a list of one item, of that item.
    pub look: Look,
    pub one_item: bool,
}

impl<'a> Candidate<'a> {
    /// The first value of one of the rows that looks like a prediction.
    pub fn of(row: &'a [u8], rows: &Rows, reading: &Reading) -> Option<Self> {
        if let Some(path) = &reading.path {
            return Self::at(path.clone(), row.get(walk(row, rows.steps(path))?)?);
        }
        let column = rows.column.as_deref();
        let whole = Self::at(column.map_or_else(Path::root, Path::key), row)?;
        if whole.look != Look::Nothing || column.is_some() {
            return Some(whole).filter(|whole| whole.look != Look::Nothing);
        }
        let inner = fields::of_row(row).into_iter().filter_map(|name| {
            let path = Path::key(&name);
            let value = row.get(walk(row, path.steps())?)?;
            Self::at(path, value)
        });
        inner.into_iter().find(|candidate| candidate.tells(reading.kind))
    }

    fn at(path: Path, value: &'a [u8]) -> Option<Self> {
        let (look, one_item) = look(value).ok()?;
        Some(Self { path, value, look, one_item })
    }

    fn tells(&self, kind: Option<Kind>) -> bool {
        use Look::{
            Bool, Coded, Indicators, Label, NoItem, Nothing, Number, Numbers, Prose, Ranking, Shares, Spelled, Texts,
            Void,
        };
        match (kind, self.look) {
            (_, Nothing | Void | NoItem) => false,
            (Some(Kind::Class), look) => matches!(look, Label | Coded | Spelled | Prose | Bool | Number(_)),
            (Some(Kind::Number), look) => matches!(look, Number(_) | Spelled),
            (Some(Kind::Probability), look) => matches!(look, Number(_) | Spelled | Shares(2) | Numbers(2)),
            (Some(Kind::Probabilities), look) => {
                matches!(look, Shares(_) | Numbers(_) | Indicators { .. } | Ranking)
            }
            (Some(Kind::Labels), look) => {
                let list = matches!(look, Texts | Indicators { .. } | Numbers(_) | Shares(_) | Ranking);
                list || self.one_item || matches!(look, Label | Coded)
            }
            (None, look) => !matches!(look, Numbers(_) | Prose),
        }
    }
}

/// Whether a list holds the probabilities of one row.
pub(super) fn is_probabilities(value: &[u8]) -> bool {
    matches!(look(value), Ok((Look::Shares(_), false)))
}

/// The look of a value or, of a list of one item, of that item; and whether it was such a list.
fn look(value: &[u8]) -> Result<(Look, bool), Stop> {
    let mut scanner = Scanner::new(value, true);
    if scanner.next()? != Next::List {
        return Ok((alone(value)?, false));
    }
    let (mut items, mut first) = (0_usize, 0..0);
    scanner.list(|scanner| {
        let span = scanner.span()?;
        if items == 0 {
            first = span;
        }
        items += 1;
        Ok(())
    })?;
    match items {
        0 => Ok((Look::NoItem, false)),
        1 => Ok((alone(value.get(first).unwrap_or_default())?, true)),
        _ => Ok((list(value)?, false)),
    }
}

fn alone(value: &[u8]) -> Result<Look, Stop> {
    let mut scanner = Scanner::new(value, true);
    Ok(match scanner.next()? {
        Next::Text => {
            let text = scanner.text()?;
            match class::fits(text) {
                false => Look::Prose,
                true if !text.raw.iter().any(u8::is_ascii_digit) => Look::Label,
                // Whole numbers in texts are codes of classes, decimals are written so to keep their digits.
                true if text.raw.contains(&b'.') && row::spelled(text).is_some() => Look::Spelled,
                true if row::spelled(text).is_some() => Look::Label,
                true => Look::Coded,
            }
        }
        Next::Bool => Look::Bool,
        Next::Number => match scanner.number()? {
            number if number.is_finite() => Look::Number(number),
            _ => Look::Void,
        },
        Next::Null => Look::Void,
        Next::List => list(value)?,
        Next::Object if shares(value)? => Look::Ranking,
        Next::Object => Look::Nothing,
    })
}

fn list(value: &[u8]) -> Result<Look, Stop> {
    let (mut items, mut numbers, mut texts, mut flags, mut ranked) = (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
    let (mut sum, mut set, mut inside) = (0.0, 0, true);
    Scanner::new(value, true).list(|scanner| {
        items += 1;
        match scanner.next()? {
            Next::Number => {
                let number = scanner.number()?;
                numbers += 1;
                sum += number;
                inside &= (0.0..=1.0).contains(&number);
                flags += usize::from(number == 0.0 || number == 1.0);
                set += usize::from(number == 1.0);
                Ok(())
            }
            Next::Bool => {
                flags += 1;
                set += usize::from(scanner.bool()?);
                Ok(())
            }
            Next::Text => {
                texts += usize::from(class::fits(scanner.text()?));
                Ok(())
            }
            Next::Object => {
                ranked += usize::from(row::scored(scanner)?.is_some());
                Ok(())
            }
            _ => scanner.skip(),
        }
    })?;
    Ok(match items {
        0 | 1 => Look::NoItem,
        _ if texts == items => Look::Texts,
        _ if ranked == items => Look::Ranking,
        _ if flags == items => Look::Indicators { set, of: items },
        _ if numbers < items => Look::Nothing,
        // A sum that is NaN is none.
        _ if inside && (sum - 1.0_f64).abs() <= SUM => Look::Shares(items),
        _ => Look::Numbers(items),
    })
}

/// Whether an object says how likely each class is: two or more numbers from 0 to 1 whose sum is 1; or the three or more
/// likeliest ones, which are listed in order.
pub(super) fn shares(object: &[u8]) -> Result<bool, Stop> {
    let (mut members, mut sum, mut inside, mut falling, mut last) = (0_usize, 0.0, true, true, f64::INFINITY);
    Scanner::new(object, true).object(|scanner, _| {
        members += 1;
        if scanner.next()? != Next::Number {
            inside = false;
            return scanner.skip();
        }
        let number = scanner.number()?;
        sum += number;
        inside &= (0.0..=1.0).contains(&number);
        falling &= number <= last;
        last = number;
        Ok(())
    })?;
    let whole = members >= 2 && (sum - 1.0).abs() <= SUM;
    Ok(inside && (whole || members >= 3 && falling && sum > 0.0 && sum < 1.0))
}
