//! Where the rows are in a model's answer.

use std::ops::Range;

use super::{
    class,
    fields::{self, LISTS, UNRANKED},
    json::{Next, Scanner, Stop, Text},
    look,
    map::{self, Known},
    path::{Path, Step, walk},
    quoted::{is_quoted, quotes},
    row,
    settings::Kind,
    tensor::Output,
};

/// Why no rows could be found in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRows {
    /// It is no JSON.
    Malformed,
    /// It ended before its first row did.
    Cut,
    /// It is JSON, and of no known shape.
    Unknown,
    /// It says that there was an error, and predicts nothing.
    Failed,
}

/// What is known of the way in which predictions are to be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    pub kind: Option<Kind>,
    /// Its first field tells which column is meant when the predictions are a map of columns.
    pub path: Option<&'a Path>,
    /// A bare text is a class, whatever it says.
    pub texts: bool,
    /// How many classes there are, if somebody said so.
    pub classes: usize,
    /// How many rows the request asked for, if it tells.
    pub asked: Option<usize>,
}

/// The rows of one answer. Kept between answers, so that its memory is.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where each row is.
    pub spans: Vec<Range<usize>>,
    /// The rows stood in a list, so their number is the number of rows asked for.
    pub listed: bool,
    /// The spans are items of a flat list, several to a row, without the brackets that make them one value.
    pub flat: bool,
    /// The answer was a map of columns, and this is the one whose items the spans are.
    pub column: Option<String>,
    /// The spans are what the path leads to from the whole answer.
    pub at_path: bool,
    /// The only span is an object whose keys are the numbers of rows, or of classes.
    pub numbered: bool,
    /// The rows are the labels of this object, which has a list of scores beside them.
    pub pair: Option<Range<usize>>,
    /// The answer was cut behind these rows.
    pub in_part: bool,
    /// The request asked for one row.
    pub one_asked: bool,
    /// A language model's answer: rows to count, and nothing to read in them.
    pub prose: bool,
    /// Where the predictions should be stands a text that may itself be JSON: a handler has called `json.dumps`, and its
    /// framework once more.
    pub quoted: bool,
    /// The answer says that there was an error.
    failed: bool,
}

/// Texts that acknowledge a request, and predict nothing.
const ACKNOWLEDGED: [&str; 9] = ["ok", "okay", "success", "done", "accepted", "received", "thanks", "pong", "healthy"];
/// Fields whose list has a number for each class, as it seems, and not one for each row.
const SEVERAL: [&str; 5] = ["probabilities", "probs", "proba", "predict_proba", "scores"];
/// Bytes of the shortest text that is a sentence, if it has several words: classes are names.
const SENTENCE: usize = 24;
/// Fields by which a language model's answer is known.
const PROSE: [&str; 8] =
    ["choices", "messages", "candidates", "completion", "generated_text", "output_text", "content", "embeddings"];

impl Rows {
    /// Finds the rows of `body`.
    pub fn find(&mut self, body: &[u8], whole: bool, wanted: Wanted<'_>) -> Result<(), NoRows> {
        self.clear();
        let mut scanner = Scanner::new(body, whole);
        let outcome = self.top(&mut scanner, body, wanted).and_then(|()| scanner.end());
        let quoted = self.quoted;
        if outcome.is_ok() {
            self.by_path(body, wanted);
        }
        self.quoted = quoted;
        self.one_asked = wanted.asked == Some(1);
        match outcome {
            Ok(()) if self.spans.is_empty() && self.failed => Err(NoRows::Failed),
            Ok(()) if self.spans.is_empty() && !self.listed && !self.prose => Err(NoRows::Unknown),
            Ok(()) => Ok(()),
            Err(Stop::Ended) if !whole => {
                self.in_part = true;
                if self.listed && !self.spans.is_empty() { Ok(()) } else { Err(NoRows::Cut) }
            }
            Err(_) => Err(NoRows::Malformed),
        }
    }

    fn clear(&mut self) {
        self.spans.clear();
        // One long answer does not keep its memory for good.
        self.spans.shrink_to(1024);
        *self = Self { spans: std::mem::take(&mut self.spans), ..Self::default() };
    }

