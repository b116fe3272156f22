//! Objects that say how likely each class is, and what the sum of their numbers tells.

use super::{
    fields::{self, Tells},
    json::{Next, Scanner, Stop, Text},
    settings::Kind,
};

/// By how much the sum of probabilities may differ from 1: single precision, rounded for people.
pub(super) const SUM: f64 = 1e-3;
/// By how much more, where numbers are written with two digits or so.
const MOST_ROUNDING: f64 = 0.1;

/// What is known of an object before it is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// The kind of the predictions, if it is said or settled.
    pub kind: Option<Kind>,
    /// One row was asked for, so that its keys are no numbers of rows.
    pub one_row: bool,
}

impl Known {
    /// Whether a row has a number for each class.
    fn is_of_classes(self) -> bool {
        matches!(self.kind, Some(Kind::Probabilities | Kind::Labels))
    }
}

/// Whether an object says how likely each class is: two or more numbers from 0 to 1 whose sum is 1; or the three or more
/// likeliest ones, which are listed in order. No key is the name of a field that holds something else.
pub(super) fn shares(object: &[u8], known: Known) -> Result<bool, Stop> {
    let (mut sum, mut keys) = (Sum::default(), Keys::default());
    let (mut numbers, mut falling, mut rising, mut last) = (true, true, true, None);
    Scanner::new(object, true).object(|scanner, key| {
        if scanner.next()? != Next::Number {
            numbers = false;
            return scanner.skip();
        }
        let number = sum.take(scanner)?;
        falling &= last.is_none_or(|last| number <= last);
        rising &= last.is_none_or(|last| number >= last);
        last = Some(number);
        keys.take(key, number);
        Ok(())
    })?;
    if !numbers || !sum.inside || sum.of < 2 {
        return Ok(false);
    }
    let (one, part) = (sum.is_one(sum.rounding()), sum.is_part());
    let likely = one || part && known.kind == Some(Kind::Probabilities) && keys.may_be_classes();
    if known.is_of_classes() && !keys.hold_a_class() && likely {
        return Ok(true);
    }
    // Quantiles are in order, and chance makes 1 of their sum now and then.
    if !keys.may_be_classes() || keys.quantiles > 0 && (keys.quantiles < sum.of || falling || rising) {
        return Ok(false);
    }
    if sum.is_one(SUM) {
        // Zeros and ones may as well be rows by their number, or a flag beside something else.
        return Ok(!sum.whole || !(keys.doubtful() || keys.numbered && !known.one_row));
    }
    Ok(!keys.doubtful() && (one || sum.of >= 3 && falling && keys.ends == 0 && part))
}

/// How many classes of an object are set, and how many there are, where it has nothing but zeros and ones: flags of which
/// one is set add up to 1 as probabilities do.
pub(super) fn flags(object: &[u8]) -> Result<Option<(usize, usize)>, Stop> {
    let (mut keys, mut set, mut flags) = (Keys::default(), 0, true);
    Scanner::new(object, true).object(|scanner, key| {
        if scanner.next()? != Next::Number {
            flags = false;
            return scanner.skip();
        }
        let number = scanner.number()?;
        flags &= number == 0.0 || number == 1.0;
        set += usize::from(number == 1.0);
        keys.take(key, number);
        Ok(())
    })?;
    let classes = keys.of >= 2 && !keys.numbered && keys.may_be_classes() && !keys.doubtful();
    Ok((flags && classes).then_some((set, keys.of)))
}

/// What the keys of an object say of it.
#[derive(Debug)]
struct Keys {
    of: usize,
    /// All are their own positions.
    numbered: bool,
    field: bool,
    beside: bool,
    quantiles: usize,
    /// How many end like the name of a field, how the first of them does, and whether all of them do so.
    ends: usize,
    end: Option<usize>,
    alike: bool,
    /// A field, or what ends like one, has a number without a fraction, as a class may be.
    whole: bool,
    /// An end is of no class's field.
    of_a_number: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            of: 0,
            numbered: true,
            field: false,
            beside: false,
            quantiles: 0,
            ends: 0,
            end: None,
            alike: true,
            whole: false,
            of_a_number: false,
        }
    }
}

