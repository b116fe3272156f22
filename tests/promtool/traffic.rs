//! HighTraffic, TrafficDetected, NoTraffic.

use serde_json::json;

use super::support::{Case, alerts, case, check};

const REQUESTS: &str = "http_request_duration_seconds_count";

fn requests(name: &'static str, values: &str) -> Case {
    case(name).pod("a", REQUESTS, values)
}

#[test]
fn more_requests_a_second_than_the_bound_are_told() {
    let fires = |case: Case| case.fires("HighTraffic");
    check(
        &alerts(json!({"highTraffic": "10/s"})),
        &[
            fires(requests("above the bound", "0+165x120")),
            requests("below the bound", "0+135x120").silent(),
            requests("no traffic", "0x120").silent(),
            requests("NaN", "NaNx120").silent(),
            fires(requests("the first requests ever", "0x100 0+400x20")),
            fires(requests("a restart in the middle, above", "0+165x110 0+165x10")),
            requests("a restart in the middle, below", "0+100x110 0+100x10").silent(),
            fires(requests("two replicas together", "0+90x120").pod("b", REQUESTS, "0+90x120")),
            requests("one of two is gone", "0+90x60 stale").pod("b", REQUESTS, "0+90x120").silent(),
            requests("a candidate's copies are no requests", "0+90x120")
                .track("candidate", "c", REQUESTS, "0+90x120")
                .silent(),
        ],
    );
}

#[test]
fn more_requests_over_a_window_than_the_bound_are_told() {
    let fires = |case: Case| case.fires("HighTraffic");
    check(
        &alerts(json!({"highTraffic": "1000/20m"})),
        &[
            fires(requests("above the bound", "0+15x120")),
            requests("below the bound", "0+11x120").silent(),
            requests("no traffic", "0x120").silent(),
            requests("NaN", "NaNx120").silent(),
            fires(requests("the first requests ever, all at once", "0x100 1100x20")),
            requests("a restart in the middle", "0+11x100 0+11x20").silent(),
            fires(requests("two replicas together", "0+8x120").pod("b", REQUESTS, "0+8x120")),
            fires(requests("what a pod that is gone took counts", "0+15x100 stale").at("26m")),
        ],
    );
}

#[test]
fn the_first_request_ever_is_told() {
    let fires = |case: Case| case.fires("TrafficDetected");
    check(
        &alerts(json!({"trafficDetected": true})),
        &[
            fires(requests("the first request ever", "0x110 1x10")),
            requests("no traffic", "0x120").silent(),
            requests("NaN", "NaNx120").silent(),
            requests("long ago", "0x20 1x100").silent(),
            requests("a restart is no request", "5x60 0x60").silent(),
            fires(requests("one of two replicas", "0x120").pod("b", REQUESTS, "0x110 1x10")),
            requests("a pod that is gone", "5x60 stale").pod("b", REQUESTS, "0x120").silent(),
            case("no data").silent(),
        ],
    );
}

#[test]
fn a_model_that_nobody_asks_any_more_is_told() {
    let fires = |case: Case| case.fires("NoTraffic");
    check(
        &alerts(json!({"noTraffic": "20m"})),
        &[
            fires(requests("none", "0x120")),
            fires(requests("none any more", "0+10x20 200x100")),
            requests("one request", "0x80 1x40").silent(),
            requests("it is too new", "_x60 0x60").silent(),
            requests("NaN", "NaNx120").silent(),
            fires(requests("a restart is no request", "5x60 0x60")),
            requests("one of two replicas gets some", "0x120").pod("b", REQUESTS, "0+1x120").silent(),
            requests("it was asked as long as the old pod was there", "0+1x60 stale")
                .pod("b", REQUESTS, "_x50 0x70")
                .silent(),
            requests("it is gone altogether", "0x60 stale").silent(),
            case("no data").silent(),
        ],
    );
}
