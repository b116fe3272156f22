//! What the operator tells: ModelCrashLooping (3 in 15m), RolloutFailed, VersionHeldBack (after 10m), ImageNotResolved (after
//! 15m).

use serde_json::json;

use super::support::{alerts, case, check};

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