    /// A path leads from each row; where it leads nowhere from all of them, from the whole answer. A list that it leads to
    /// from the whole answer holds the rows.
    fn by_path(&mut self, body: &[u8], wanted: Wanted<'_>) {
        let Some(steps) = wanted.path.map(Path::steps).filter(|steps| !steps.is_empty()) else { return };
        let leads = |span: &Range<usize>| body.get(span.clone()).is_some_and(|row| walk(row, steps).is_some());
        let whole = !self.listed && self.spans.first().is_some_and(|span| span.start == Scanner::new(body, true).at());
        if self.column.is_some() || self.flat || (!whole && self.spans.iter().any(leads)) {
            return;
        }
        let Some(found) = walk(body, steps) else { return };
        let value = body.get(found.clone()).unwrap_or_default();
        let mut items = Vec::new();
        let mut scanner = Scanner::new(value, true);
        let listed = scanner.next() == Ok(Next::List)
            && scanner.list(|scanner| {
                items.push(scanner.span()?);
                Ok(())
            }) == Ok(());
        let rows = listed && !one_row(value, &items, wanted.kind);
        self.clear();
        self.at_path = true;
        self.listed = rows;
        if rows {
            self.spans.extend(items.into_iter().map(|item| item.start + found.start..item.end + found.start));
        } else {
            self.spans.push(found);
        }
    }

