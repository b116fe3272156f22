use super::*;

fn meaning(labels: &[(&str, &str)]) -> Meaning {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    Meaning::of(&Labels::in_config(json!({"config": {"Labels": labels}}).to_string().as_bytes()))
}

fn profile(fields: Value) -> Meaning {
    let mut profile = json!({"version": 1, "kind": "class"});
    crate::resources::merge::merge(&mut profile, &fields);
    meaning(&[(PROFILE, &profile.to_string()), (REVISION, "4f2a")])
}

#[test]
fn an_image_without_labels_means_nothing_in_particular() {
    assert_eq!(meaning(&[("maintainer", "vintner")]), Meaning::default());
}

#[test]
fn labels_say_where_a_version_comes_from() {
    let meaning = meaning(&[
        (REVISION, "4f2a"),
        (SOURCE, "https://github.com/vintner/wine"),
        (RUN_ID, "abc"),
        (TRACKING_URI, "https://dagshub.example/vintner/wine.mlflow"),
        (MODEL_VERSION, "7"),
    ]);
    let version = meaning.describe(Version::of_image(&format!("v/w@{}", crate::images::Digest::of("1"))).unwrap());
    assert_eq!(version.origin.revision.as_deref(), Some("4f2a"));
    assert_eq!(version.origin.run_id.as_deref(), Some("abc"));
    assert_eq!(version.origin.model_version.as_deref(), Some("7"));
    assert_eq!(version.source.as_deref(), Some("https://github.com/vintner/wine"));
    assert_eq!(version.tracking_uri.as_deref(), Some("https://dagshub.example/vintner/wine.mlflow"));
}

#[test]
fn addresses_are_pages_without_a_password() {
    for (given, shown) in [
        ("https://vintner:secret@github.com/vintner/wine?token=secret#secret", Some("https://github.com/vintner/wine")),
        ("http://mlflow.example:5000/", Some("http://mlflow.example:5000")),
        ("git@github.com:vintner/wine.git", None),
        ("file:///home/vintner/mlruns", None),
        ("javascript:alert(1)", None),
        ("wine", None),
    ] {
        assert_eq!(meaning(&[(SOURCE, given)]).source.as_deref(), shown, "{given}");
        assert_eq!(meaning(&[(TRACKING_URI, given)]).tracking_uri.as_deref(), shown, "{given}");
    }
    assert_eq!(meaning(&[(SOURCE, &format!("https://a.example/{}", "b".repeat(256)))]).source, None);
}

#[test]
fn texts_are_one_short_line() {
    let long = "r".repeat(100);
    for (given, shown) in [
        (" 4f2a\u{1b}[31m\n ", Some("4f2a[31m")),
        ("4f\u{202e}2a\u{200b}", Some("4f2a")),
        (long.as_str(), Some(&long[..64])),
        ("\n\u{7f}", None),
    ] {
        assert_eq!(meaning(&[(REVISION, given)]).revision.as_deref(), shown, "{given:?}");
    }
}

#[test]
fn a_profile_gives_the_settings_that_the_same_words_in_the_spec_would_give() {
    let said = json!({
        "kind": "probability", "path": "$.p", "positive": "churn", "threshold": "0.30",
        "classes": [{"name": "stay", "value": "0"}, {"name": "churn", "value": "1"}],
        "reference": {"bounds": ["0.1", "1"], "counts": [1, 2, 0]},
    });
    let stored = json!({"image": {"repository": "vintner/wine"}, "predictions": said});
    let spec = crate::api::ValidSpec::parse("grape", &stored).unwrap();
    let meaning = profile(said);
    assert_eq!(meaning.faults, [""; 0]);
    assert_eq!(Value::Object(meaning.predictions.clone()), spec.predictions);
    assert_eq!(meaning.classes(), ["stay", "churn"]);
}

