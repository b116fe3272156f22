//! Which of the paths that clients ask for are answered with predictions, and how those are to be read.
//!
//! Each path collects evidence of its own: a first answer of `/login` or `/feedback` decides nothing for `/predict`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    evidence::{Evidence, Verdict},
    look::Candidate,
    path::{Path, walk},
    settings::{Decided, Reading},
};

/// Paths looked at. A server that has more is asked by hand, or by a scanner.
const MOST_TRACKS: usize = 32;
/// Places in rows that may hold the prediction, of one path.
const MOST_PLACES: usize = 4;
/// Different numbers of rows that are remembered of a path.
const MOST_NOTED: usize = 64;
/// Bytes of a path.
pub(super) const LONGEST_PATH: usize = 128;
/// Rows that a path needs which model servers do not use for predictions, and how long it is waited for them.
const ROWS: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(3600);
/// Words at the end of the paths by which model servers are asked for predictions.
const PREDICTING: [&str; 10] = [
    "invocations",
    "predict",
    "predictions",
    "prediction",
    "predict_proba",
    "infer",
    "inference",
    "score",
    "classify",
    "forecast",
];

/// The evidence of one path.
#[derive(Debug)]
pub(super) struct Track {
    pub path: String,
    known: bool,
    since: Instant,
    places: Vec<Evidence>,
    /// Rows, in answers with others, that had nothing at any place.
    pub strays: u64,
    /// Its rows are counted.
    pub joined: bool,
    /// Where its rows hold the prediction, if that is not where the leader's do.
    pub own: Option<Path>,
    /// Numbers of rows that were asked for while it was not, and how often.
    asked: BTreeMap<usize, u64>,
}

/// How the answers to one path are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Opinion {
    pub decided: Decided,
    place: usize,
    item: Option<usize>,
}

impl Opinion {
    /// What is meant within a value that was held.
    pub fn within<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let path = self.item.into_iter().fold(Path::root(), Path::then_position);
        value.get(walk(value, path.steps())?)
    }
}

/// The evidence of all paths.
#[derive(Debug, Default)]
pub(super) struct Tracks(pub Vec<Track>);

impl Track {
    pub fn new(path: String, now: Instant) -> Self {
        let known = predicts(&path);
        Self {
            path,
            known,
            since: now,
            places: Vec::new(),
            strays: 0,
            joined: false,
            own: None,
            asked: BTreeMap::new(),
        }
    }

