//! Rounds: in each of them every contestant has its turn, and each round begins with the next one, so that what else
//! happens on the machine meets all alike.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    contestant::{Contestant, Contestants, DIRECT, FLASK},
    load::Load,
    process::Resident,
};

/// Before anything is measured: connections are open, caches are warm.
const WARM: Duration = Duration::from_millis(200);
/// How long a contestant may fall short of the number of requests after which memory is looked at.
const LONGEST_FILL: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One turn of one contestant.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// µs per request.
    pub cpu: f64,
    /// Requests per second.
    pub rate: f64,
    /// Of the times between request and answer, µs.
    pub p50: f64,
    pub p99: f64,
    /// With the connections open.
    pub resident: Resident,
}

/// The turns of one round, by contestant; the model itself has none where nothing is said of it.
pub type Round = Vec<Option<Turn>>;

/// Memory of one contestant.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub answered: u64,
    pub resident: Resident,
}

/// One connection; the model itself has a turn, too.
pub fn alone(contestants: &mut Contestants, (rounds, length): (usize, Duration)) -> Vec<Round> {
    (0..rounds).map(|round| turns(contestants, DIRECT, round, 1, length)).collect()
}

pub fn busy(contestants: &mut Contestants, connections: usize, (rounds, length): (usize, Duration)) -> Vec<Round> {
    (0..rounds).map(|round| turns(contestants, DIRECT + 1, round, connections, length)).collect()
}

fn turns(contestants: &mut Contestants, first: usize, round: usize, connections: usize, length: Duration) -> Round {
    let mut turns = vec![None; contestants.0.len()];
    let count = contestants.0.len() - first;
    for place in 0..count {
        let which = first + (round + place) % count;
        turns[which] = Some(turn(&mut contestants.0[which], connections, length));
    }
    turns
}

fn turn(contestant: &mut Contestant, connections: usize, length: Duration) -> Turn {
    let load = start(contestant, connections);
    sleep(WARM);
    let (requests, cpu, began) = (load.answered(), contestant.process.cpu(), Instant::now());
    sleep(length);
    let (requests, cpu, elapsed) = (load.answered() - requests, contestant.process.cpu() - cpu, began.elapsed());
    let resident = contestant.process.resident();
    let mut times = stop(contestant, load);
    times.sort_unstable();
    let at = |share: f64| f64::from(times[((times.len() - 1) as f64 * share) as usize]) / 1000.0;
    Turn {
        cpu: cpu.as_secs_f64() * 1e6 / requests as f64,
        rate: requests as f64 / elapsed.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        resident,
    }
}

/// Requests until each contestant has had so many. The Flask exporter gets no more than it had: it would take half an
/// hour.
pub fn fill(contestants: &mut Contestants, connections: usize, requests: u64) -> Vec<Memory> {
    let fill = |(which, contestant): (usize, &mut Contestant)| {
        let load = start(contestant, connections);
        let began = Instant::now();
        sleep(WARM);
        while ![DIRECT, FLASK].contains(&which)
            && contestant.answered + load.answered() < requests
            && began.elapsed() < LONGEST_FILL
        {
            sleep(LOOK_EVERY);
        }
        let resident = contestant.process.resident();
        stop(contestant, load);
        Memory { answered: contestant.answered, resident }
    };
    contestants.0.iter_mut().enumerate().map(fill).collect()
}

fn start(contestant: &mut Contestant, connections: usize) -> Load {
    contestant.process.check().unwrap_or_else(|problem| panic!("{problem}"));
    Load::start(contestant.address, connections).unwrap_or_else(|problem| panic!("{}: {problem}", contestant.name))
}

fn stop(contestant: &mut Contestant, load: Load) -> Vec<u32> {
    let (answered, times) = load.stop().unwrap_or_else(|problem| panic!("{}: {problem}", contestant.name));
    contestant.answered += answered;
    times
}
