//! The sidecar that stands in front of a model in its pod: it forwards every request and measures requests and predictions.
//!
//! * [`proxy`]: forwards, streaming both ways. The hot path.
//! * [`reading`]: reads predictions from copies of requests and answers, off the hot path.
//! * [`process`]: what the model's processes use.
//! * [`life`]: settings, probes, the end of a pod, and the metrics page.
//! * [`exchange`]: what the proxy hands to the reading room.
//! * [`blame`]: who caused an error.
//! * [`cli`]: the command line. [`log`], [`names`], [`units`]: what the operator has in common with it.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod blame;
pub mod cli;
pub mod exchange;
pub mod life;
pub mod log;
pub mod names;
pub mod process;
pub mod proxy;
pub mod reading;
pub mod units;
