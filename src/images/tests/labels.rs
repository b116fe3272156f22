use serde_json::json;

use super::*;

fn read(labels: Value) -> Labels {
    Labels::in_config(json!({"os": "linux", "config": {"Cmd": ["serve"], "Labels": labels}}).to_string().as_bytes())
}

fn too_large(labels: &Labels) -> Vec<(&str, usize)> {
    labels.too_large().collect()
}

#[test]
fn known_labels_are_kept_and_all_others_dropped() {
    let labels = read(json!({
        REVISION: "4f2a", RUN_ID: "abc", PROFILE: "{\"version\":1}", "maintainer": "vintner",
        "org.opencontainers.image.version": "24.04",
    }));
    assert_eq!((labels.get(REVISION), labels.get(RUN_ID)), (Some("4f2a"), Some("abc")));
    assert_eq!(labels.get(PROFILE), Some("{\"version\":1}"));
    assert_eq!(labels.get("maintainer"), None);
    assert_eq!(labels.values.len(), 3);
}

#[test]
fn the_path_of_pythons_modules_is_read_beside_the_labels() {
    let path = |variables: Value| {
        let config = json!({"config": {"Env": variables, "Labels": {REVISION: "4f2a"}}}).to_string();
        let labels = Labels::in_config(config.as_bytes());
        assert_eq!(labels.get(REVISION), Some("4f2a"), "whatever the variables are");
        labels.python_path().map(str::to_owned)
    };
    assert_eq!(path(json!(["PATH=/bin", "PYTHONPATH=/app:/lib"])).as_deref(), Some("/app:/lib"));
    assert_eq!(path(json!(["PYTHONPATH=/a", "PYTHONPATH=/b"])).as_deref(), Some("/b"));
    for none in
        [json!(null), json!([]), json!(["PYTHONPATH="]), json!("PYTHONPATH=/a"), json!([7]), json!(["PYTHONPATHS=/a"])]
    {
        assert_eq!(path(none), None);
    }
    assert_eq!(path(json!([format!("PYTHONPATH=/{}", "a".repeat(MOST_BYTES_OF_ANOTHER))])), None);
    let labels = Labels::in_config(br#"{"config": {"Env": ["PYTHONPATH=/app"]}}"#);
    assert_eq!(serde_json::from_value::<Labels>(json!(labels)).unwrap(), labels);
}

#[test]
fn what_is_no_label_is_none() {
    for config in
        ["", "[]", "{}", "<html>", r#"{"config": 1}"#, r#"{"config": null}"#, r#"{"config": {"Labels": null}}"#]
    {
        assert_eq!(Labels::in_config(config.as_bytes()), Labels::default(), "{config}");
    }
    assert_eq!(read(json!({REVISION: 7, SOURCE: null, RUN_ID: ""})), Labels::default());
    assert_eq!(read(json!([REVISION])), Labels::default());
}

#[test]
fn what_is_too_large_is_left_out_and_the_rest_is_kept() {
    let long = "r".repeat(MOST_BYTES_OF_ANOTHER);
    assert_eq!(read(json!({REVISION: long})).get(REVISION), Some(long.as_str()));
    let labels = read(json!({REVISION: format!("{long}r"), RUN_ID: "abc"}));
    assert_eq!(too_large(&labels), [(REVISION, MOST_BYTES_OF_ANOTHER + 1)]);
    assert_eq!((labels.get(REVISION), labels.get(RUN_ID)), (None, Some("abc")));
}

#[test]
fn the_profile_has_the_room_that_the_other_labels_leave() {
    let room = MOST_BYTES - PROFILE.len() - RUN_ID.len() - 3;
    let fits = "p".repeat(room);
    assert_eq!(read(json!({RUN_ID: "abc", PROFILE: fits})).get(PROFILE), Some(fits.as_str()));
    let labels = read(json!({RUN_ID: "abcd", PROFILE: fits}));
    assert_eq!(too_large(&labels), [(PROFILE, room)]);
    assert_eq!(labels.get(RUN_ID), Some("abcd"));
}

#[test]
fn the_spread_of_features_is_not_kept() {
    let labels = read(json!({PROFILE: r#"{"version":1,"features":{"age":{}},"metrics":{"f1":0.8125}}"#}));
    assert_eq!(labels.get(PROFILE), Some(r#"{"metrics":{"f1":0.8125},"version":1}"#));
    for other in ["{\"features\":", "[\"features\"]", "features"] {
        assert_eq!(read(json!({PROFILE: other})).get(PROFILE), Some(other), "not to be judged here");
    }
}

#[test]
fn they_are_read_back_as_they_were_stored() {
    let labels = read(json!({REVISION: "4f2a", SOURCE: "s".repeat(MOST_BYTES)}));
    assert_eq!(serde_json::from_value::<Labels>(json!(labels)).unwrap(), labels);
    assert_eq!(serde_json::from_value::<Labels>(json!({})).unwrap(), Labels::default());
}

proptest::proptest! {
    #[test]
    fn whatever_is_in_a_configuration_little_is_kept(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = Labels::in_config(&bytes);
        let text = String::from_utf8_lossy(&bytes).repeat(200);
        let labels = read(json!({PROFILE: text, REVISION: text, SOURCE: text}));
        let kept: usize = labels.values.iter().map(|(name, value)| name.len() + value.len()).sum();
        proptest::prop_assert!(kept <= MOST_BYTES);
    }
}
