//! Reads one exchange after the other and counts what it says. Plain and synchronous: the thread is in `intake.rs`.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{
    answer::{NoRows, Rows, Wanted},
    bins::Bins,
    class,
    classes::Classes,
    fields, json,
    metrics::{Metrics, Skip},
    path::{Path, Step, walk},
    quoted::unquoted,
    request::{self, Format},
    row::{self, Label, Read, Unread},
    settings::{Decided, Kind, Reading},
    shape,
    sketch::{self, Shape},
    tracks::{self, Tracks},
};

/// The state of reading.
pub(super) struct Reader {
    pub metrics: Metrics,
    pub classes: Classes,
    pub reading: Reading,
    pub decided: Option<Decided>,
    /// The same, for those who ask from other threads.
    shown: Arc<Mutex<Option<Decided>>>,
    /// Whether requests are worth having for lists, too.
    curious: Arc<AtomicBool>,
    pub tracks: Tracks,
    /// Nothing had been counted before the first decision, so all can be taken back.
    pub fresh: bool,
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
    pub fn new(
        metrics: Metrics,
        reading: Reading,
        shown: Arc<Mutex<Option<Decided>>>,
        curious: Arc<AtomicBool>,
    ) -> Self {
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
            curious,
            tracks: Tracks::default(),
            fresh: true,
            rows: Rows::default(),
            bracketed: Vec::new(),
        };
        reader.set(reading, Instant::now());
        reader
    }

    /// Takes new settings for the exchanges to come. What was found from answers before stays, unless they say
    /// otherwise: neither an unrelated change nor what another pod has found must make the reading flip.
    pub fn set(&mut self, reading: Reading, now: Instant) {
        let said_before = self.reading.said().is_some();
        let before = self.decided.take().filter(|before| !said_before && reading.agrees(before));
        let found = reading.found.clone().filter(|found| reading.agrees(found));
        let decided = reading.said().or(before).or(found);
        let of = |reading: &Reading| (reading.kind, reading.path.clone(), reading.request_path.clone());
        if of(&self.reading) != of(&reading) {
            // What was counted stays as it was; what is held is still to be counted.
            self.tracks.0.retain(|track| !track.joined);
        }
        self.classes.set(&reading);
        self.reading = reading;
        if let Some(Decided { settled: true, request_path: Some(path), .. }) = &decided
            && let Some(track) = self.tracks.of(path, now).and_then(|at| self.tracks.0.get_mut(at))
        {
            track.joined = true;
        }
        self.settle(decided);
    }

    pub(super) fn settle(&mut self, decided: Option<Decided>) {
        let source = if self.reading.names_kind() { "settings" } else { "found" };
        self.metrics.reads(decided.as_ref(), source);
        (*self.shown.lock().unwrap_or_else(PoisonError::into_inner)).clone_from(&decided);
        self.curious.store(decided.as_ref().is_none_or(|decided| !decided.settled), Ordering::Relaxed);
        self.decided = decided;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.decided.as_ref().is_some_and(|decided| decided.settled)
    }

    /// Reads one exchange of a request with this path. `request` is there if the answer alone may not tell the number of
    /// rows. Why it was skipped, if it was.
    pub fn exchange(
        &mut self,
        path: &str,
        answer: Answer<'_>,
        request: Option<Request<'_>>,
        now: Instant,
    ) -> Option<Skip> {
        let mut rows = std::mem::take(&mut self.rows);
        let bare = answer.text.then(|| bare(answer)).flatten();
        let answer = bare.as_deref().map_or(answer, |body| Answer { body, ..answer });
        let outcome = self.read(path, answer, request, &mut rows, now);
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

    fn read(
        &mut self,
        path: &str,
        answer: Answer<'_>,
        request: Option<Request<'_>>,
        rows: &mut Rows,
        now: Instant,
    ) -> Result<(), Skip> {
        if let Some(wanted) = &self.reading.request_path
            && tracks::named(path).as_ref() != Some(wanted)
        {
            return Err(Skip::OtherPath);
        }
        // Until it is settled the rows are found as they were when they were the evidence.
        let decided = self.decided.as_ref().filter(|decided| decided.settled);
        let own = self.tracks.own(path);
        // `"ok"` acknowledges, unless `"defect"` is what else the model says.
        let of_texts = |decided: &Decided| decided.kind == Kind::Class && decided.path.steps().is_empty();
        let said = self.reading.kind == Some(Kind::Class)
            && self.reading.path.as_ref().is_none_or(|path| path.steps().is_empty());
        let texts = (said || self.decided.as_ref().is_some_and(of_texts)) && self.tracks.is_models(path);
        let asked = request.and_then(|request| request::rows(request.body, request.format));
        let wanted = Wanted {
            kind: decided.map(|decided| decided.kind).or(self.reading.kind),
            path: own.or(decided.map(|decided| &decided.path)).or(self.reading.path.as_ref()),
            texts,
            classes: self.reading.classes.len(),
            asked,
        };
        let find = |rows: &mut Rows, body: &[u8]| {
            rows.find(body, answer.whole, wanted).map_err(|problem| match problem {
                NoRows::Malformed => Skip::Malformed,
                NoRows::Cut => Skip::Cut,
                NoRows::Unknown => Skip::UnknownShape,
                NoRows::Failed => Skip::Failed,
            })
        };
        find(rows, answer.body)?;
        let is_class = |text: &str| self.reading.classes.iter().any(|class| class.value.as_deref() == Some(text));
        let plain = (answer.whole && rows.quoted).then(|| unquoted(answer.body, is_class)).flatten();
        if let Some(plain) = &plain {
            find(rows, plain)?;
        }
        let body = plain.as_deref().unwrap_or(answer.body);
        if shape::unfold(body, rows, wanted, self.reading.path.as_ref()) || shape::series(body, rows, wanted) {
            self.curious.store(true, Ordering::Relaxed);
        }
        if !rows.prose {
            self.predictions(path, body, rows, now)?;
        }
        if rows.in_part {
            self.metrics.read_in_part.inc();
        }
        if let Some(count) = asked_for(rows, asked) {
            // A path that turns out to be no model's asked for no rows.
            let waiting =
                self.tracks.of(path, now).and_then(|at| self.tracks.0.get_mut(at)).filter(|track| track.holds());
            match waiting {
                Some(track) => track.note(count),
                None => self.metrics.rows.observe(count as f64),
            }
        }
        Ok(())
    }

    /// Counts the predictions of all rows, or holds them until it is known what they are.
    fn predictions(&mut self, path: &str, body: &[u8], rows: &Rows, now: Instant) -> Result<(), Skip> {
        let at = self.tracks.of(path, now).ok_or(Skip::OtherPath)?;
        if rows.spans.is_empty() {
            return Ok(());
        }
        let joined = self.tracks.0.get(at).is_some_and(|track| track.joined);
        if let Some(said) = self.reading.said() {
            if !joined {
                self.admit(at, &said, body, rows)?;
            }
            self.count(at, body, rows, 0..rows.spans.len());
            return Ok(());
        }
        if joined && self.is_settled() {
            self.count(at, body, rows, 0..rows.spans.len());
            return Ok(());
        }
        let gathered = self.gather(at, body, rows);
        if joined {
            self.count(at, body, rows, 0..rows.spans.len());
        }
        let Some(unheld) = gathered else {
            let other = !joined && self.tracks.0.iter().any(|track| track.joined);
            return if joined { Ok(()) } else { Err(if other { Skip::OtherPath } else { Skip::UnknownShape }) };
        };
        if self.judge(now).contains(&at) {
            self.count(at, body, rows, unheld);
        }
        let Some(track) = self.tracks.0.get(at).filter(|track| !track.joined) else { return Ok(()) };
        match self.tracks.0.iter().any(|track| track.joined) {
            true => Err(Skip::OtherPath),
            false if track.waits() => Ok(()),
            false => Err(Skip::UnknownShape),
        }
    }

    /// Counts these rows of an answer to the path of track `at`.
    fn count(&mut self, at: usize, body: &[u8], rows: &Rows, which: impl IntoIterator<Item = usize>) {
        let own = self.tracks.0.get_mut(at).and_then(|track| track.own.take());
        let mut bracketed = std::mem::take(&mut self.bracketed);
        for span in which.into_iter().filter_map(|at| rows.spans.get(at)) {
            let row = slice(body, span.clone(), rows.flat, &mut bracketed);
            self.row(row, rows, own.as_ref());
        }
        bracketed.shrink_to(4096);
        self.bracketed = bracketed;
        if let Some(track) = self.tracks.0.get_mut(at) {
            track.own = own;
        }
    }

    fn row(&mut self, row: &[u8], rows: &Rows, own: Option<&Path>) {
        let Some(decided) = &self.decided else { return };
        let path = own.unwrap_or(&decided.path);
        let open = self.reading.path.is_none();
        let stand_in = || fields::stand_in(row, rows.steps(path)).filter(|_| open);
        match value_of(row, rows, path).or_else(stand_in) {
            Some(item) if open && has_more(row, &item, path) => {
                self.metrics.unread(Unread::Kind);
            }
            Some(item) => self.value(row.get(item).unwrap_or_default()),
            None => self.metrics.unread(Unread::Missing),
        }
    }

    /// Counts the value that the path led to.
    pub(super) fn value(&mut self, value: &[u8]) {
        let Some(Decided { kind, .. }) = self.decided else { return };
        match row::read(kind, value, self.reading.threshold) {
            // Classes were found from whole numbers: a fraction shows that it was too early, and is no class.
            Ok(Read::Class(value)) if self.infers_classes() && row::is_fraction(value) => {
                self.metrics.unread(Unread::Kind);
            }
            Ok(Read::Class(value)) => self.said(value),
            Ok(Read::Number(number)) => {
                self.metrics.value.observe(number);
                self.classes.bins.number(number);
            }
            Ok(Read::Probability(probability)) => self.probability(probability),
            Ok(Read::Top { position, value, of }) => {
                self.classes.at(position, of).inc();
                self.top(value);
            }
            Ok(Read::Named { name, value }) => {
                self.said(&name);
                self.top(value);
            }
            Ok(Read::Labels(labels)) => self.labels(&labels),
            Err(unread) => self.metrics.unread(unread),
        }
    }

    /// Whether nobody said that predictions are classes, nor which.
    fn infers_classes(&self) -> bool {
        !self.reading.names_kind() && !self.reading.names_classes()
    }

    fn said(&mut self, value: &[u8]) {
        match self.classes.written(value) {
            Ok(counter) => counter.inc(),
            Err(unread) => self.metrics.unread(unread),
        }
    }

    /// Scores and logits have a largest one, and it is no probability.
    fn top(&self, value: f64) {
        if (0.0..=1.0).contains(&value) {
            self.metrics.top_probability.observe(value);
        }
    }

    fn labels(&mut self, labels: &[Label<'_>]) {
        if labels.is_empty() {
            self.classes.none().inc();
        }
        for label in labels {
            match label {
                Label::Said(value) => self.said(value),
                Label::At { position, of } => self.classes.at(*position, *of).inc(),
            }
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
fn asked_for(rows: &Rows, asked: Option<usize>) -> Option<usize> {
    if rows.listed && !rows.in_part {
        return Some(rows.spans.len());
    }
    // An answer that is no list answers one row, as far as anyone can tell.
    asked.or((!rows.in_part).then_some(1))
}

/// Where in a row the value is that is meant.
pub(super) fn value_of(row: &[u8], rows: &Rows, path: &Path) -> Option<Range<usize>> {
    walk(row, rows.steps(path))
}

/// Whether a list has a second item, of which the only one was found to be the prediction.
fn has_more(row: &[u8], item: &Range<usize>, path: &Path) -> bool {
    let after = || row.get(item.end..).unwrap_or_default().trim_ascii_start();
    matches!(path.steps().last(), Some(Step::Position(0))) && after().starts_with(b",")
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

/// The bytes of a row, as one JSON value.
pub(super) fn slice<'a>(body: &'a [u8], span: Range<usize>, flat: bool, bracketed: &'a mut Vec<u8>) -> &'a [u8] {
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
