//! What the value of one row looks like, and where in the row it stands, while nobody has said what predictions are.

use super::{
    answer::Rows,
    class, fields,
    json::{Next, Scanner, Stop},
    map::{self, Known, SUM, Sum},
    path::{Path, Step, walk},
    row,
    settings::{Kind, Reading},
};

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
    /// It is the only field of its row.
    pub only: bool,
}

impl<'a> Candidate<'a> {
    /// The first value of one of the rows that looks like a prediction.
    pub fn of(row: &'a [u8], rows: &Rows, reading: &Reading) -> Option<Self> {
        let known = Known { kind: reading.kind, one_row: rows.one_asked && !rows.listed };
        if let Some(path) = &reading.path {
            return Self::at(path.clone(), row.get(walk(row, rows.steps(path))?)?, known);
        }
        // What a server found within a row is no row; which row it was, or that it was the only one, is for the settings.
        if reading.kind.is_none() && is_of_finds(row) {
            return None;
        }
        let column = rows.column.as_deref();
        let whole = Self::at(column.map_or_else(Path::root, Path::key), row, known)?;
        let fits = !matches!(whole.look, Look::Ranking | Look::Indicators { .. }) || whole.tells(reading.kind);
        if whole.look != Look::Nothing && fits || column.is_some() {
            return Some(whole).filter(|whole| whole.look != Look::Nothing);
        }
        let only = fields::only(row).is_some();
        let inner = fields::of_row(row).into_iter().filter_map(|name| {
            let path = Path::key(&name);
            let value = row.get(walk(row, path.steps())?)?;
            Some(Self { only, ..Self::at(path, value, known)? })
        });
        let doubtful = |candidate: &Self| match candidate.path.steps() {
            [Step::Key(field)] if reading.kind.is_none() && matches!(candidate.look, Look::Number(_)) => {
                fields::is_doubtful(row, field)
            }
            _ => false,
        };
        let found = inner.into_iter().find(|candidate| candidate.tells(reading.kind) && !doubtful(candidate));
        found.or(Some(whole).filter(|whole| whole.look != Look::Nothing))
    }

    fn at(path: Path, value: &'a [u8], known: Known) -> Option<Self> {
        let (look, one_item) = look(value, known).ok()?;
        Some(Self { path, value, look, one_item, only: false })
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

/// Whether a row is a thing that was found within one, or a list of such.
fn is_of_finds(row: &[u8]) -> bool {
    let mut scanner = Scanner::new(row, true);
    let mut first = None;
    // A list that cannot be read has no first item either.
    if scanner.next() == Ok(Next::List) {
        let _ = scanner.list(|scanner| {
            let span = scanner.span()?;
            first = first.take().or(Some(span));
            Ok(())
        });
    }
    fields::is_find(first.and_then(|first| row.get(first)).unwrap_or(row))
}

/// Whether a list holds the probabilities of one row. Where the field is not `named` for them, it may be rows with one
/// number each, and no rounding is granted.
pub(super) fn is_probabilities(value: &[u8], named: bool) -> bool {
    value.starts_with(b"[") && matches!(list(value, (!named).then_some(SUM)), Ok(Look::Shares(_)))
}

/// The look of a value or, of a list of one item, of that item; and whether it was such a list.
fn look(value: &[u8], known: Known) -> Result<(Look, bool), Stop> {
    let mut scanner = Scanner::new(value, true);
    if scanner.next()? != Next::List {
        return Ok((alone(value, known)?, false));
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
        1 => {
            let item = value.get(first).unwrap_or_default();
            match alone(item, known)? {
                Look::Nothing if known.kind == Some(Kind::Labels) && fields::is_find(item) => {
                    Ok((Look::Ranking, false))
                }
                look => Ok((look, true)),
            }
        }
        _ => Ok((list(value, None)?, false)),
    }
}

fn alone(value: &[u8], known: Known) -> Result<Look, Stop> {
    let mut scanner = Scanner::new(value, true);
    Ok(match scanner.next()? {
        Next::Text => {
            let text = scanner.text()?;
            match class::fits(text) {
                true if row::classified(text).is_some() => Look::Ranking,
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
        Next::List => list(value, None)?,
        Next::Object => match map::flags(value)? {
            Some((set, of)) => Look::Indicators { set, of },
            None if map::shares(value, known)? || names_shares(value)? => Look::Ranking,
            None => Look::Nothing,
        },
    })
}

/// The look of a list, whose sum may differ by `tolerance` from 1, or by what rounding explains.
fn list(value: &[u8], tolerance: Option<f64>) -> Result<Look, Stop> {
    let (mut items, mut numbers, mut texts, mut flags, mut ranked) = (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
    let (mut sum, mut set, mut classified) = (Sum::default(), 0, 0_usize);
    Scanner::new(value, true).list(|scanner| {
        items += 1;
        match scanner.next()? {
            Next::Number => {
                let number = sum.take(scanner)?;
                numbers += 1;
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
                let text = scanner.text()?;
                texts += usize::from(class::fits(text));
                classified += usize::from(row::classified(text).is_some());
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
        _ if classified == items => Look::Ranking,
        _ if texts == items => Look::Texts,
        _ if ranked == items => Look::Ranking,
        _ if flags == items => Look::Indicators { set, of: items },
        _ if numbers < items => Look::Nothing,
        _ if sum.inside && sum.is_one(tolerance.unwrap_or_else(|| sum.rounding())) => Look::Shares(items),
        _ => Look::Numbers(items),
    })
}

/// Whether an object has probabilities in a list, and the names of their classes in another.
pub(super) fn names_shares(object: &[u8]) -> Result<bool, Stop> {
    let Some(pair) = row::paired(object)? else { return Ok(false) };
    Ok(is_probabilities(object.get(pair.chances).unwrap_or_default(), true))
}
