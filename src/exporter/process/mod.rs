//! What the model's processes use: CPU time, memory, open files and threads, summed over the model container's
//! processes.
//!
//! The pod's containers share one PID namespace (`shareProcessNamespace: true`), so the exporter sees the processes
//! of the model, though it runs as another user without any capability. Which of them are the model's is told by what
//! such a process may read of others:
//!
//! 1. `/proc/PID/mountinfo`: the kubelet mounts a termination log into each container from a directory of the node
//!    that bears the container's name (`…/pods/UID/containers/NAME/…`). This is exact, for every user and every
//!    process tree.
//! 2. Where no such mount is seen, processes are told apart by `/proc/PID/cgroup`, and where that says nothing either
//!    by their tree: the first process of a container has no parent in the namespace. The exporter's own container
//!    and the sandbox's (process 1) are left out; what remains is the model's if it is one container. With further
//!    sidecars it cannot be told, and nothing is reported.
//!
//! Limits: a command that somebody runs inside the model's container (`kubectl exec`) counts as the model's. Memory
//! that processes share is counted once for each (finer figures may not be read of another user's processes). An
//! exporter that starts anew while the model runs knows the CPU time of processes that died before only as far as
//! their parents waited for them. Without a shared PID namespace there is nothing to see: the series are absent, not
//! 0.
//!
//! * `proc_fs`: reads and parses files below `/proc`.
//! * `whose`: which processes are the model's.
//! * `ledger`: CPU time that never falls.
//! * `reading`: one look at all of them.
//! * `metrics`: the series.

mod ledger;
mod metrics;
mod proc_fs;
mod reading;
mod whose;

pub use metrics::{Metrics, Options, SERIES};
pub use whose::Whose;

#[cfg(test)]
#[path = "tests/children.rs"]
mod children_tests;
#[cfg(test)]
#[path = "tests/fixture.rs"]
mod fixture;
