//! Shares of predictions: of one class, or above one score; and answers whose predictions cannot be read.

use std::time::Duration;

use super::{
    alert::{Rule, kubectl, text},
    promql::{Scope, duration, increase, number, percent, quote},
};
use crate::api::monitoring::{
    Alert,
    valid::{Alerts, ClassShare, ShareOf},
};

/// With half of the answers unread the other half no longer stands for all.
pub(super) const UNREAD: f64 = 0.5;
/// As many as show that it is the way in which the model answers, and none of its odd paths.
const ANSWERS: u32 = 20;
const UNREAD_WINDOW: Duration = Duration::from_secs(3600);
/// As long as a setting takes to reach all pods, or a roll-out to end.
const UNREAD_FOR: Duration = Duration::from_secs(600);

pub(super) fn rules(scope: &Scope, alerts: &Alerts) -> Vec<Rule> {
    let shares = alerts.class_share.iter().map(|share| rule(scope, share));
    shares.chain([unread(scope)]).collect()
}

/// Neither what came too fast nor what says that it failed is an answer that cannot be read.
fn unread(scope: &Scope) -> Rule {
    let of = |series: &str, more: &str| increase(&scope.served(series, more), UNREAD_WINDOW);
    let skipped = of("modelship_exporter_exchanges_skipped_total", "reason!~\"queue_full|failed|other_path|stream\"");
    let all = format!("({skipped} + {})", of("modelship_exporter_exchanges_read_total", ""));
    let info = quote(&format!("topk(1, {})", scope.served("modelship_exporter_unread_info", "")));
    let one = format!(
        "{{{{ range query {info} }}}} One of them: {{{{ .Labels.reason }}}}, {{{{ .Labels.shape }}}}{{{{ if .Labels.path }}}}, \
         perhaps to be read with predictions.path: {{{{ .Labels.path }}}}{{{{ end }}}}.{{{{ end }}}}"
    );
    Rule::new(Alert::PredictionsUnread, format!("{skipped} / ({all} >= {ANSWERS}) > {}", number(UNREAD)))
        .pending(UNREAD_FOR)
        .summary("answers in a way that its predictions cannot be read from")
        .measured(format!(
            "Of the answers of the last {}, {{{{ $value | humanizePercentage }}}} could not be read; the bound is {}. Nothing is \
             known of the predictions in them.{one}",
            duration(UNREAD_WINDOW),
            percent(UNREAD)
        ))
        .first(format!(
            "First: {}; its condition PredictionsRead names the setting that may mend it.",
            kubectl(scope, &format!("describe mdl {}", text(&scope.model)))
        ))
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
