//! Which class a value means: texts are kept as texts, and numbers are numbers however they are written.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{
    super::{check, merged, merged_and_told},
    Room,
};

fn counted(settings: &Value, answer: &str) -> String {
    let mut room = Room::new(settings);
    room.answer(answer);
    room.classes()
}

#[test]
fn texts_are_kept_as_texts_and_numbers_are_normalised_as_numbers_alone() {
    let class = json!({"kind": "class"});
    for (answer, expected) in [
        (r#"["1.10", "1.1", "1.1"]"#, "1.1=2 1.10=1"),
        (r#"["1e5", "100000"]"#, "100000=1 1e5=1"),
        (r#"["1.0", "1", 1, 1.0, 1e0]"#, "1=4 1.0=1"),
        ("[1.10, 1.1]", "1.1=2"),
        (r#"["True", "true", true]"#, "True=1 true=2"),
    ] {
        assert_eq!(expected, counted(&class, answer), "{answer}");
    }
}

#[test]
fn a_declared_value_is_met_by_the_text_and_by_every_number_that_spells_it() {
    let classes = |values: [Value; 2]| {
        let [first, second] = values;
        json!({"kind": "class", "classes": [{"value": first, "name": "a"}, {"value": second, "name": "b"}]})
    };
    for (values, answer, expected) in [
        ([json!("0"), json!("1")], r#"[0, 0.0, "0", -0.0, 1, 1e0, "1"]"#, "a=4 b=3"),
        ([json!(0), json!(1.0)], r#"[0, 0.0, "0", 1, "1"]"#, "a=3 b=2"),
        ([json!("0.0"), json!("1.0")], r#"[0, 0.0, "0.0", 1, "1.0"]"#, "a=3 b=2"),
        ([json!("1.10"), json!("1.1")], r#"["1.10", "1.1", 1.1, 1.10]"#, "a=1 b=3"),
        ([json!("1e5"), json!("100000")], r#"["1e5", "100000", 100000, 1e5]"#, "a=1 b=3"),
        // One of them alone is not the other, and a number that two spell is neither.
        ([json!("1.1"), json!("2")], r#"["1.10", 1.1]"#, "__other__=1 a=1"),
        ([json!("1.10"), json!("1.100")], "[1.1]", "__other__=1"),
        ([json!("True"), json!(false)], r#"[true, "true", "True", false, "False"]"#, "a=3 b=2"),
    ] {
        assert_eq!(expected, counted(&classes(values), answer), "{answer}");
    }
    // Positions are numbers.
    let named = json!({"kind": "class", "classes": ["a", "b"]});
    assert_eq!("a=2 b=3", counted(&named, r#"[0, "0.0", 1, "1", "1.0"]"#));
}

#[test]
fn rows_of_probabilities_have_the_classes_by_the_numbers_that_the_values_spell() {
    let classes = json!([{"value": "1.0", "name": "b"}, {"value": "0.0", "name": "a"}]);
    assert_eq!("a=1", counted(&json!({"kind": "probabilities", "classes": classes}), "[[0.9, 0.1]]"));
}

#[test]
fn a_profile_with_classes_that_spell_one_number_counts_and_its_reference_too() {
    let profile = json!({
        "kind": "class", "classes": [{"value": "1.10", "name": "1.10"}, {"value": "1.1", "name": "1.1"}],
        "reference": {"classes": {"1.10": 1, "1.1": 3}},
    });
    let (settings, why) = merged_and_told(&json!(null), profile.as_object().unwrap());
    assert_eq!((None, Ok(())), (why, check(&settings).map(drop)));
    assert_eq!("1.1=1 1.10=1", counted(&settings, r#"["1.10", "1.1"]"#));
    let nameless = json!({"kind": "class", "reference": {"classes": {"1e5": 1, "100000": 3}}});
    assert_eq!("100000=2 1e5=1", counted(&nameless, r#"["1e5", "100000", 1e5]"#));
}

#[test]
fn a_profile_that_is_refused_is_said_with_the_reason() {
    let bad = json!({"kind": "class", "classes": [{"value": "1", "name": "a"}, {"value": "1", "name": "b"}]});
    let (settings, why) = merged_and_told(&json!({"path": "$.p"}), bad.as_object().unwrap());
    assert_eq!(json!({"path": "$.p"}), settings);
    let why = why.unwrap();
    assert!(why.contains("predictions.classes[1].value") && why.contains("nothing of it counts"), "{why}");
    let bad = json!({"kind": "class", "reference": {"classes": {"a": 1}}});
    let said = json!({"classes": ["x", "y"]});
    let (settings, why) = merged_and_told(&said, bad.as_object().unwrap());
    assert_eq!(json!({"kind": "class", "classes": ["x", "y"]}), settings);
    assert!(why.unwrap().contains("reference do not count"));
    // Another kind is the user's word, and nothing to warn of.
    assert_eq!(None, merged_and_told(&json!({"kind": "number"}), bad.as_object().unwrap()).1);
    assert_eq!(json!({"kind": "number"}), merged(&json!({"kind": "number"}), bad.as_object().unwrap()));
}
