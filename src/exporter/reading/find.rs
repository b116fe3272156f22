//! Finds how predictions are to be read when the settings do not say, from the first rows that come. Decided once.
//!
//! At the first row where one of these shows, for what the row is or for the field of [`FIELDS`] that an object has:
//!
//! * a short text, a boolean, a whole number written as one from 0 to 100 or -1 → class;
//! * two or more numbers from 0 to 1 whose sum is 1 ± 0.001 → probabilities;
//! * a number with a fraction outside 0 to 1, or a whole one that is larger → number;
//! * a list of one item → that item, at `[0]`.
//!
//! Other numbers (0.7, 1.0) can be several things. They are kept until there are [`ROWS`], and counted then: if all lie
//! within 0 and 1 and one has a fraction → probability; if none has a fraction → class; else → number. What is none
//! of these (longer texts, rows of numbers with another sum, objects without a known field) stays unread until the
//! settings say what it is.

use super::{
    answer::Rows,
    class, fields,
    json::{Next, Scanner, Stop},
    path::{Path, walk},
    settings::{Decided, Kind, Reading},
};

/// Rows looked at before numbers that can be several things are decided on.
pub(super) const ROWS: usize = 10;
/// By how much the sum of probabilities may differ from 1: single precision, rounded for people.
const SUM: f64 = 1e-3;
/// Whole numbers up to this one are taken for classes.
const LARGEST_CLASS: f64 = 100.0;

/// What one more row tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    /// Settled; the numbers were waiting, and this row is not among them.
    Decided(Decided, Vec<f64>),
    /// The row was kept; more are needed.
    Waiting,
    /// This row tells nothing.
    Nothing,
}

/// The rows seen so far that decided nothing.
#[derive(Debug, Default)]
pub(super) struct Finder {
    path: Option<Path>,
    waiting: Vec<f64>,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    Label,
    Whole(f64),
    Float(f64),
    Probabilities,
    Numbers(usize),
    OneItem,
    Nothing,
}

impl Finder {
    /// Looks at one of the rows.
    pub fn look(&mut self, row: &[u8], rows: &Rows, reading: &Reading) -> Finding {
        let Some((path, look)) = candidate(row, rows, reading) else { return Finding::Nothing };
        if let Some(kind) = reading.kind {
            return match fit(kind, path, look) {
                Some(path) => self.decide(kind, path),
                None => Finding::Nothing,
            };
        }
        match look {
            Look::Label => self.decide(Kind::Class, path),
            Look::Probabilities => self.decide(Kind::Probabilities, path),
            Look::Whole(value) if self.waiting.is_empty() => {
                self.decide(if class_like(value) { Kind::Class } else { Kind::Number }, path)
            }
            Look::Whole(value) | Look::Float(value) => self.number(value, path),
            Look::Numbers(_) | Look::OneItem | Look::Nothing => Finding::Nothing,
        }
    }

    fn number(&mut self, value: f64, path: Path) -> Finding {
        let outside = !(0.0..=1.0).contains(&value);
        if outside && (value.fract() != 0.0 || !class_like(value)) {
            return self.decide(Kind::Number, path);
        }
        if self.path.as_ref() != Some(&path) {
            self.waiting.clear();
            self.path = Some(path.clone());
        }
        let fraction = value.fract() != 0.0 || self.waiting.iter().any(|value| value.fract() != 0.0);
        let inside = !outside && self.waiting.iter().all(|value| (0.0..=1.0).contains(value));
        if fraction && !inside {
            return self.decide(Kind::Number, path);
        }
        if self.waiting.len() + 1 < ROWS {
            self.waiting.push(value);
            return Finding::Waiting;
        }
        self.decide(if fraction { Kind::Probability } else { Kind::Class }, path)
    }

    fn decide(&mut self, kind: Kind, path: Path) -> Finding {
        let same = self.path.as_ref() == Some(&path);
        let waiting = std::mem::take(&mut self.waiting);
        let counted = same && kind != Kind::Probabilities;
        Finding::Decided(Decided { kind, path }, if counted { waiting } else { Vec::new() })
    }
}

