//! What the values at one place of the answers to one request path have shown so far, and what follows from it.
//!
//! Values are held, not counted, until it is likely enough what they are; and held on, counted, until it is settled, so that
//! a decision that turns out wrong is taken back and all of them are counted as what they are.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
    time::Duration,
};

use super::{
    fields,
    json::Scanner,
    look::{Candidate, Look},
    path::{Path, Step},
    settings::{Decided, Kind, Reading},
};

/// Bytes of values held, and different ones. Whoever needs more has had hundreds of rows, or rows that tell at once.
const MOST_BYTES: usize = 16 * 1024;
const MOST_DIFFERENT: usize = 512;
/// Whole numbers up to this one may be classes.
const LARGEST_CLASS: f64 = 100.0;
/// Rows after which numbers from 0 to 1, and rows of 0 and 1, are believed. Of a calibrated model's probabilities some
/// leave the appearance of 0 and 1 long before.
const SOME: u64 = 10;
/// Rows after which whole numbers that repeat are believed to be classes: trees answer whole numbers for long.
const MANY: u64 = 30;
/// Rows after which texts are no classes if hardly any came twice.
const FREE: u64 = 50;
/// Rows after which whole numbers are what they seem.
const ENOUGH: u64 = 100;
/// A model that is hardly asked shows something after these, from fewer rows.
const PATIENCE: Duration = Duration::from_secs(3600);
const LONG_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What follows from the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub kind: Kind,
    /// The item of the value that is meant, when it is not the value itself.
    pub item: Option<usize>,
    /// No later row is expected to change it.
    pub settled: bool,
}

/// How often each look was seen.
#[derive(Debug, Default)]
struct Seen {
    rows: u64,
    one_items: u64,
    labels: u64,
    coded: u64,
    prose: u64,
    spelled: u64,
    bools: u64,
    whole: u64,
    /// Whole numbers that are too large for a class.
    large: u64,
    /// Fractions within 0 and 1, fractions beyond, and whole numbers other than 0 and 1.
    inside: u64,
    outside: u64,
    beyond: u64,
    shares: u64,
    one_hot: u64,
    many_hot: u64,
    pairs: u64,
    lists: u64,
    texts: u64,
    empty: u64,
    rankings: u64,
}

/// The evidence of one place.
#[derive(Debug)]
pub(super) struct Evidence {
    pub path: Path,
    /// It was the only field of the first row.
    only: bool,
    seen: Seen,
    /// By value: how many others came before it, and how often it came.
    held: HashMap<Box<[u8]>, (usize, u64)>,
    bytes: usize,
    full: bool,
    labels: Labels,
}

/// The labels in the lists that are held, counted once, when they come: all answers ask for them.
#[derive(Debug, Default)]
struct Labels {
    said: u64,
    /// The hashes of the different ones. No more than there are bytes held.
    different: HashSet<u64>,
}

impl Evidence {
    pub fn new(first: &Candidate<'_>) -> Self {
        let (path, only) = (first.path.clone(), first.only);
        Self {
            path,
            only,
            seen: Seen::default(),
            held: HashMap::new(),
            bytes: 0,
            full: false,
            labels: Labels::default(),
        }
    }

    /// Whether the value is of this place.
    pub fn is_of(&self, candidate: &Candidate<'_>) -> bool {
        let alone = self.only && candidate.only;
        self.path == candidate.path || alone && fields::same_column(&self.path, &candidate.path)
    }

    /// Takes one more value. Whether it is held.
    pub fn add(&mut self, candidate: &Candidate<'_>) -> bool {
        self.seen.add(candidate.look, candidate.one_item);
        if let Some((_, count)) = self.held.get_mut(candidate.value) {
            *count += 1;
        } else if self.bytes + candidate.value.len() > MOST_BYTES || self.held.len() >= MOST_DIFFERENT {
            self.full = true;
            return false;
        } else {
            self.bytes += candidate.value.len();
            self.held.insert(candidate.value.into(), (self.held.len(), 1));
        }
        if candidate.one_item || candidate.look == Look::Texts {
            self.labels.add(candidate.value, self.held.hasher());
        }
        true
    }

    /// The values held, in the order in which they first came, with how often each came.
    pub fn held(&self) -> Vec<(Box<[u8]>, u64)> {
        let mut held: Vec<_> = self.held.iter().collect();
        held.sort_unstable_by_key(|(_, (order, _))| *order);
        held.into_iter().map(|(value, (_, count))| (value.clone(), *count)).collect()
    }

    /// Whether more rows may still tell what the ones so far did not.
    pub fn waits(&self) -> bool {
        let rows = self.seen.rows;
        rows == 0 || rows < 2 * ENOUGH && rows > self.seen.lists + self.seen.prose
    }

    /// Rows that held a value of whatever look.
    pub fn rows(&self) -> u64 {
        self.seen.rows
    }

    /// A constant answer may be a mere receipt.
    pub fn varies(&self) -> bool {
        self.held.len() > 1
    }

