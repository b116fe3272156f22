//! Judges what the rows of each path show: which paths are counted, how they are read, and what is taken back.

use std::{ops::Range, time::Instant};

use super::{
    answer::Rows,
    look::Candidate,
    metrics::Skip,
    reader::{Reader, slice, value_of},
    row::{self, Unread},
    settings::{Decided, Kind},
    tracks::{self, Opinion},
};

impl Reader {
    /// Whether answers to this path hold what the settings say, so that they are counted: those of paths by which models
    /// are asked do; others when they can be read, as long as there is none of the former.
    pub(super) fn admit(&mut self, at: usize, said: &Decided, body: &[u8], rows: &Rows) -> Result<(), Skip> {
        let others = self.tracks.0.iter().any(|track| track.joined);
        let known_others = self.tracks.0.iter().any(|track| track.joined && track.is_known());
        let mut bracketed = Vec::new();
        let threshold = self.reading.threshold;
        let fits = rows.spans.iter().any(|span| {
            let row = slice(body, span.clone(), rows.flat, &mut bracketed);
            let value = value_of(row, rows, &said.path).and_then(|item| row.get(item));
            value.is_some_and(|value| row::read(said.kind, value, threshold).is_ok())
        });
        let named = self.reading.request_path.is_some();
        let Some(track) = self.tracks.0.get_mut(at) else { return Err(Skip::OtherPath) };
        if named || (fits && (track.is_known() || !known_others)) || (track.is_known() && !known_others) {
            (track.joined, track.own) = (true, None);
            for (count, times) in track.noted() {
                (0..times).for_each(|_| self.metrics.rows.observe(count as f64));
            }
            // Rows that came before anybody said what they are.
            for (value, count) in track.take(&said.path) {
                (0..count).for_each(|_| self.value(&value));
            }
            return Ok(());
        }
        Err(if others { Skip::OtherPath } else { Skip::UnknownShape })
    }

    /// Takes what the rows show as evidence. The rows that could not be held; none when they show nothing.
    pub(super) fn gather(&mut self, at: usize, body: &[u8], rows: &Rows) -> Option<Vec<usize>> {
        let track = self.tracks.0.get_mut(at)?;
        let bracketed = |span: &Range<usize>| [b"[", body.get(span.clone()).unwrap_or_default(), b"]"].concat();
        let brackets: Vec<Vec<u8>> = rows.spans.iter().filter(|_| rows.flat).map(bracketed).collect();
        let row = |at: usize| match rows.flat {
            true => brackets.get(at).map_or(&[][..], Vec::as_slice),
            false => rows.spans.get(at).and_then(|span| body.get(span.clone())).unwrap_or_default(),
        };
        let candidates: Vec<_> = (0..rows.spans.len()).map(|at| Candidate::of(row(at), rows, &self.reading)).collect();
        track.add(&candidates)
    }

    /// Looks at the evidence, and acts on what follows from it. The paths whose held rows were counted by it.
    pub(super) fn judge(&mut self, now: Instant) -> Vec<usize> {
        let leader = self.decided.as_ref().and_then(|decided| decided.request_path.clone());
        if self.is_settled() {
            let Some(decided) = self.decided.clone() else { return Vec::new() };
            let Some(at) = self.tracks.0.iter().position(|track| Some(&track.path) == leader.as_ref()) else {
                return Vec::new();
            };
            let alike = self.tracks.alike(at, &decided, &self.reading, now);
            return alike.into_iter().filter(|(at, opinion)| self.join(*at, opinion)).map(|(at, _)| at).collect();
        }
        let Some((at, opinion)) = self.tracks.best(&self.reading, leader.as_deref(), now) else {
            if self.tracks.0.iter().any(|track| track.joined) {
                self.correct(None);
            }
            return Vec::new();
        };
        let decided = opinion.decided.clone();
        let before = self.decided.clone();
        let first = !self.tracks.0.iter().any(|track| track.joined);
        if first {
            self.fresh = self.metrics.untouched();
        }
        match before {
            Some(before) if !(before.reads_as(&decided) || first && before.fits(&decided)) => {
                self.correct(Some(decided.clone()));
            }
            Some(before) if !first && before.settled == decided.settled && before.reads_as(&decided) => {}
            _ => self.settle(Some(decided.clone())),
        }
        let mut opinions = vec![(at, opinion)];
        opinions.extend(self.tracks.alike(at, &decided, &self.reading, now));
        let joined = opinions.into_iter().filter(|(at, opinion)| self.join(*at, opinion)).map(|(at, _)| at).collect();
        if decided.settled {
            self.tracks.0.iter_mut().filter(|track| track.joined).for_each(tracks::Track::rest);
        }
        joined
    }

    /// Takes back what was counted by a decision that later answers contradict.
    fn correct(&mut self, decided: Option<Decided>) {
        let before = self.decided.clone();
        self.metrics.corrections.inc();
        tracing::info!(?before, ?decided, "later answers correct how predictions are read");
        // With counts of other settings among them, they stay: a counter that falls by a part of it is told as an increase.
        let by_class = |kind| matches!(kind, Kind::Class | Kind::Probabilities | Kind::Labels);
        let same =
            before.zip(decided.as_ref()).is_some_and(|(before, now)| by_class(before.kind) == by_class(now.kind));
        for track in self.tracks.0.iter_mut().filter(|track| track.joined) {
            track.leave();
            if !self.fresh && same {
                track.forget();
            }
        }
        if self.fresh {
            self.metrics.forget();
            self.classes.forget(&self.reading);
        }
        self.settle(decided);
    }

    /// Counts what is held of a path, from now on with what comes. Whether it was not counted before.
    fn join(&mut self, at: usize, opinion: &Opinion) -> bool {
        let Some(leader) = self.decided.as_ref().map(|decided| &decided.path) else { return false };
        let Some(track) = self.tracks.0.get_mut(at).filter(|track| !track.joined) else { return false };
        track.join(opinion, leader);
        for (count, times) in track.noted() {
            (0..times).for_each(|_| self.metrics.rows.observe(count as f64));
        }
        let held = track.held(opinion);
        let elsewhere = track.elsewhere(opinion);
        for (value, count) in held {
            let Some(value) = opinion.within(&value) else {
                self.metrics.unread_by(Unread::Missing, count);
                continue;
            };
            (0..count).for_each(|_| self.value(value));
        }
        self.metrics.unread_by(Unread::Missing, elsewhere);
        true
    }
}
