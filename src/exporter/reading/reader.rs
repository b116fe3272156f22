//! Reads one exchange after the other and counts what it says. Plain and synchronous: the thread is in `intake.rs`.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    answer::{NoRows, Rows, Wanted},
    bins::Bins,
    class,
    classes::Classes,
    find::{Finder, Finding},
    json,
    metrics::{Metrics, Skip},
    path::walk,
    request::{self, Format},
    row::{self, Read, Unread},
    settings::{Decided, Reading},
    sketch::{self, Shape},
};

/// The state of reading.
pub(super) struct Reader {
    metrics: Metrics,
    classes: Classes,
    reading: Reading,
    decided: Option<Decided>,
    /// The same, for those who ask from other threads.
    shown: Arc<Mutex<Option<Decided>>>,
    finder: Finder,
    rows: Rows,
    /// Room for a row that has to be put between brackets.
    bracketed: Vec<u8>,
}

/// An answer that says that all went well, as far as it was copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub body: &'a [u8],
    pub whole: bool,
    /// Its type says text, not JSON: it may be either.
    pub text: bool,
}

/// A whole request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub body: &'a [u8],
    pub format: Format,
}

impl Reader {
    pub fn new(metrics: Metrics, reading: Reading, shown: Arc<Mutex<Option<Decided>>>) -> Self {
        let mut reader = Self {
            classes: Classes::new(
                metrics.predictions.clone(),
                Bins::new(metrics.binned.clone(), metrics.reference.clone()),
                &reading,
            ),
            metrics,
            reading: Reading::default(),
            decided: None,
            shown,
            finder: Finder::default(),
            rows: Rows::default(),
            bracketed: Vec::new(),
        };
        reader.set(reading);
        reader
    }

    /// Takes new settings for the exchanges to come. What was found from answers before stays, unless they say
    /// otherwise: neither an unrelated change nor what another pod has found must make the reading flip.
    pub fn set(&mut self, reading: Reading) {
        let before = self.decided.take().filter(|before| reading.agrees(before));
        let decided = before.or_else(|| reading.decided());
        if (self.reading.kind, &self.reading.path) != (reading.kind, &reading.path) {
            self.finder = Finder::default();
        }
        self.classes.set(&reading);
        self.reading = reading;
        self.settle(decided);
    }

    fn settle(&mut self, decided: Option<Decided>) {
        let source = if self.reading.names_kind() { "settings" } else { "found" };
        self.metrics.reads(decided.as_ref(), source);
        (*self.shown.lock().unwrap_or_else(PoisonError::into_inner)).clone_from(&decided);
        self.decided = decided;
    }

    /// Reads one exchange. `request` is there if the answer alone does not tell the number of rows. Why it was skipped, if
    /// it was.
    pub fn exchange(&mut self, answer: Answer<'_>, request: Option<Request<'_>>) -> Option<Skip> {
        let mut rows = std::mem::take(&mut self.rows);
        let bare = answer.text.then(|| bare(answer)).flatten();
        let answer = bare.as_deref().map_or(answer, |body| Answer { body, ..answer });
        let outcome = self.read(answer, request, &mut rows);
        self.rows = rows;
        match outcome {
            Ok(()) => self.metrics.read.inc(),
            // A page for people is no broken JSON.
            Err(Skip::Malformed) if answer.text => self.skip(Skip::ContentType, answer),
            Err(skip) => self.skip(skip, answer),
        }
        outcome.err()
    }

    fn skip(&mut self, skip: Skip, answer: Answer<'_>) {
        self.metrics.skipped(skip, || match skip {
            Skip::UnknownShape | Skip::Cut => sketch::of(answer.body, answer.whole),
            _ => Shape::default(),
        });
    }

    fn read(&mut self, answer: Answer<'_>, request: Option<Request<'_>>, rows: &mut Rows) -> Result<(), Skip> {
        let decided = self.decided.as_ref();
        let wanted = Wanted {
            kind: decided.map(|decided| decided.kind).or(self.reading.kind),
            path: decided.map(|decided| &decided.path).or(self.reading.path.as_ref()),
        };
        rows.find(answer.body, answer.whole, wanted).map_err(|problem| match problem {
            NoRows::Malformed => Skip::Malformed,
            NoRows::Cut => Skip::Cut,
            NoRows::Unknown => Skip::UnknownShape,
            NoRows::Failed => Skip::Failed,
        })?;
        if !rows.prose && !self.predictions(answer.body, rows) {
            return Err(Skip::UnknownShape);
        }
        if rows.in_part {
            self.metrics.read_in_part.inc();
        }
        if let Some(count) = count(rows, request) {
            self.metrics.rows.observe(count as f64);
        }
        Ok(())
    }