    /// The rows that fit `kind`.
    pub fn fitting(&self, kind: Kind) -> u64 {
        let seen = &self.seen;
        let numbers = seen.numbers();
        match kind {
            Kind::Class => seen.labels + seen.coded + seen.prose + seen.spelled + seen.bools + numbers,
            Kind::Number | Kind::Probability => numbers + seen.spelled,
            Kind::Probabilities => seen.shares + seen.one_hot + seen.many_hot + seen.lists + seen.rankings,
            Kind::Labels => {
                let lists = seen.texts + seen.empty + seen.one_hot + seen.many_hot + seen.lists + seen.shares;
                lists + seen.rankings + seen.labels + seen.coded + seen.one_items
            }
        }
    }

    /// What these values are, when the first came `age` ago.
    pub fn verdict(&self, reading: &Reading, age: Duration) -> Option<Verdict> {
        let seen = &self.seen;
        if seen.rows == 0 {
            return None;
        }
        let first = (seen.mostly(seen.one_items) && seen.texts == 0).then_some(0);
        if let Some(kind) = reading.kind {
            return self.of_kind(kind, first);
        }
        // A tree is sure of some rows, and says so by a 1 among zeros.
        let ranked = if seen.rankings > 0 && seen.many_hot == 0 { seen.rankings + seen.one_hot } else { seen.rankings };
        let (kind, settled, item) = if seen.mostly(ranked) {
            (Kind::Probabilities, seen.rows >= 5, first)
        } else if seen.texts > 0 {
            let texts = seen.texts + seen.empty + seen.one_items;
            let settled = seen.mostly(texts).then(|| self.of_labels()).flatten()?;
            (Kind::Labels, settled, None)
        } else if seen.mostly(seen.shares + seen.one_hot + seen.many_hot + seen.lists) {
            let (kind, settled) = self.of_lists()?;
            (kind, settled, first)
        } else if seen.mostly(seen.labels + seen.coded + seen.spelled + seen.bools) || seen.numbered_classes() {
            let (kind, settled) = self.of_texts(reading)?;
            (kind, settled, first)
        } else if seen.mostly(seen.numbers()) {
            let (kind, settled) = self.of_numbers(reading, age)?;
            (kind, settled, first)
        } else {
            return None;
        };
        // What is not held could not be taken back.
        Some(Verdict { kind, item, settled: settled || self.full })
    }

    fn of_kind(&self, kind: Kind, first: Option<usize>) -> Option<Verdict> {
        let settled = self.seen.rows >= SOME || self.full;
        if kind == Kind::Probability && self.seen.mostly(self.seen.pairs) {
            // Of two probabilities the second is the positive class's, as scikit-learn writes them.
            return Some(Verdict { kind, item: Some(1), settled });
        }
        let item = first.filter(|_| kind != Kind::Labels);
        self.seen.mostly(self.fitting(kind)).then_some(Verdict { kind, item, settled })
    }

    /// Whether `kind`, which an earlier pod has found, is nothing that these values contradict.
    pub fn allows(&self, found: &Decided) -> bool {
        let seen = &self.seen;
        let path = found.path == self.path || (seen.one_items > 0 && found.path == self.path.clone().then_position(0));
        path && seen.mostly(self.fitting(found.kind))
            && match found.kind {
                Kind::Class => seen.inside + seen.outside == 0,
                Kind::Probability => seen.outside + seen.beyond + seen.large == 0,
                Kind::Probabilities => seen.many_hot + seen.lists == 0,
                Kind::Number | Kind::Labels => true,
            }
    }

    fn different(&self) -> u64 {
        self.held.len() as u64
    }

    fn of_texts(&self, reading: &Reading) -> Option<(Kind, bool)> {
        let (seen, rows, different) = (&self.seen, self.seen.rows, self.different());
        if seen.mostly(seen.bools) {
            return Some((Kind::Class, rows >= SOME));
        }
        let repeats = different * 2 <= rows && different <= reading.max_classes as u64;
        if seen.mostly(seen.labels) || seen.numbered_classes() && seen.coded == 0 {
            // Texts of which hardly any comes twice are names, or sentences, and no classes.
            let free = rows >= FREE && different * 10 >= rows * 9;
            return (!free).then_some((Kind::Class, rows >= SOME && repeats || rows >= 2 * ENOUGH));
        }
        if seen.spelled == rows && rows >= SOME && !repeats {
            return Some((Kind::Number, rows >= MANY));
        }
        (repeats && rows >= 5).then_some((Kind::Class, rows >= MANY))
    }

