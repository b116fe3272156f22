//! `modelship traffic`: real requests to a model, and what came of them.
//!
//! * [`payload`] and [`table`]: what is sent.
//! * [`drive`]: when it is sent.
//! * [`client`]: one connection at a time.
//! * [`answer`]: what an answer says.
//! * [`tally`], [`summary`] and [`progress`]: counting, and telling.

pub mod answer;
pub mod client;
mod drive;
pub mod payload;
mod progress;
mod summary;
mod table;
mod tally;

use std::{future::Future, io::Write, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::signal::unix::{SignalKind, signal};

use self::{
    answer::Names,
    client::{Client, Failure},
    drive::{Caller, Nobody, Plan, Until, Watch, drive},
    payload::{Payload, Payloads},
    summary::Summary,
    tally::Tally,
};
use super::target::{self, Target};
use crate::api::units;

const DURATION: Duration = Duration::from_secs(10);

const HELP: &str = "\
With --rate, requests start when they are due, even while earlier ones are unanswered, and latencies count from that
moment: what has to wait because the server is slow is not left out (\"coordinated omission\"). What still waits one
second after the time is over counts as an error, 'unsent'. Without --rate, each of --concurrency clients sends as soon
as it has its answer.

Latencies are those of all requests that were answered, ran into --timeout, or stayed unsent.

Exit codes: 0 when the errors stayed within --max-error-ratio, 1 when they did not, 2 when no traffic was possible.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    #[command(flatten)]
    target: target::Arguments,
    /// A body to send: JSON, or CSV if the name ends in .csv (repeatable; all are sent in turn). Default, where neither --dir
    /// nor --csv is given either: the version's own example.
    #[arg(short, long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A folder whose *.json and *.csv files are bodies to send, in the order of their names.
    #[arg(long = "dir", value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// A table with a header: its rows are sent as dataframe_split JSON, columns of numbers as numbers.
    #[arg(long = "csv", value_name = "FILE")]
    tables: Vec<PathBuf>,
    /// Rows of --csv in one request.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rows_per_request: u32,
    /// Requests per second, such as 50 or 0.5. Default: as fast as answers come.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Requests that are under way at once, at the most. With --rate, what is due beyond them waits, and its waiting counts.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// How long to send, such as 30s or 5m. Default 10s. What is under way then is waited for.
    #[arg(long, value_parser = duration, conflicts_with = "count")]
    duration: Option<Duration>,
    /// How many requests to send.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    count: Option<u64>,
    /// The longest that one request may take, its connection included.
    #[arg(long, default_value = "65s", value_parser = duration)]
    timeout: Duration,
    /// A header to send with every request, such as 'Authorization: Bearer …' (repeatable).
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Each request on a connection of its own, as clients without a pool do it.
    #[arg(long)]
    no_keep_alive: bool,
    /// The share of requests that may fail, such as 1% or 0.1%, before the exit code is 1.
    #[arg(long, default_value = "0%", value_parser = ratio)]
    max_error_ratio: f64,
    /// How the summary is printed.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    Text,
    Json,
}

pub fn duration(text: &str) -> Result<Duration, String> {
    const RANGE: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(7 * 24 * 60 * 60);
    match units::duration(text)? {
        duration if RANGE.contains(&duration) => Ok(duration),
        _ => Err("must lie between 1ms and 168h".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=100_000.0).contains(rate));
    rate.ok_or_else(|| format!("'{text}' is not a rate; write requests per second, from 0.001 to 100000"))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parse = |(name, value): (&str, &str)| Some((name.trim().parse().ok()?, value.trim().parse().ok()?));
    text.split_once(':').and_then(parse).ok_or_else(|| format!("'{text}' is not a header; write it as 'Name: value'"))
}

fn ratio(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|figure| figure.parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent
        .map(|percent| percent / 100.0)
        .ok_or_else(|| format!("'{text}' is not a share; write it in percent, such as 1% or 0.1%"))
}

pub fn run(arguments: &Arguments) -> ExitCode {
    // Each client has a connection. Where there may be no more files, those that get none are told as refused.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let outcome = super::blocking(perform(arguments, stopped()));
    ExitCode::from(tell(outcome, arguments, &mut std::io::stdout().lock(), &mut std::io::stderr().lock()))
}

/// Prints what came of the run, and gives the exit code. Who closes a pipe early has seen what they wanted.
fn tell(outcome: Result<Summary, String>, of: &Arguments, out: &mut impl Write, notes: &mut impl Write) -> u8 {
    match outcome {
        Ok(summary) => {
            let _ = out.write_all(shown(&summary, of.output).as_bytes()).and_then(|()| out.flush());
            u8::from(summary.error_ratio > of.max_error_ratio)
        }
        Err(message) => super::impossible(&message, notes),
    }
}

fn shown(summary: &Summary, output: Output) -> String {
    match output {
        Output::Text => summary.to_string(),
        // Its keys are texts, so that it always can be written.
        Output::Json => serde_json::to_string_pretty(summary).unwrap_or_default() + "\n",
    }
}

/// Resolves on Ctrl-C or SIGTERM. Until it is waited for, they end the process as ever.
async fn stopped() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn perform(arguments: &Arguments, stop: impl Future<Output = ()>) -> Result<Summary, String> {
    let rows = arguments.rows_per_request as usize;
    let given = Payloads::read(&arguments.files, &arguments.dirs, &arguments.tables, rows)?;
    let mut target = Target::find(&arguments.target, given.is_none()).await?;
    let payloads = Arc::new(match given {
        Some(payloads) => payloads,
        None => Payloads::only(Payload { body: target.example()?, content_type: payload::JSON }),
    });
    if let Some(note) = &target.note {
        eprintln!("modelship: {note}");
    }
    let until = match (arguments.count, arguments.duration) {
        (Some(count), _) => Until::Sent(count),
        (None, duration) => Until::Elapsed(duration.unwrap_or(DURATION)),
    };
    let plan = Plan { rate: arguments.rate, until };
    let tally = Arc::new(Tally::new(Names::new(&target.classes))?);
    let headers: HeaderMap = arguments.headers.iter().cloned().collect();
    let sender = |_| Sender {
        client: Client::new(target.clone(), arguments.timeout).manner(headers.clone(), !arguments.no_keep_alive),
        payloads: Arc::clone(&payloads),
        tally: Arc::clone(&tally),
    };
    let senders = (0..arguments.concurrency).map(sender).collect();
    let ended = tokio::select! {
        ended = drive(plan, senders, stop) => ended.map_err(|Nobody(words)| words)?,
        never = progress::show(&plan, &tally) => match never {},
    };
    tally.leave(ended.unsent);
    Ok(Summary::new(&target.described, arguments.rate, &ended, &tally.counts()))
}

/// A client with what it sends and where it counts.
struct Sender {
    client: Client,
    payloads: Arc<Payloads>,
    tally: Arc<Tally>,
}

impl Caller for Sender {
    async fn call(&mut self, number: u64, watch: Watch) -> Result<(), Nobody> {
        let payload = self.payloads.get(number);
        let outcome = self.client.send(&payload).await;
        let latency = watch.elapsed();
        if let (0, Err(failure @ (Failure::Refused(_) | Failure::Closed(_)))) = (number, &outcome) {
            return Err(Nobody(format!("the first request found nobody to answer it: {}", failure.words())));
        }
        self.tally.record(&outcome, latency, payload.body.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/traffic.rs"]
mod tests;
