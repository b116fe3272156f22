//! Metrics pages: what is right on them is read, and written as version 0.0.4.

use std::{collections::HashMap, fmt::Write as _};

pub(super) use super::{
    line::Format,
    sample::{Kind, Sample},
};
use super::{
    line::{self, Line},
    sample::is_plain,
};

/// All samples of one name, as they will be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Family {
    /// Escaped where it needs quotes.
    pub name: String,
    pub kind: Kind,
    /// Escaped as it was read.
    pub help: Option<String>,
    pub samples: Vec<Sample>,
}

/// What a page says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    /// In the order of their first line, each of them once.
    pub families: Vec<Family>,
    /// How many lines were left out since Prometheus would refuse the page for them.
    pub wrong: u64,
    /// The first of them, counted from 1. What it says is not told: it is the model's.
    pub first_wrong: Option<usize>,
}

/// Reads a page.
pub(super) fn parse(page: &[u8], format: Format) -> Read {
    let mut reader = Reader { format, ..Reader::default() };
    let mut ended = format == Format::Text;
    let (mut at, mut number) = (0, 1);
    while at < page.len() {
        let rest = &page[at..];
        let line = line::read(rest, format);
        let length = match &line {
            Some((_, length)) => *length,
            None => rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1),
        };
        match line {
            Some((Line::End, _)) => ended = true,
            Some((line, _)) => reader.take(line),
            None => reader.wrong(number),
        }
        at += length;
        number += rest[..length].iter().filter(|byte| **byte == b'\n').count();
        if ended && format == Format::OpenMetrics {
            break;
        }
    }
    // Nothing may follow the end of an OpenMetrics page, which must be there.
    if at < page.len() || !ended {
        reader.wrong(number);
    }
    let mut read = reader.read;
    read.families.retain(|family| !family.samples.is_empty());
    read
}

/// Writes families as version 0.0.4. Only `quoted` makes it write names that need quotes, which not everybody can read.
pub(super) fn write(families: &[Family], quoted: bool, page: &mut String) {
    for Family { name, kind, help, samples } in families {
        let mut samples = samples.iter().filter(|sample| quoted || sample.plain).peekable();
        if samples.peek().is_none() {
            continue;
        }
        let quotes = if is_plain(name) { "" } else { "\"" };
        // Writing to a String cannot fail.
        if let Some(help) = help {
            let _ = writeln!(page, "# HELP {quotes}{name}{quotes} {help}");
        }
        let _ = writeln!(page, "# TYPE {quotes}{name}{quotes} {}", kind.word());
        for sample in samples {
            page.push_str(sample.line());
            page.push('\n');
        }
    }
}

impl Kind {
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

#[derive(Default)]
struct Reader {
    read: Read,
    by_name: HashMap<String, usize>,
    format: Format,
}

impl Reader {
    fn wrong(&mut self, number: usize) {
        self.read.wrong += 1;
        self.read.first_wrong.get_or_insert(number);
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Nothing | Line::End => {}
            // Of several Prometheus takes the last.
            Line::Help { name, text } => self.family(&name).help = Some(text),
            Line::Type { name, kind } => self.kind(&name, kind),
            Line::Sample(sample) => {
                let last = self.read.families.len().checked_sub(1);
                let of_last = last.filter(|last| self.read.families[*last].takes(sample.name()));
                let at = of_last.unwrap_or_else(|| self.owner(sample.name()));
                self.read.families[at].samples.push(sample);
            }
        }
    }

    fn kind(&mut self, name: &str, kind: Kind) {
        let at = self.at(name);
        // An OpenMetrics counter `x` has samples `x_total`, which is the family's name in version 0.0.4.
        if self.format == Format::OpenMetrics && kind == Kind::Counter && !name.ends_with("_total") {
            let full = format!("{name}_total");
            if !self.by_name.contains_key(&full) {
                self.read.families[at].name.clone_from(&full);
                self.by_name.insert(full, at);
            }
        }
        let family = &mut self.read.families[at];
        let was = family.kind.suffixes();
        // A type may come late, but not against what was seen: those samples would have no family.
        if family.samples.is_empty() || was.iter().all(|suffix| kind.suffixes().contains(suffix)) {
            family.kind = kind;
        }
    }

    /// The family of a sample that is not the last family's: an earlier one, or one of its own.
    fn owner(&mut self, name: &str) -> usize {
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        let stems = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
        let owner = stems.filter_map(|stem| self.by_name.get(stem)).find(|at| self.read.families[**at].takes(name));
        owner.copied().unwrap_or_else(|| self.at(name))
    }

    fn at(&mut self, name: &str) -> usize {
        *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.read.families.push(Family::new(name));
            self.read.families.len() - 1
        })
    }

    fn family(&mut self, name: &str) -> &mut Family {
        let at = self.at(name);
        &mut self.read.families[at]
    }
}

#[cfg(test)]
#[path = "tests/exposition.rs"]
mod tests;
