//! What is printed: each figure with its method.

use std::num::NonZero;

use super::{
    MANY, SOME,
    contestant::{Account, DIRECT, EARLIER, NGINX, OFF, ON},
    print::{median, method, title},
    rounds::{Memory, Round, Turn},
    table::{Aim, head, row, rows},
};

pub struct Report {
    /// With one connection, with [`SOME`], with [`MANY`].
    pub alone: Vec<Round>,
    pub some: Vec<Round>,
    pub many: Vec<Round>,
    /// After so many requests.
    pub after: Vec<Memory>,
    pub requests: u64,
    pub accounts: Vec<Account>,
}

impl Report {
    pub fn print(&self) {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        println!();
        method(&format!(
            "One model behind all: nginx, `return 200` with ten predictions, at once. Requests: POST /invocations \
            with 2.3 kB \
             of MLflow's dataframe_split, over kept connections on the loopback; each connection asks again as \
             soon as it is \
             answered; every answer is looked at. direct: without a proxy. nginx: Debian's, one worker, a plain \
             reverse proxy \
             with kept connections to the model, no access log. Flask: Flask, prometheus_client and requests, run by \
             waitress. reading off, reading on: `modelship-exporter`, the release build, without and with the \
             reading of \
             predictions. earlier: another build of it, reading, where one was given. The clients (one thread), the model (one process) and the proxy share {cores} CPUs; \
             nothing is \
             pinned. In each round every one has its turn, in turning order. Aims are held against the median.",
        ));
        self.processor();
        self.latency();
        self.throughput();
        self.memory();
        self.reading();
    }

    fn processor(&self) {
        title("CPU time per request, µs");
        method(&format!(
            "Of the proxy: user and system time of all its threads (schedstat) over the requests answered \
            meanwhile. The \
             kernel's work for the sockets is in it. ratio: to nginx in the same round. {} rounds with {SOME} \
             connections, {} \
             with {MANY}.",
            self.some.len(),
            self.many.len()
        ));
        head(self.after.len());
        let aims = [Aim::AtMost(OFF, 1.05), Aim::AtMost(ON, 1.4)];
        for (connections, rounds) in [(SOME, &self.some), (MANY, &self.many)] {
            rows(&format!("{connections} connections"), &columns(rounds, |turn, _| turn.cpu), 2, &[]);
            let ratio = |turn: &Turn, round: &Round| turn.cpu / of(round, NGINX).cpu;
            let aims = if connections == SOME { &aims[..] } else { &[] };
            rows("    ratio", &columns(rounds, ratio), 3, aims);
        }
        self.beside_earlier();
    }

    /// Where another build was measured, too.
    fn beside_earlier(&self) {
        if self.after.len() <= EARLIER {
            return;
        }
        title("Beside the earlier build");
        method(
            "CPU time per request, and the 99th percentile of a request's time in µs; ratio: to the earlier build's in the same round.",
        );
        head(self.after.len());
        for (connections, rounds, aim) in [(SOME, &self.some, 1.03), (MANY, &self.many, 0.9)] {
            let cpu = |turn: &Turn, round: &Round| turn.cpu / of(round, EARLIER).cpu;
            rows(&format!("{connections} connections, CPU ratio"), &columns(rounds, cpu), 3, &[Aim::AtMost(ON, aim)]);
            row(&format!("{connections} connections, p99"), &columns(rounds, |turn, _| turn.p99), 0, &[], median);
            let p99 = |turn: &Turn, round: &Round| turn.p99 / of(round, EARLIER).p99;
            rows("    p99 ratio", &columns(rounds, p99), 3, &[Aim::AtMost(ON, aim)]);
        }
    }

