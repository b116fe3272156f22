//! Memory, CPU, open files: each pod by itself, since one that is at its limit fails alone.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl},
    promql::{Scope, duration, number, percent},
};
use crate::api::monitoring::{Alert, valid::Alerts};

/// Longer than a single heavy request, or the start of a server.
const LASTING: Duration = Duration::from_secs(300);

/// Without a limit the operator tells none, and nothing is compared.
pub(super) fn memory(scope: &Scope, alerts: &Alerts) -> Rule {
    let used = scope.container("container_memory_working_set_bytes");
    let limit = scope.told_once("modelship_model_memory_limit_bytes", "");
    let bound = number(alerts.memory);
    Rule::new(
        Alert::HighMemory,
        format!("max by (pod) ({used}) / on () group_left () ({limit} > 0) >= {bound}"),
    )
    .pending(LASTING)
    .summary("has almost used up its memory and may be ended for it")
    .measured(format!(
        "Pod {{{{ $labels.pod }}}} uses {{{{ $value | humanizePercentage }}}} of its memory limit; the bound is {}.",
        percent(alerts.memory)
    ))
    .first("First: raise spec.server.resources.limits.memory, or lower spec.server.workers.")
}

pub(super) fn throttled(scope: &Scope, alerts: &Alerts) -> Rule {
    let window = duration(scope.window);
    let periods = |metric: &str| format!("sum by (pod) (rate({}[{window}]))", scope.container(metric));
    let expr = format!(
        "{} / ({} > 0) >= {}",
        periods("container_cpu_cfs_throttled_periods_total"),
        periods("container_cpu_cfs_periods_total"),
        number(alerts.cpu_throttling)
    );
    Rule::new(Alert::CpuThrottled, expr)
        .pending(LASTING * 2)
        .summary("is held back by its CPU limit")
        .measured(format!(
            "Pod {{{{ $labels.pod }}}} had to wait for CPU in {{{{ $value | humanizePercentage }}}} of the time slices of the \
             last {window}; the bound is {}.",
            percent(alerts.cpu_throttling)
        ))
        .first("First: raise spec.server.resources.limits.cpu, or lower spec.server.workers.")
}

pub(super) fn open_files(scope: &Scope, alerts: &Alerts) -> Rule {
    let most = |metric: &str| format!("max by (pod) ({})", scope.any(metric, ""));
    let expr =
        format!("{} / ({} > 0) >= {}", most("process_open_fds"), most("process_max_fds"), number(alerts.open_files));
    Rule::new(Alert::TooManyOpenFiles, expr)
        .pending(LASTING)
        .summary("has so many files and connections open that it will soon be refused more")
        .measured(format!(
            "Pod {{{{ $labels.pod }}}} has {{{{ $value | humanizePercentage }}}} of the files open that it may; the bound is \
             {}.",
            percent(alerts.open_files)
        ))
        .first(format!(
            "First: {} to be answered again; then look for files or connections that the model's code never closes.",
            kubectl(scope, "delete pod {{ $labels.pod }}")
        ))
}