    /// The way to the prediction from these rows, of a path that is in use.
    pub fn steps<'p>(&self, path: &'p Path) -> &'p [Step] {
        match (&self.column, path.first_key()) {
            _ if self.at_path => &[],
            (Some(column), Some((key, rest))) if key == column => rest,
            _ => path.steps(),
        }
    }

    fn top(&mut self, scanner: &mut Scanner<'_>, body: &[u8], wanted: Wanted<'_>) -> Result<(), Stop> {
        match scanner.next()? {
            Next::Object => self.object(scanner, body, wanted),
            Next::List => self.items(scanner),
            // MLflow wraps all but a language model's answers; other servers hand on a bare class.
            Next::Text => {
                let start = scanner.at();
                self.quoted = quotes(body, start);
                let text = scanner.text()?;
                if names_a_class(text) || (wanted.texts && class::fits(text)) {
                    self.spans.push(start..scanner.at());
                } else {
                    self.prose = true;
                }
                Ok(())
            }
            Next::Null => scanner.skip(),
            Next::Number | Next::Bool => self.single(scanner),
        }
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, body: &[u8], wanted: Wanted<'_>) -> Result<(), Stop> {
        let start = scanner.at();
        let column = wanted.path.and_then(Path::first_key).map(|(key, _)| key);
        // The place of the field taken so far in `LISTS`; lower is better.
        let mut taken = LISTS.len();
        let (mut prose, mut usage, mut named, mut null, mut failed) = (false, false, false, false, false);
        let mut data = None;
        let mut quoted = false;
        // The field of those that may hold predictions that tells it best, and where its value is if that is a list.
        let mut best: (usize, Option<(Range<usize>, bool)>) = (UNRANKED, None);
        let mut names = None;
        scanner.object(|scanner, key| {
            let place = LISTS.iter().position(|name| key.is(name)).unwrap_or(LISTS.len());
            prose |= PROSE.iter().any(|name| key.is(name));
            let next = scanner.next()?;
            // Language models count their tokens: `{"usage": {…}}`.
            usage |= next == Next::Object && key.is("usage");
            if next == Next::List && key.is("data") {
                data = Some(scanner.clone().span()?);
            }
            failed |= says_failed(scanner, key)?;
            let rank = fields::rank(key);
            quoted |= next == Next::Text && (rank.is_some() || place < LISTS.len()) && quotes(body, scanner.at());
            if rank.is_some() || column.is_some_and(|name| key.is(name)) {
                (named, null) = (named || next != Next::Null, null || next == Next::Null);
            }
            if let Some(rank) = rank.filter(|rank| *rank < best.0) {
                let list = next == Next::List && place == LISTS.len();
                let several = SEVERAL.iter().any(|name| key.is(name));
                let list = if list { Some((scanner.clone().span()?, several)) } else { None };
                best = (rank, list);
            }
            if next == Next::List && row::NAMES.iter().any(|name| key.is(name)) {
                names = Some(scanner.clone().span()?);
            }
            if taken == LISTS.len() && key.is("data") && next == Next::Object {
                return self.seldon(scanner);
            }
            let columns = place == 1 && next == Next::Object;
            if place >= taken || (place > 0 && next != Next::List && !columns) {
                return scanner.skip();
            }
            taken = place;
            self.clear();
            match next {
                Next::List if place == 1 => self.outputs(scanner, body),
                Next::List => self.items(scanner),
                Next::Object => self.columns(scanner, column),
                Next::Null => scanner.skip(),
                _ => self.single(scanner),
            }
        })?;
        (self.failed, self.quoted) = (failed, self.quoted || quoted);
        // Their servers (vLLM) answer so for classifiers, too.
        if usage && let Some(list) = data.filter(|list| fields::may_predict(scanner.within(list))) {
            self.clear();
            let mut inner = Scanner::new(scanner.within(&list), true);
            self.items(&mut inner)?;
            self.spans.iter_mut().for_each(|span| *span = span.start + list.start..span.end + list.start);
            return Ok(());
        }
        prose |= usage;
        if taken == LISTS.len() && !self.listed {
            named |= null && !failed;
            self.prose = prose && !named;
            let of_rows = |(list, several): &(Range<usize>, bool)| match wanted.kind {
                _ if column.is_some() => false,
                Some(Kind::Class | Kind::Number | Kind::Probability) => true,
                Some(_) => false,
                None => {
                    let list = scanner.within(list);
                    let of_classes = *several && wanted.classes > 2 && length(list) == Some(wanted.classes);
                    !(of_classes || look::is_probabilities(list, *several))
                }
            };
            match best.1.filter(of_rows) {
                // `{"score": [1.5, 10.25]}`: one for each row.
                Some((list, _)) if !scanner.within(&list).starts_with(b"[]") => {
                    let of_classes = matches!(wanted.kind, None | Some(Kind::Class));
                    let pair = names.filter(|_| of_classes && is_pair(body.get(start..scanner.at())));
                    self.pair = pair.as_ref().map(|_| start..scanner.at());
                    let list = pair.unwrap_or(list);
                    let mut inner = Scanner::new(scanner.within(&list), true);
                    self.items(&mut inner)?;
                    self.spans.iter_mut().for_each(|span| *span = span.start + list.start..span.end + list.start);
                }
                _ => {
                    let object = start..scanner.at();
                    // TorchServe answers one image with the likeliest classes, and no word around them.
                    let bytes = body.get(object.clone()).unwrap_or_default();
                    let known = Known { kind: wanted.kind, one_row: wanted.asked == Some(1) };
                    let whole = wanted.path.is_none_or(|path| path.steps().is_empty());
                    let likeliest =
                        || map::shares(bytes, known) == Ok(true) || whole && map::is_map(bytes, wanted.kind);
                    if named || !failed && likeliest() {
                        self.spans.push(object);
                    }
                }
            }
        }
        Ok(())
    }

    /// `{"data": {"names": […], "ndarray": [rows]}}`, or a `tensor` with its `shape` and `values`, as Seldon Core answers.
    fn seldon(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        scanner.object(|scanner, key| match scanner.next()? {
            Next::List if key.is("ndarray") => {
                self.clear();
                self.items(scanner)
            }
            Next::Object if key.is("tensor") => {
                let mut output = Output::default();
                let span = scanner.span()?;
                if output.read(scanner.within(&span), span.start) {
                    self.clear();
                    self.listed = true;
                    self.take(output);
                }
                Ok(())
            }
            _ => scanner.skip(),
        })
    }

    fn single(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        let span = scanner.span()?;
        self.spans.push(span);
        Ok(())
    }

    fn items(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        self.listed = true;
        scanner.list(|scanner| {
            let span = scanner.span()?;
            self.quoted |= is_quoted(scanner.within(&span));
            self.spans.push(span);
            Ok(())
        })
    }

    /// An object in place of a list: a map of columns when all its values are lists of one length, else a single row.
    fn columns(&mut self, scanner: &mut Scanner<'_>, column: Option<&str>) -> Result<(), Stop> {
        let start = scanner.at();
        let mut lengths: Option<usize> = None;
        let (mut even, mut numbered) = (true, true);
        let mut count = 0;
        let mut best = usize::MAX;
        scanner.object(|scanner, key| {
            numbered &= fields::is_position(key, count);
            count += 1;
            let next = scanner.next()?;
            numbered &= !matches!(next, Next::List | Next::Object);
            if next != Next::List {
                even = false;
                return scanner.skip();
            }
            let mut spans = Vec::new();
            scanner.list(|scanner| {
                spans.push(scanner.span()?);
                Ok(())
            })?;
            even &= lengths.is_none_or(|length| length == spans.len());
            lengths = Some(spans.len());
            if let Some(rank) = rank(key, column).filter(|rank| *rank < best) {
                best = rank;
                self.column = Some(key.decode(256));
                self.spans = spans;
            } else if count == 1 {
                self.spans = spans;
            }
            Ok(())
        })?;
        // Several columns, and none is known to be the prediction: not to be told, so it is one row that has none.
        let map = even && count > 0 && (self.column.is_some() || count == 1);
        if map {
            self.listed = true;
        } else {
            self.column = None;
            self.numbered = numbered && count > 0;
            self.spans.clear();
            self.spans.push(start..scanner.at());
        }
        Ok(())
    }

    /// The outputs of the Open Inference protocol, or else a plain list of rows.
    fn outputs(&mut self, scanner: &mut Scanner<'_>, body: &[u8]) -> Result<(), Stop> {
        self.listed = true;
        let mut best = usize::MAX;
        scanner.list(|scanner| {
            let mut output = Output::default();
            let span = scanner.span()?;
            if !output.read(body.get(span.clone()).unwrap_or_default(), span.start) {
                if best == usize::MAX {
                    self.spans.push(span);
                }
                return Ok(());
            }
            if output.rank < best {
                best = output.rank;
                self.take(output);
            }
            Ok(())
        })
    }
}