#[test]
fn metrics_and_an_example_are_read() {
    let meaning = profile(json!({
        "metrics": {"f1_score": 0.8125, "rows": 1000, "loss": 1.5e-12, "huge": 1e300},
        "example": {"body": {"dataframe_split": {"columns": ["age"], "data": [[41]]}}, "path": "/invocations"},
    }));
    assert_eq!(meaning.metrics["f1_score"], 0.8125);
    let shown: Vec<(&str, &str)> =
        [("f1_score", "0.8125"), ("huge", "1e300"), ("loss", "1.5e-12"), ("rows", "1000")].into();
    let origin = meaning.origin();
    assert_eq!(origin.metrics.iter().map(|(name, figure)| (name.as_str(), figure.as_str())).collect::<Vec<_>>(), shown);
    let example = meaning.example.unwrap();
    assert_eq!(
        (example.body["dataframe_split"]["data"][0][0].as_i64(), example.path.as_deref()),
        (Some(41), Some("/invocations"))
    );
}

#[test]
fn all_metrics_are_kept_since_any_may_be_required() {
    let many: BTreeMap<String, u32> =
        (0..100).map(|number| (format!("{number:03}{}", "_validation".repeat(10)), number)).collect();
    let metrics = profile(json!({"metrics": many})).metrics;
    assert_eq!(metrics.keys().collect::<Vec<_>>(), many.keys().collect::<Vec<_>>());
}

/// A profile with a fault, in what its sentence tells, and whether predictions are still read by the rest of it.
#[test]
fn what_is_wrong_with_a_profile_is_told_and_the_rest_counts() {
    for (fields, words, reads) in [
        (json!({"version": 2}), "is of version 2, and this Modelship reads version 1: upgrade Modelship", false),
        (json!({"version": 0}), "does not say \"version\": 1", false),
        (json!({"version": "1"}), "does not say \"version\": 1", false),
        (json!({"version": null}), "does not say \"version\": 1", false),
        (json!({"kind": null}), "kind is missing", false),
        (json!({"kind": "klass"}), "unknown variant `klass`", false),
        (json!({"path": "prediction"}), "predictions.path", false),
        (json!({"path": 7}), "invalid type", false),
        (json!({"classes": [{"value": "0"}]}), "missing field `name`", false),
        (json!({"classes": [{"name": "a", "value": "0"}, {"name": "b", "value": "0"}]}), "already has a name", false),
        (json!({"threshold": "half"}), "predictions.threshold: 'half' is not a figure", false),
        (json!({"positive": "churn"}), "set kind: probability too", false),
        (json!({"reference": {"classes": {}}}), "either classes", false),
        (json!({"reference": {"classes": {"a": 0}}}), "no count above 0", false),
        (json!({"metrics": {"f1": "good"}}), "metrics that are no numbers", true),
        (json!({"metrics": []}), "metrics that are no numbers", true),
        (json!({"example": {"path": "/invocations"}}), "has an example that is no", true),
        (json!({"example": {"body": 1, "path": "invocations"}}), "has an example that is no", true),
        (json!({"example": {"body": 1, "path": "/a b"}}), "has an example that is no", true),
        (json!({"example": "age=41"}), "has an example that is no", true),
    ] {
        let meaning = profile(fields.clone());
        assert_eq!(meaning.faults.len(), 1, "{fields}: {:?}", meaning.faults);
        assert!(meaning.faults[0].starts_with("the label dev.modelship.profile "), "{:?}", meaning.faults);
        assert!(meaning.faults[0].contains(words), "{fields}: {:?}", meaning.faults);
        assert_eq!(meaning.predictions.contains_key("kind"), reads, "{fields}");
        assert_eq!(meaning.revision.as_deref(), Some("4f2a"), "{fields}");
    }
    for text in ["", "profile", "[1]", "{\"version\":1", "\u{feff}{}"] {
        let meaning = meaning(&[(PROFILE, text), (REVISION, "4f2a")]);
        let expected = usize::from(!text.is_empty());
        assert_eq!(
            meaning.faults.iter().filter(|fault| fault.contains("is no JSON object")).count(),
            expected,
            "{text:?}"
        );
        assert_eq!(meaning.revision.as_deref(), Some("4f2a"));
    }
}

