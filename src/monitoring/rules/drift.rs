//! How far predictions have moved from the reference: the population stability index, over the bins of
//! `predictions.reference`,
//!
//! PSI = Σ (p − q) · ln(p / q), p the share of a bin now and q in the reference, ln the natural logarithm.

use std::time::Duration;

use serde_json::Value;

use super::{
    alert::Rule,
    promql::{Scope, duration, number, quote},
    recording::record,
};
use crate::api::monitoring::{Alert, valid::Drift};

/// Stands for the share of an empty bin, whose logarithm would be infinite. Shares are not scaled to a sum of 1 again.
const FLOOR: &str = "0.0001";
/// A window that just begins to hold enough predictions is not judged at once.
const LASTING: Duration = Duration::from_secs(600);

const PSI: &str = "model:prediction_drift:psi";
const SAMPLES: &str = "model:prediction_drift:samples";

/// Counts are added over all pods of one reference before shares are taken: another version brings bins of its own, and
/// what the one before predicted lies in others. Only references count that a pod has now; a bin that one lacks, such as
/// that of all other classes, has the share 0 in it.
pub(super) fn records(scope: &Scope, drift: &Drift) -> Vec<Value> {
    let counts = scope.served("model_predictions_binned_total", "");
    let counted = |by: &str| format!("sum by ({by}) (increase({counts}[{}]))", duration(drift.window));
    let (all, by_bin) = (counted("reference"), counted("reference,bin"));
    let now = format!("clamp_min({by_bin} / on (reference) group_left () ({all} > 0), {FLOOR})");
    let live = scope.served("model_prediction_reference_ratio", "");
    let bins = format!("(0 * {by_bin} and on (reference) {live})");
    let reference = format!("clamp_min((max by (reference,bin) ({live}) or {bins}), {FLOOR})");
    let psi = format!("sum by (reference) (({now} - {reference}) * ln({now} / {reference}))");
    vec![record(scope, PSI, psi), record(scope, SAMPLES, format!("{all} and on (reference) {live}"))]
}

pub(super) fn rule(scope: &Scope, drift: &Drift) -> Rule {
    let recorded =
        |name: &str| format!("{name}{{namespace={},model={}}}", quote(&scope.namespace), quote(&scope.model));
    let expr =
        format!("max({} >= {} and {} >= {})", recorded(PSI), number(drift.psi), recorded(SAMPLES), drift.minimum);
    Rule::new(Alert::PredictionDrift, expr)
        .pending(LASTING)
        .summary("predicts differently from what its training data lets expect")
        .measured(format!(
            "The predictions of the last {} differ from their reference by {{{{ printf \"%.2f\" $value }}}} \
             (population stability index: below 0.1 they are alike, from 0.25 on far apart); the bound is {}, from {} \
             predictions on.",
            duration(drift.window),
            number(drift.psi),
            drift.minimum
        ))
        .first("First: see on the dashboard, row Drift, which predictions became more and which fewer.")
}
