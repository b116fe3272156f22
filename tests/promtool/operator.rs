//! What the operator tells: ModelCrashLooping (3 in 15m), RolloutFailed, VersionHeldBack (after 10m), ImageNotResolved (after
//! 15m).

use serde_json::json;

use super::support::{Case, alerts, case, check};

#[test]
fn a_container_that_restarts_over_and_over_is_told() {
    let restarts = |name, values| case(name).told("restarts_total", values);
    check(
        &alerts(json!({})),
        &[
            restarts("three", "0x80 1x10 2x10 3x20").fires("ModelCrashLooping"),
            restarts("two", "0x80 1x10 2x30").silent(),
            restarts("none, and no traffic", "0x120").silent(),
            restarts("NaN", "NaNx120").silent(),
            restarts("the first ones ever, all at once", "0x110 3x10").fires("ModelCrashLooping"),
            restarts("long ago", "0x10 3x110").silent(),
            restarts("three, and the pod is there", "0x80 1x10 2x10 3x20")
                .told("restarted_pods", "0x80 1x40")
                .fires("ModelCrashLooping"),
            restarts("three, and a pin has taken the pod away", "0x80 1x10 2x10 3x20")
                .told("restarted_pods", "0x80 1x30 0x10")
                .silent(),
            restarts("the operator starts to count anew", "7x100 0x20").silent(),
            restarts("two operators do not add up", "0x90 2x30")
                .told("restarts_total,pod=\"new\"", "0x90 2x30")
                .silent(),
            restarts("an operator that is gone", "0x20 9x40 stale")
                .told("restarts_total,pod=\"new\"", "_x60 9x60")
                .silent(),
        ],
    );
}

/// Three restarts within a minute, then one each so many minutes.
fn burst_and_then(minutes: usize, restarts: usize) -> String {
    let rounds = (4..restarts + 4).map(|count| format!(" {count}x{}", minutes * 4 - 1));
    format!("0x40 1 2 3x{}{}", minutes * 4 - 1, rounds.collect::<String>())
}

#[test]
fn a_container_that_goes_on_crashing_at_the_kubelets_pace_is_told_until_it_stops() {
    let restarts = |name, values: &str| case(name).told("restarts_total", values);
    let fires = |case: Case| case.fires("ModelCrashLooping");
    let ends = "0x40 1 2 3x23 4x23 5x23 6x200";
    let slow = |name| restarts(name, &burst_and_then(16, 10));
    check(
        &alerts(json!({})),
        &[
            fires(restarts("each six minutes", &burst_and_then(6, 30)).at("130m")),
            fires(restarts("each eight minutes", &burst_and_then(8, 20)).at("130m")),
            fires(restarts("each ten minutes", &burst_and_then(10, 16)).at("130m")),
            fires(restarts("each ten minutes, just before one", &burst_and_then(10, 16)).at("129m")),
            fires(restarts("14 minutes after the last one", ends).at("42m")),
            restarts("14 minutes after the last one of a pod that is gone", ends)
                .told("restarted_pods", "1x160 0x40")
                .at("42m")
                .silent(),
            restarts("16 minutes after the last one", ends).at("46m").silent(),
            restarts("each ten minutes, and never more than two in a quarter", "0x40 1x39 2x39 3x39 4x200")
                .at("45m")
                .silent(),
            fires(
                restarts("the operator starts anew", "0x40 1 2 3x23 4x23 stale")
                    .told("restarts_total,pod=\"new\"", "_x93 0x23 1x23 2x23")
                    .at("36m"),
            ),
        ],
    );
    let mut patient = alerts(json!({}));
    patient["server"] = json!({"startupTimeout": "10m"});
    check(&patient, &[fires(slow("each sixteen minutes, as its start may take ten").at("130m"))]);
}

#[test]
fn a_rollout_that_failed_is_told() {
    let failed = |name, values| case(name).told("rollout_failed", values);
    check(
        &alerts(json!({})),
        &[
            failed("failed", "0x60 1x60").fires("RolloutFailed"),
            failed("did not, and no traffic", "0x120").silent(),
            failed("for a moment only", "0x118 1x2").silent(),
            failed("over", "1x60 0x60").silent(),
            failed("NaN", "NaNx120").silent(),
            failed("two operators say so", "1x120").told("rollout_failed,pod=\"new\"", "1x120").fires("RolloutFailed"),
            failed("said by an operator that is gone", "1x60 stale").silent(),
            case("no data").silent(),
        ],
    );
}

#[test]
fn a_version_that_is_held_back_is_told() {
    let accepted = |name, values| case(name).told("condition,type=\"VersionAccepted\"", values);
    check(
        &alerts(json!({})),
        &[
            accepted("for long", "1x60 0x60").fires("VersionHeldBack"),
            accepted("not for long", "1x100 0x20").silent(),
            accepted("taken, and no traffic", "1x120").silent(),
            accepted("another one was pushed", "0x90 1x30").silent(),
            accepted("NaN", "NaNx120").silent(),
            accepted("another operator has taken it", "0x120")
                .told("condition,type=\"VersionAccepted\",pod=\"new\"", "1x120")
                .silent(),
            accepted("said by an operator that is gone", "0x60 stale").silent(),
            case("nothing is required").silent(),
        ],
    );
}

#[test]
fn an_image_that_cannot_be_looked_up_is_told() {
    let resolved = |name, values| case(name).told("condition,type=\"ImageResolved\"", values);
    check(
        &alerts(json!({})),
        &[
            resolved("for long", "1x40 0x80").fires("ImageNotResolved"),
            resolved("not for long", "1x80 0x40").silent(),
            resolved("it can, and no traffic", "1x120").silent(),
            resolved("NaN", "NaNx120").silent(),
            resolved("another operator can", "0x120")
                .told("condition,type=\"ImageResolved\",pod=\"new\"", "1x120")
                .silent(),
            resolved("said by an operator that is gone", "0x60 stale").silent(),
            case("another condition").told("condition,type=\"Progressing\"", "0x120").silent(),
            case("no data").silent(),
        ],
    );
}
