//! Answers that look like something else than they are.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Room;
use crate::reading::request::Format;

/// The kind and path, the classes, and the rows that had no prediction, after the same answer 40 times.
fn read(settings: &Value, request: &str, answers: &[&str]) -> (String, String, f64) {
    let mut room = Room::new(settings);
    for answer in answers.iter().cycle().take(40 * answers.len()) {
        room.both(request, Format::Json, answer);
    }
    let decided = room.decided().map(|(kind, path)| format!("{kind} {path}")).unwrap_or_default();
    (decided, room.classes(), unread(&room))
}

fn unread(room: &Room) -> f64 {
    let page = room.page();
    let unread = page.iter().filter(|(series, _)| series.starts_with("model_predictions_unread_total"));
    unread.map(|(_, count)| count).sum()
}

fn told(decided: &str, classes: &str) -> (String, String, f64) {
    (decided.into(), classes.into(), 0.0)
}

#[test]
fn an_object_with_a_field_that_has_a_name_of_its_own_is_no_map_of_probabilities() {
    for (answers, decided, classes) in [
        // A full tree is always sure.
        (
            [r#"{"prediction": 0, "probability": 1.0}"#, r#"{"prediction": 1, "probability": 1.0}"#],
            "class $.prediction",
            "0=40 1=40",
        ),
        (
            [
                r#"{"prediction": 0, "prob_0": 0.9, "prob_1": 0.1}"#,
                r#"{"prediction": 1, "prob_0": 0.25, "prob_1": 0.75}"#,
            ],
            "class $.prediction",
            "0=40 1=40",
        ),
        (
            [r#"[{"predict": 0, "p0": 0.9, "p1": 0.1}]"#, r#"[{"predict": 1, "p0": 0.25, "p1": 0.75}]"#],
            "class $.predict",
            "0=40 1=40",
        ),
        (
            [
                r#"{"predictions": [{"prediction_label": 0, "prediction_score": 1.0}]}"#,
                r#"{"predictions": [{"prediction_label": 1, "prediction_score": 1.0}]}"#,
            ],
            "class $.prediction_label",
            "0=40 1=40",
        ),
        (
            [r#"{"x1": 0.6, "x2": 0.1, "prediction": 0}"#, r#"{"x1": 0.5, "x2": 0.2, "prediction": 1}"#],
            "class $.prediction",
            "0=40 1=40",
        ),
        ([r#"{"fraud": 0, "score": 1.0}"#, r#"{"fraud": 1, "score": 0.4}"#], "probability $.score", ""),
        ([r#"{"fraud": 0, "score": 1.0}"#, r#"{"fraud": 1, "score": 0.0}"#], "probability $.score", ""),
        (
            [
                r#"[{"yhat_upper": 0.3, "yhat": 0.2, "yhat_lower": 0.1}]"#,
                r#"[{"yhat_upper": 0.25, "yhat": 0.15, "yhat_lower": 0.1}]"#,
            ],
            "probability $.yhat",
            "",
        ),
        (
            [
                r#"{"probability": 0.71, "std": 0.04, "psi": 0.001}"#,
                r#"{"probability": 0.62, "threshold": 0.35, "lift": 0.004}"#,
            ],
            "probability $.probability",
            "",
        ),
        (
            [r#"{"score": 0.8, "rank": 0.1, "latency": 0.003}"#, r#"{"score": 0.7, "rank": 0.1, "latency": 0.004}"#],
            "probability $.score",
            "",
        ),
    ] {
        assert_eq!(told(decided, classes), read(&json!(null), "{}", &answers), "{}", answers[0]);
    }
}

#[test]
fn zeros_and_ones_of_classes_that_are_named_are_those_classes_whatever_the_field_is_called() {
    let named = json!({"classes": [{"value": 1, "name": "churn"}, {"value": 0, "name": "stay"}]});
    let sure = [r#"{"id": 7, "churn_score": 1}"#, r#"{"id": 8, "churn_score": 0}"#];
    assert_eq!(told("class $.churn_score", "churn=40 stay=40"), read(&named, "{}", &sure));
    assert_eq!(told("probability $.churn_score", ""), read(&json!(null), "{}", &sure));
}

#[test]
fn quantiles_are_no_classes_and_are_told_as_unread() {
    let mut room = Room::new(&json!(null));
    for _ in 0..40 {
        room.answer(r#"{"predictions": [{"q90": 0.4, "q50": 0.3, "q10": 0.1}]}"#);
    }
    assert_eq!((None, String::new()), (room.decided(), room.classes()));
    assert_eq!(40.0, room.value("modelship_exporter_exchanges_skipped_total{reason=\"unknown_shape\"}"));
}

#[test]
fn classes_may_have_the_names_of_fields_that_tell_of_no_prediction() {
    let good = r#"{"ok": 0.9, "scratch": 0.1}"#;
    assert_eq!(told("probabilities $", "ok=40"), read(&json!(null), "{}", &[good]));
    let seats = r#"{"predictions": [{"first_class": 0.2, "economy_class": 0.8}]}"#;
    assert_eq!(told("probabilities $", "economy_class=40"), read(&json!(null), "{}", &[seats]));
}

#[test]
fn classes_may_be_called_like_fields_where_their_sum_or_the_settings_tell() {
    let open = json!(null);
    let of_seats = r#"{"predictions": [{"first_class": 0.2, "business": 0.5, "economy": 0.3}]}"#;
    assert_eq!(told("probabilities $", "business=40"), read(&open, "{}", &[of_seats]));
    assert_eq!(told("probabilities $", "spam=40"), read(&open, "{}", &[r#"{"no_label": 0.1, "spam": 0.9}"#]));
    let quarters = r#"{"q1": 0.21, "q2": 0.33, "q3": 0.13, "q4": 0.33}"#;
    assert_eq!(told("probabilities $", "q2=40"), read(&open, "{}", &[quarters]));
    let said = json!({"kind": "probabilities"});
    for (answer, class) in [
        (of_seats, "business"),
        (quarters, "q2"),
        (r#"{"q1": 0.2, "q2": 0.3, "q3": 0.5}"#, "q3"),
        (r#"{"limb_upper": 0.8, "limb_lower": 0.2}"#, "limb_upper"),
        (r#"{"predictions": [{"value": 0.2, "growth": 0.8}]}"#, "growth"),
        (r#"{"value": 0.2, "growth": 0.8}"#, "growth"),
        (r#"{"fear": 0.3, "confidence": 0.37, "joy": 0.33}"#, "confidence"),
        // The likeliest of many.
        (r#"[{"text": 0.5, "photo": 0.3, "drawing": 0.1}]"#, "text"),
        (r#"{"date": 0.41, "name": 0.3, "error": 0.2}"#, "date"),
    ] {
        assert_eq!(told("probabilities $", &format!("{class}=40")), read(&said, "{}", &[answer]), "{answer}");
    }
}

#[test]
fn what_only_adds_up_beside_a_field_is_no_map_of_probabilities() {
    let open = json!(null);
    for (answers, decided, classes) in [
        (
            [r#"{"fraud_label": 0, "p_0": 0.9, "p_1": 0.1}"#, r#"{"fraud_label": 1, "p_0": 0.2, "p_1": 0.8}"#],
            "class $.fraud_label",
            "0=40 1=40",
        ),
        // A model's confidence is what its probability lacks of 1, for half of the rows.
        (
            [r#"{"fraud_probability": 0.3, "confidence": 0.7}"#, r#"{"confidence": 0.8, "fraud_probability": 0.8}"#],
            "probability $.fraud_probability",
            "",
        ),
        (
            [r#"{"risk_score": 0.3, "certainty": 0.7}"#, r#"{"certainty": 0.6, "risk_score": 0.4}"#],
            "probability $.risk_score",
            "",
        ),
    ] {
        assert_eq!(told(decided, classes), read(&open, "{}", &answers), "{}", answers[0]);
    }
    for unknown in [
        r#"{"fraud": 0.3, "confidence": 0.7}"#,
        r#"{"loss_lower": 0.3, "loss_upper": 0.7}"#,
        r#"{"q10": 0.1, "q50": 0.4, "q90": 0.5}"#,
        r#"{"q90": 0.5, "q50": 0.4, "q10": 0.1}"#,
    ] {
        assert_eq!(told("", ""), read(&open, "{}", &[unknown]), "{unknown}");
    }
    // A class beside its probabilities adds up only while it is 0.
    let said = json!({"kind": "probabilities"});
    let tree = r#"{"predictions": [{"prediction": 0, "prob_0": 0.9, "prob_1": 0.1}]}"#;
    assert_eq!(told("", ""), read(&said, "{}", &[tree]));
}

#[test]
fn with_a_kind_that_the_whole_row_does_not_fit_its_fields_are_tried() {
    let number = json!({"kind": "number"});
    let interval = r#"{"predictions": [{"high": 0.3, "mid": 0.2, "score": 0.1}]}"#;
    assert_eq!(told("number $.score", ""), read(&number, "{}", &[interval]));
    let class = json!({"kind": "class"});
    let tree = [r#"{"prediction": 0, "probability": 1.0}"#, r#"{"prediction": 1, "probability": 0.8}"#];
    assert_eq!(told("class $.prediction", "0=40 1=40"), read(&class, "{}", &tree));
}

#[test]
fn a_row_of_rounded_probabilities_is_one_row() {
    let two_digits = r#"{"probabilities": [0.0, 0.65, 0.34]}"#;
    assert_eq!(told("probabilities $.probabilities", "1=40"), read(&json!(null), "{}", &[two_digits]));
    let named = json!({"classes": ["a", "b", "c"]});
    assert_eq!(told("probabilities $.probabilities", "b=40"), read(&named, "{}", &[two_digits]));
    let rows = r#"{"predictions": [[0.33, 0.33, 0.33], [0.17, 0.17, 0.67], [0.5, 0.3, 0.2]]}"#;
    assert_eq!(told("probabilities $", "0=80 2=40"), read(&json!(null), "[1, 2, 3]", &[rows]));
    // Two probabilities for two rows: half a digit each cannot explain the difference.
    let rows = r#"{"probability": [0.25, 0.76]}"#;
    assert_eq!(told("probability $", ""), read(&json!(null), "[1, 2]", &[rows]));
}

#[test]
fn a_series_as_an_object_is_its_rows() {
    let open = json!(null);
    let two = [
        r#"{"predictions": {"0": 0, "1": 1}}"#,
        r#"{"predictions": {"0": 1, "1": 0}}"#,
        r#"{"predictions": {"0": 0, "1": 0}}"#,
    ];
    assert_eq!(told("class $", "0=160 1=80"), read(&open, "[1, 2]", &two));
    assert_eq!(told("class $", "0=160 1=80"), read(&open, "{}", &two));
    assert_eq!(
        told("class $", "a=80 b=40"),
        read(&open, "{}", &[r#"{"predictions": {"0": "a", "1": "b", "2": "a"}}"#])
    );
    let one = [r#"{"predictions": {"0": "a"}}"#, r#"{"predictions": {"0": "a", "1": "b"}}"#];
    assert_eq!(told("class $", "a=80 b=40"), read(&open, "{}", &one));
    assert_eq!(told("number $", ""), read(&open, "[1, 2]", &[r#"{"predictions": {"0": 13.5, "1": 12.25}}"#]));
    // For one row asked they are its classes.
    let classes = r#"{"predictions": {"0": 0.3, "1": 0.7}}"#;
    assert_eq!(told("probabilities $", "1=40"), read(&open, "[1]", &[classes]));
    assert_eq!(told("probabilities $", "1=40"), read(&open, "{}", &[classes]));
    // Of a model that is always sure, too. If nobody knows how many were asked for, they may be rows.
    let sure = [r#"{"predictions": {"0": 1.0, "1": 0.0}}"#];
    assert_eq!(told("probabilities $", "0=40"), read(&open, "[1]", &sure));
    assert_eq!(told("class $", "0=40 1=40"), read(&open, "{}", &sure));
    assert_eq!(told("class $", "0=40 1=40"), read(&open, "[1, 2]", &sure));
    assert_eq!(told("probabilities $", "0=40"), read(&json!({"kind": "probabilities"}), "{}", &sure));
}

#[test]
fn the_surest_of_an_object_of_probabilities_count_where_it_is_known_that_it_is_one() {
    for (likely, sure, classes) in [
        (r#"{"0": 0.9, "1": 0.1}"#, r#"{"0": 1.0, "1": 0.0}"#, "0=80"),
        (r#"{"ok": 0.9, "scratch": 0.1}"#, r#"{"ok": 0.0, "scratch": 1.0}"#, "ok=40 scratch=40"),
        (r#"{"predictions": {"0": 0.9, "1": 0.1}}"#, r#"{"predictions": {"0": 1, "1": 0}}"#, "0=80"),
    ] {
        let mut settled = Room::new(&json!(null));
        for answer in [[likely; 40], [sure; 40]].concat() {
            settled.answer(answer);
        }
        assert_eq!(Some(("probabilities".into(), "$".into())), settled.decided(), "{sure}");
        assert_eq!((classes.to_owned(), 0.0), (settled.classes(), unread(&settled)), "{sure}");
        assert_eq!(80.0, settled.value("model_rows_per_request_sum"), "{sure}");
        for kind in [json!({"kind": "probabilities"}), json!({"kind": "probabilities", "path": "$"})] {
            assert_eq!(told("probabilities $", classes), read(&kind, "{}", &[likely, sure]), "{kind} {sure}");
        }
    }
    assert_eq!(told("probabilities $", "0=40"), read(&json!(null), "[1]", &[r#"{"0": 1.0, "1": 0.0}"#]));
    let labels = json!({"kind": "labels", "path": "$"});
    assert_eq!(told("labels $", "new=40 red=40"), read(&labels, "{}", &[r#"{"red": 0.9, "big": 0.1, "new": 0.6}"#]));
    // A receipt has no class in it.
    assert_eq!(("labels $".into(), String::new(), 0.0), read(&labels, "{}", &[r#"{"success": true, "took": 12}"#]));
}

#[test]
fn an_only_column_without_a_name_is_the_one_that_has_a_name_in_other_answers() {
    let several = r#"{"predictions": [{"predicted_mean": 190.5}, {"predicted_mean": 191.25}]}"#;
    let one = r#"{"predictions": [{"0": 190.5}]}"#;
    for answers in [[several, one], [one, several]] {
        let mut room = Room::new(&json!(null));
        for answer in answers.iter().cycle().take(80) {
            room.answer(answer);
        }
        assert_eq!((120.0, 0.0), (room.value("model_prediction_value_count"), unread(&room)), "{}", answers[0]);
        room.answer(r#"[{"0": 1.5, "spread": 2.5}, {"message": 1.5}]"#);
        assert_eq!(120.0 + f64::from(u8::from(answers[0] == one)), room.value("model_prediction_value_count"));
    }
}

#[test]
fn a_fraction_after_classes_that_are_settled_is_told_as_unread() {
    let mut room = Room::new(&json!(null));
    for at in 0..120 {
        room.answer(&format!("[{}]", 10 + at % 3));
    }
    assert_eq!("10=40 11=40 12=40", room.classes());
    room.answer("[10.333333333333334, 11.0, 1.2e1, 10.4]");
    assert_eq!("10=40 11=41 12=41", room.classes());
    assert_eq!(2.0, room.value("model_predictions_unread_total{reason=\"kind\"}"));
    // Halves of stars are classes where the settings say so.
    let mut stars = Room::new(&json!({"kind": "class"}));
    stars.answer("[3.5, 4]");
    assert_eq!("3.5=1 4=1", stars.classes());
}

#[test]
fn a_second_item_where_lists_had_one_is_told_as_unread() {
    let mut room = Room::new(&json!(null));
    for _ in 0..10 {
        room.answer(r#"[["a"], ["b"]]"#);
    }
    room.answer(r#"[["a", "b"], [ "a" ], []]"#);
    assert_eq!("a=11 b=10", room.classes());
    assert_eq!(1.0, room.value("model_predictions_unread_total{reason=\"kind\"}"));
    assert_eq!(1.0, room.value("model_predictions_unread_total{reason=\"missing\"}"));
}

#[test]
fn the_likeliest_classes_of_an_upload_are_one_row() {
    let mut room = Room::new(&json!(null));
    for _ in 0..40 {
        room.answer(
            r#"[{"label": "dog", "score": 0.7}, {"label": "fox", "score": 0.15}, {"label": "cat", "score": 0.05}]"#,
        );
    }
    assert_eq!("dog=40", room.classes());
    assert_eq!(40.0, room.value("model_rows_per_request_sum"));
    // Rows of their own are in no order, say a label again, or are surer.
    let mut rows = Room::new(&json!(null));
    for _ in 0..40 {
        rows.answer(r#"[{"label": "dog", "score": 0.3}, {"label": "fox", "score": 0.4}]"#);
        rows.answer(r#"[{"label": "dog", "score": 0.4}, {"label": "dog", "score": 0.3}]"#);
        rows.answer(r#"[{"label": "dog", "score": 0.9}, {"label": "fox", "score": 0.8}]"#);
    }
    assert_eq!("dog=160 fox=80", rows.classes());
}

#[test]
fn texts_beside_the_probabilities_name_the_classes() {
    let open = json!(null);
    for answers in [
        [
            r#"{"sequence": "x", "labels": ["b", "a"], "scores": [0.7, 0.3]}"#,
            r#"{"sequence": "x", "labels": ["a", "b"], "scores": [0.6, 0.4]}"#,
        ],
        [
            r#"{"classes": ["a", "b"], "probabilities": [0.3, 0.7]}"#,
            r#"{"classes": ["a", "b"], "probabilities": [0.6, 0.4]}"#,
        ],
        [
            r#"{"predictions": [{"classes": ["a", "b"], "scores": [0.3, 0.7]}]}"#,
            r#"{"predictions": [{"scores": [0.7, 0.3], "classes": ["a", "b"]}]}"#,
        ],
    ] {
        assert_eq!(told("probabilities $", "a=40 b=40"), read(&open, "{}", &answers), "{}", answers[0]);
    }
}

#[test]
fn labels_of_several_rows_are_the_predictions_beside_their_scores() {
    let rows = r#"{"labels": ["a", "b"], "scores": [0.9, 0.8]}"#;
    assert_eq!(told("class $", "a=40 b=40"), read(&json!(null), "[1, 2]", &[rows]));
    // Which of its labels one row has is not said.
    let mut room = Room::new(&json!(null));
    room.both("[1]", Format::Json, rows);
    assert_eq!((None, String::new()), (room.decided(), room.classes()));
    let number = json!({"kind": "probability"});
    assert_eq!(told("probability $", ""), read(&number, "[1, 2]", &[rows]));
}

#[test]
fn lists_of_texts_of_which_hardly_any_comes_twice_are_no_labels() {
    let mut names = Room::new(&json!(null));
    let mut labels = Room::new(&json!(null));
    for at in 0..60 {
        names.answer(&format!(r#"{{"predictions": [["name {at}", "street {at}"]]}}"#));
        // Of many labels hardly any set comes twice.
        let label = |step: usize| at * step % 13;
        labels.answer(&format!(r#"{{"predictions": [["l{}", "m{}", "n{}"]]}}"#, label(1), label(2), label(5)));
    }
    assert_eq!((None, String::new()), (names.decided(), names.classes()));
    assert_eq!(Some(("labels".into(), "$".into())), labels.decided());
    assert_eq!(60.0, labels.value("model_rows_per_request_sum"));
    // Of 60 rows, five have the label of each remainder below eight.
    assert_eq!(5.0, labels.value(r#"model_predictions_total{class="l7"}"#));
    assert_eq!(4.0, labels.value(r#"model_predictions_total{class="l8"}"#));
    let page = labels.page();
    let counted = page.iter().filter(|(series, _)| series.starts_with("model_predictions_total{"));
    assert_eq!(180.0, counted.map(|(_, count)| count).sum::<f64>());
}

#[test]
fn long_identifiers_are_no_labels_though_fewer_rows_of_them_can_be_held() {
    let mut ids = Room::new(&json!(null));
    let mut labels = Room::new(&json!(null));
    for at in 0..60 {
        let row = |long: &str, first: usize| {
            let items = (0..10).map(|item| format!(r#""{long}-{:08}""#, first + item)).collect::<Vec<_>>();
            format!(r#"{{"predictions": [[{}]]}}"#, items.join(", "))
        };
        ids.answer(&row("0b51ad08-5ed1-4d58-9b06-4b6f", at * 10));
        // Rows that fill what is held just as fast, of a few labels.
        labels.answer(&row("a-label-with-a-name-as-long-as-that", at % 45));
    }
    assert_eq!((None, String::new()), (ids.decided(), ids.classes()));
    assert_eq!(Some(("labels".into(), "$".into())), labels.decided());
}

#[test]
fn classes_as_triton_writes_them_are_ranked() {
    let outputs = |shape: &str, data: &str| {
        format!(r#"{{"outputs": [{{"name": "o", "datatype": "BYTES", "shape": {shape}, "data": {data}}}]}}"#)
    };
    let one = outputs("[1, 2]", r#"["0.873:1:cat", "0.127:0:dog"]"#);
    assert_eq!(told("probabilities $", "cat=40"), read(&json!(null), "{}", &[&one]));
    let two = outputs("[2, 2]", r#"["0.6:1", "0.4:0", "0.9:0", "0.1:1"]"#);
    assert_eq!(told("probabilities $", "0=40 1=40"), read(&json!(null), "{}", &[&two]));
}
