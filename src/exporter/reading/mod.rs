//! Reads predictions from copies of requests and answers, off the hot path.
//!
//! * `intake`: the door: what is wanted, offering, settings, and the thread.
//! * `inflate`: answers that are compressed.
//! * `queue`: what waits to be read, bounded.
//! * `reader`: reads one exchange after the other and counts what it says; `judge`: decides how.
//! * `answer`, `tensor`, `request`: where the rows are in an answer; how many a request asks for.
//! * `quoted`: JSON within texts.
//! * `row`, `class`: what the prediction of one row is; what a class is called.
//! * `fields`: which names tell that a prediction is there; `sketch`: what an answer looks like that was not read.
//! * `look`, `evidence`, `tracks`: how predictions are read when the settings do not say: what the value of one row looks
//!   like, what the values at one place show, and which path is answered with predictions.
//! * `map`: objects of class and probability; `shape`: lists that are not lists of rows.
//! * `settings`, `path`, `reference`: what the settings say; `profile`: what the version says of itself.
//! * `classes`, `bins`, `metrics`: the series.
//! * `blame`: whose fault a 4xx answer is.
//! * `json`: the scanner under all of it.

mod answer;
#[cfg(any(test, fuzzing))]
#[path = "tests/anything.rs"]
mod anything;
mod bins;
mod blame;
mod class;
mod classes;
mod evidence;
mod fields;
mod inflate;
mod intake;
mod json;
mod judge;
mod look;
mod map;
mod metrics;
mod path;
mod profile;
mod queue;
mod quoted;
mod reader;
mod reference;
mod request;
mod row;
mod settings;
mod shape;
mod sketch;
mod tensor;
#[cfg(test)]
mod tests;
mod tracks;

#[cfg(fuzzing)]
pub use anything::try_anything;
pub use blame::blame;
pub use class::OTHER;
pub use classes::by_position;
pub use intake::{Intake, StartError};
pub use json::is_json;
pub use metrics::Skip;
pub use path::{Path, PathError};
pub use profile::{PROFILE_VARIABLE, merged, merged_and_told};
pub use settings::{Decided, Kind, MOST_CLASSES, Reading, check};
