//! Whose fault a 4xx answer is.

use http::StatusCode;

use super::json::{Next, Scanner, Stop};
use crate::{blame::Cause, exchange::Captured};

/// How MLflow's message begins when the model raised: the same words from 1.x to 3.x, with status 400. Anywhere else
/// in a message the words may be the client's own, since messages repeat rows of the request.
const CRASH: &[u8] = b"Encountered an unexpected error while evaluating the model";

/// What of an answer is looked at, in bytes: its first fields are `error_code` and `message`.
pub(super) const LOOKED_AT: usize = 4 * 1024;

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
    // The body may well end within its stack trace: what counts is whether the message came before that.
    if crashed(beginning) { Cause::Model } else { Cause::Client }
}

fn crashed(beginning: &[u8]) -> bool {
    let mut scanner = Scanner::new(beginning, false);
    let mut crashed = false;
    if scanner.next() != Ok(Next::Object) {
        return false;
    }
    let read = scanner.object(|scanner, key| {
        if key.is("message") && scanner.next()? == Next::Text {
            crashed = scanner.text()?.raw.starts_with(CRASH);
            return Ok(());
        }
        scanner.skip()
    });
    crashed && read != Err(Stop::Malformed)
}
