//! What only the operator knows: restarts, roll-outs, the registry's answers.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl, text},
    promql::{Scope, duration, number},
};
use crate::api::{
    ValidSpec,
    monitoring::{Alert, valid::Alerts},
    names,
};

/// Within which restarts are counted.
const RESTARTS_WINDOW: Duration = Duration::from_secs(900);
/// The longest that the kubelet waits before it starts a container anew.
const BACK_OFF: Duration = Duration::from_secs(300);
/// As long as one operator takes to take over from another.
const SETTLED: Duration = Duration::from_secs(60);
/// As long as a tracking server may be away, or a run take to end after its image was pushed, without anybody's help.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn rules(scope: &Scope, alerts: &Alerts, spec: &ValidSpec) -> [Rule; 4] {
    [
        crash_looping(scope, alerts, spec.server.startup_timeout),
        rollout_failed(scope),
        held_back(scope),
        image_not_resolved(scope, alerts),
    ]
}

fn describe(scope: &Scope) -> String {
    kubectl(scope, &format!("describe mdl {}", text(&scope.model)))
}

/// Once the kubelet waits its longest, restarts become too rare for the bound, though the container goes on crashing: what
/// fires goes on for as long as another one may still come.
fn crash_looping(scope: &Scope, alerts: &Alerts, startup: Duration) -> Rule {
    let within = |window| {
        let restarts = scope.told("modelship_model_restarts_total", "");
        format!("max(increase({restarts}[{}]))", duration(window))
    };
    let counted = within(RESTARTS_WINDOW);
    // Half a restart less, since increase() knows only about how many.
    let bound = number(f64::from(alerts.restarts) - 0.5);
    let quiet = RESTARTS_WINDOW.max((BACK_OFF + startup) * 3 / 2);
    let fired = scope.any("ALERTS", "alertname=\"ModelCrashLooping\",alertstate=\"firing\"");
    let goes_on = format!("({counted} and {} > 0.5 and count({fired}))", within(quiet));
    // A pin, or the next version, takes the pods away that crashed: what they counted is over with them.
    let gone = format!("{} == 0", scope.told_once("modelship_model_restarted_pods", ""));
    Rule::new(Alert::ModelCrashLooping, format!("({counted} > {bound} or {goes_on}) unless {gone}"))
        .summary("starts over and over again")
        .measured(format!(
            "Its container restarted about {{{{ printf \"%.0f\" $value }}}} times in {}; this is told from {} on, and until \
             there was none for {}.",
            duration(RESTARTS_WINDOW),
            alerts.restarts,
            duration(quiet)
        ))
        .first(format!(
            "First: {} shows which one; kubectl logs of that pod, with -c model --previous, how it ended.",
            kubectl(scope, &format!("get pods -l {}={}", names::MODEL, text(&scope.model)))
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
