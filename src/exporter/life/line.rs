//! The grammar of metrics pages, as Prometheus reads it: what its parser takes is taken, and nothing else, since one wrong
//! line makes it refuse a whole page. `tests/vectors/prometheus-3.15-lines.json` holds what it was seen to do.

use std::borrow::Cow;

use super::sample::{Kind, Label, Sample, canonical, name_length, unique};

/// In which format a page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// Version 0.0.4, `text/plain`.
    #[default]
    Text,
    /// `application/openmetrics-text`.
    OpenMetrics,
}

/// What one line says. Names are without quotes, and escaped where they need quotes.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// Blank, or a comment.
    Nothing,
    /// The end of an OpenMetrics page.
    End,
    /// The text is escaped as version 0.0.4 has it.
    Help {
        name: String,
        text: String,
    },
    Type {
        name: String,
        kind: Kind,
    },
    Sample(Sample),
}

/// Reads the line at the start of `page`: what it says and how many bytes it has, with its line break. A quoted text may hold
/// line breaks, so one line may have several. `None` where Prometheus would refuse it.
pub(super) fn read(page: &[u8], format: Format) -> Option<(Line, usize)> {
    let mut reader = Reader { page, at: 0, format };
    let line = match format {
        Format::Text => reader.text_line(),
        Format::OpenMetrics => reader.openmetrics_line(),
    }?;
    match reader.next() {
        None | Some(b'\n') => Some((line, page.len().min(reader.at + 1))),
        Some(_) => None,
    }
}

struct Reader<'a> {
    page: &'a [u8],
    at: usize,
    format: Format,
}

impl<'a> Reader<'a> {
    fn text_line(&mut self) -> Option<Line> {
        self.blanks();
        match self.next() {
            None | Some(b'\n') => return Some(Line::Nothing),
            Some(b'#') => {}
            Some(_) => return self.sample(),
        }
        self.at += 1;
        let spaced = self.blanks() > 0;
        let keyword = [&b"HELP"[..], b"TYPE"].into_iter().find(|word| spaced && self.rest().starts_with(word));
        let Some(keyword) = keyword else { return self.comment() };
        self.at += keyword.len();
        if self.blanks() == 0 {
            return self.comment();
        }
        let name = self.metadata_name()?;
        // One byte of any kind is between the name and the text, which may be nothing.
        let text = str::from_utf8(self.line_end().get(1..).unwrap_or_default()).ok()?;
        match keyword {
            b"HELP" => Some(Line::Help { name, text: text.to_owned() }),
            _ => Some(Line::Type { name, kind: text_kind(text)? }),
        }
    }

    fn openmetrics_line(&mut self) -> Option<Line> {
        if self.next()? != b'#' {
            return self.sample();
        }
        let keyword = self.rest().get(2..6).filter(|_| self.rest().starts_with(b"# "))?;
        if keyword.starts_with(b"EOF") {
            self.at += 5;
            return Some(Line::End);
        }
        self.at += 6;
        self.byte(b' ')?;
        let name = self.metadata_name()?;
        self.byte(b' ')?;
        let text = str::from_utf8(self.line_end());
        match keyword {
            // It escapes quotes, too, which the older format does not.
            b"HELP" => Some(Line::Help { name, text: text.ok()?.replace("\\\"", "\"") }),
            b"TYPE" => Some(Line::Type { name, kind: openmetrics_kind(text.ok()?)? }),
            b"UNIT" => {
                let unit = text.ok()?;
                let fits = name.strip_suffix(unit).is_some_and(|stem| unit.is_empty() || stem.ends_with('_'));
                fits.then_some(Line::Nothing)
            }
            _ => None,
        }
    }

    fn sample(&mut self) -> Option<Line> {
        let start = self.at;
        let mut name = self.bare_name(true).map(Cow::Borrowed);
        let after_name = self.at;
        if self.format == Format::Text {
            self.blanks();
        }
        let labels = match self.next() {
            Some(b'{') => self.labels(&mut name, Names::Series)?,
            _ => {
                self.at = after_name;
                Vec::new()
            }
        };
        // Without labels it is the name that was read, if anything was.
        let name = name.filter(|name| !name.is_empty() && self.at > start)?;
        let value = self.value()?;
        let timestamp = self.timestamp()?;
        Some(Line::Sample(Sample::write(&name, &labels, value, timestamp)))
    }

