//! Where the rows are in a model's answer.

use std::ops::Range;

use super::json::{Next, Scanner, Stop, Text};

/// Why no rows could be found in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRows {
    /// It is no JSON.
    Malformed,
    /// It ended before its first row did.
    Cut,
    /// It is JSON, and of no known shape.
    Unknown,
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
    /// The answer was cut behind these rows.
    pub in_part: bool,
    /// A language model's answer: rows to count, and nothing to read in them.
    pub prose: bool,
}

/// Fields of a whole answer whose list holds the rows, the most telling first.
const LISTS: [&str; 5] = ["predictions", "outputs", "prediction", "results", "result"];
/// Fields that hold the prediction within a row, the most telling first. A found path is made of these names only, so
/// that no other word of an answer gets into a label.
pub(super) const FIELDS: [&str; 16] = [
    "prediction",
    "predictions",
    "predicted",
    "predicted_class",
    "predicted_label",
    "label",
    "class",
    "category",
    "y_pred",
    "output",
    "result",
    "value",
    "score",
    "probability",
    "probabilities",
    "scores",
];
/// Fields by which a language model's answer is known.
const PROSE: [&str; 8] =
    ["choices", "messages", "candidates", "completion", "generated_text", "output_text", "content", "embeddings"];

impl Rows {
    /// Finds the rows of `body`. `column` is the first field of the path in use: it tells which column is meant when
    /// the predictions are a map of columns.
    pub fn find(&mut self, body: &[u8], whole: bool, column: Option<&str>) -> Result<(), NoRows> {
        self.clear();
        let mut scanner = Scanner::new(body, whole);
        let outcome = self.top(&mut scanner, body, column).and_then(|()| scanner.end());
        match outcome {
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

    fn top(&mut self, scanner: &mut Scanner<'_>, body: &[u8], column: Option<&str>) -> Result<(), Stop> {
        match scanner.next()? {
            Next::Object => self.object(scanner, body, column),
            Next::List => self.items(scanner),
            // MLflow wraps all but a language model's answers.
            Next::Text => {
                self.prose = true;
                scanner.skip()
            }
            Next::Null => scanner.skip(),
            Next::Number | Next::Bool => self.single(scanner),
        }
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, body: &[u8], column: Option<&str>) -> Result<(), Stop> {
        let start = scanner.at();
        // The place of the field taken so far in `LISTS`; lower is better.
        let mut taken = LISTS.len();
        let mut prose = false;
        let mut named = false;
        scanner.object(|scanner, key| {
            let place = LISTS.iter().position(|name| key.is(name)).unwrap_or(LISTS.len());
            prose |= PROSE.iter().any(|name| key.is(name));
            named |= FIELDS.iter().any(|name| key.is(name)) || column.is_some_and(|name| key.is(name));
            if place >= taken || (place > 0 && scanner.next()? != Next::List) {
                return scanner.skip();
            }
            taken = place;
            self.clear();
            match scanner.next()? {
                Next::List if place == 1 => self.outputs(scanner, body),
                Next::List => self.items(scanner),
                Next::Object => self.columns(scanner, column),
                Next::Null => scanner.skip(),
                _ => self.single(scanner),
            }
        })?;
        if taken == LISTS.len() {
            self.prose = prose && !named;
            if named {
                self.spans.push(start..scanner.at());
            }
        }
        Ok(())
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
            self.spans.push(span);
            Ok(())
        })
    }

    /// An object in place of a list: a map of columns when all its values are lists of one length, else a single row.
    fn columns(&mut self, scanner: &mut Scanner<'_>, column: Option<&str>) -> Result<(), Stop> {
        let start = scanner.at();
        let mut lengths: Option<usize> = None;
        let mut even = true;
        let mut count = 0;
        let mut best = usize::MAX;
        scanner.object(|scanner, key| {
            count += 1;
            if scanner.next()? != Next::List {
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

    fn take(&mut self, output: Output) {
        let width = output.shape.iter().skip(1).try_fold(1_usize, |width, size| width.checked_mul(*size));
        let width = width.unwrap_or(0).max(1);
        self.flat = width > 1 && !output.nested;
        self.spans = output.spans;
        if self.flat {
            let rows = self.spans.chunks_exact(width).filter_map(|row| Some(row.first()?.start..row.last()?.end));
            self.spans = rows.collect();
        }
    }
}

/// How well a column or an output fits; lower is better, none for not at all.
fn rank(name: Text<'_>, wanted: Option<&str>) -> Option<usize> {
    if wanted.is_some_and(|wanted| name.is(wanted)) {
        return Some(0);
    }
    // With a path set by the user only the column that it names is meant.
    let known = FIELDS.iter().position(|field| name.is(field))?;
    wanted.is_none().then_some(known + 1)
}

/// One output tensor of the Open Inference protocol.
#[derive(Default)]
struct Output {
    rank: usize,
    shape: Vec<usize>,
    spans: Vec<Range<usize>>,
    nested: bool,
}

impl Output {
    /// Whether `bytes` were such an output. The spans are moved by `offset`.
    fn read(&mut self, bytes: &[u8], offset: usize) -> bool {
        let mut scanner = Scanner::new(bytes, true);
        let mut has_data = false;
        // Below any named one, above none.
        self.rank = FIELDS.len() + 1;
        if !matches!(scanner.next(), Ok(Next::Object)) {
            return false;
        }
        let outcome = scanner.object(|scanner, key| {
            if key.is("name") && scanner.next()? == Next::Text {
                self.rank = rank(scanner.text()?, None).unwrap_or(self.rank);
                return Ok(());
            }
            if key.is("shape") && scanner.next()? == Next::List {
                return scanner.list(|scanner| {
                    let size = scanner.number()?;
                    // A size that is no number of rows makes a width that no row has.
                    self.shape.push(if (0.0..1e9).contains(&size) { size as usize } else { usize::MAX });
                    Ok(())
                });
            }
            if key.is("data") && scanner.next()? == Next::List {
                has_data = true;
                return scanner.list(|scanner| {
                    self.nested |= scanner.next()? == Next::List;
                    let span = scanner.span()?;
                    self.spans.push(span.start + offset..span.end + offset);
                    Ok(())
                });
            }
            scanner.skip()
        });
        outcome.is_ok() && has_data
    }
}
