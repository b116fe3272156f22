//! A scanner over JSON as model servers write it: literal `NaN`, `Infinity` and `-Infinity` are numbers, as in Python.
//!
//! It builds no tree and copies nothing. It tells a body that is wrong from one that merely ended, so that the
//! beginning of a long body can be read row by row. What it is lenient about (control characters in texts, numbers
//! like `1.`) cannot change how rows are told apart.

/// Deeper than this is [`Stop::Malformed`]: no prediction is, and recursion stays bounded.
const DEPTH: usize = 32;
/// Python writes no longer integer (its limit is 4,300 digits).
const LONGEST_NUMBER: usize = 4_400;

/// Why a body could not be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// This is no JSON.
    Malformed,
    /// The bytes ended before the value did.
    Ended,
}

/// Reads forward through a body. After an error its position means nothing.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    whole: bool,
}

/// The inside of a text, escapes not yet resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    pub raw: &'a [u8],
    escaped: bool,
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Text,
    Number,
    Bool,
    Null,
    List,
    Object,
}

/// Whether a body is one whole value.
pub fn is_json(bytes: &[u8]) -> bool {
    let mut scanner = Scanner::new(bytes, true);
    scanner.skip().and_then(|()| scanner.end()).is_ok()
}

impl<'a> Scanner<'a> {
    /// `whole` is false when the body went on after `bytes`: a number at the very end may then have been longer.
    pub fn new(bytes: &'a [u8], whole: bool) -> Self {
        // Windows' programs mark UTF-8 that way; RFC 8259, 8.1, allows to ignore it.
        let at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { bytes, at, depth: 0, whole }
    }

    /// The bytes of a span of this body.
    pub fn within(&self, span: &std::ops::Range<usize>) -> &'a [u8] {
        self.bytes.get(span.clone()).unwrap_or_default()
    }

    /// The position of the next value.
    pub fn at(&mut self) -> usize {
        self.blank();
        self.at
    }

    /// What comes next, without reading it.
    pub fn next(&mut self) -> Result<Next, Stop> {
        match self.peek()? {
            b'"' => Ok(Next::Text),
            b'[' => Ok(Next::List),
            b'{' => Ok(Next::Object),
            b't' | b'f' => Ok(Next::Bool),
            b'n' => Ok(Next::Null),
            b'-' | b'0'..=b'9' | b'N' | b'I' => Ok(Next::Number),
            _ => Err(Stop::Malformed),
        }
    }

    /// Nothing but blanks may be left.
    pub fn end(&mut self) -> Result<(), Stop> {
        self.blank();
        if self.at == self.bytes.len() { Ok(()) } else { Err(Stop::Malformed) }
    }

    /// Reads over one value of any kind.
    pub fn skip(&mut self) -> Result<(), Stop> {
        match self.next()? {
            Next::Text => self.text().map(drop),
            Next::Number => self.number().map(drop),
            Next::Bool => self.bool().map(drop),
            Next::Null => self.word(b"null"),
            Next::List => self.list(Self::skip),
            Next::Object => self.object(|scanner, _| scanner.skip()),
        }
    }

    /// Reads over one value and returns its bytes.
    pub fn span(&mut self) -> Result<std::ops::Range<usize>, Stop> {
        let start = self.at();
        self.skip()?;
        Ok(start..self.at)
    }

    /// Calls `item` for each item of a list; it must read exactly one value.
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.open(b'[')?;
        if self.peek()? != b']' {
            loop {
                item(self)?;
                if !self.comma(b']')? {
                    break;
                }
            }
        }
        self.close()
    }

    /// Calls `member` with each key of an object; it must read exactly one value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Text<'a>) -> Result<(), Stop>) -> Result<(), Stop> {
        self.open(b'{')?;
        if self.peek()? != b'}' {
            loop {
                let key = self.text()?;
                self.expect(b':')?;
                member(self, key)?;
                if !self.comma(b'}')? {
                    break;
                }
            }
        }
        self.close()
    }

    pub fn text(&mut self) -> Result<Text<'a>, Stop> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let left = self.bytes.get(self.at..).unwrap_or_default();
            let length = left.iter().position(|&byte| byte == b'"' || byte == b'\\').ok_or(Stop::Ended)?;
            self.at += length;
            if left.get(length) == Some(&b'"') {
                let raw = self.bytes.get(start..self.at).unwrap_or_default();
                self.at += 1;
                return Ok(Text { raw, escaped });
            }
            // The escaped byte is read over, be it a quotation mark or another backslash.
            escaped = true;
            self.at += 2;
            if self.at > self.bytes.len() {
                return Err(Stop::Ended);
            }
        }
    }

    /// Reads one number; infinite when it is too large for a double.
    pub fn number(&mut self) -> Result<f64, Stop> {
        match self.peek()? {
            b'N' => self.word(b"NaN").map(|()| f64::NAN),
            b'I' => self.word(b"Infinity").map(|()| f64::INFINITY),
            b'-' if self.bytes.get(self.at + 1) == Some(&b'I') => self.word(b"-Infinity").map(|()| f64::NEG_INFINITY),
            _ => self.digits(),
        }
    }

    fn digits(&mut self) -> Result<f64, Stop> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = left.iter().position(|byte| !part(byte)).unwrap_or(left.len());
        if length == left.len() && !self.whole {
            return Err(Stop::Ended);
        }
        if length > LONGEST_NUMBER {
            return Err(Stop::Malformed);
        }
        let digits = left.get(..length).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        self.at += length;
        digits.parse().map_err(|_| Stop::Malformed)
    }

    pub fn bool(&mut self) -> Result<bool, Stop> {
        let word: &[u8] = if self.peek()? == b't' { b"true" } else { b"false" };
        self.word(word).map(|()| word == b"true")
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Result<u8, Stop> {
        self.blank();
        self.bytes.get(self.at).copied().ok_or(Stop::Ended)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek()? != byte {
            return Err(Stop::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        if left.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(left) { Stop::Ended } else { Stop::Malformed })
    }

    fn open(&mut self, byte: u8) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Stop::Malformed);
        }
        self.expect(byte)
    }

    fn close(&mut self) -> Result<(), Stop> {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    /// Whether another item follows, rather than `last`.
    fn comma(&mut self, last: u8) -> Result<bool, Stop> {
        match self.peek()? {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            byte if byte == last => Ok(false),
            _ => Err(Stop::Malformed),
        }
    }
}