impl Keys {
    fn take(&mut self, key: Text<'_>, number: f64) {
        self.numbered &= fields::is_position(key, self.of);
        self.of += 1;
        let whole = number.fract() == 0.0;
        match fields::tells(key) {
            Tells::Class => {}
            Tells::Beside => self.beside = true,
            Tells::Quantile => self.quantiles += 1,
            Tells::Field => {
                self.field = true;
                self.whole |= whole;
            }
            Tells::End { place, of_a_class } => {
                self.alike &= *self.end.get_or_insert(place) == place;
                self.ends += 1;
                self.whole |= whole;
                self.of_a_number |= !of_a_class;
            }
        }
    }

    /// Some end like the names of fields, and not all of them, or not alike.
    fn mixed(&self) -> bool {
        self.ends > 0 && !(self.alike && self.ends == self.of)
    }

    /// Whether one is a field, as it seems, that holds a class or a flag.
    fn hold_a_class(&self) -> bool {
        self.whole && (self.field || self.mixed())
    }

    /// Whether none is a field that holds something else than a probability.
    fn may_be_classes(&self) -> bool {
        !self.field && !(self.mixed() && (self.whole || self.of_a_number))
    }

    /// Whether only an exact sum tells that they are classes.
    fn doubtful(&self) -> bool {
        self.beside || self.quantiles > 0 || self.mixed()
    }
}

/// Whether an object is read as one row, since answers are known to have a number for each class: it has nothing else. Words
/// that stand beside predictions are classes only if they are as likely as one.
pub(super) fn is_map(object: &[u8], kind: Option<Kind>) -> bool {
    let known = Known { kind, one_row: false };
    let (mut members, mut fits) = (0_usize, known.is_of_classes());
    let read = Scanner::new(object, true).object(|scanner, key| {
        members += 1;
        let beside = fields::tells(key) == Tells::Beside;
        match scanner.next()? {
            Next::Number => {
                let number = scanner.number()?;
                fits &= !beside || (0.0..=1.0).contains(&number);
                Ok(())
            }
            next => {
                fits &= next == Next::Bool && kind == Some(Kind::Labels) && !beside;
                scanner.skip()
            }
        }
    });
    read.is_ok() && fits && members > 0
}

/// The sum of a row's numbers, and how exactly they are written.
#[derive(Debug)]
pub(super) struct Sum {
    pub of: usize,
    sum: f64,
    /// All are from 0 to 1.
    pub inside: bool,
    /// None has a fraction.
    pub whole: bool,
    /// The most digits behind a point.
    digits: usize,
}

impl Default for Sum {
    fn default() -> Self {
        Self { of: 0, sum: 0.0, inside: true, whole: true, digits: 0 }
    }
}

impl Sum {
    pub fn take(&mut self, scanner: &mut Scanner<'_>) -> Result<f64, Stop> {
        let start = scanner.at();
        let number = scanner.number()?;
        let end = scanner.at();
        let written = scanner.within(&(start..end)).trim_ascii_end();
        self.of += 1;
        self.sum += number;
        self.inside &= (0.0..=1.0).contains(&number);
        self.whole &= number.fract() == 0.0;
        let digits = |at: usize| match written.contains(&b'e') || written.contains(&b'E') {
            true => usize::MAX,
            false => written.len() - at - 1,
        };
        self.digits = self.digits.max(written.iter().position(|byte| *byte == b'.').map_or(0, digits));
        Ok(number)
    }

    /// A sum that is NaN is none.
    pub fn is_one(&self, tolerance: f64) -> bool {
        (self.sum - 1.0).abs() <= tolerance
    }

    pub fn is_part(&self) -> bool {
        self.sum > 0.0 && self.sum < 1.0
    }

    /// By how much the sum may differ from 1 if each number was rounded to so many digits, which is less than half of the
    /// last one. A single digit tells nothing, and neither do so many numbers that any sum would do.
    pub fn rounding(&self) -> f64 {
        let digits = i32::try_from(self.digits).unwrap_or(i32::MAX);
        let steps = (self.of.saturating_sub(1) / 2) as f64;
        let rounding = if digits < 2 { 0.0 } else { steps * 10_f64.powi(-digits) };
        rounding.min(MOST_ROUNDING) + SUM
    }
}
