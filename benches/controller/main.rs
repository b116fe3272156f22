//! Figures of the controller against a real API server: `make bench`, or `tests/bench/run`, which sets up what this needs.

#[path = "../../tests/support/mod.rs"]
#[allow(clippy::unwrap_used, reason = "shared with the tests")]
mod support;

mod audit;
mod bare;
mod load;
#[path = "../shared/print.rs"]
mod print;
mod process;
mod report;
mod rounds;
mod standing;
mod stillness;
mod table;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use modelship::images::Digest;

use audit::Audit;
use bare::Digests;
use load::{REPOSITORY, SCALED_TO_ZERO, Shape, TAGS, WITH_BUDGET};
use process::Recipe;
use report::{Comparison, Report, Standing};
use rounds::{Bench, own_binary};
use stillness::Stillness;
use support::{registry, world::setting};

/// Objects worked on at once: by the operator, by the bare client, and by whoever applies ModelDeployments.
const CONCURRENCY: usize = 32;
/// How long a round may take before the run fails.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Parser)]
struct Arguments {
    /// Few and small rounds, for a look within two minutes.
    #[arg(long)]
    quick: bool,
    /// Measure only this; may be repeated.
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// Measure this build of modelship instead of the one beside the benchmark.
    #[arg(long, value_name = "PATH", default_value_os_t = own_binary())]
    binary: PathBuf,
    /// `cargo bench` says this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Whole first roll-outs, and restarts over models that serve.
    Rollouts,
    /// Restarts over many objects, and what is asked at rest.
    Standing,
    /// Objects that are created, by the operator and by the bare client.
    Creations,
    /// Memory with still more objects than those of `standing`, which it builds on.
    Grown,
}

/// How much is measured.
struct Plan {
    /// Kinds of objects to create: how many, and how many runs with so many.
    creations: &'static [(Shape, &'static [(usize, usize)])],
    /// Objects that stand while the operator is restarted and rests.
    standing: usize,
    restarts: usize,
    rest: Duration,
    /// Objects of the last figure of memory.
    grown: Option<usize>,
    /// Objects whose whole first roll-out is counted.
    served: usize,
}

const FULL: Plan = Plan {
    creations: &[(WITH_BUDGET, &[(1, 3), (100, 3), (1000, 2)]), (SCALED_TO_ZERO, &[(100, 2)])],
    standing: 1000,
    restarts: 3,
    rest: Duration::from_secs(30),
    grown: Some(5000),
    served: 100,
};
const QUICK: Plan = Plan {
    creations: &[(WITH_BUDGET, &[(1, 3), (100, 2)])],
    standing: 100,
    restarts: 1,
    rest: Duration::from_secs(20),
    grown: None,
    served: 20,
};

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let plan = if arguments.quick { QUICK } else { FULL };
    let recipe = Recipe {
        binary: arguments.binary,
        kubeconfig: setting("MODELSHIP_BENCH_KUBECONFIG").into(),
        registry: setting("MODELSHIP_TEST_REGISTRY"),
        log: setting("MODELSHIP_BENCH_LOG").into(),
    };
    let audit = Audit(setting("MODELSHIP_TEST_AUDIT_LOG").into());
    let bench = Bench::new(recipe, audit, setting("MODELSHIP_BENCH_USER"), push());
    let wants = |step: Step| arguments.only.is_empty() || arguments.only.contains(&step);
    let mut rollouts = Vec::new();
    for replicas in [1, 2].into_iter().filter(|_| wants(Step::Rollouts)) {
        progress(&format!("first roll-out of {} models with {replicas} replicas", plan.served));
        rollouts.push(bench.first_rollout(Shape { replicas }, plan.served).await);
    }
    let standing = match wants(Step::Standing) || wants(Step::Grown) {
        true => Some(stand(&bench, &plan).await),
        false => None,
    };
    let creations = plan.creations.iter().filter(|_| wants(Step::Creations));
    let sizes = creations.clone().flat_map(|(_, sizes)| *sizes);
    bench.make_worlds(sizes.map(|(_, runs)| runs).sum()).await;
    bench.audit.calm().await;
    let _stillness = Stillness::begin(setting("MODELSHIP_BENCH_CONTROLLER_MANAGER"));
    let mut comparisons = Vec::new();
    for (shape, sizes) in creations {
        comparisons.push(compare(&bench, *shape, sizes).await);
    }
    let mut grown = None;
    if let (Some(standing), Some(count)) = (&standing, plan.grown.filter(|_| wants(Step::Grown))) {
        progress(&format!("memory with {count} objects"));
        grown = Some(bench.grow(&standing.world, plan.standing, count).await);
    }
    Report { comparisons, rollouts, standing, grown }.print();
}

/// One image for each tag.
fn push() -> Digests {
    let digest = |tag: &&'static str| Digest::parse(&registry::push(REPOSITORY, tag, tag)).expect("a digest");
    TAGS.iter().map(|tag| (*tag, digest(tag))).collect()
}

/// The operator and the bare client in turns, for each size.
async fn compare(bench: &Bench, shape: Shape, sizes: &[(usize, usize)]) -> Comparison {
    let mut comparison = Comparison { shape, rounds: Vec::new() };
    for (count, runs) in sizes {
        for run in 1..=*runs {
            progress(&format!("{count} × {shape}, run {run} of {runs}"));
            let round = bench.round(shape, *count).await;
            let bare = bench.repeat(&round).await;
            comparison.rounds.push((round, bare));
        }
    }
    comparison
}

/// What the operator costs while nothing happens.
async fn stand(bench: &Bench, plan: &Plan) -> Standing {
    let count = plan.standing;
    progress(&format!("{count} × {SCALED_TO_ZERO}, to stand"));
    let (world, made) = bench.make(count).await;
    let mut restarts = Vec::new();
    let mut last = None;
    for run in 1..=plan.restarts {
        progress(&format!("restart over {count} objects, run {run} of {}", plan.restarts));
        drop(last.take());
        let (restart, operator) = bench.restart(&world, count).await;
        restarts.push(restart);
        last = Some(operator);
    }
    progress(&format!("{} s of rest", plan.rest.as_secs()));
    let rest = bench.rest(&last.expect("an operator"), plan.rest).await;
    Standing { world, count, made, restarts, rest }
}

/// To standard error: the figures alone are the output.
fn progress(text: &str) {
    eprintln!("    {text}");
}