    fn of_numbers(&self, reading: &Reading, age: Duration) -> Option<(Kind, bool)> {
        let (seen, rows, different) = (&self.seen, self.seen.rows, self.different());
        if seen.inside + seen.outside > 0 {
            if seen.outside + seen.beyond > 0 {
                return Some((Kind::Number, rows >= SOME));
            }
            let enough = rows >= SOME || age >= PATIENCE && rows >= 3;
            return enough.then_some((Kind::Probability, rows >= MANY));
        }
        if reading.names_classes() {
            return Some((Kind::Class, rows >= MANY));
        }
        if self.is_chance() && seen.beyond + seen.large == 0 {
            return (rows >= SOME).then_some((Kind::Probability, rows >= MANY));
        }
        if seen.large > 0 {
            return Some((Kind::Number, rows >= SOME));
        }
        let repeats = different * 2 <= rows;
        let guess = if repeats { Kind::Class } else { Kind::Number };
        let repeats_often = rows >= MANY && different * 4 <= rows;
        let hardly_repeats = rows >= 2 * SOME && !repeats;
        let waited = age >= PATIENCE && repeats || age >= LONG_PATIENCE && rows >= 2;
        let likely = repeats_often || hardly_repeats || rows >= ENOUGH || waited || self.full;
        // So many different ones in so few rows are no classes, even if a tree repeats its leaves later.
        likely.then_some((guess, rows >= ENOUGH || hardly_repeats))
    }

    /// Whether the field's name tells that zeros and ones are a full tree's probabilities. A lone score may be the class.
    fn is_chance(&self) -> bool {
        let Some(Step::Key(key)) = self.path.steps().last() else { return false };
        ["probability", "proba", "prob"].iter().any(|end| key.ends_with(end)) || key.ends_with("score") && !self.only
    }

    /// Whether labels are settled; none if hardly any comes twice, so that they are names, or sentences.
    fn of_labels(&self) -> Option<bool> {
        let (rows, said, different) = (self.seen.rows, self.labels.said, self.labels.different.len() as u64);
        // Long ones leave no room for as many rows. A single row has each of its labels once.
        let enough = rows >= FREE || self.full && self.held.len() > 1;
        if enough && different * 10 >= said * 9 {
            return None;
        }
        Some(rows >= SOME && different * 2 <= said || rows >= 2 * ENOUGH)
    }

    fn of_lists(&self) -> Option<(Kind, bool)> {
        let (seen, rows) = (&self.seen, self.seen.rows);
        // Numbers that do not add up are several outputs, and which one is meant is for the settings to say.
        if seen.lists > 0 || (seen.many_hot > 0 && seen.shares > 0) {
            return None;
        }
        if seen.shares > 0 {
            return Some((Kind::Probabilities, rows >= SOME));
        }
        if seen.many_hot > 0 {
            return (rows >= 2).then_some((Kind::Labels, rows >= MANY));
        }
        (rows >= SOME).then_some((Kind::Probabilities, rows >= MANY))
    }
}

impl Labels {
    fn add(&mut self, list: &[u8], hasher: &impl BuildHasher) {
        // A value that is held was read before.
        let _ = Scanner::new(list, true).list(|scanner| {
            let span = scanner.span()?;
            self.said += 1;
            self.different.insert(hasher.hash_one(scanner.within(&span)));
            Ok(())
        });
    }
}

impl Seen {
    fn numbers(&self) -> u64 {
        self.whole + self.large + self.inside + self.outside
    }

    /// Texts or booleans with whole numbers among them.
    fn numbered_classes(&self) -> bool {
        let texts = self.labels + self.coded + self.bools;
        texts > 0 && self.inside + self.outside == 0 && self.mostly(texts + self.numbers())
    }

    fn mostly(&self, of: u64) -> bool {
        of > 0 && of * 2 > self.rows
    }

    fn add(&mut self, look: Look, one_item: bool) {
        if matches!(look, Look::Void | Look::Nothing) {
            return;
        }
        self.rows += 1;
        self.one_items += u64::from(one_item);
        let counter = match look {
            Look::Label => &mut self.labels,
            Look::Coded => &mut self.coded,
            Look::Prose => &mut self.prose,
            Look::Spelled => &mut self.spelled,
            Look::Bool => &mut self.bools,
            Look::Number(number) => return self.number(number),
            Look::Shares(of) => {
                self.pairs += u64::from(of == 2);
                &mut self.shares
            }
            Look::Indicators { set, of } => {
                self.pairs += u64::from(of == 2);
                if set == 1 { &mut self.one_hot } else { &mut self.many_hot }
            }
            Look::Numbers(of) => {
                self.pairs += u64::from(of == 2);
                &mut self.lists
            }
            Look::Texts => &mut self.texts,
            Look::NoItem => &mut self.empty,
            Look::Ranking => &mut self.rankings,
            Look::Void | Look::Nothing => return,
        };
        *counter += 1;
    }

    fn number(&mut self, number: f64) {
        let within = (0.0..=1.0).contains(&number);
        let counter = match (number.fract() == 0.0, within) {
            (false, true) => &mut self.inside,
            (false, false) => &mut self.outside,
            (true, _) if !(-1.0..=LARGEST_CLASS).contains(&number) => &mut self.large,
            (true, _) => &mut self.whole,
        };
        *counter += 1;
        self.beyond += u64::from(!within);
    }
}
