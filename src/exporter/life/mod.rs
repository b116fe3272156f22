//! Settings, probes, the end of a pod, and the metrics page. It runs on a thread of its own, so that a scrape never
//! waits for requests, nor they for it.
//!
//! * `run`: ties it together: [`Life`].
//! * `settings`: what may change at run time, from a mounted directory.
//! * `health`, `verdict`, `check`: whether the model is up, dead or ready; what is known, what follows, and asking it.
//! * `silence`: what its port says while it is not well, and who else listens in the pod.
//! * `drain`: from the first SIGTERM to the last answer.
//! * `probes`: what the kubelet asks.
//! * `page`, `merge`, `exposition`, `python`: the metrics page, with the model's own metrics; `line`, `sample`: its grammar.
//! * `serve`, `seat`, `fetch`, `clock`: a small server and its connections, a small client, and time.
//! * `sitecustomize.py`: makes a Python model tell of its garbage collector.

mod check;
mod clock;
mod drain;
mod exposition;
mod fetch;
mod health;
mod line;
mod merge;
mod page;
mod probes;
mod python;
mod run;
mod sample;
mod seat;
pub mod serve;
mod settings;
mod silence;
mod verdict;

pub use clock::Clock;
pub use drain::{Drain, InFlight};
pub use health::Health;
pub use run::{End, Life, Options, signals};
pub use settings::{Settings, Validate};
pub use silence::{UNWELL, UNWELL_HELP, UNWELL_LABELS};
pub use verdict::{Evidence, KEEPS_READY, PATIENCE, Rules, Why};

/// Goes into a directory of its own that leads `PYTHONPATH` in the model's container.
pub const SITECUSTOMIZE: &str = include_str!("sitecustomize.py");
/// The variable that tells it the directory to write to.
pub const PYTHON_METRICS_VARIABLE: &str = "MODELSHIP_PYTHON_METRICS";

#[cfg(test)]
#[path = "tests/fixture.rs"]
mod fixture;