#[test]
fn predictions_that_cannot_be_read_leave_metrics_and_example() {
    let meaning = profile(json!({"kind": "klass", "metrics": {"f1": 1}, "example": {"body": [1]}}));
    assert_eq!((meaning.faults.len(), meaning.metrics.len(), meaning.example.is_some()), (1, 1, true));
}

#[test]
fn unknown_fields_are_those_of_a_newer_modelship() {
    let meaning = profile(json!({"units": "EUR", "bins": ["1"], "maxClasses": 3, "dropped": ["features"]}));
    assert_eq!((meaning.faults.len(), json!(meaning.predictions)), (0, json!({"kind": "class"})));
}

#[test]
fn a_label_that_is_too_large_is_told_with_its_remedy() {
    let long = meaning(&[(PROFILE, &"p".repeat(20_000)), (REVISION, &"r".repeat(2000)), (RUN_ID, "abc")]);
    assert_eq!(
        long.faults,
        [
            "the label dev.modelship.profile has 20000 bytes, more than the 16384 that all labels together may have: \
             python -m modelship_profile labels leaves out what is too much",
            "the label org.opencontainers.image.revision has 2000 bytes, more than the 1024 that it may have: shorten it",
        ]
    );
    assert_eq!(long.run_id.as_deref(), Some("abc"));
}

#[test]
fn what_is_told_of_a_profile_is_one_short_line() {
    let meaning = profile(json!({"threshold": format!("\n\u{1b}{}", "9".repeat(10_000))}));
    assert_eq!(meaning.faults.len(), 1);
    assert!(
        meaning.faults[0].chars().count() <= FAULT && !meaning.faults[0].contains('\u{1b}'),
        "{:?}",
        meaning.faults
    );
}

#[test]
fn the_profile_that_modelship_profile_writes_is_read() {
    // As src/python/tests make it, of a classifier with encoded labels.
    let text = r#"{"version":1,"kind":"class","classes":[{"name":"stay","value":"0"},{"name":"churn","value":"1"}],
        "reference":{"classes":{"stay":80,"churn":20}},"rows":100,"metrics":{"accuracy":0.91},
        "example":{"body":{"dataframe_split":{"columns":["age","plan"],"data":[[41.0,"basic"]]}}},
        "features":{"age":{"bounds":["18","30"],"counts":[1,50,49],"missing":0}},"dropped":[]}"#;
    let meaning = Meaning::of_profile(text, "the file");
    assert_eq!(meaning.faults, [""; 0]);
    assert_eq!(meaning.predictions["reference"], json!({"classes": {"stay": 80, "churn": 20}}));
    assert!(meaning.example.is_some());
}

proptest::proptest! {
    #[test]
    fn no_profile_breaks_anything(value in crate::resources::hash::json::any_json()) {
        let meaning = profile(json!({"kind": value, "classes": value, "metrics": value, "example": value, "reference": value}));
        proptest::prop_assert!(meaning.faults.iter().all(|fault| fault.chars().count() <= FAULT));
    }
}

#[test]
fn a_completed_spec_has_a_hash_of_its_own_for_each_profile() {
    let spec = ValidSpec::parse("grape", &json!({"image": {"repository": "vintner/wine"}})).unwrap();
    let hash = |fields: Value| completed(&spec, &profile(fields).predictions).hash.clone();
    assert_eq!(completed(&spec, &Map::new()).hash, spec.hash);
    let two = json!({"classes": [{"name": "table", "value": "0"}, {"name": "cru", "value": "1"}]});
    let other = json!({"classes": [{"name": "plonk", "value": "0"}, {"name": "cru", "value": "1"}]});
    assert_ne!(hash(two.clone()), spec.hash);
    assert_ne!(hash(two.clone()), hash(other));
    assert_eq!(hash(two.clone()), hash(two));
}