fn class_like(value: f64) -> bool {
    (-1.0..=LARGEST_CLASS).contains(&value)
}

/// The path that a value of this look is read at when the kind is given; none when it does not fit.
fn fit(kind: Kind, path: Path, look: Look) -> Option<Path> {
    match (kind, look) {
        (Kind::Class, Look::Label | Look::Whole(_) | Look::Float(_)) => Some(path),
        (Kind::Number | Kind::Probability, Look::Whole(_) | Look::Float(_)) => Some(path),
        (Kind::Probabilities, Look::Probabilities | Look::Numbers(_)) => Some(path),
        // Of two probabilities the second is the positive class's, as scikit-learn writes them.
        (Kind::Probability, Look::Probabilities | Look::Numbers(2)) => Some(path.then_position(1)),
        _ => None,
    }
}

fn candidate(row: &[u8], rows: &Rows, reading: &Reading) -> Option<(Path, Look)> {
    if let Some(path) = &reading.path {
        let value = row.get(walk(row, rows.steps(path))?)?;
        return Some((path.clone(), look(value).ok()?));
    }
    let column = rows.column.as_deref();
    let base = column.map_or_else(Path::root, Path::key);
    match look(row).ok()? {
        Look::Nothing => {
            let names = if column.is_none() { fields::of_row(row) } else { Vec::new() };
            let mut fields = names.iter().map(|name| Path::key(name));
            fields.find_map(|path| inner(row, path.clone(), path).filter(|(_, look)| useful(*look, reading.kind)))
        }
        Look::OneItem => {
            inner(row, Path::root().then_position(0), base.then_position(0)).filter(|(_, look)| *look != Look::OneItem)
        }
        look => Some((base, look)),
    }
}

/// The value at `way` within the row, or its only item.
fn inner(row: &[u8], way: Path, path: Path) -> Option<(Path, Look)> {
    let value = row.get(walk(row, way.steps())?)?;
    match look(value).ok()? {
        Look::OneItem => {
            let item = value.get(walk(value, Path::root().then_position(0).steps())?)?;
            Some((path.then_position(0), look(item).ok()?))
        }
        look => Some((path, look)),
    }
}

fn useful(look: Look, kind: Option<Kind>) -> bool {
    match kind {
        Some(kind) => fit(kind, Path::root(), look).is_some(),
        None => !matches!(look, Look::Nothing | Look::OneItem | Look::Numbers(_)),
    }
}

/// Whether a list holds the probabilities of one row.
pub(super) fn is_probabilities(value: &[u8]) -> bool {
    look(value) == Ok(Look::Probabilities)
}

fn look(value: &[u8]) -> Result<Look, Stop> {
    let mut scanner = Scanner::new(value, true);
    Ok(match scanner.next()? {
        Next::Text if class::fits(scanner.text()?) => Look::Label,
        Next::Bool => Look::Label,
        Next::Number => {
            let whole = value.iter().all(|byte| !matches!(byte, b'.' | b'e' | b'E'));
            match scanner.number()? {
                number if !number.is_finite() => Look::Nothing,
                number if whole => Look::Whole(number),
                number => Look::Float(number),
            }
        }
        Next::List => list(&mut scanner)?,
        Next::Text | Next::Null | Next::Object => Look::Nothing,
    })
}

fn list(scanner: &mut Scanner<'_>) -> Result<Look, Stop> {
    let (mut items, mut numbers, mut sum, mut inside) = (0_usize, 0_usize, 0.0, true);
    scanner.list(|scanner| {
        items += 1;
        if scanner.next()? != Next::Number {
            return scanner.skip();
        }
        let number = scanner.number()?;
        numbers += 1;
        sum += number;
        inside &= (0.0..=1.0).contains(&number);
        Ok(())
    })?;
    Ok(match items {
        0 => Look::Nothing,
        1 => Look::OneItem,
        _ if numbers < items => Look::Nothing,
        // A sum that is NaN is none.
        _ if inside && (sum - 1.0_f64).abs() <= SUM => Look::Probabilities,
        _ => Look::Numbers(items),
    })
}