    /// Counts the predictions of all rows. Whether they could be read, or wait to be.
    fn predictions(&mut self, body: &[u8], rows: &Rows) -> bool {
        let mut waits = rows.spans.is_empty();
        let mut bracketed = std::mem::take(&mut self.bracketed);
        // Rows before the one that decides, and that told nothing themselves.
        let mut passed_over = Vec::new();
        for (at, span) in rows.spans.iter().enumerate() {
            let row = slice(body, span.clone(), rows.flat, &mut bracketed);
            if self.decided.is_none() {
                match self.finder.look(row, rows, &self.reading) {
                    Finding::Decided(decided, waiting) => {
                        self.settle(Some(decided));
                        waiting.into_iter().for_each(|number| self.value(&number_text(number)));
                    }
                    Finding::Waiting => {
                        waits = true;
                        continue;
                    }
                    Finding::Nothing => {
                        passed_over.push(at);
                        continue;
                    }
                }
            }
            self.row(row, rows);
        }
        for span in passed_over.into_iter().filter_map(|at| rows.spans.get(at)) {
            if self.decided.is_some() {
                let row = slice(body, span.clone(), rows.flat, &mut bracketed);
                self.row(row, rows);
            } else if waits {
                self.metrics.unread(Unread::Kind);
            }
        }
        bracketed.shrink_to(4096);
        self.bracketed = bracketed;
        waits || self.decided.is_some()
    }

    fn row(&mut self, row: &[u8], rows: &Rows) {
        let Some(Decided { path, .. }) = &self.decided else { return };
        match walk(row, rows.steps(path)).and_then(|span| row.get(span)) {
            // What the walk returns is a part of the row and no part of this reader.
            Some(value) => self.value(value),
            None => self.metrics.unread(Unread::Missing),
        }
    }

    /// Counts the value that the path led to.
    fn value(&mut self, value: &[u8]) {
        let Some(Decided { kind, .. }) = self.decided else { return };
        match row::read(kind, value) {
            Ok(Read::Class(value)) => match self.classes.written(value) {
                Ok(counter) => counter.inc(),
                Err(unread) => self.metrics.unread(unread),
            },
            Ok(Read::Number(number)) => {
                self.metrics.value.observe(number);
                self.classes.bins.number(number);
            }
            Ok(Read::Probability(probability)) => self.probability(probability),
            Ok(Read::Top { position, value, of }) => {
                self.classes.at(position, of).inc();
                // Scores and logits have a largest one, and it is no probability.
                if (0.0..=1.0).contains(&value) {
                    self.metrics.top_probability.observe(value);
                }
            }
            Err(unread) => self.metrics.unread(unread),
        }
    }

    fn probability(&mut self, probability: f64) {
        self.metrics.probability.observe(probability);
        self.classes.bins.number(probability);
        if self.reading.classes.len() == 2 {
            let positive = probability >= self.reading.threshold;
            let position = if positive { self.reading.positive } else { 1 - self.reading.positive };
            self.classes.named(position).inc();
        }
    }
}

/// How many rows were asked for: the answer's list tells, if it is all there, else the request does.
fn count(rows: &Rows, request: Option<Request<'_>>) -> Option<usize> {
    if rows.listed && !rows.in_part {
        return Some(rows.spans.len());
    }
    let asked = request.and_then(|request| request::rows(request.body, request.format));
    // An answer that is no list answers one row, as far as anyone can tell.
    asked.or((!rows.in_part).then_some(1))
}

/// A text that is no JSON, as JSON: one line, and neither a page nor what another language writes for a list.
fn bare(answer: Answer<'_>) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(answer.body).ok()?.trim_start_matches('\u{feff}').trim();
    let foreign = text.starts_with(['<', '[', '{', '(', '"']) || text.contains(char::is_control);
    if !answer.whole || foreign || text.len() > class::LONGEST_NAME || json::is_json(text.as_bytes()) {
        return None;
    }
    serde_json::to_vec(text).ok()
}

fn number_text(number: f64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The bytes of a row, as one JSON value.
fn slice<'a>(body: &'a [u8], span: std::ops::Range<usize>, flat: bool, bracketed: &'a mut Vec<u8>) -> &'a [u8] {
    let row = body.get(span).unwrap_or_default();
    if !flat {
        return row;
    }
    bracketed.clear();
    bracketed.push(b'[');
    bracketed.extend_from_slice(row);
    bracketed.push(b']');
    bracketed
}
