//! Counts predictions by the bins of the reference, so that a drift can be told from the two series of each bin alone.

use std::collections::HashMap;

use prometheus::{GaugeVec, IntCounter, IntCounterVec};

use super::{
    class::OTHER,
    reference::{self, Reference},
};

/// The bins of the reference there is; none without one.
pub(super) struct Bins {
    counted: IntCounterVec,
    shares: GaugeVec,
    /// The reference's id.
    shown: String,
    /// Of classes; that of the others is among them.
    classes: HashMap<String, IntCounter>,
    /// Of numbers: the upper bounds, and a counter more.
    bounds: Vec<f64>,
    ranges: Vec<IntCounter>,
}

impl Bins {
    pub fn new(counted: IntCounterVec, shares: GaugeVec) -> Self {
        Self { counted, shares, shown: String::new(), classes: HashMap::new(), bounds: Vec::new(), ranges: Vec::new() }
    }

    /// Takes another reference, whose counts begin anew: under the bins of another one they would be told as a drift. The
    /// same one goes on.
    pub fn set(&mut self, reference: Option<&Reference>) {
        let shares = reference.map(Reference::shares).unwrap_or_default();
        let id = reference::id(&shares);
        if id != self.shown {
            self.counted.reset();
            self.shares.reset();
        }
        (self.classes, self.bounds, self.ranges) = Default::default();
        for (bin, share) in shares {
            self.shares.with_label_values(&[&bin, &id]).set(share);
            let counter = self.counted.with_label_values(&[&bin, &id]);
            match reference {
                Some(Reference::Classes(_)) => drop(self.classes.insert(bin, counter)),
                _ => self.ranges.push(counter),
            }
        }
        if let Some(Reference::Bounds { bounds, .. }) = reference {
            self.bounds.clone_from(bounds);
        }
        self.shown = id;
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
