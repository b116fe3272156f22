//! What a request costs that passes the exporter, beside nginx and a Flask exporter: `make bench-exporter`, or
//! `tests/bench/exporter`, which sets up what this needs.

mod answer;
mod contestant;
mod load;
mod page;
#[path = "../shared/print.rs"]
mod print;
mod process;
mod report;
mod rounds;
mod setting;
mod streams;
mod table;

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use contestant::Contestants;
use report::Report;
use rounds::Memory;
use setting::Setting;

/// Connections of the busy rounds.
const SOME: usize = 32;
const MANY: usize = 256;

#[derive(Parser)]
struct Arguments {
    /// Few and short rounds, for a look within a minute and a half.
    #[arg(long)]
    quick: bool,
    /// Only HTTP/2: what a client's unread streams cost another.
    #[arg(long)]
    streams: bool,
    /// Measure this build of modelship-exporter instead of the one beside the benchmark.
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_modelship-exporter"))]
    binary: PathBuf,
    /// Measure this build of modelship-exporter, too, and hold the first one against it.
    #[arg(long, value_name = "PATH")]
    earlier: Option<PathBuf>,
    /// `cargo bench` says this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured.
struct Plan {
    /// Rounds with one connection, and how long each lasts.
    alone: (usize, Duration),
    /// The same with [`SOME`] connections.
    some: (usize, Duration),
    /// The same with [`MANY`].
    many: (usize, Duration),
    /// Requests before memory is looked at.
    requests: u64,
    /// Rounds of HTTP/2, and how long each turn lasts.
    streams: (usize, Duration),
}

const FULL: Plan = Plan {
    alone: (7, Duration::from_millis(1000)),
    some: (9, Duration::from_millis(2000)),
    many: (5, Duration::from_millis(2000)),
    requests: 1_000_000,
    streams: (5, Duration::from_millis(2000)),
};
const QUICK: Plan = Plan {
    alone: (3, Duration::from_millis(500)),
    some: (4, Duration::from_millis(1000)),
    many: (2, Duration::from_millis(1000)),
    requests: 100_000,
    streams: (3, Duration::from_millis(1000)),
};

fn main() {
    let arguments = Arguments::parse();
    let plan = if arguments.quick { QUICK } else { FULL };
    let setting = Setting::from_environment(&arguments.binary, arguments.earlier.as_deref());
    if arguments.streams {
        return streams::measure(&setting, plan.streams);
    }
    let mut contestants = Contestants::start(&setting);
    progress("one connection");
    let alone = rounds::alone(&mut contestants, plan.alone);
    progress(&format!("{SOME} connections"));
    let some = rounds::busy(&mut contestants, SOME, plan.some);
    progress(&format!("up to {} requests each", plan.requests));
    let after: Vec<Memory> = rounds::fill(&mut contestants, SOME, plan.requests);
    progress(&format!("{MANY} connections"));
    let many = rounds::busy(&mut contestants, MANY, plan.many);
    let accounts = contestants.accounts();
    Report { alone, some, many, after, accounts, requests: plan.requests }.print();
    drop(contestants);
    progress("HTTP/2");
    streams::measure(&setting, plan.streams);
}

/// To standard error: the figures alone are the output.
fn progress(text: &str) {
    eprintln!("    {text}");
}
