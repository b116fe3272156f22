use super::*;

fn named(classes: &[(&str, Option<&str>)]) -> Names {
    let class = |(name, value): &(&str, Option<&str>)| PredictionClass {
        name: (*name).to_owned(),
        value: value.map(str::to_owned),
    };
    Names::new(&classes.iter().map(class).collect::<Vec<_>>())
}

#[test]
fn every_shape_of_a_prediction_has_its_label() {
    for (answer, labels) in [
        (r#"{"predictions": ["churn", "stay"]}"#, vec!["churn", "stay"]),
        (r#"{"predictions": [1, 1.0, -2.5, true]}"#, vec!["1", "1", "-2.5", "true"]),
        (r#"{"predictions": [[0.1, 0.7, 0.2], [0.5, 0.5]]}"#, vec!["1", "0"]),
        (r#"{"predictions": [[3], ["a"]]}"#, vec!["3", "a"]),
        (r#"{"predictions": [{"prediction": "a", "label": "b"}, {"label": [0, 1]}]}"#, vec!["a", "1"]),
        (r#"{"predictions": "single"}"#, vec!["single"]),
        (r#"["bare", 2]"#, vec!["bare", "2"]),
    ] {
        assert_eq!(classes_of(answer.as_bytes()), labels, "{answer}");
    }
}

#[test]
fn what_is_no_prediction_has_no_label() {
    for answer in ["", "{", "{}", "null", r#"{"other": [1]}"#, r#"{"predictions": [null, {"x": 1}, ["a", "b"], []]}"#] {
        assert!(classes_of(answer.as_bytes()).is_empty(), "{answer}");
    }
    assert!(classes_of("[".repeat(100_000).as_bytes()).is_empty());
}

#[test]
fn a_label_is_bounded_and_harmless_to_a_terminal() {
    let labels = classes_of(format!(r#"["\u001b[2J{}"]"#, "x".repeat(1000)).as_bytes());
    assert_eq!(labels[0].chars().count(), LABEL_MAX + 1);
    assert!(!labels[0].contains('\u{1b}') && labels[0].ends_with('…'));
}

#[test]
fn a_class_is_named_by_its_value_however_the_number_is_written() {
    let names = named(&[("stays", Some("0")), ("leaves", Some("1.0")), ("unclear", Some("n/a"))]);
    assert_eq!(names.of("1"), Some("leaves"));
    assert_eq!(names.of("n/a"), Some("unclear"));
    assert_eq!(names.of("2"), None);
}

#[test]
fn a_class_without_value_is_named_by_its_position() {
    let names = named(&[("stays", None), ("leaves", None)]);
    assert_eq!(
        (names.of("0"), names.of("1"), names.of("2"), names.of("x")),
        (Some("stays"), Some("leaves"), None, None)
    );
    assert_eq!(Names::default().of("0"), None);
}

#[test]
fn a_refusals_words_are_found_in_any_servers_answer() {
    assert_eq!(message_of(br#"{"error_code": "BAD_REQUEST", "message": "wrong\ncolumns"}"#), "wrong columns");
    assert_eq!(message_of(br#"{"detail": [{"msg": "missing"}]}"#), r#"[{"msg":"missing"}]"#);
    assert_eq!(message_of(b"Bad \xff gateway\n"), "Bad \u{fffd} gateway");
    assert!(message_of("é".repeat(9000).as_bytes()).chars().count() <= MESSAGE_MAX + 1);
}
