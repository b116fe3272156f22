//! What is printed: each figure with its method.

use std::{num::NonZero, time::Duration};

use super::{
    CONCURRENCY,
    audit::count,
    load::{SCALED_TO_ZERO, Shape, TAGS},
    print::{method, title},
    process::Memory,
    rounds::Round,
    standing::{Grown, Rest, Restart, Rollout},
    support::World,
    table::{self, Aim, Column, head, row},
};

/// Rounds of one shape, each with the time that the bare client took for the same.
pub struct Comparison {
    pub shape: Shape,
    pub rounds: Vec<(Round, Duration)>,
}

/// What the operator costs while nothing happens.
pub struct Standing {
    pub world: World,
    pub count: usize,
    pub made: Memory,
    pub restarts: Vec<Restart>,
    pub rest: Rest,
}

pub struct Report {
    pub comparisons: Vec<Comparison>,
    pub rollouts: Vec<Rollout>,
    pub standing: Option<Standing>,
    pub grown: Option<Grown>,
}

impl Report {
    pub fn print(&self) {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        println!(
            "\nThe operator is the release binary in a process of its own, started anew for each round with empty memory,\n\
             restricted to the round's fresh namespace. It shares {cores} CPUs with the API server, etcd, the controller\n\
             manager and this benchmark. All objects follow {} tags of a local registry. Aims are held against the median.",
            TAGS.len()
        );
        let (created, rolled_out, stood) =
            (!self.comparisons.is_empty(), !self.rollouts.is_empty(), self.standing.is_some());
        if created {
            self.speed();
        }
        if created || rolled_out {
            self.requests();
        }
        if created {
            self.processor();
        }
        if created || stood {
            self.memory();
        }
        if rolled_out || stood {
            self.restart();
        }
        if let Some(standing) = &self.standing {
            standing.rest();
        }
    }

    fn speed(&self) {
        title("Apply → all children exist");
        method(&format!(
            "From the first apply of a ModelDeployment until a watch has seen the last child; {CONCURRENCY} applies at a \
             time, while the operator is at work already. The bare client takes the operator's place right after it: as \
             the same user, with {CONCURRENCY} objects at a time, it sends for each object the very requests that the \
             audit log shows for that object in the operator's round (reads, applies, status patches, events; same \
             order, same bodies), rendered beforehand, and reads no answer. Asking the registry, watching and deciding \
             are the operator's alone. The controller manager stands still meanwhile (SIGSTOP): no pods, no endpoints. \
             ratio: operator / bare client, of each pair of rounds.",
        ));
        head();
        for comparison in &self.comparisons {
            for rounds in comparison.by_size() {
                let count = rounds[0].0.count;
                let operator: Vec<f64> = rounds.iter().map(|(round, _)| round.elapsed.as_secs_f64()).collect();
                let bare: Vec<f64> = rounds.iter().map(|(_, bare)| bare.as_secs_f64()).collect();
                let ratio: Vec<f64> = operator.iter().zip(&bare).map(|(operator, bare)| operator / bare).collect();
                println!("{}: {count} object{}", comparison.shape, if count == 1 { "" } else { "s" });
                row("    operator, s", &operator, 3, Aim::None);
                row("    bare client, s", &bare, 3, Aim::None);
                row("    ratio", &ratio, 2, Aim::AtMost(1.5));
            }
        }
    }

    fn requests(&self) {
        title("Requests per object");
        method(
            "From the audit log, by the operator's user, from the apply until the cluster rests; lists, watches and the \
             lease left out. The columns \"served\" are whole first roll-outs up to Ready=True, of one and of two replicas, \
             with the controller manager at work and the benchmark saying of pods what a kubelet would say. Aims are held \
             against the highest column.",
        );
        let mut columns: Vec<Column> = self.comparisons.iter().filter_map(Comparison::column).collect();
        for Rollout { shape, count, requests, .. } in &self.rollouts {
            let title = format!("{count} × {} served", shape.replicas);
            columns.push(Column { title, objects: *count, requests });
        }
        table::requests(&columns);
    }

    fn processor(&self) {
        title("CPU time per write, ms");
        method(
            "User and system time of the operator's process (/proc/PID/stat) from the first apply until the cluster \
             rests, over its writes (applies, status patches, events; not the lease). Reads, watches and everything \
             else that it does meanwhile are in the time.",
        );
        head();
        for comparison in &self.comparisons {
            // The kernel counts in hundredths of a second: too coarse for one object.
            for rounds in comparison.by_size().filter(|rounds| rounds[0].0.count >= 100) {
                let of = |round: &Round| 1000.0 * round.cpu.as_secs_f64() / round.writes() as f64;
                let values: Vec<f64> = rounds.iter().map(|(round, _)| of(round)).collect();
                let what = format!("{}: {} objects", comparison.shape, rounds[0].0.count);
                row(&what, &values, 3, Aim::AtMost(0.5));
            }
        }
    }

