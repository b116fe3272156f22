//! The text format of metrics pages: reads it strictly, since one wrong line makes Prometheus refuse a whole page.
//!
//! Reads version 0.0.4 and what OpenMetrics pages have beyond it; writes 0.0.4.

use std::{collections::HashMap, fmt::Write as _};

/// All samples of one name, as they will be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Family {
    pub name: String,
    pub kind: Kind,
    /// Escaped as it was read.
    pub help: Option<String>,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

/// One line: a name, labels, a value, maybe a timestamp.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    line: String,
    name: usize,
    series: usize,
    pub value: f64,
}

impl Sample {
    pub fn new(series: &str, value: f64) -> Self {
        let name = series.find('{').unwrap_or(series.len());
        Self { line: format!("{series} {value}"), name, series: series.len(), value }
    }

    pub fn name(&self) -> &str {
        &self.line[..self.name]
    }

    /// The name with the labels.
    pub fn series(&self) -> &str {
        &self.line[..self.series]
    }
}

/// The line that is wrong, counted from 1. What it says is not told: it is the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is no line of a metrics page")]
pub(super) struct Malformed(pub usize);

/// Reads a page. Families come in the order of their first line, each of them once.
pub(super) fn parse(page: &str, openmetrics: bool) -> Result<Vec<Family>, Malformed> {
    let mut reader = Reader { families: Vec::new(), by_name: HashMap::new(), openmetrics };
    for (at, line) in page.lines().enumerate() {
        let line = line.trim_matches([' ', '\t']);
        if openmetrics && line == "# EOF" {
            break;
        }
        if !line.is_empty() {
            reader.line(line).ok_or(Malformed(at + 1))?;
        }
    }
    let mut families = reader.families;
    families.retain(|family| !family.samples.is_empty());
    Ok(families)
}

/// Writes families as version 0.0.4.
pub(super) fn write(families: &[Family], page: &mut String) {
    for Family { name, kind, help, samples } in families {
        // Writing to a String cannot fail.
        if let Some(help) = help {
            let _ = writeln!(page, "# HELP {name} {help}");
        }
        let _ = writeln!(page, "# TYPE {name} {}", kind.word());
        for sample in samples {
            page.push_str(&sample.line);
            page.push('\n');
        }
    }
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => Self::Counter,
            "gauge" | "info" | "stateset" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            "untyped" | "unknown" | "gaugehistogram" => Self::Untyped,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }

    /// What may follow the family's name in the name of a sample.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Histogram => &["_bucket", "_sum", "_count"],
            Self::Summary => &["_sum", "_count"],
            _ => &[],
        }
    }
}

impl Family {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), kind: Kind::Untyped, help: None, samples: Vec::new() }
    }

    fn takes(&self, sample: &str) -> bool {
        let rest = sample.strip_prefix(self.name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || self.kind.suffixes().contains(&rest))
    }

    /// Every name that Prometheus would see.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.samples.iter().map(Sample::name))
    }
}

struct Reader {
    families: Vec<Family>,
    by_name: HashMap<String, usize>,
    openmetrics: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<()> {
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Option<()> {
        let (keyword, rest) = split_word(comment);
        if keyword != "HELP" && keyword != "TYPE" {
            return Some(());
        }
        let (name, rest) = split_word(rest);
        if !is_name(name) {
            return None;
        }
        if keyword == "HELP" {
            let family = self.family(name);
            family.help.get_or_insert_with(|| rest.to_owned());
            return Some(());
        }
        let kind = Kind::of(rest.trim_end())?;
        // An OpenMetrics counter `x` has samples `x_total`, which is the family's name in version 0.0.4.
        if self.openmetrics && kind == Kind::Counter && !name.ends_with("_total") {
            let at = self.at(name);
            let full = format!("{name}_total");
            if self.by_name.contains_key(&full) {
                return None;
            }
            self.families.get_mut(at)?.name.clone_from(&full);
            self.by_name.insert(full, at);
            return self.set_kind(at, kind);
        }
        let at = self.at(name);
        self.set_kind(at, kind)
    }

    fn set_kind(&mut self, at: usize, kind: Kind) -> Option<()> {
        let family = self.families.get_mut(at)?;
        // A type must come before the samples that it says something about.
        if !family.samples.is_empty() && family.kind != kind {
            return None;
        }
        family.kind = kind;
        Some(())
    }

    fn sample(&mut self, line: &str) -> Option<()> {
        let parsed = sample(line, self.openmetrics)?;
        let name = parsed.name();
        let of_last = self.families.last().is_some_and(|last| last.takes(name));
        let at = if of_last { self.families.len() - 1 } else { self.owner(name) };
        self.families.get_mut(at)?.samples.push(parsed);
        Some(())
    }

    /// The family of a sample that is not the last family's: an earlier one, or one of its own.
    fn owner(&mut self, name: &str) -> usize {
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        let stems = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
        let owner = stems.filter_map(|stem| self.by_name.get(stem)).find(|at| self.families[**at].takes(name));
        owner.copied().unwrap_or_else(|| self.at(name))
    }

    fn at(&mut self, name: &str) -> usize {
        *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.families.push(Family::new(name));
            self.families.len() - 1
        })
    }

    fn family(&mut self, name: &str) -> &mut Family {
        let at = self.at(name);
        &mut self.families[at]
    }
}