/// How well a column or an output fits; lower is better, none for not at all.
pub(super) fn rank(name: Text<'_>, wanted: Option<&str>) -> Option<usize> {
    if wanted.is_some_and(|wanted| name.is(wanted)) {
        return Some(0);
    }
    // With a path set by the user only the column that it names is meant.
    let known = fields::rank(name)?;
    wanted.is_none().then_some(known + 1)
}

/// Whether an object has labels in one list and their scores in another.
fn is_pair(object: Option<&[u8]>) -> bool {
    object.is_some_and(|object| row::paired(object).is_ok_and(|pair| pair.is_some()))
}

/// How many items a flat list has.
fn length(list: &[u8]) -> Option<usize> {
    let (mut items, mut flat) = (0, true);
    let read = Scanner::new(list, true).list(|scanner| {
        items += 1;
        flat &= scanner.next()? == Next::Number;
        scanner.skip()
    });
    (read.is_ok() && flat).then_some(items)
}

/// Whether a list that a path leads to is the one prediction of the answer, rather than one for each row.
fn one_row(list: &[u8], items: &[Range<usize>], kind: Option<Kind>) -> bool {
    let nested = items.first().and_then(|item| list.get(item.start)).is_some_and(|byte| matches!(byte, b'[' | b'{'));
    match kind {
        Some(Kind::Class | Kind::Number | Kind::Probability) => false,
        Some(_) => !nested,
        // Two or more numbers with the sum of 1 are the probabilities of one row.
        None => !nested && look::is_probabilities(list, false),
    }
}

/// Whether a bare text is a class, as far as can be seen: no sentence, and nothing but an acknowledgement.
fn names_a_class(text: Text<'_>) -> bool {
    let raw = text.raw.trim_ascii();
    let sentence =
        matches!(raw.last(), Some(b'.' | b'!' | b'?' | b':')) || (raw.len() >= SENTENCE && raw.contains(&b' '));
    let acknowledges = ACKNOWLEDGED.iter().any(|word| raw.eq_ignore_ascii_case(word.as_bytes()));
    class::fits(text) && !raw.is_empty() && !sentence && !acknowledges
}

/// Whether a field of an answer says that there was an error, as handlers do that catch everything: `{"error": "…"}`,
/// `{"status": "error"}`, `{"success": false}`.
fn says_failed(scanner: &Scanner<'_>, key: Text<'_>) -> Result<bool, Stop> {
    let mut scanner = scanner.clone();
    let next = scanner.next()?;
    if ["error", "errors", "exception"].iter().any(|name| key.is(name)) {
        let span = scanner.span()?;
        // An empty text, list or object has two brackets.
        return Ok(matches!(next, Next::Text | Next::List | Next::Object) && span.len() > 2);
    }
    if key.is("status") && next == Next::Text {
        let text = scanner.text()?;
        return Ok(["error", "failed", "failure", "fail"]
            .iter()
            .any(|word| text.raw.eq_ignore_ascii_case(word.as_bytes())));
    }
    Ok((key.is("success") || key.is("ok")) && next == Next::Bool && !scanner.bool()?)
}
