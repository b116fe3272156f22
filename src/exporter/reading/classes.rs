//! Counts predictions by class, with a bounded number of series.

use std::collections::{BTreeMap, HashMap};

use prometheus::{IntCounter, IntCounterVec};

use super::{
    bins::Bins,
    class::{self, Key, Known, NONE, OTHER},
    reference::Reference,
    row::Unread,
    settings::{Kind, MOST_CLASSES, Reading},
};

/// Series of `model_predictions_total` over the whole life of the process, however often settings change.
const MOST_SERIES: usize = 1_000;
/// Ways to write a value that are remembered, so that most rows cost one look-up of their bytes.
const MOST_WRITTEN: usize = 1_024;
/// Longer values are not worth remembering.
const LONGEST_WRITTEN: usize = 80;

/// Where the predictions of one class are counted.
#[derive(Clone)]
pub(super) struct Counter {
    total: IntCounter,
    /// In the reference; none if that is not one of classes.
    bin: Option<IntCounter>,
}

impl Counter {
    pub fn inc(&self) {
        self.total.inc();
        if let Some(bin) = &self.bin {
            bin.inc();
        }
    }
}

/// The counters of all classes.
pub(super) struct Classes {
    family: IntCounterVec,
    pub bins: Bins,
    other: Counter,
    /// By name; never gets smaller, since a series must not go away.
    series: HashMap<String, Counter>,
    /// By the bytes of the value, as models write it. Looked at for every row: comparing the few bytes in which values differ
    /// costs less than hashing all of them.
    written: BTreeMap<Box<[u8]>, Counter>,
    /// By position in a row of probabilities.
    positions: Vec<Counter>,
    /// Declared, or of the reference.
    known: Known,
    /// Declared: the names as they are listed, and by position.
    listed: Vec<String>,
    declared: Vec<String>,
    /// Classes that were not declared and have a series, and how many may.
    met: usize,
    may_meet: usize,
}

impl Classes {
    pub fn new(family: IntCounterVec, bins: Bins, reading: &Reading) -> Self {
        let other = Counter { total: family.with_label_values(&[OTHER]), bin: None };
        let mut classes = Self {
            family,
            bins,
            series: HashMap::from([(OTHER.to_owned(), other.clone())]),
            other,
            written: BTreeMap::new(),
            positions: Vec::new(),
            known: Known::default(),
            listed: Vec::new(),
            declared: Vec::new(),
            met: 0,
            may_meet: 0,
        };
        classes.set(reading);
        classes
    }

    /// Takes new settings. What was counted stays; declared classes are there at 0 at once.
    pub fn set(&mut self, reading: &Reading) {
        self.written.clear();
        self.positions.clear();
        self.bins.set(reading.reference.as_ref());
        for (name, counter) in &mut self.series {
            counter.bin = self.bins.of_class(name).cloned();
        }
        self.other.bin = self.bins.of_class(OTHER).cloned();
        self.may_meet = if reading.classes.is_empty() { reading.max_classes } else { 0 };
        self.listed = reading.classes.iter().map(|class| class.name.clone()).collect();
        self.declared = in_order(reading);
        self.known = known(reading);
        if reading.kind != Some(Kind::Number) {
            for name in self.declared.clone() {
                self.series(&name);
            }
        }
        // A class of the reference is known beforehand like a declared one.
        if let Some(Reference::Classes(classes)) = &reading.reference {
            for (name, _) in classes {
                self.series(name);
            }
        }
    }

    /// Takes back all that was counted. The series are as at the start.
    pub fn forget(&mut self, reading: &Reading) {
        self.family.reset();
        self.bins.set(None);
        self.series.clear();
        self.met = 0;
        self.other = Counter { total: self.family.with_label_values(&[OTHER]), bin: None };
        self.series.insert(OTHER.to_owned(), self.other.clone());
        self.set(reading);
    }

    /// Where rows without any label are counted.
    pub fn none(&mut self) -> Counter {
        self.series(NONE)
    }

