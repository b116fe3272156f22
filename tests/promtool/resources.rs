//! HighMemory (90%), CpuThrottled (25%), TooManyOpenFiles (80%).

use serde_json::json;

use super::support::{Case, alerts, case, check};

const USED: &str = "container_memory_working_set_bytes";
const THROTTLED: &str = "container_cpu_cfs_throttled_periods_total";
const PERIODS: &str = "container_cpu_cfs_periods_total";

#[test]
fn memory_near_its_limit_is_told_by_pod() {
    let used = |name, values: &str| case(name).told("memory_limit_bytes", "1000x120").container("a1b2c", USED, values);
    check(
        &alerts(json!({})),
        &[
            used("above the bound", "950x120").fires("HighMemory"),
            used("below the bound", "850x120").silent(),
            used("for a moment only", "500x110 950x10").silent(),
            used("no traffic", "100x120").silent(),
            used("NaN", "NaNx120").silent(),
            case("no limit").container("a1b2c", USED, "950x120").silent(),
            case("a limit of 0").told("memory_limit_bytes", "0x120").container("a1b2c", USED, "950x120").silent(),
            used("each of two pods", "950x120").container("d3e4f", USED, "950x120").fires("HighMemory").fires("HighMemory"),
            used("one of two pods", "950x120").container("d3e4f", USED, "100x120").fires("HighMemory"),
            used("a pod that is gone", "950x60 stale").silent(),
            used("two operators", "950x120").told("memory_limit_bytes,pod=\"new\"", "1000x120").fires("HighMemory"),
            used("another model's pod, whose name begins alike", "100x120")
                .plain(
                    "container_memory_working_set_bytes{namespace=\"cellar\",pod=\"grape-scorer-eu-5d8f7c9b64-a1b2c\",container=\"model\"}",
                    "950x120",
                )
                .silent(),
            used("another container of the pod", "100x120")
                .plain(
                    "container_memory_working_set_bytes{namespace=\"cellar\",pod=\"grape-scorer-5d8f7c9b64-a1b2c\",container=\"exporter\"}",
                    "950x120",
                )
                .silent(),
        ],
    );
}

#[test]
fn a_container_that_waits_for_cpu_is_told_by_pod() {
    let waited = |name, throttled: &str, periods: &str| -> Case {
        case(name).container("a1b2c", THROTTLED, throttled).container("a1b2c", PERIODS, periods)
    };
    check(
        &alerts(json!({})),
        &[
            waited("above the bound", "0+45x120", "0+150x120").fires("CpuThrottled"),
            waited("below the bound", "0+30x120", "0+150x120").silent(),
            waited("no traffic", "0x120", "0x120").silent(),
            waited("NaN", "NaNx120", "NaNx120").silent(),
            waited("the first time ever", "0x40 0+100x80", "0+150x120").fires("CpuThrottled"),
            waited("a restart in the middle, above", "0+45x100 0+45x20", "0+150x100 0+150x20").fires("CpuThrottled"),
            waited("a restart in the middle, below", "0+30x100 0+30x20", "0+150x100 0+150x20").silent(),
            waited("each of two pods", "0+45x120", "0+150x120")
                .container("d3e4f", THROTTLED, "0+45x120")
                .container("d3e4f", PERIODS, "0+150x120")
                .fires("CpuThrottled")
                .fires("CpuThrottled"),
            waited("one of two pods", "0+45x120", "0+150x120")
                .container("d3e4f", THROTTLED, "0x120")
                .container("d3e4f", PERIODS, "0+150x120")
                .fires("CpuThrottled"),
            waited("a pod that is gone", "0+45x60 stale", "0+150x60 stale").silent(),
            case("no limit, so no periods").silent(),
        ],
    );
}

#[test]
fn too_many_open_files_are_told_by_pod() {
    let open =
        |name, values: &str| case(name).pod("a", "process_open_fds", values).pod("a", "process_max_fds", "1000x120");
    check(
        &alerts(json!({})),
        &[
            open("above the bound", "850x120").fires("TooManyOpenFiles"),
            open("below the bound", "750x120").silent(),
            open("no traffic", "20x120").silent(),
            open("for a moment only", "20x110 850x10").silent(),
            open("NaN", "NaNx120").silent(),
            case("a limit of 0").pod("a", "process_open_fds", "5x120").pod("a", "process_max_fds", "0x120").silent(),
            open("each of two pods", "850x120")
                .pod("b", "process_open_fds", "850x120")
                .pod("b", "process_max_fds", "1000x120")
                .fires("TooManyOpenFiles")
                .fires("TooManyOpenFiles"),
            open("a pod that is gone", "850x60 stale").silent(),
            case("an old kernel, which does not tell").pod("a", "process_max_fds", "1000x120").silent(),
        ],
    );
}
