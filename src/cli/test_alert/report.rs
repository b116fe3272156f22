//! What is told of each hop: a line of its own, and a remedy where it ends.

use std::io::Write;

/// Why an alert gets no further, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    pub words: String,
    pub remedy: String,
}

impl Trouble {
    pub fn new(words: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { words: words.into(), remedy: remedy.into() }
    }
}

/// What was found of a hop that does not end the way.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    Good(String),
    /// It could not be seen, or is not as it should be, and the mail may go out nevertheless.
    Doubtful(String),
}

/// Where the lines go. Who closes the pipe early has seen what they wanted.
pub struct Report<W> {
    out: W,
}

impl<W: Write> Report<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    pub fn good(&mut self, words: &str) {
        self.line("ok    ", words);
    }

    pub fn found(&mut self, finding: &Finding) {
        match finding {
            Finding::Good(words) => self.good(words),
            Finding::Doubtful(words) => self.line("warn  ", words),
        }
    }

    pub fn failed(&mut self, trouble: &Trouble) {
        self.line("FAIL  ", &trouble.words);
        self.line("      what to do: ", &trouble.remedy);
    }

    pub fn closing(&mut self, words: &str) {
        self.line("\n", words);
    }

    fn line(&mut self, head: &str, words: &str) {
        let _ = writeln!(self.out, "{head}{}", words.trim());
        // It takes a while until the next one.
        let _ = self.out.flush();
    }
}
