//! Whose fault a 4xx answer is.

use http::StatusCode;

use super::json::{Next, Scanner, Stop};
use crate::{blame::Cause, exchange::Captured};

/// How MLflow's message begins when the model raised: the same words from 1.x to 3.x, with status 400. Anywhere else
/// in a message the words may be the client's own, since messages repeat rows of the request.
const CRASH: &[u8] = b"Encountered an unexpected error while evaluating the model";

/// What of an answer is looked at, in bytes. Traces of MLflow 3.17 have 1 to 6 KiB; one that is longer blames nobody.
pub(super) const LOOKED_AT: usize = 16 * 1024;

/// How each part of a Python trace begins. Exceptions that were raised while another was handled have a part each.
const TRACE: &str = "Traceback (most recent call last):\n";

/// Exceptions that no row causes: something is missing from the image or its code, or the pod has too little memory.
const OF_THE_MODEL: [&str; 8] = [
    "NameError",
    "UnboundLocalError",
    "ImportError",
    "ModuleNotFoundError",
    "NotImplementedError",
    "NotFittedError",
    "MemoryError",
    "OutOfMemoryError",
];
/// Types of what a request is read into. Code that misses an attribute of one of these got a row that it did not expect;
/// code that misses one of its own is older or newer than its libraries.
const OF_DATA: [&str; 13] = [
    "NoneType",
    "str",
    "bytes",
    "int",
    "float",
    "bool",
    "list",
    "tuple",
    "dict",
    "DataFrame",
    "Series",
    "Timestamp",
    "NaTType",
];

/// Who caused the answer: for a status below 500 the client, unless MLflow says that the model raised.
pub fn blame(status: StatusCode, answer: &Captured) -> Cause {
    if status.is_server_error() {
        return Cause::Model;
    }
    let mut beginning = Vec::new();
    for piece in &answer.pieces {
        let room = LOOKED_AT - beginning.len();
        beginning.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
    of_client_error(&beginning)
}

pub(super) fn of_client_error(beginning: &[u8]) -> Cause {
    let mut scanner = Scanner::new(beginning, false);
    let (mut crashed, mut trace) = (false, None);
    if scanner.next() != Ok(Next::Object) {
        return Cause::Client;
    }
    let read = scanner.object(|scanner, key| {
        let text = |scanner: &mut Scanner<'_>| scanner.next().map(|next| next == Next::Text);
        if key.is("message") && text(scanner)? {
            crashed = scanner.text()?.raw.starts_with(CRASH);
        } else if key.is("stack_trace") && text(scanner)? {
            trace = Some(scanner.text()?.decode(LOOKED_AT));
        } else {
            scanner.skip()?;
        }
        Ok(())
    });
    // The body may well end within its stack trace: what counts is whether the message came before that.
    if !crashed || read == Err(Stop::Malformed) { Cause::Client } else { of_trace(&trace.unwrap_or_default()) }
}

/// Whom the exceptions of a trace blame. A message may repeat what the client sent, a trace as well: so what stands behind
/// the first exception can only take the blame off the model, and never put it there.
fn of_trace(trace: &str) -> Cause {
    let parts: Vec<&str> = trace.split(TRACE).skip(1).collect();
    if !parts.is_empty() && parts.iter().all(|part| is_of_the_model(exception(part))) {
        return Cause::Model;
    }
    if matches!(parts[..], [part] if refused_by_sklearn(part)) { Cause::Client } else { Cause::Unclear }
}

/// The line that names the exception: the first one behind the frames, which are indented.
fn exception(part: &str) -> &str {
    part.lines().find(|line| !line.starts_with(' ')).unwrap_or_default()
}

/// Whether scikit-learn's check of what it is given refused it: no rows, a null, a text, another width.
fn refused_by_sklearn(part: &str) -> bool {
    let frames = part.lines().take_while(|line| line.starts_with(' '));
    let last = frames.filter(|line| line.starts_with("  File \"")).last();
    last.is_some_and(|frame| frame.contains("/sklearn/utils/validation.py\""))
        && exception(part).starts_with("ValueError: ")
}

/// Whether it is the model's own fault that this was raised, by the line that names the exception.
fn is_of_the_model(line: &str) -> bool {
    let (kind, message) = line.split_once(": ").unwrap_or((line, ""));
    match kind.rsplit('.').next() {
        // 'SimpleImputer' object has no attribute '_fill_dtype'
        Some("AttributeError") => message
            .strip_prefix('\'')
            .and_then(|rest| rest.split_once("' object has no attribute "))
            .is_some_and(|(of, _)| !OF_DATA.contains(&of) && !of.starts_with("numpy.")),
        Some(name) => OF_THE_MODEL.contains(&name),
        None => false,
    }
}
