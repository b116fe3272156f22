//! The series of this room.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

use super::{row::Unread, settings::Decided, sketch::Shape};

/// Upper bounds for numbers when the settings have none: finest where most models predict, and symmetric in its range.
const BINS: [f64; 31] = [
    -1e6, -1e5, -1e4, -1e3, -100.0, -10.0, -1.0, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
    200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6,
];
const ROWS: [f64; 13] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4];

/// Why an exchange, or its prediction, was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// More came than could be read in time.
    QueueFull,
    /// The answer has a content encoding other than gzip.
    Encoded,
    /// The answer is a stream of events, as language models send their words.
    Stream,
    /// The answer is neither JSON nor a text, by its content type or by what it holds.
    ContentType,
    /// The answer is too long, and its beginning holds no whole row.
    Cut,
    /// The answer is no JSON.
    Malformed,
    /// The answer is JSON, and no prediction was found in it.
    UnknownShape,
    /// The answer has status 200, and says that there was an error.
    Failed,
    /// Predictions are answered to another path.
    OtherPath,
}

impl Skip {
    pub const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::Encoded,
        Self::Stream,
        Self::ContentType,
        Self::Cut,
        Self::Malformed,
        Self::UnknownShape,
        Self::Failed,
        Self::OtherPath,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Encoded => "encoded",
            Self::Stream => "stream",
            Self::ContentType => "content_type",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::UnknownShape => "unknown_shape",
            Self::Failed => "failed",
            Self::OtherPath => "other_path",
        }
    }
}

/// A histogram whose observations can be taken back, all at once.
#[derive(Clone)]
pub(super) struct Spread(HistogramVec);

impl Spread {
    fn new(registry: &Registry, name: &str, help: &str, bounds: Vec<f64>) -> Result<Self, prometheus::Error> {
        let histogram = HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds), &[])?;
        let spread = Self(registered(registry, histogram)?);
        spread.one();
        Ok(spread)
    }

    fn one(&self) -> Histogram {
        self.0.with_label_values::<&str>(&[])
    }

    pub fn observe(&self, value: f64) {
        self.one().observe(value);
    }

    pub fn is_empty(&self) -> bool {
        self.one().get_sample_count() == 0
    }

    fn forget(&self) {
        self.0.reset();
        self.one();
    }
}

/// The series of this room. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    pub read: IntCounter,
    pub read_in_part: IntCounter,
    skipped: Vec<IntCounter>,
    unread: Vec<IntCounter>,
    pub predictions: IntCounterVec,
    pub binned: IntCounterVec,
    pub reference: GaugeVec,
    pub probability: Spread,
    pub top_probability: Spread,
    pub value: Spread,
    pub rows: Histogram,
    pub corrections: IntCounter,
    info: IntGaugeVec,
    found_from: IntGauge,
    certainty: Gauge,
    settled: IntGauge,
    unread_info: IntGaugeVec,
}