    /// Whether model servers are asked for predictions by such a path.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Takes what the rows of one answer show. The rows whose values could not be held; none when no row shows anything.
    pub fn add(&mut self, candidates: &[Option<Candidate<'_>>]) -> Option<Vec<usize>> {
        let shown = candidates.iter().flatten().count();
        if shown == 0 {
            return None;
        }
        self.strays += (candidates.len() - shown) as u64;
        let mut unheld = Vec::new();
        for (at, candidate) in candidates.iter().enumerate().filter_map(|(at, one)| Some((at, one.as_ref()?))) {
            let known = self.places.iter().any(|place| place.is_of(candidate));
            if !known && self.places.len() < MOST_PLACES {
                self.places.push(Evidence::new(candidate));
            }
            match self.places.iter_mut().find(|place| place.is_of(candidate)).map(|place| place.add(candidate)) {
                Some(true) => {}
                Some(false) => unheld.push(at),
                None => self.strays += 1,
            }
        }
        Some(unheld)
    }

    /// Its rows are counted from now on, by this opinion.
    pub fn join(&mut self, opinion: &Opinion, leader: &Path) {
        self.joined = true;
        self.own = Some(&opinion.decided.path).filter(|path| *path != leader).cloned();
    }

    /// Its rows are not counted any more.
    pub fn leave(&mut self) {
        (self.joined, self.own) = (false, None);
    }

    /// Gives the evidence back: it is settled.
    pub fn rest(&mut self) {
        self.forget();
        self.places.shrink_to_fit();
    }

    /// Forgets what is held: it is counted for good.
    pub fn forget(&mut self) {
        self.places.clear();
        self.strays = 0;
    }

    /// How its answers are read, as far as they tell.
    pub fn opinion(&self, reading: &Reading, now: Instant) -> Option<Opinion> {
        let age = now.saturating_duration_since(self.since);
        let places = self.places.iter().enumerate();
        let told = places.filter_map(|(at, place)| Some((at, place, self.verdict(place, reading, age)?)));
        let (at, place, verdict) = told.max_by_key(|(_, place, _)| place.rows())?;
        // A path that is told by the settings needs no evidence of its own.
        let ripe = self.known || reading.request_path.is_some() || place.rows() >= ROWS || age >= PATIENCE;
        // A constant answer of a path that nobody knows may be a receipt for as long as it likes.
        let settled = verdict.settled && (self.known || place.varies() || reading.request_path.is_some());
        let path = verdict.item.into_iter().fold(place.path.clone(), |path, item| path.then_position(item));
        // An earlier pod's rows tell as much as these.
        let found = reading.found.as_ref().filter(|found| found.kind == verdict.kind && found.path == path);
        let before = found.map_or(0, |found| found.rows);
        let rows = before.saturating_add(place.rows());
        let decided = Decided {
            kind: verdict.kind,
            path,
            request_path: Some(self.path.clone()),
            rows,
            certainty: certainty(before.saturating_add(place.fitting(verdict.kind)), rows),
            settled,
        };
        ripe.then_some(Opinion { decided, place: at, item: verdict.item })
    }

    fn verdict(&self, place: &Evidence, reading: &Reading, age: Duration) -> Option<Verdict> {
        place.verdict(reading, age).or_else(|| {
            // What an earlier pod has found holds until these answers say otherwise.
            let found = reading.found.as_ref().filter(|found| reading.agrees(found) && place.allows(found))?;
            let here = found.request_path.as_ref().is_none_or(|path| *path == self.path);
            let item = (found.path != place.path).then_some(0);
            here.then_some(Verdict { kind: found.kind, item, settled: found.settled })
        })
    }

    /// The values held at the place of the opinion, with how often each came.
    pub fn held(&self, opinion: &Opinion) -> Vec<(Box<[u8]>, u64)> {
        self.places.get(opinion.place).map(Evidence::held).unwrap_or_default()
    }

    /// What is held at this path, which is counted from now on.
    pub fn take(&mut self, path: &Path) -> Vec<(Box<[u8]>, u64)> {
        let held = self.places.iter().find(|place| place.path == *path).map(Evidence::held);
        self.forget();
        held.unwrap_or_default()
    }

    /// Whether more rows may still tell what the ones so far did not.
    pub fn waits(&self) -> bool {
        self.places.iter().any(Evidence::waits)
    }

    /// Rows of the other places, which have nothing at this one.
    pub fn elsewhere(&self, opinion: &Opinion) -> u64 {
        let others = self.places.iter().enumerate().filter(|(at, _)| *at != opinion.place);
        self.strays + others.map(|(_, place)| place.rows()).sum::<u64>()
    }

    /// Whether rows are held that may never be counted.
    pub fn holds(&self) -> bool {
        !self.joined && !self.known && self.tells()
    }

    /// Remembers how many rows a request asked for.
    pub fn note(&mut self, rows: usize) {
        if self.asked.len() < MOST_NOTED || self.asked.contains_key(&rows) {
            *self.asked.entry(rows).or_default() += 1;
        }
    }

    /// What was remembered, which is counted from now on.
    pub fn noted(&mut self) -> BTreeMap<usize, u64> {
        std::mem::take(&mut self.asked)
    }

    /// Whether there is something to see in its answers at all.
    fn tells(&self) -> bool {
        !self.places.is_empty()
    }

    fn varies(&self, opinion: &Opinion) -> bool {
        self.places.get(opinion.place).is_some_and(Evidence::varies)
    }
}

impl Tracks {
    /// The evidence of a path; none when there are too many.
    pub fn of(&mut self, path: &str, now: Instant) -> Option<usize> {
        // Most paths are named as they are: a name's own name is the same.
        if let Some(at) = self.at(path) {
            return Some(at);
        }
        let path = named(path)?;
        if let Some(at) = self.at(&path) {
            return Some(at);
        }
        if self.0.len() >= MOST_TRACKS {
            let idle = self.0.iter().position(|track| !track.tells() && !track.joined)?;
            self.0.swap_remove(idle);
        }
        self.0.push(Track::new(path, now));
        Some(self.0.len() - 1)
    }

