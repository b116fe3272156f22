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
        let found: Vec<String> = classes_of(answer.as_bytes()).into_iter().map(|label| label.text).collect();
        assert_eq!(found, labels, "{answer}");
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
    let text = &labels[0].text;
    assert_eq!(text.chars().count(), LABEL_MAX + 1);
    assert!(!text.contains('\u{1b}') && text.ends_with('…'));
}

/// The name of the only row of an answer.
fn name_of<'a>(names: &'a Names, row: &str) -> Option<&'a str> {
    names.of(&classes_of(format!("[{row}]").as_bytes())[0])
}

#[test]
fn a_class_is_named_by_its_value_however_the_number_is_written() {
    let names =
        named(&[("stays", Some("0")), ("leaves", Some("1.0")), ("unclear", Some("n/a")), ("yes", Some("True"))]);
    for (row, name) in [
        ("1", Some("leaves")),
        ("1.0", Some("leaves")),
        ("\"n/a\"", Some("unclear")),
        ("true", Some("yes")),
        ("2", None),
    ] {
        assert_eq!(name_of(&names, row), name, "{row}");
    }
}

#[test]
fn a_class_without_value_is_named_by_its_position() {
    let names = named(&[("stays", None), ("leaves", None)]);
    for (row, name) in
        [("0", Some("stays")), ("1", Some("leaves")), ("2", None), ("\"x\"", None), ("[0.1, 0.9]", Some("leaves"))]
    {
        assert_eq!(name_of(&names, row), name, "{row}");
    }
    assert_eq!(name_of(&Names::default(), "0"), None);
}

#[test]
fn the_largest_of_a_row_is_named_by_its_place_as_the_exporter_does_it() {
    let credit = named(&[("good", Some("1")), ("bad", Some("2"))]);
    assert_eq!((name_of(&credit, "[0.2, 0.8]"), name_of(&credit, "1")), (Some("bad"), Some("good")));
    let turned = named(&[("bad", Some("1")), ("good", Some("0"))]);
    assert_eq!(name_of(&turned, "[0.8, 0.2]"), Some("good"));
    let words = named(&[("stays", Some("no")), ("leaves", Some("yes"))]);
    assert_eq!(name_of(&words, "[0.2, 0.8]"), Some("leaves"));
    assert_eq!(name_of(&words, "[0.1, 0.2, 0.7]"), None);
}

#[test]
fn a_refusals_words_are_found_in_any_servers_answer() {
    assert_eq!(message_of(br#"{"error_code": "BAD_REQUEST", "message": "wrong\ncolumns"}"#), "wrong columns");
    assert_eq!(message_of(br#"{"detail": [{"msg": "missing"}]}"#), r#"[{"msg":"missing"}]"#);
    assert_eq!(message_of(b"Bad \xff gateway\n"), "Bad \u{fffd} gateway");
    assert!(message_of("é".repeat(9000).as_bytes()).chars().count() <= MESSAGE_MAX + 1);
}
