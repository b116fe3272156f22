//! How far a run has got, on standard error: a bar for people, a line now and then for logs.

use std::{convert::Infallible, io::IsTerminal as _, time::Duration};

use indicatif::{HumanCount, ProgressBar, ProgressFinish, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    drive::{Plan, Until},
    tally::Tally,
};

const BAR_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows the progress until it is dropped; the bar is gone then.
pub async fn show(plan: &Plan, tally: &Tally) -> Infallible {
    match std::io::stderr().is_terminal() {
        true => bar(plan, tally).await,
        false => lines(tally).await,
    }
}

async fn bar(plan: &Plan, tally: &Tally) -> Infallible {
    let start = Instant::now();
    let length = match plan.until {
        Until::Elapsed(end) => end.as_millis() as u64,
        Until::Sent(count) => count,
    };
    let style = ProgressStyle::with_template("{elapsed:>4} [{bar:40}] {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    let bar = ProgressBar::new(length).with_style(style).with_finish(ProgressFinish::AndClear);
    let mut tick = interval_at(start, BAR_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let (requests, errors) = tally.progress();
        bar.set_position(match plan.until {
            Until::Elapsed(_) => start.elapsed().as_millis() as u64,
            Until::Sent(_) => requests,
        });
        bar.set_message(told(requests, errors));
    }
}

async fn lines(tally: &Tally) -> Infallible {
    let start = Instant::now();
    let mut tick = interval_at(start + LINE_EVERY, LINE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let (requests, errors) = tally.progress();
        eprintln!("{:.0} s: {}", start.elapsed().as_secs_f64(), told(requests, errors));
    }
}

fn told(requests: u64, errors: u64) -> String {
    format!("{} requests, {} errors", HumanCount(requests), HumanCount(errors))
}
