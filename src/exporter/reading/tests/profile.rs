use serde_json::{Value, json};

use super::super::{check, merged};

fn profile() -> Value {
    json!({
        "kind": "probability", "path": "$.p", "positive": "churn", "threshold": 0.3,
        "classes": [{"name": "stay", "value": "0"}, {"name": "churn", "value": "1"}],
        "reference": {"classes": {"stay": 80, "churn": 20}},
    })
}

fn merge(said: &Value) -> Value {
    merged(said, profile().as_object().unwrap())
}

#[test]
fn what_is_not_said_is_the_versions_own_word() {
    for nothing in [json!(null), json!({}), json!({"kind": null, "path": null})] {
        assert_eq!(merge(&nothing), profile(), "{nothing}");
    }
}

#[test]
fn what_is_said_counts_field_by_field() {
    for (field, value) in [
        ("path", json!("$.score")),
        ("threshold", json!(0.9)),
        ("positive", json!("stay")),
        ("reference", json!({"bounds": [0.5], "counts": [1, 2]})),
        ("bins", json!([0.5, 1.0])),
        ("maxClasses", json!(3)),
        ("found", json!({"kind": "class", "path": "$"})),
        ("kind", json!("probability")),
    ] {
        let mut expected = profile();
        expected[field] = value.clone();
        assert_eq!(merge(&json!({field: value})), expected, "{field}");
    }
}

#[test]
fn another_kind_is_another_meaning() {
    let said = json!({"kind": "class", "classes": [{"name": "a", "value": "0"}]});
    assert_eq!(merge(&said), said);
}

#[test]
fn other_names_take_only_what_the_profile_says_by_its_own() {
    let names = json!([{"name": "bleibt", "value": "0"}, {"name": "geht", "value": "1"}]);
    let expected = json!({"kind": "probability", "path": "$.p", "threshold": 0.3, "classes": names});
    assert_eq!(merge(&json!({"classes": names})), expected);
}

#[test]
fn what_contradicts_the_profile_counts_alone() {
    // Alone it is no good either, and that is for the check to say.
    let said = json!({"positive": "nobody"});
    assert_eq!(merge(&said), said);
    let said = json!({"threshold": "0.3"});
    assert_eq!(merge(&said), said);
    assert_eq!(merge(&json!([1])), json!([1]));
}

#[test]
fn a_profile_that_cannot_be_read_by_does_not_count() {
    let bad = json!({"kind": "probability", "threshold": 7});
    assert_eq!(merged(&json!({"path": "$.p"}), bad.as_object().unwrap()), json!({"path": "$.p"}));
    assert_eq!(merged(&json!({"path": "$.p"}), json!({}).as_object().unwrap()), json!({"path": "$.p"}));
}

/// Numbers, texts, and a few levels of lists and objects of them.
fn any_json() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|it| json!(it)),
        any::<f64>().prop_map(|it| json!(it)),
        "[a-z0-9.]{0,4}".prop_map(|it| json!(it))
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let object = prop::collection::hash_map("value|name|[a-z]{1,3}", inner.clone(), 0..4);
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(|it| json!(it)), object.prop_map(|it| json!(it))]
    })
}

proptest::proptest! {
    #[test]
    fn what_can_be_read_by_alone_can_be_read_by_with_any_profile(
        value in any_json(),
        path in proptest::option::of("[$][.][a-z]"),
    ) {
        let profile = json!({"kind": value, "classes": value, "path": path, "threshold": value});
        for said in [json!(null), json!({"kind": "class"}), json!({"path": path})] {
            let merged = merged(&said, profile.as_object().unwrap());
            proptest::prop_assert!(check(&merged).is_ok(), "{merged}");
        }
    }
}
