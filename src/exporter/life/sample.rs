//! A sample of a metrics page, as it will be written.

use std::{borrow::Cow, ops::Range};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

/// A name, labels, a value, maybe a timestamp: as it will be written in version 0.0.4.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    line: String,
    name: Range<usize>,
    series: usize,
    /// Whether all of its names can be written without quotes.
    pub plain: bool,
    pub value: f64,
}

impl Sample {
    /// Of a series whose name needs no quotes.
    pub fn new(series: &str, value: f64) -> Self {
        let name = 0..series.find('{').unwrap_or(series.len());
        Self { line: format!("{series} {value}"), name, series: series.len(), plain: true, value }
    }

    /// `value` is as it was read, and the number that this is.
    pub fn write(name: &str, labels: &[Label<'_>], (value, number): (&str, f64), timestamp: Option<&str>) -> Self {
        let mut line = String::with_capacity(name.len() + value.len() + 1 + labels.len() * 24);
        let mut plain = is_plain(name);
        let bare = plain;
        if !bare {
            line.push_str("{\"");
        }
        let start = line.len();
        line.push_str(name);
        let name = start..line.len();
        if !bare {
            line.push('"');
        }
        for (at, Label { name, value }) in labels.iter().enumerate() {
            line.push(if at == 0 && bare { '{' } else { ',' });
            let quotes = if name_length(name.as_bytes(), false) == name.len() { "" } else { "\"" };
            plain &= quotes.is_empty();
            for part in [quotes, name, quotes, "=\"", value, "\""] {
                line.push_str(part);
            }
        }
        if !bare || !labels.is_empty() {
            line.push('}');
        }
        let series = line.len();
        for word in [Some(value), timestamp].into_iter().flatten() {
            line.push(' ');
            line.push_str(word);
        }
        Self { line, name, series, plain, value: number }
    }

    pub fn name(&self) -> &str {
        &self.line[self.name.clone()]
    }

    /// The name with the labels.
    pub fn series(&self) -> &str {
        &self.line[..self.series]
    }

    pub fn line(&self) -> &str {
        &self.line
    }
}

/// Whether a metric's name can be written without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name_length(name.as_bytes(), true) == name.len()
}

/// Both escaped by [`canonical`].
pub(super) struct Label<'a> {
    pub name: Cow<'a, str>,
    pub value: Cow<'a, str>,
}

/// Whether these labels can be stored: names are there and differ. Those that have no value are none, and Prometheus takes all of
/// the same name away with one of them.
pub(super) fn unique(labels: &mut Vec<Label<'_>>) -> bool {
    if labels.iter().any(|label| label.name == "__name__") {
        return false;
    }
    let mut names: Vec<(&str, bool)> = labels.iter().map(|label| (&*label.name, !label.value.is_empty())).collect();
    names.sort_unstable();
    let wrong = |same: &&[(&str, bool)]| same.len() > 1 || same.iter().any(|(name, _)| name.is_empty());
    let mut gone = Vec::new();
    for same in names.chunk_by(|one, other| one.0 == other.0).filter(wrong) {
        match same {
            [(name, false), ..] => gone.push((*name).to_owned()),
            _ => return false,
        }
    }
    if !gone.is_empty() {
        // In order, as the names were.
        labels.retain(|label| gone.binary_search_by(|gone| gone.as_str().cmp(&label.name)).is_err());
    }
    true
}

/// The same text with a line break escaped, and a backslash that escapes nothing as one that stands for itself.
pub(super) fn canonical(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '\n']) {
        return Cow::Borrowed(text);
    }
    let mut canonical = String::with_capacity(text.len() + 8);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\n' => canonical.push_str("\\n"),
            '\\' => match characters.next() {
                Some(known @ ('"' | '\\' | 'n')) => canonical.extend(['\\', known]),
                Some(other) => canonical.extend(['\\', '\\', other]),
                None => canonical.push_str("\\\\"),
            },
            other => canonical.push(other),
        }
    }
    Cow::Owned(canonical)
}

/// How many bytes from the start are a name, of a metric or of a label.
pub(super) fn name_length(bytes: &[u8], colons: bool) -> usize {
    let fits = |(at, byte): (usize, &u8)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
        b':' => colons,
        b'0'..=b'9' => at > 0,
        _ => false,
    };
    bytes.iter().enumerate().take_while(|one| fits(*one)).count()
}