impl Text<'_> {
    /// Whether it reads `name`. Names asked for here need no escapes, so a text with some is another one.
    pub fn is(&self, name: &str) -> bool {
        !self.escaped && self.raw == name.as_bytes()
    }

    /// The text with its escapes resolved, cut where it gets longer than `limit` bytes.
    pub fn decode(&self, limit: usize) -> String {
        let mut text = String::new();
        // An escape is at most six bytes for one; half a character at the end is cut below.
        let raw = self.raw.get(..limit.saturating_mul(6)).unwrap_or(self.raw);
        let mut rest = raw;
        while !rest.is_empty() && text.len() <= limit {
            let plain = rest.iter().position(|&byte| byte == b'\\').unwrap_or(rest.len());
            let (before, after) = rest.split_at(plain);
            text.push_str(&String::from_utf8_lossy(before));
            rest = after;
            if let Some((character, length)) = escape(rest) {
                text.push(character);
                rest = rest.get(length..).unwrap_or_default();
            }
        }
        text.truncate(text.floor_char_boundary(limit));
        text
    }
}

/// The character that an escape at the start of `bytes` stands for, and the escape's length.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let simple = |character| Some((character, 2));
    match bytes.get(1) {
        None => (!bytes.is_empty()).then_some((char::REPLACEMENT_CHARACTER, 1)),
        Some(b'n') => simple('\n'),
        Some(b't') => simple('\t'),
        Some(b'r') => simple('\r'),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'u') => match (unit(0), unit(6)) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12))
            }
            (Some(code), _) => Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6)),
            (None, _) => simple(char::REPLACEMENT_CHARACTER),
        },
        Some(&byte) if byte.is_ascii() => simple(char::from(byte)),
        Some(_) => Some((char::REPLACEMENT_CHARACTER, 1)),
    }
}
