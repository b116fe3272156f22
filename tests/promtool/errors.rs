//! HighErrorRatio (the bound is 5%) and ErrorBudgetBurn (the objective is 99.5%).

use serde_json::json;

use super::support::{Case, alerts, case, check};

const REQUESTS: &str = "http_request_duration_seconds_count";
const MODEL: &str = "http_request_errors_total,cause=\"model\"";

fn errors(name: &'static str, requests: &str, errors: &str) -> Case {
    case(name).pod("a", REQUESTS, requests).pod("a", MODEL, errors)
}

#[test]
fn a_model_that_fails_too_many_requests_is_told() {
    let fires = |case: Case| case.fires("HighErrorRatio");
    check(
        &alerts(json!({})),
        &[
            fires(errors("above the bound", "0+100x120", "0+6x120")),
            errors("below the bound", "0+100x120", "0+4x120").silent(),
            errors("no traffic", "0x120", "0x120").silent(),
            errors("NaN", "NaNx120", "NaNx120").silent(),
            errors("not for long enough", "0+100x120", "0x110 100+100x10").silent().at("28m"),
            fires(errors("the first errors ever", "0+5x120", "0x80 12x40").at("24m")),
            errors("a lone failure", "0+1x120", "0x100 1x20").silent().at("28m"),
            errors("too few requests to tell", "0x100 5x20", "0x100 5x20").silent().at("29m"),
            fires(errors("a restart in the middle, above", "0+100x100 0+100x20", "0+10x100 0+10x20")),
            errors("a restart in the middle, below", "0+100x100 0+100x20", "0+2x100 0+2x20").silent(),
            fires(
                errors("two replicas make one alert", "0+100x120", "0+10x120")
                    .pod("b", REQUESTS, "0+100x120")
                    .pod("b", MODEL, "0+10x120"),
            ),
            errors("two replicas are judged together", "0+10x120", "0+2x120")
                .pod("b", REQUESTS, "0+100x120")
                .pod("b", MODEL, "0x120")
                .silent(),
            errors("the pod that failed is gone", "0+100x40 stale", "0+100x40 stale")
                .pod("b", REQUESTS, "0+100x120")
                .pod("b", MODEL, "0x120")
                .silent(),
            fires(
                errors("a pod that is gone hides no errors of the other", "0+100x110 stale", "0x110 stale")
                    .pod("b", REQUESTS, "0+100x120")
                    .pod("b", MODEL, "0+50x120"),
            ),
            errors("only clients' errors", "0+100x120", "0x120")
                .pod("a", "http_request_errors_total,cause=\"client\"", "0+100x120")
                .silent(),
            errors("errors that may be the client's", "0+100x120", "0x120")
                .pod("a", "http_request_errors_total,cause=\"unclear\"", "0+100x120")
                .silent(),
            fires(
                case("time-outs and refused connections count")
                    .pod("a", REQUESTS, "0+100x120")
                    .pod("a", "http_request_errors_total,cause=\"timeout\"", "0+3x120")
                    .pod("a", "http_request_errors_total,cause=\"unreachable\"", "0+3x120"),
            ),
            case("a candidate's errors are judged by its roll-out")
                .track("candidate", "c", REQUESTS, "0+100x120")
                .track("candidate", "c", MODEL, "0+100x120")
                .silent(),
            fires(errors("fifteen requests in half an hour, and all fail", "0+1x40", "0+1x40").every("2m").at("80m")),
            errors("few requests, and the failures are over", "0+1x60", "0+1x40 40x20").every("2m").at("100m").silent(),
        ],
    );
}

#[test]
fn failures_that_use_up_the_budget_are_told_by_window() {
    let all = |case: Case| {
        ["1h", "6h", "1d", "3d"].into_iter().fold(case, |case, window| case.fires(&format!("ErrorBudgetBurn {window}")))
    };
    let spec = alerts(json!({"objective": "99.5%", "disabled": ["HighErrorRatio"]}));
    check(
        &spec,
        &[
            // 14.4 times 0.5% is 7.2%, 6 times 3%, 3 times 1.5%.
            all(errors("a fast burn", "0+100x280", "0+10x280").at("70m")),
            errors("a slower burn", "0+100x280", "0+4x280")
                .at("70m")
                .fires("ErrorBudgetBurn 6h")
                .fires("ErrorBudgetBurn 1d")
                .fires("ErrorBudgetBurn 3d"),
            errors("a slow burn", "0+1000x280", "0+6x280").at("70m").fires("ErrorBudgetBurn 3d"),
            errors("within the budget", "0+1000x280", "0+4x280").at("70m").silent(),
            errors("no traffic", "0x280", "0x280").at("70m").silent(),
            errors("NaN", "NaNx280", "NaNx280").at("70m").silent(),
            all(errors("the first errors ever", "0+100x280", "0x200 0+80x80").at("70m")),
            errors("a restart in the middle", "0+1000x200 0+1000x80", "0+4x200 0+4x80").at("70m").silent(),
            all(errors("two replicas", "0+100x280", "0+10x280")
                .pod("b", REQUESTS, "0+100x280")
                .pod("b", MODEL, "0+10x280")
                .at("70m")),
            errors("the pod that failed is long gone", "0+100x40 stale", "0+1x40 stale")
                .pod("b", REQUESTS, "0+1000x280")
                .pod("b", MODEL, "0x280")
                .at("70m")
                .silent(),
            // The long window is full of failures, the short one has none: over.
            errors("an hour of failures that is over", "0+100x280", "0+20x240 4800x40")
                .at("69m")
                .fires("ErrorBudgetBurn 6h")
                .fires("ErrorBudgetBurn 1d")
                .fires("ErrorBudgetBurn 3d"),
            // A thousand times what the objective allows, by one request.
            errors("ten requests an hour, and one fails", "0+1x60", "0x40 1x20").every("6m").at("246m").silent(),
        ],
    );
}