impl Metrics {
    /// `bins` are the upper bounds for numbers.
    ///
    /// # Errors
    /// When a name is taken on this registry.
    pub fn new(registry: &Registry, bins: Option<&[f64]>) -> Result<Self, prometheus::Error> {
        let probabilities: Vec<f64> = (1..=20).map(|step| f64::from(step) / 20.0).collect();
        let skipped = counters(
            registry,
            "modelship_exporter_exchanges_skipped_total",
            "Requests whose predictions were not read, by the reason: queue_full, encoded (neither plain nor gzip), stream \
             (server-sent events, as language models answer), content_type (neither JSON nor one line of text), cut (longer than \
             64 KiB, without a whole row), malformed, unknown_shape (no prediction was found), failed (the answer says so, with \
             status 200), other_path (predictions are answered to another path).",
            "reason",
        )?;
        let unread = counters(
            registry,
            "model_predictions_unread_total",
            "Rows of answers without a prediction that could be counted, by the reason: missing (nothing there, or \
             null), kind (something else than expected), nan, infinite, range (a probability outside 0 to 1).",
            "reason",
        )?;
        let info = IntGaugeVec::new(
            Opts::new(
                "modelship_exporter_reading_info",
                "1 for the way in which predictions are read: what they are (undecided until enough answers were seen), \
                 where in a row they stand, to which path of requests they are answered (empty for any), and whether \
                 the settings say so or it was found from answers.",
            ),
            &["kind", "path", "request_path", "source"],
        )?;
        let unread_info = IntGaugeVec::new(
            Opts::new(
                "modelship_exporter_unread_info",
                "1 for one of the answers that were not read, absent while all were: the reason, its shape (never a value of \
                 it, and no more names than a program's own), and the path to what may be the prediction, if one was seen.",
            ),
            &["reason", "shape", "path"],
        )?;
        let reference = GaugeVec::new(
            Opts::new(
                "model_prediction_reference_ratio",
                "The share of predictions that the reference has in this bin, from 0 to 1. Absent without a reference.",
            ),
            &["bin", "reference"],
        )?;
        let binned = IntCounterVec::new(
            Opts::new(
                "model_predictions_binned_total",
                "Predictions by bin of the reference: a class, or a range of numbers. Absent without a reference.",
            ),
            &["bin", "reference"],
        )?;
        Ok(Self {
            read: counter(
                registry,
                "modelship_exporter_exchanges_read_total",
                "Requests whose predictions were read.",
            )?,
            read_in_part: counter(
                registry,
                "modelship_exporter_exchanges_read_in_part_total",
                "Requests whose answer was too long, so that only the predictions at its beginning were read.",
            )?,
            skipped: Skip::ALL.iter().map(|skip| skipped.with_label_values(&[skip.name()])).collect(),
            unread: Unread::ALL.iter().map(|reason| unread.with_label_values(&[reason.name()])).collect(),
            predictions: counters(
                registry,
                "model_predictions_total",
                "Predictions by class; __other__ holds those of classes that are not declared, or too many.",
                "class",
            )?,
            binned: registered(registry, binned)?,
            reference: registered(registry, reference)?,
            probability: Spread::new(
                registry,
                "model_prediction_probability",
                "Predicted probabilities, from 0 to 1, where a prediction is one probability.",
                probabilities.clone(),
            )?,
            top_probability: Spread::new(
                registry,
                "model_prediction_top_probability",
                "The largest probability of each prediction, from 0 to 1, where a prediction is one probability per \
                 class.",
                probabilities,
            )?,
            value: Spread::new(
                registry,
                "model_prediction_value",
                "Predicted numbers, in the model's own unit.",
                bins.map_or_else(|| BINS.to_vec(), <[f64]>::to_vec),
            )?,
            rows: histogram(registry, "model_rows_per_request", "Rows that a request asked for.", ROWS.to_vec())?,
            corrections: counter(
                registry,
                "modelship_exporter_reading_corrections_total",
                "Decisions how predictions are read that later answers have corrected; what was counted by the wrong one \
                 was taken back and counted anew.",
            )?,
            info: registered(registry, info)?,
            found_from: gauge(
                registry,
                "modelship_exporter_reading_rows",
                "Rows of answers from which it was found how predictions are read, when it was decided.",
            )?,
            certainty: registered(
                registry,
                Gauge::new(
                    "modelship_exporter_reading_certainty_ratio",
                    "How likely the next row fits the way in which predictions are read, by those seen so far: from 0 to 1.",
                )?,
            )?,
            settled: gauge(
                registry,
                "modelship_exporter_reading_settled",
                "1 when the way in which predictions are read is final, 0 while later answers may correct it.",
            )?,
            unread_info: registered(registry, unread_info)?,
        })
    }

    /// Counts an exchange that was not read. Its `shape` is asked for and shown at the first one, and then ever more rarely.
    pub fn skipped(&self, skip: Skip, shape: impl FnOnce() -> Shape) {
        let Some(counter) = self.skipped.get(skip as usize) else { return };
        counter.inc();
        // Neither says anything of how the model answers.
        if matches!(skip, Skip::QueueFull | Skip::Failed | Skip::OtherPath) || !counter.get().is_power_of_two() {
            return;
        }
        let Shape { sketch, path } = shape();
        self.unread_info.reset();
        self.unread_info.with_label_values(&[skip.name(), &sketch, &path]).set(1);
    }

    pub fn unread(&self, unread: Unread) {
        self.unread_by(unread, 1);
    }

    pub fn unread_by(&self, unread: Unread, rows: u64) {
        if let Some(counter) = self.unread.get(unread as usize) {
            counter.inc_by(rows);
        }
    }

    /// Says how predictions are read, in place of what was said before.
    pub fn reads(&self, decided: Option<&Decided>, source: &str) {
        self.info.reset();
        let (kind, path) = match decided {
            Some(decided) => (decided.kind.name(), decided.path.to_string()),
            None => ("undecided", String::new()),
        };
        let request_path = decided.and_then(|decided| decided.request_path.as_deref()).unwrap_or_default();
        self.info.with_label_values(&[kind, &path, request_path, source]).set(1);
        self.found_from.set(decided.map_or(0, |decided| i64::try_from(decided.rows).unwrap_or(i64::MAX)));
        self.certainty.set(decided.map_or(0.0, |decided| f64::from(decided.certainty) / 100.0));
        self.settled.set(i64::from(decided.is_some_and(|decided| decided.settled)));
    }

    /// Whether no prediction was counted so far.
    pub fn untouched(&self) -> bool {
        let counted = self.predictions.collect();
        let classes: f64 =
            counted.iter().flat_map(|family| family.get_metric()).map(|metric| metric.get_counter().get_value()).sum();
        classes == 0.0 && self.probability.is_empty() && self.top_probability.is_empty() && self.value.is_empty()
    }

    /// Takes back what was observed of numbers, and the rows that were not read.
    pub fn forget(&self) {
        [&self.probability, &self.top_probability, &self.value].into_iter().for_each(Spread::forget);
        self.unread.iter().for_each(IntCounter::reset);
    }
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    registered(registry, IntGauge::new(name, help)?)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    registered(registry, IntCounter::new(name, help)?)
}

fn counters(registry: &Registry, name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
}

fn histogram(registry: &Registry, name: &str, help: &str, bounds: Vec<f64>) -> Result<Histogram, prometheus::Error> {
    registered(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds))?)
}