    fn memory(&self) {
        title("Memory, MiB");
        method(
            "Resident set of the operator's process (VmRSS) once the cluster rests, and its peak since the start \
             (VmHWM). Made: the process saw the objects come; settled: with the controller manager at work. Restarted: it \
             found them all in place.",
        );
        head();
        let aim = |count: usize| if count == 1000 { Aim::Below(40.0) } else { Aim::None };
        let print = |what: &str, memory: &[Memory], aim: Aim| {
            row(&format!("{what}, resident"), &memory.iter().map(|memory| memory.resident).collect::<Vec<_>>(), 1, aim);
            row(&format!("{what}, peak"), &memory.iter().map(|memory| memory.peak).collect::<Vec<_>>(), 1, aim);
        };
        let empty: Vec<Memory> =
            self.comparisons.iter().flat_map(|comparison| &comparison.rounds).map(|(round, _)| round.empty).collect();
        print("0 objects", &empty, Aim::None);
        for comparison in &self.comparisons {
            if let Some(rounds) = comparison.by_size().last() {
                let count = rounds[0].0.count;
                let full: Vec<Memory> = rounds.iter().map(|(round, _)| round.full).collect();
                print(&format!("{count} made ({})", comparison.shape), &full, aim(count));
            }
        }
        if let Some(Standing { count, made, restarts, .. }) = &self.standing {
            print(&format!("{count} made, settled ({SCALED_TO_ZERO})"), &[*made], aim(*count));
            let restarted: Vec<Memory> = restarts.iter().map(|restart| restart.memory).collect();
            print(&format!("{count} restarted ({SCALED_TO_ZERO})"), &restarted, aim(*count));
        }
        if let Some(Grown { count, made, restarted }) = &self.grown {
            print(&format!("{count} made ({SCALED_TO_ZERO})"), &[*made], Aim::None);
            print(&format!("{count} restarted ({SCALED_TO_ZERO})"), &[*restarted], Aim::None);
        }
    }

    fn restart(&self) {
        title("Restart with all in place");
        method(
            "The operator is killed and started again over objects whose children all exist: from the start of the \
             process to the end of the last turn of its loop (its metrics page is asked for every 10 ms, but no more than a \
             tenth of the time), and what it wrote.",
        );
        head();
        if let Some(Standing { count, restarts, .. }) = &self.standing {
            self.restarted(&format!("{count} objects"), &restarts.iter().collect::<Vec<_>>());
        }
        for rollout in &self.rollouts {
            self.restarted(
                &format!("{} that serve, replicas {}", rollout.count, rollout.shape.replicas),
                &[&rollout.restart],
            );
        }
    }

    fn restarted(&self, what: &str, restarts: &[&Restart]) {
        let of = |figure: fn(&Restart) -> f64| restarts.iter().map(|restart| figure(restart)).collect::<Vec<_>>();
        row(&format!("{what}, s"), &of(|restart| restart.elapsed.as_secs_f64()), 2, Aim::None);
        row("    turns of the loop", &of(|restart| restart.turns as f64), 0, Aim::None);
        row("    writes", &of(|restart| restart.writes as f64), 0, Aim::AtMost(0.0));
        row("    events", &of(|restart| restart.events as f64), 0, Aim::AtMost(0.0));
    }
}

impl Standing {
    fn rest(&self) {
        title("Requests at rest");
        let Rest { window, watches, lease, others, cpu } = &self.rest;
        method(&format!(
            "By the operator's user in the audit log over {} s without any change, with {} objects in place.",
            window.as_secs(),
            self.count
        ));
        head();
        row("watches taken up again", &[*watches as f64], 0, Aim::None);
        row("lease", &[*lease as f64], 0, Aim::None);
        row("all others", &[others.len() as f64], 0, Aim::AtMost(0.0));
        for ((resource, verb), number) in count(others) {
            println!("    {number} × {verb} {resource}");
        }
        row("CPU time, ms per s", &[1000.0 * cpu.as_secs_f64() / window.as_secs_f64()], 2, Aim::None);
    }
}

impl Comparison {
    fn by_size(&self) -> impl Iterator<Item = &[(Round, Duration)]> {
        self.rounds.chunk_by(|(one, _), (next, _)| one.count == next.count)
    }

    /// The requests of one of the largest rounds.
    fn column(&self) -> Option<Column<'_>> {
        let (round, _) = self.rounds.last()?;
        let title = format!("{} × {} children", round.count, self.shape.children().len());
        Some(Column { title, objects: round.count, requests: &round.requests })
    }
}
