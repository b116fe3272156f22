use super::*;

const RULES: Rules = Rules { period: Duration::from_secs(5), silent_periods: 6, timeout: Duration::from_secs(60) };

/// Seconds, `None` below 0.
fn at(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// (what is known at second `now`: healthy, unhealthy, answered, refused, busy, in flight) → (live, ready)
struct Row(&'static str, [i64; 6], bool, bool, bool);

#[test]
fn a_model_is_dead_or_ready_as_the_table_says() {
    let never = -1;
    //  now, healthy, unhealthy, answered, refused, busy | in flight | live, ready
    let table = [
        Row("nothing is known yet", [3, never, never, never, never, never], false, true, false),
        Row("it starts, and does not listen yet", [500, never, never, never, 499, never], false, true, false),
        Row(
            "it starts, listens, and says that it is not ready",
            [500, never, 499, never, never, never],
            false,
            true,
            false,
        ),
        Row("it is healthy", [100, 98, never, never, never, never], false, true, true),
        Row("the next check is under way", [100, 90, never, never, never, never], false, true, true),
        Row("two checks are missing", [101, 90, never, never, never, never], false, true, false),
        Row("silent for all periods but not longer", [120, 90, never, never, never, never], false, true, false),
        Row("silent for longer than all periods", [121, 90, never, never, never, never], false, false, false),
        Row("silent, but it answers requests", [500, 90, never, 498, never, never], false, true, true),
        Row("an answer is as good as a check at first", [500, never, never, 498, never, never], false, true, true),
        Row("it refuses connections", [100, 90, never, 91, 95, never], false, false, false),
        Row("it refuses connections while requests wait", [100, 90, never, 91, 95, 100], true, false, false),
        Row("refused and answered in the same moment", [100, 95, never, never, 95, never], false, false, false),
        Row("it refused, and is back", [100, 99, never, never, 95, never], false, true, true),
        Row("the health path fails, requests do not", [100, 50, 99, 92, never, never], false, true, true),
        Row("the health path fails, nothing else is known", [100, 98, 99, never, never, never], false, true, false),
        Row("the health path fails while requests wait", [100, 98, 99, never, never, 100], true, true, false),
        Row("the health path fails for an hour", [3600, 10, 3599, never, never, never], false, true, false),
        Row("one worker busy with one request", [60, 2, never, never, never, 60], true, true, true),
        Row("a full queue, an answer a minute", [1000, 2, never, 941, never, 1000], true, true, true),
        Row("a full queue, silent for three timeouts", [190, 10, never, 2, never, 190], true, true, true),
        Row("a full queue, silent for longer", [191, 10, never, 2, never, 191], true, true, false),
        Row("a full queue, silent for five timeouts", [310, 10, never, never, never, 310], true, true, false),
        Row("it hangs under traffic", [311, 10, never, never, never, 311], true, false, false),
        Row("it hangs under traffic with pauses", [311, 10, never, never, never, 305], false, false, false),
        Row("between two requests of a full queue", [100, 10, never, never, never, 98], false, true, true),
        Row("the client left, the worker works on", [100, 2, never, never, never, 70], false, true, false),
        Row("the abandoned request must be over", [160, 2, never, never, never, 70], false, true, false),
        Row("and then all periods were silent", [161, 2, never, never, never, 70], false, false, false),
    ];
    for Row(what, [now, healthy, unhealthy, answered, refused, busy], in_flight, live, ready) in table {
        let evidence = Evidence {
            now: at(now).unwrap(),
            in_flight,
            healthy: at(healthy),
            unhealthy: at(unhealthy),
            answered: at(answered),
            refused: at(refused),
            busy: at(busy),
        };
        assert_eq!((evidence.live(&RULES).is_ok(), evidence.ready(&RULES).is_ok()), (live, ready), "{what}");
    }
}

#[test]
fn a_dead_models_silence_is_told_in_seconds() {
    let evidence = Evidence { now: Duration::from_secs(200), healthy: at(90), ..Evidence::default() };
    assert_eq!(evidence.live(&RULES), Err(Why::Silent(Duration::from_secs(110))));
    assert_eq!(evidence.live(&RULES).unwrap_err().to_string(), "the model has not answered anything for 110 s");
}

#[test]
fn a_short_timeout_does_not_shorten_the_silent_periods() {
    let rules = Rules { timeout: Duration::from_secs(1), ..RULES };
    let evidence = Evidence { now: Duration::from_secs(30), healthy: at(0), in_flight: true, ..Evidence::default() };
    assert!(evidence.live(&rules).is_ok());
    assert!(Evidence { now: Duration::from_secs(31), ..evidence }.live(&rules).is_err());
}
