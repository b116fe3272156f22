//! Tensors of the Open Inference protocol and of Seldon Core, whose rows lie in one flat list.

use std::ops::Range;

use super::{
    answer::{Rows, rank},
    fields::UNRANKED,
    json::{Next, Scanner},
    quoted::is_quoted,
};

impl Rows {
    pub(super) fn take(&mut self, output: Output) {
        let width = output.shape.iter().skip(1).try_fold(1_usize, |width, size| width.checked_mul(*size));
        let width = width.unwrap_or(0).max(1);
        self.flat = width > 1 && !output.nested;
        self.spans = output.spans;
        self.quoted |= output.quoted;
        if self.flat {
            let rows = self.spans.chunks_exact(width).filter_map(|row| Some(row.first()?.start..row.last()?.end));
            self.spans = rows.collect();
        }
    }
}

/// One output tensor of the Open Inference protocol.
#[derive(Default)]
pub(super) struct Output {
    pub rank: usize,
    shape: Vec<usize>,
    spans: Vec<Range<usize>>,
    nested: bool,
    quoted: bool,
}

impl Output {
    /// Whether `bytes` were such an output. The spans are moved by `offset`.
    pub fn read(&mut self, bytes: &[u8], offset: usize) -> bool {
        let mut scanner = Scanner::new(bytes, true);
        let mut has_data = false;
        // Below any named one, above none.
        self.rank = UNRANKED + 1;
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
            if (key.is("data") || key.is("values")) && scanner.next()? == Next::List {
                has_data = true;
                return scanner.list(|scanner| {
                    self.nested |= scanner.next()? == Next::List;
                    let span = scanner.span()?;
                    self.quoted |= is_quoted(scanner.within(&span));
                    self.spans.push(span.start + offset..span.end + offset);
                    Ok(())
                });
            }
            scanner.skip()
        });
        outcome.is_ok() && has_data
    }
}