    fn latency(&self) {
        title("Time of a request with one connection, µs");
        method(&format!(
            "From before the request is written until the answer is there. added: beyond direct in the same \
             round. {} rounds.",
            self.alone.len()
        ));
        head(self.after.len());
        row("p50, median", &columns(&self.alone, |turn, _| turn.p50), 1, &[], median);
        row("p99, median", &columns(&self.alone, |turn, _| turn.p99), 1, &[], median);
        let added = |turn: &Turn, round: &Round| turn.p50 - of(round, DIRECT).p50;
        rows("added p50", &columns(&self.alone, added), 1, &[]);
        let added = |turn: &Turn, round: &Round| turn.p99 - of(round, DIRECT).p99;
        rows("added p99", &columns(&self.alone, added), 1, &[]);
        let beyond = |turn: &Turn, round: &Round| turn.p50 - of(round, NGINX).p50;
        let aims = [Aim::AtMost(OFF, 10.0), Aim::AtMost(ON, 10.0)];
        row("p50 beyond nginx's, median", &columns(&self.alone, beyond), 1, &aims, median);
    }

    fn throughput(&self) {
        title("Requests per second");
        method("In the rounds of the CPU time: clients, model and proxy together take all the CPUs there are.");
        head(self.after.len());
        for (connections, rounds) in [(SOME, &self.some), (MANY, &self.many)] {
            rows(&format!("{connections} connections"), &columns(rounds, |turn, _| turn.rate), 0, &[]);
        }
    }

    fn memory(&self) {
        title("Memory, MiB");
        method(&format!(
            "Resident set (VmRSS) with the connections open: with {SOME} of them after {} requests (Flask: after \
            as many as it \
             had managed), and then at the end of the rounds with {MANY}. own: without the pages of program and \
             libraries, which \
             all processes that run the same file share (RssAnon).",
            self.requests
        ));
        head(self.after.len());
        let proxies = |value: fn(&Memory) -> f64| -> Vec<Vec<f64>> {
            let skipped = |which: usize, memory: &Memory| if which == DIRECT { vec![] } else { vec![value(memory)] };
            self.after.iter().enumerate().map(|(which, memory)| skipped(which, memory)).collect()
        };
        let aims = [Aim::Below(OFF, 10.0), Aim::Below(ON, 10.0)];
        row("requests before", &proxies(|memory| memory.answered as f64), 0, &[], median);
        row(&format!("{SOME} connections"), &proxies(|memory| memory.resident.all), 1, &aims, median);
        row("    own", &proxies(|memory| memory.resident.own), 1, &[], median);
        let last = self.many.last().map(std::slice::from_ref).unwrap_or_default();
        row(&format!("{MANY} connections"), &columns(last, |turn, _| turn.resident.all), 1, &aims, median);
        row("    own", &columns(last, |turn, _| turn.resident.own), 1, &[], median);
    }

    fn reading(&self) {
        title("What modelship counted");
        method("From its own metrics page at the end, beside the requests that the clients had answers to.");
        println!(
            "\n{:14}{:>12}{:>12}{:>12}{:>12}{:>14}  aim",
            "", "answered", "counted", "read", "skipped", "predictions"
        );
        for account in &self.accounts {
            let Account { name, answered, counted, reads, read, skipped, predictions, wanted_predictions } = account;
            let all = counted == answered && predictions == wanted_predictions && (!reads || read == answered);
            let verdict = if all && *skipped == 0 { "met" } else { "missed" };
            let aim = if *reads { "all counted and read, none skipped" } else { "all counted" };
            println!("{name:14}{answered:>12}{counted:>12}{read:>12}{skipped:>12}{predictions:>14}  {aim}: {verdict}");
        }
    }
}

/// A contestant's turn in a round in which all had one.
fn of(round: &Round, which: usize) -> Turn {
    round[which].expect("a turn of this contestant in each round")
}

/// A figure of all rounds, by contestant.
fn columns(rounds: &[Round], figure: impl Fn(&Turn, &Round) -> f64) -> Vec<Vec<f64>> {
    let column = |which: usize| {
        let values = rounds.iter().filter_map(|round| round[which].as_ref().map(|turn| figure(turn, round)));
        values.collect()
    };
    (0..rounds.first().map_or(0, Vec::len)).map(column).collect()
}