    /// From the opening to the closing brace. A quoted text without a value is the metric's name, if that is not known yet.
    fn labels(&mut self, name: &mut Option<Cow<'a, str>>, of: Names) -> Option<Vec<Label<'a>>> {
        let mut labels = Vec::new();
        self.byte(b'{')?;
        loop {
            self.blanks_in_braces();
            if self.byte(b'}').is_some() {
                return (of == Names::Exemplar || unique(&mut labels)).then_some(labels);
            }
            let quoted = self.next() == Some(b'"');
            // What may hold a line break or a NUL is as Prometheus' grammar happens to have it.
            let label = if quoted { self.quoted(of == Names::Series, false)? } else { self.bare_name(false)?.into() };
            self.blanks_in_braces();
            if quoted && of == Names::Series && matches!(self.next(), Some(b',' | b'}')) {
                if name.replace(label).is_some() {
                    return None;
                }
                self.byte(b',');
                continue;
            }
            self.byte(b'=')?;
            self.blanks_in_braces();
            labels.push(Label { name: label, value: self.quoted(self.format == Format::Text, of == Names::Series)? });
            self.blanks_in_braces();
            // OpenMetrics has a comma between labels, the other format may have one.
            if self.byte(b',').is_none() && self.format == Format::OpenMetrics && self.next() != Some(b'}') {
                return None;
            }
        }
    }

    fn value(&mut self) -> Option<(&'a str, f64)> {
        let word = match self.format {
            Format::Text => {
                self.blanks();
                self.word(|byte| !matches!(byte, b'{' | b' ' | b'\t' | b'\n'))
            }
            Format::OpenMetrics => self.spaced_word(),
        }?;
        Some((word, number(word)?))
    }

    /// The rest of a sample's line; what is kept of it is a timestamp of version 0.0.4, in milliseconds.
    fn timestamp(&mut self) -> Option<Option<&'a str>> {
        if self.format == Format::OpenMetrics {
            return self.end_of_openmetrics_sample().map(|()| None);
        }
        self.blanks();
        let word = self.word(|byte| byte.is_ascii_digit());
        self.blanks();
        match word {
            Some(word) => word.parse::<i64>().ok().map(|_| Some(word)),
            None => Some(None),
        }
    }

    /// Maybe a timestamp, in seconds, which is left out: without one it is the time of the scrape. Maybe an example of what was
    /// counted, which the older format has no place for.
    fn end_of_openmetrics_sample(&mut self) -> Option<()> {
        const EXEMPLAR: &[u8] = b" # {";
        if self.next() == Some(b' ') && !self.rest().starts_with(EXEMPLAR) {
            self.openmetrics_timestamp()?;
        }
        if self.rest().starts_with(EXEMPLAR) {
            self.at += EXEMPLAR.len() - 1;
            self.labels(&mut None, Names::Exemplar)?;
            self.value()?;
            if self.next() == Some(b' ') {
                self.openmetrics_timestamp()?;
            }
        }
        Some(())
    }

    fn openmetrics_timestamp(&mut self) -> Option<()> {
        number(self.spaced_word()?).filter(|time| time.is_finite()).map(drop)
    }

    fn metadata_name(&mut self) -> Option<String> {
        match self.next()? {
            b'"' => self.quoted(true, false).map(Cow::into_owned),
            _ => self.bare_name(true).map(str::to_owned),
        }
    }

    fn bare_name(&mut self, colons: bool) -> Option<&'a str> {
        let length = name_length(self.rest(), colons);
        let name = self.rest().get(..length).filter(|name| !name.is_empty())?;
        self.at += length;
        str::from_utf8(name).ok()
    }

    /// A quoted text without its quotes, with the escapes that everybody knows and no others.
    fn quoted(&mut self, breaks: bool, nul: bool) -> Option<Cow<'a, str>> {
        self.byte(b'"')?;
        let start = self.at;
        loop {
            match self.next()? {
                b'"' => break,
                b'\n' if !breaks => return None,
                0 if !nul => return None,
                b'\\' => match self.page.get(self.at + 1)? {
                    b'\n' => return None,
                    _ => self.at += 2,
                },
                _ => self.at += 1,
            }
        }
        let text = str::from_utf8(self.page.get(start..self.at)?).ok()?;
        self.at += 1;
        Some(canonical(text))
    }

    /// To the end of the line.
    fn line_end(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn comment(&mut self) -> Option<Line> {
        self.line_end();
        Some(Line::Nothing)
    }

    fn spaced_word(&mut self) -> Option<&'a str> {
        self.byte(b' ')?;
        self.word(|byte| !matches!(byte, b' ' | b'\n'))
    }

    fn word(&mut self, fits: impl Fn(u8) -> bool) -> Option<&'a str> {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| fits(**byte)).count();
        self.at += length;
        str::from_utf8(&rest[..length]).ok().filter(|word| !word.is_empty())
    }

    fn blanks_in_braces(&mut self) {
        if self.format == Format::Text {
            self.blanks();
        }
    }

    fn blanks(&mut self) -> usize {
        let count = self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.at += count;
        count
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.next() == Some(byte)).then(|| self.at += 1)
    }

    fn next(&self) -> Option<u8> {
        self.page.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.page.get(self.at..).unwrap_or_default()
    }
}

/// Whose labels are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Series,
    Exemplar,
}

fn text_kind(word: &str) -> Option<Kind> {
    Some(match word {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        "summary" => Kind::Summary,
        "untyped" => Kind::Untyped,
        _ => return None,
    })
}

/// Those that the older format lacks become what it shows them as.
fn openmetrics_kind(word: &str) -> Option<Kind> {
    Some(match word {
        "info" | "stateset" => Kind::Gauge,
        "unknown" | "gaugehistogram" => Kind::Untyped,
        "untyped" => return None,
        _ => return text_kind(word),
    })
}

/// A number as Go's `ParseFloat` takes it before its hexadecimal forms: NaN has no sign, and what is too large is none.
fn number(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let digits = text.contains(|character: char| character.is_ascii_digit());
    let sign = text.starts_with(['+', '-']);
    let wrong = number.is_nan() && sign || number.is_infinite() && digits;
    (!wrong).then_some(number)
}

#[cfg(test)]
#[path = "tests/line.rs"]
mod tests;
