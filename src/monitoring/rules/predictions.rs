//! Shares of predictions: of one class, or above one score.

use super::{
    alert::{Rule, text},
    promql::{Scope, duration, increase, number, percent, quote},
};
use crate::api::monitoring::{
    Alert,
    valid::{Alerts, ClassShare, ShareOf},
};

pub(super) fn rules(scope: &Scope, alerts: &Alerts) -> Vec<Rule> {
    alerts.class_share.iter().map(|share| rule(scope, share)).collect()
}

fn rule(scope: &Scope, share: &ClassShare) -> Rule {
    let (window, least) = (share.window, share.minimum);
    let (ratio, label, what) = match &share.of {
        ShareOf::Class(class) => {
            let all = increase(&scope.served("model_predictions_total", ""), window);
            let those = scope.served("model_predictions_total", &format!("class={}", quote(class)));
            (format!("{} / ({all} >= {least})", increase(&those, window)), ("class", class.clone()), text(class))
        }
        // Buckets count what is at or below their bound.
        ShareOf::ScoreAbove(score) => {
            let score = number(*score);
            let all = increase(&scope.served("model_prediction_probability_count", ""), window);
            let below = scope.served("model_prediction_probability_bucket", &format!("le=\"{score}\""));
            let ratio = format!("1 - {} / ({all} >= {least})", increase(&below, window));
            (ratio, ("score_above", score.clone()), format!("a score above {score}"))
        }
    };
    Rule::new(Alert::HighClassShare, format!("{ratio} >= {}", number(share.above)))
        .label(label.0, label.1)
        .summary(format!("predicts {what} unusually often: {{{{ $value | humanizePercentage }}}} of the time"))
        .measured(format!(
            "Of the predictions of the last {}, {{{{ $value | humanizePercentage }}}} were {what}; the bound is {}, from {least} \
             predictions on.",
            duration(window),
            percent(share.above)
        ))
        .first("First: compare on the dashboard since when, and whether traffic or the version changed then.")
}
