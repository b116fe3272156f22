use std::sync::Mutex;

use tokio::time::sleep;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Latencies by request, and how many were under way at once.
#[derive(Default)]
struct Seen {
    latencies: Mutex<Vec<(u64, Duration)>>,
    under_way: AtomicU64,
    most: AtomicU64,
}

/// Answers request n after what `takes` says.
struct Fake {
    takes: fn(u64) -> Duration,
    seen: Arc<Seen>,
}

impl Caller for Fake {
    async fn call(&mut self, number: u64, watch: Watch) -> Result<(), Nobody> {
        let under_way = self.seen.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.seen.most.fetch_max(under_way, Ordering::Relaxed);
        sleep((self.takes)(number)).await;
        self.seen.under_way.fetch_sub(1, Ordering::Relaxed);
        self.seen.latencies.lock().unwrap().push((number, watch.elapsed()));
        Ok(())
    }
}

async fn run(plan: Plan, concurrency: usize, takes: fn(u64) -> Duration) -> (Ended, Arc<Seen>) {
    run_until(plan, concurrency, takes, std::future::pending()).await
}

async fn run_until(
    plan: Plan,
    concurrency: usize,
    takes: fn(u64) -> Duration,
    stop: impl Future<Output = ()>,
) -> (Ended, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let callers = (0..concurrency).map(|_| Fake { takes, seen: Arc::clone(&seen) }).collect();
    let ended = drive(plan, callers, stop).await.unwrap();
    (ended, seen)
}

fn sorted(seen: &Seen) -> Vec<Duration> {
    let mut latencies: Vec<_> = seen.latencies.lock().unwrap().iter().map(|(_, latency)| *latency).collect();
    latencies.sort();
    latencies
}

fn open(rate: f64, until: Until) -> Plan {
    Plan { rate: Some(rate), until }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_to_the_request() {
    let (ended, seen) = run(open(100.0, Until::Elapsed(10_000 * MS)), 8, |_| 5 * MS).await;
    assert_eq!(seen.latencies.lock().unwrap().len(), 1000);
    assert_eq!(ended.unsent.requests, 0);
    assert!(ended.elapsed <= 10_000 * MS, "{:?}", ended.elapsed);
    assert!(sorted(&seen).iter().all(|latency| *latency <= 7 * MS));
}

#[tokio::test(start_paused = true)]
async fn a_count_at_a_rate_takes_its_time() {
    let (ended, seen) = run(open(2.0, Until::Sent(11)), 4, |_| MS).await;
    assert_eq!(seen.latencies.lock().unwrap().len(), 11);
    assert!((5000 * MS..5100 * MS).contains(&ended.elapsed), "{:?}", ended.elapsed);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_holds_up_no_request_while_a_client_is_free() {
    let stall = |number| if number == 10 { 1000 * MS } else { MS };
    let (_, seen) = run(open(100.0, Until::Sent(300)), 2, stall).await;
    assert_eq!(sorted(&seen).iter().filter(|latency| **latency > 5 * MS).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_their_turn_count_from_when_they_were_due() {
    let stall = |number| if number == 10 { 1000 * MS } else { MS };
    let (_, seen) = run(open(100.0, Until::Sent(300)), 1, stall).await;
    let latencies = sorted(&seen);
    assert_eq!(latencies.len(), 300);
    // While one stalls for a second, about a hundred become due and wait, each less than the one before.
    let waited = latencies.iter().filter(|latency| **latency > 100 * MS).count();
    assert!((90..=110).contains(&waited), "{waited}");
    assert!(latencies[297] > 950 * MS, "{:?}", latencies[297]);
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_waits_for_its_answer() {
    let (ended, seen) = run(Plan { rate: None, until: Until::Elapsed(1000 * MS) }, 4, |_| 10 * MS).await;
    assert_eq!(seen.latencies.lock().unwrap().len(), 400);
    assert_eq!(ended.unsent, Unsent::default());
    assert!(sorted(&seen).iter().all(|latency| *latency == 10 * MS));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_allowed() {
    let (_, seen) = run(open(1000.0, Until::Sent(200)), 7, |_| 50 * MS).await;
    assert_eq!(seen.most.load(Ordering::Relaxed), 7);
}

#[tokio::test(start_paused = true)]
async fn what_was_due_and_never_sent_is_told_at_the_end() {
    let (ended, seen) = run(open(100.0, Until::Elapsed(1000 * MS)), 1, |_| 100 * MS).await;
    let sent = seen.latencies.lock().unwrap().len() as u64;
    // For one second, and for another that is granted to what waits.
    assert_eq!((sent, ended.unsent.requests), (20, 80));
    assert_eq!(ended.unsent.longest, 1800 * MS);
    assert!(ended.elapsed <= 2020 * MS, "{:?}", ended.elapsed);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_due_in_the_last_moment_is_sent_although_it_has_to_wait() {
    for (rate, clients, takes) in [(1000.0, 1, (|_| 2 * MS) as fn(u64) -> Duration), (1000.0, 8, |_| 5 * MS)] {
        let (ended, seen) = run(open(rate, Until::Elapsed(500 * MS)), clients, takes).await;
        assert_eq!((seen.latencies.lock().unwrap().len(), ended.unsent.requests), (500, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_run_at_once_and_what_is_under_way_is_not_counted() {
    let plan = open(1.0, Until::Elapsed(3_600_000 * MS));
    let takes = |number| if number == 3 { 600_000 * MS } else { MS };
    let (ended, seen) = run_until(plan, 8, takes, sleep(3500 * MS)).await;
    assert!(ended.interrupted && ended.elapsed == 3500 * MS, "{ended:?}");
    assert_eq!((seen.latencies.lock().unwrap().len(), ended.unsent.requests), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_first_request_that_finds_nobody_ends_the_run() {
    struct Lonely;
    impl Caller for Lonely {
        async fn call(&mut self, number: u64, _: Watch) -> Result<(), Nobody> {
            sleep(MS).await;
            if number == 0 { Err(Nobody("nobody".to_owned())) } else { Ok(()) }
        }
    }
    let plan = open(10.0, Until::Elapsed(3_600_000 * MS));
    let start = Instant::now();
    let Nobody(words) = drive(plan, vec![Lonely, Lonely], std::future::pending()).await.unwrap_err();
    assert_eq!(words, "nobody");
    assert!(start.elapsed() < 100 * MS);
}

#[test]
fn due_and_due_by_agree_at_any_rate() {
    for rate in [0.001, 0.3, 1.0, 3.0, 7.7, 999.9, 100_000.0] {
        let plan = open(rate, Until::Elapsed(Duration::from_secs(100)));
        for number in [0, 1, 2, 3, 10, 99] {
            let due = plan.due(number);
            assert!(
                plan.due_by(due) <= number + 1 && plan.due_by(due + MS) >= (number + 1).min(plan.due_by(Duration::MAX))
            );
        }
    }
    assert_eq!(open(10.0, Until::Sent(5)).due_by(Duration::MAX), 5);
}