/// The first word, and what follows the blanks after it.
fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches([' ', '\t']);
    let (word, rest) = text.split_at(text.find([' ', '\t']).unwrap_or(text.len()));
    (word, rest.trim_start_matches([' ', '\t']))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name_length(name.as_bytes(), true) == name.len()
}

/// How many bytes from the start are a name, of a metric or of a label.
fn name_length(bytes: &[u8], colons: bool) -> usize {
    let fits = |(at, byte): (usize, &u8)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
        b':' => colons,
        b'0'..=b'9' => at > 0,
        _ => false,
    };
    bytes.iter().enumerate().take_while(|one| fits(*one)).count()
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn sample(line: &str, openmetrics: bool) -> Option<Sample> {
    let bytes = line.as_bytes();
    let name = name_length(bytes, true);
    if name == 0 {
        return None;
    }
    let open = name + blanks(&bytes[name..]);
    let series = if bytes.get(open) == Some(&b'{') { open + labels(&bytes[open..])? } else { name };
    let mut rest = line.get(series..)?;
    if openmetrics {
        // What follows is an example of what was counted.
        rest = rest.split_once(" # ").map_or(rest, |(sample, _)| sample);
    }
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let written = words.next()?;
    let value = number(written)?;
    let timestamp = words.next();
    if words.next().is_some() || (series == name && !rest.starts_with([' ', '\t'])) {
        return None;
    }
    let mut line = format!("{}{} {written}", &line[..name], line.get(open..series).unwrap_or_default());
    let series = line.len() - written.len() - 1;
    match timestamp {
        // OpenMetrics counts seconds, version 0.0.4 milliseconds. Without one it is the time of the scrape.
        Some(text) if openmetrics => text.parse::<f64>().ok().map(drop)?,
        Some(text) => {
            text.parse::<i64>().ok()?;
            line.push(' ');
            line.push_str(text);
        }
        None => {}
    }
    Some(Sample { line, name, series, value })
}

/// A value as Go's `ParseFloat` reads it, without its hexadecimal forms.
fn number(text: &str) -> Option<f64> {
    // Rust reads some words more than that, as "infinity"; both do.
    text.parse().ok()
}

/// How many bytes the labels have, from the opening to the closing brace.
fn labels(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += blanks(&bytes[at..]);
        if bytes.get(at)? == &b'}' {
            return Some(at + 1);
        }
        let name = name_length(&bytes[at..], false);
        if name == 0 {
            return None;
        }
        at += name;
        at += blanks(&bytes[at..]);
        if bytes.get(at)? != &b'=' {
            return None;
        }
        at += 1;
        at += blanks(&bytes[at..]);
        at += quoted(&bytes[at..])?;
        at += blanks(&bytes[at..]);
        match bytes.get(at)? {
            b',' => at += 1,
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// How many bytes a label's value has, with its quotes.
fn quoted(bytes: &[u8]) -> Option<usize> {
    if bytes.first()? != &b'"' {
        return None;
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match bytes.get(at + 1)? {
                b'\\' | b'"' | b'n' => at += 2,
                _ => return None,
            },
            _ => at += 1,
        }
    }
}

#[cfg(test)]
#[path = "tests/exposition.rs"]
mod tests;
