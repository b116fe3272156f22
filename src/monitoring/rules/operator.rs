//! What only the operator knows: restarts, roll-outs, the registry's answers.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl, text},
    promql::{Scope, duration, number},
};
use crate::api::monitoring::{Alert, valid::Alerts};

/// Within which restarts are counted.
const RESTARTS_WINDOW: Duration = Duration::from_secs(900);
/// As long as one operator takes to take over from another.
const SETTLED: Duration = Duration::from_secs(60);
/// As long as a tracking server may be away, or a run take to end after its image was pushed, without anybody's help.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn rules(scope: &Scope, alerts: &Alerts) -> [Rule; 4] {
    [crash_looping(scope, alerts), rollout_failed(scope), held_back(scope), image_not_resolved(scope, alerts)]
}

fn describe(scope: &Scope) -> String {
    kubectl(scope, &format!("describe mdl {}", text(&scope.model)))
}

fn crash_looping(scope: &Scope, alerts: &Alerts) -> Rule {
    let restarts = scope.told("modelship_model_restarts_total", "");
    // Half a restart less, since increase() knows only about how many.
    let bound = number(f64::from(alerts.restarts) - 0.5);
    let window = duration(RESTARTS_WINDOW);
    Rule::new(Alert::ModelCrashLooping, format!("max(increase({restarts}[{window}])) > {bound}"))
        .summary("starts over and over again")
        .measured(format!(
            "Its container restarted about {{{{ printf \"%.0f\" $value }}}} times in {window}; the bound is {}.",
            alerts.restarts
        ))
        .first(format!(
            "First: {} tells how the last one ended.",
            kubectl(scope, &format!("logs deployment/{} -c model --previous", text(&scope.model)))
        ))
}

fn rollout_failed(scope: &Scope) -> Rule {
    Rule::new(Alert::RolloutFailed, format!("{} == 1", scope.told_once("modelship_model_rollout_failed", "")))
        .pending(SETTLED)
        .summary("did not take its new version")
        .measured(
            "A new version, or a change of its pods, did not get ready in time, or failed; users get the version before it, if there was one.",
        )
        .first(format!("First: {}; its condition Stalled names the reason.", describe(scope)))
}

fn held_back(scope: &Scope) -> Rule {
    let accepted = scope.told_once("modelship_model_condition", "type=\"VersionAccepted\"");
    Rule::new(Alert::VersionHeldBack, format!("{accepted} == 0"))
        .pending(PATIENCE)
        .summary("does not get its new version, because of the figures of its training")
        .measured("The newest version has not reached what is required of it, or its figures are not known; users get the version before it, if there was one.")
        .first(format!("First: {}; its condition VersionAccepted names figure and bound.", describe(scope)))
}

fn image_not_resolved(scope: &Scope, alerts: &Alerts) -> Rule {
    let resolved = scope.told_once("modelship_model_condition", "type=\"ImageResolved\"");
    Rule::new(Alert::ImageNotResolved, format!("{resolved} == 0"))
        .pending(alerts.image_unresolved_for)
        .summary("gets no new versions, because its image cannot be looked up")
        .measured(format!(
            "For {} the registry has not said which version the tag names. What runs goes on running.",
            duration(alerts.image_unresolved_for)
        ))
        .first(format!("First: {}; its condition ImageResolved names the reason.", describe(scope)))
}