    /// Whether a path is a model's, as far as its name or its answers have told.
    pub fn is_models(&self, path: &str) -> bool {
        predicts(path) || self.get(path).is_some_and(|track| track.joined)
    }

    /// Where the rows of a path hold the prediction, if that is not where the leader's do.
    pub fn own(&self, path: &str) -> Option<&Path> {
        // Servers with paths that differ in this are rare: the others pay for no name.
        if self.0.iter().all(|track| track.own.is_none()) {
            return None;
        }
        self.get(path)?.own.as_ref()
    }

    /// The track of a path, if it has one.
    fn get(&self, path: &str) -> Option<&Track> {
        self.0.get(self.at(path).or_else(|| self.at(&named(path)?))?)
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|track| track.path == name)
    }

    /// The path whose answers look most like predictions, and how they are read. `leader` stays where others only equal it.
    pub fn best(&self, reading: &Reading, leader: Option<&str>, now: Instant) -> Option<(usize, Opinion)> {
        let opinions =
            self.0.iter().enumerate().filter_map(|(at, track)| Some((at, track, track.opinion(reading, now)?)));
        let best = opinions.max_by_key(|(_, track, opinion)| {
            let leads = leader == Some(track.path.as_str());
            (track.known, track.varies(opinion), leads, opinion.decided.rows)
        });
        best.map(|(at, _, opinion)| (at, opinion))
    }

    /// The paths whose rows are counted beside the leader's: those of model servers, read in the same way; where they are the same
    /// model's, also if their rows hold it elsewhere: `/predict` may answer with an object, and `/predict/batch` with a list.
    pub fn alike(&self, leader: usize, decided: &Decided, reading: &Reading, now: Instant) -> Vec<(usize, Opinion)> {
        let known = self.0.get(leader).is_some_and(Track::is_known);
        let others = self.0.iter().enumerate().filter(|(at, track)| *at != leader && known && track.known);
        let opinions = others.filter_map(|(at, track)| Some((at, track.opinion(reading, now)?)));
        let stem = self.0.get(leader).map(|track| stem(&track.path));
        opinions
            .filter(|(at, opinion)| {
                let one_model = || self.0.get(*at).map(|track| self::stem(&track.path)) == stem;
                opinion.decided.kind == decided.kind && (opinion.decided.path == decided.path || one_model())
            })
            .collect()
    }
}

/// By Laplace's rule of succession: how likely the next row is to fit, in percent.
fn certainty(fitting: u64, rows: u64) -> u8 {
    u8::try_from(fitting.min(rows).saturating_add(1).saturating_mul(100) / rows.saturating_add(2)).unwrap_or(100)
}

/// Whether model servers use such a path for predictions.
pub(super) fn predicts(path: &str) -> bool {
    // `/predictions/MODEL` is TorchServe's and DJL's; `/v1/models/MODEL:predict` is KServe's.
    let mut segments = stem(path).rsplit('/');
    let last = segments.next().unwrap_or_default();
    let verb = last.rsplit_once(':').map_or(last, |(_, verb)| verb);
    PREDICTING.iter().any(|word| verb.eq_ignore_ascii_case(word)) || segments.next() == Some("predictions")
}

/// A path without what people add to it for many rows at once: `/predict/batch`, `/predict_batch`.
fn stem(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    ["/batch", "_batch", "-batch", "/many", "_many", "-many"]
        .iter()
        .find_map(|end| path.strip_suffix(end))
        .unwrap_or(path)
}

/// A path as metrics name it: what looks like an identifier is `{id}`, since each would be a path of its own. None when it
/// is too long.
pub(super) fn named(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Some("/".into());
    }
    if path.len() > LONGEST_PATH || path.chars().any(char::is_control) {
        return None;
    }
    let segments = path.split('/').map(|segment| {
        let digits = segment.bytes().filter(u8::is_ascii_digit).count();
        let whole = digits > 0 && digits == segment.len();
        if whole || (segment.len() >= 16 && digits >= 4 && !segment.contains(':')) { "{id}" } else { segment }
    });
    Some(segments.collect::<Vec<_>>().join("/"))
}
