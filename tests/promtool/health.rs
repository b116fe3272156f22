//! ModelDown (after 2m) and SlowScrape (5s).

use serde_json::json;

use super::support::{Case, alerts, case, check};

fn up(name: &'static str, values: &str) -> Case {
    case(name).pod("a", "model_up", values)
}

fn replicas(case: Case, wanted: &str, available: &str) -> Case {
    case.told("replicas_wanted", wanted).told("replicas_available", available)
}

#[test]
fn a_model_that_answers_nobody_is_told() {
    let fires = |case: Case| case.fires("ModelDown");
    check(
        &alerts(json!({})),
        &[
            fires(up("it does not answer", "1x60 0x60")),
            up("it answers", "1x120").silent(),
            up("it answers, and nobody asks", "1x120")
                .pod("a", "http_request_duration_seconds_count", "0x120")
                .silent(),
            up("for a moment only", "1x114 0x6").silent(),
            up("it came back", "0x100 1x20").silent(),
            up("NaN", "NaNx120").silent(),
            up("one of two replicas answers", "0x120").pod("b", "model_up", "1x120").silent(),
            fires(up("neither of two answers", "0x120").pod("b", "model_up", "0x120")),
            up("a pod is gone, another answers", "0x60 stale").pod("b", "model_up", "1x120").silent(),
            fires(up("all pods are gone", "1x60 stale")),
            fires(replicas(up("all pods are gone, and the operator says so", "1x60 stale"), "1x120", "1x60 0x60")),
            replicas(up("Prometheus lost the pods, and they are available", "1x60 stale"), "1x120", "1x120").silent(),
            replicas(up("scaled to nothing", "1x60 stale"), "1x60 0x60", "1x60 0x60").silent(),
            replicas(up("on its way to nothing", "1x60 0x60"), "1x60 0x60", "1x60 0x60").silent(),
            fires(replicas(case("the operator alone says so"), "2x120", "2x60 0x60")),
            replicas(case("one replica of two is left"), "2x120", "2x60 1x60").silent(),
            replicas(case("NaN from the operator"), "NaNx120", "NaNx120").silent(),
            up("long gone, and the operator was never there", "1x4 stale").at("70m").silent(),
            case("never there").silent(),
            replicas(up("the first version is still coming", "0x120"), "1x120", "0x120")
                .told("rollout_in_progress", "1x120")
                .silent(),
            fires(
                replicas(up("a later version is coming, and nobody is answered", "0x120"), "1x120", "0x120")
                    .told("rollout_in_progress", "1x120")
                    .told("stable_since_timestamp_seconds", "1700000000x120"),
            ),
            fires(up("only a candidate answers", "0x120").track("candidate", "c", "model_up", "1x120")),
            up("a candidate does not answer", "1x120").track("candidate", "c", "model_up", "0x120").silent(),
            replicas(case("two operators, of which one lags behind"), "1x120", "0x120")
                .told("replicas_wanted,pod=\"new\"", "1x120")
                .told("replicas_available,pod=\"new\"", "1x120")
                .silent(),
        ],
    );
}

#[test]
fn the_gap_that_recreate_asks_for_is_not_told_before_its_rollout_has_failed() {
    let mut recreate = alerts(json!({}));
    recreate["rollout"] = json!({"strategy": "Recreate"});
    let down = |name: &'static str, introducing: &str| {
        replicas(up(name, "1x60 0x60"), "1x120", "1x60 0x60")
            .told("stable_since_timestamp_seconds", "1700000000x120")
            .told("rollout_in_progress", introducing)
    };
    let fires = |case: Case| case.fires("ModelDown");
    check(
        &recreate,
        &[
            down("for five minutes", "0x60 1x60").at("20m").silent(),
            down("for a quarter of an hour", "0x60 1x60").silent(),
            down("its pod is gone between the versions", "0x60 1x60").pod("b", "model_up", "1x60 stale").silent(),
            fires(down("it has failed", "0x60 1x40 0x20").told("rollout_failed", "0x100 1x20").fires("RolloutFailed")),
            down("it has just failed", "0x60 1x56 0x4").silent(),
            fires(down("nothing is introduced", "0x120")),
            fires(down("an operator that is gone said so", "0x60 1x10 stale")),
        ],
    );
    let rolling = alerts(json!({}));
    check(&rolling, &[fires(down("another strategy leaves no gap", "0x60 1x60"))]);
}

#[test]
fn a_slow_scrape_is_told_by_pod() {
    let took = |name, values| case(name).pod("a", "scrape_duration_seconds", values);
    check(
        &alerts(json!({})),
        &[
            took("above the bound", "6x120").fires("SlowScrape"),
            took("below the bound", "4x120").silent(),
            took("a single one", "0.1x115 9 0.1x4").silent(),
            took("NaN", "NaNx120").silent(),
            took("both of two pods", "6x120")
                .pod("b", "scrape_duration_seconds", "6x120")
                .fires("SlowScrape")
                .fires("SlowScrape"),
            took("one of two pods", "6x120").pod("b", "scrape_duration_seconds", "0.1x120").fires("SlowScrape"),
            took("a pod that is gone", "6x60 stale").silent(),
            case("no data").silent(),
        ],
    );
}