    /// The class whose value is written like this.
    pub fn written(&mut self, value: &[u8]) -> Result<&Counter, Unread> {
        // Looked up twice, since the borrow checker does not yet see through an early return.
        if self.written.contains_key(value) {
            return Ok(self.written.get(value).unwrap_or(&self.other));
        }
        let counter = self.by_key(Key::of(value)?);
        if value.len() > LONGEST_WRITTEN || self.written.len() >= MOST_WRITTEN {
            // This key has a series all the same, or is one of the others.
            return Ok(self.series.get(&counter).unwrap_or(&self.other));
        }
        let counter = self.series.get(&counter).unwrap_or(&self.other).clone();
        Ok(self.written.entry(value.into()).or_insert(counter))
    }

    /// The class at this position of a row of `of` probabilities.
    pub fn at(&mut self, position: usize, of: usize) -> &Counter {
        while self.positions.len() < of.min(MOST_CLASSES) {
            let at = self.positions.len();
            let name = match self.declared.get(at) {
                Some(name) => name.clone(),
                None => self.by_key(Key::Number(at.to_string())),
            };
            let counter = self.series(&name);
            self.positions.push(counter);
        }
        self.positions.get(position).unwrap_or(&self.other)
    }

    /// The class declared at this place of the list.
    pub fn named(&mut self, place: usize) -> Counter {
        match self.listed.get(place).cloned() {
            Some(name) => self.series(&name),
            None => self.other.clone(),
        }
    }

    /// The name of the series for a key, which is there afterwards.
    fn by_key(&mut self, key: Key) -> String {
        let name = match self.known.name(&key) {
            Some(name) => name.clone(),
            None if !self.declared.is_empty() => return OTHER.into(),
            None => key.into_name(),
        };
        if !self.series.contains_key(&name) {
            if self.met >= self.may_meet {
                return OTHER.into();
            }
            self.met += 1;
            self.series(&name);
        }
        name
    }

    /// The series of a name; that of the others when there are too many.
    fn series(&mut self, name: &str) -> Counter {
        if let Some(counter) = self.series.get(name) {
            return counter.clone();
        }
        if self.series.len() >= MOST_SERIES {
            return self.other.clone();
        }
        let bin = self.bins.of_class(name).cloned();
        let counter = Counter { total: self.family.with_label_values(&[name]), bin };
        self.series.insert(name.to_owned(), counter.clone());
        counter
    }
}

/// Which values mean which class.
fn known(reading: &Reading) -> Known {
    let mut known = Known::default();
    let classes = reading.classes.iter().enumerate();
    let values = classes
        .map(|(position, class)| (class.value.clone().unwrap_or_else(|| position.to_string()), class.name.clone()));
    known.add(&values.collect::<Vec<_>>());
    // A model that says a class's name means that class, unless the name is another's value.
    let names = reading.classes.iter().map(|class| (class.name.clone(), class.name.clone()));
    known.add(&names.collect::<Vec<_>>());
    if reading.classes.iter().all(|class| class.value.is_none()) && !reading.classes.is_empty() {
        known.by_position();
    }
    if let (true, Some(Reference::Classes(classes))) = (reading.classes.is_empty(), &reading.reference) {
        known.add(&classes.iter().map(|(name, _)| (name.clone(), name.clone())).collect::<Vec<_>>());
    }
    known
}

/// The names of the declared classes by position.
fn in_order(reading: &Reading) -> Vec<String> {
    let values: Vec<Option<String>> =
        reading.classes.iter().map(|class| class.value.as_deref().and_then(class::spells)).collect();
    let places = by_position(values.iter().map(Option::as_deref));
    places.into_iter().filter_map(|place| Some(reading.classes.get(place)?.name.clone())).collect()
}

/// Which of the listed classes a position means, by their values: by these when they are 0, 1, 2 …, else as they are listed.
pub fn by_position<'a>(values: impl ExactSizeIterator<Item = Option<&'a str>>) -> Vec<usize> {
    let listed = 0..values.len();
    let mut places: Vec<Option<usize>> = vec![None; values.len()];
    for (place, value) in values.enumerate() {
        let position = value.and_then(|value| value.parse::<usize>().ok());
        if let Some(slot) = position.and_then(|position| places.get_mut(position)) {
            *slot = Some(place);
        }
    }
    places.into_iter().collect::<Option<_>>().unwrap_or_else(|| listed.collect())
}
