//! HighLatency; the bound is 1s.

use serde_json::json;

use super::support::{Case, alerts, case, check};

/// Requests within 0.5 s, within 2.5 s, and all.
fn answers(case: Case, pod: &str, fast: &str, slow: &str, all: &str) -> Case {
    let bucket = |le: &str| format!("http_request_duration_seconds_bucket,le=\"{le}\"");
    case.pod(pod, &bucket("0.5"), fast)
        .pod(pod, &bucket("1.0"), fast)
        .pod(pod, &bucket("2.5"), slow)
        .pod(pod, &bucket("+Inf"), all)
        .pod(pod, "http_request_duration_seconds_count", all)
}

fn one(name: &'static str, fast: &str, slow: &str) -> Case {
    answers(case(name), "a", fast, slow, slow)
}

#[test]
fn a_model_that_answers_slowly_is_told() {
    let fires = |case: Case| case.fires("HighLatency");
    check(
        &alerts(json!({})),
        &[
            fires(one("above the bound", "0+90x120", "0+100x120")),
            one("below the bound", "0+96x120", "0+100x120").silent(),
            one("no traffic", "0x120", "0x120").silent(),
            one("NaN", "NaNx120", "NaNx120").silent(),
            fires(one("the first requests ever", "0x120", "0x80 0+40x40").at("26m")),
            one("too few requests to tell", "0x120", "0x100 15x20").silent(),
            fires(one("a restart in the middle, above", "0+50x100 0+50x20", "0+100x100 0+100x20")),
            one("a restart in the middle, below", "0+100x100 0+100x20", "0+100x100 0+100x20").silent(),
            fires(answers(
                one("a tenth of all goes to the slow replica", "0+90x120", "0+90x120"),
                "b",
                "0x120",
                "0+10x120",
                "0+10x120",
            )),
            answers(
                one("the slow replica gets too little to matter", "0+98x120", "0+98x120"),
                "b",
                "0x120",
                "0+2x120",
                "0+2x120",
            )
            .silent(),
            answers(
                one("the slow pod is gone", "0x40 stale", "0+100x40 stale"),
                "b",
                "0+100x120",
                "0+100x120",
                "0+100x120",
            )
            .silent(),
            fires(answers(case("beyond all buckets"), "a", "0x120", "0x120", "0+100x120")),
            fires(one("thirty slow requests in an hour", "0x40", "0+1x40").every("2m").at("80m")),
            one("few requests, and none lately", "0x40", "0+1x30 30x30").every("2m").at("90m").silent(),
        ],
    );
}
