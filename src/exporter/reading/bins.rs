//! Counts predictions by the bins of the reference, so that a drift can be told from the two series of each bin alone.

use std::collections::{BTreeSet, HashMap};

use prometheus::{GaugeVec, IntCounter, IntCounterVec};

use super::{class::OTHER, reference::Reference};

/// The bins of the reference there is; none without one.
pub(super) struct Bins {
    counted: IntCounterVec,
    shares: GaugeVec,
    shown: BTreeSet<String>,
    /// Of classes; that of the others is among them.
    classes: HashMap<String, IntCounter>,
    /// Of numbers: the upper bounds, and a counter more.
    bounds: Vec<f64>,
    ranges: Vec<IntCounter>,
}

impl Bins {
    pub fn new(counted: IntCounterVec, shares: GaugeVec) -> Self {
        Self {
            counted,
            shares,
            shown: BTreeSet::new(),
            classes: HashMap::new(),
            bounds: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// Takes another reference. Bins that it lacks vanish; the counts of those that stay go on.
    pub fn set(&mut self, reference: Option<&Reference>) {
        let shares = reference.map(Reference::shares).unwrap_or_default();
        let wanted: BTreeSet<String> = shares.iter().map(|(bin, _)| bin.clone()).collect();
        for gone in self.shown.difference(&wanted) {
            // Both are there, so neither removal can fail.
            let _ = (self.counted.remove_label_values(&[gone]), self.shares.remove_label_values(&[gone]));
        }
        self.shown = wanted;
        (self.classes, self.bounds, self.ranges) = Default::default();
        for (bin, share) in shares {
            self.shares.with_label_values(&[&bin]).set(share);
            let counter = self.counted.with_label_values(&[&bin]);
            match reference {
                Some(Reference::Classes(_)) => drop(self.classes.insert(bin, counter)),
                _ => self.ranges.push(counter),
            }
        }
        if let Some(Reference::Bounds { bounds, .. }) = reference {
            self.bounds.clone_from(bounds);
        }
    }

    /// The bin of a class.
    pub fn of_class(&self, name: &str) -> Option<&IntCounter> {
        self.classes.get(name).or_else(|| self.classes.get(OTHER))
    }

    /// Counts a number, if the reference is one of numbers.
    pub fn number(&self, number: f64) {
        let at = self.bounds.partition_point(|bound| *bound < number);
        if let Some(range) = self.ranges.get(at) {
            range.inc();
        }
    }
}
