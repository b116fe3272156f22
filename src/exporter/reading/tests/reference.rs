//! The bins of a reference: shares, counts, and what a change of settings leaves.

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Room;
use crate::reading::check;

const COUNTED: &str = "model_predictions_binned_total";
const SHARE: &str = "model_prediction_reference_ratio";

/// The series of a family by bin.
fn by_bin(room: &Room, family: &str) -> BTreeMap<String, f64> {
    let page = room.page();
    let of_family = page.iter().filter_map(|(series, value)| {
        let bin = series.strip_prefix(family)?.strip_prefix("{bin=\"")?.split_once("\",reference=\"")?.0;
        Some((bin.to_owned(), *value))
    });
    of_family.collect()
}

fn told(room: &Room, family: &str) -> String {
    let bins = by_bin(room, family).into_iter().map(|(bin, value)| format!("{bin}={value}"));
    bins.collect::<Vec<_>>().join(" ")
}

#[test]
fn without_a_reference_there_is_no_bin() {
    let mut room = Room::new(&json!({"kind": "class"}));
    room.answer("[\"stay\"]");
    assert_eq!(("", ""), (told(&room, COUNTED).as_str(), told(&room, SHARE).as_str()));
}

#[test]
fn all_bins_are_there_at_zero_from_the_start_with_the_shares_of_the_reference() {
    let room = Room::new(&json!({"reference": {"classes": {"stay": 800, "churn": 200}}}));
    assert_eq!("__other__=0 churn=0 stay=0", told(&room, COUNTED));
    assert_eq!("__other__=0 churn=0.2 stay=0.8", told(&room, SHARE));
    assert_eq!(0.0, room.value("model_predictions_total{class=\"churn\"}"), "its classes are known beforehand, too");
    let room = Room::new(&json!({"kind": "number", "reference": {"bounds": [-0.5, 0, 10], "counts": [1, 0, 2, 1]}}));
    assert_eq!("(-0.5, 0]=0 (-Inf, -0.5]=0.25 (0, 10]=0.5 (10, +Inf)=0.25", told(&room, SHARE));
    assert_eq!("(-0.5, 0]=0 (-Inf, -0.5]=0 (0, 10]=0 (10, +Inf)=0", told(&room, COUNTED));
}

#[test]
fn a_class_is_counted_in_its_bin_and_one_that_the_reference_lacks_in_the_leftover_bin() {
    let reference = json!({"classes": {"stay": 8, "churn": 2}});
    let mut room = Room::new(&json!({"kind": "class", "reference": reference}));
    room.answer("[\"stay\", \"churn\", \"stay\", \"unheard of\", null]");
    assert_eq!("__other__=1 churn=1 stay=2", told(&room, COUNTED));
    // Encoded classes are binned by their names.
    let classes = json!([{"value": 0, "name": "stay"}, {"value": 1, "name": "churn"}, {"value": 2, "name": "new"}]);
    let mut room = Room::new(&json!({"kind": "class", "classes": classes, "reference": reference}));
    room.answer("[0, 1.0, 0, 2, 3]");
    assert_eq!("__other__=2 churn=1 stay=2", told(&room, COUNTED));
    // Without declared classes, a number is of the class that spells it.
    let mut room = Room::new(&json!({"reference": {"classes": {"0.0": 8, "1.0": 2}}}));
    room.answer("[0, 1, 1.0, 2]");
    assert_eq!("0.0=1 1.0=2 __other__=1", told(&room, COUNTED));
}

#[test]
fn a_reference_of_classes_outlives_the_bound_on_classes_that_are_met() {
    let mut room = Room::new(&json!({"kind": "class", "maxClasses": 1, "reference": {"classes": {"churn": 1}}}));
    room.answer("[\"first\", \"second\", \"churn\"]");
    assert_eq!("__other__=2 churn=1", told(&room, COUNTED));
    assert_eq!("__other__=1 churn=1 first=1", room.classes());
}

#[test]
fn rows_of_probabilities_are_binned_by_the_class_of_the_largest() {
    let reference = json!({"classes": {"a": 1, "b": 1}});
    let mut room = Room::new(&json!({"kind": "probabilities", "classes": ["a", "b", "c"], "reference": reference}));
    room.answer("[[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.9, 0.1, 0.0]]");
    assert_eq!("__other__=1 a=1 b=1", told(&room, COUNTED));
}

#[test]
fn a_probability_is_binned_by_its_class_or_by_its_range_as_the_reference_has_it() {
    let said = json!({"kind": "probability", "threshold": 0.4, "classes": ["stay", "churn"]});
    let with = |reference: Value| {
        let mut said = said.clone();
        said["reference"] = reference;
        let mut room = Room::new(&said);
        room.answer("[0.39, 0.4, 0.9]");
        told(&room, COUNTED)
    };
    assert_eq!("__other__=0 churn=2 stay=1", with(json!({"classes": {"stay": 1, "churn": 1}})));
    assert_eq!("(-Inf, 0.4]=2 (0.4, +Inf)=1", with(json!({"bounds": [0.4], "counts": [1, 1]})));
}

#[test]
fn a_bound_belongs_to_the_range_below_it() {
    let mut room = Room::new(&json!({"kind": "number", "reference": {"bounds": [0, 10], "counts": [1, 1, 1]}}));
    room.answer("[-1e300, 0, 0.001, 10, 10.5, NaN, Infinity]");
    assert_eq!("(-Inf, 0]=2 (0, 10]=2 (10, +Inf)=1", told(&room, COUNTED));
}

/// The references whose series are shown.
fn references(room: &Room) -> BTreeSet<String> {
    let page = room.page();
    let of = |series: &String| Some(series.split_once(",reference=\"")?.1.strip_suffix("\"}")?.to_owned());
    page.keys().filter_map(of).collect()
}

#[test]
fn another_reference_counts_anew_under_a_mark_of_its_own_and_leaves_nothing_of_the_one_before() {
    let class = |counts: Value| json!({"kind": "class", "reference": {"classes": counts}});
    let mut room = Room::new(&class(json!({"stay": 8, "churn": 2})));
    room.answer("[\"stay\", \"churn\", \"new\"]");
    let first = references(&room);
    room.set(&class(json!({"stay": 1, "new": 1})));
    let second = references(&room);
    assert_eq!((first.len(), second.len(), first.intersection(&second).count()), (1, 1, 0));
    assert_eq!("__other__=0 new=0 stay=0", told(&room, COUNTED));
    assert_eq!("__other__=0 new=0.5 stay=0.5", told(&room, SHARE));
    room.answer("[\"stay\", \"churn\", \"new\"]");
    assert_eq!("__other__=1 new=1 stay=1", told(&room, COUNTED));
    room.set(&class(json!({"new": 2, "stay": 2})));
    assert_eq!("__other__=1 new=1 stay=1", told(&room, COUNTED), "the same shares are the same reference");
    room.set(&class(json!({"stay": 1, "new": 3})));
    assert_eq!("__other__=0 new=0 stay=0", told(&room, COUNTED), "the same bins with other shares are another one");
    room.set(&json!({"kind": "class"}));
    room.answer("[\"stay\"]");
    assert_eq!(("", ""), (told(&room, COUNTED).as_str(), told(&room, SHARE).as_str()));
    assert_eq!(3.0, room.value("model_predictions_total{class=\"stay\"}"));
}

#[test]
fn a_bad_reference_is_refused_with_the_way_to_mend_it() {
    let ranges = |bounds: Value, counts: Value| json!({"reference": {"bounds": bounds, "counts": counts}});
    let classes = |classes: Value| json!({"classes": ["stay", "churn"], "reference": {"classes": classes}});
    for (settings, words) in [
        (json!({"reference": 3}), "must be an object"),
        (json!({"reference": {}}), "either classes"),
        (json!({"reference": {"bounds": [1]}}), "bounds and counts"),
        (json!({"reference": {"classes": {"a": 1}, "bounds": [1], "counts": [1, 1]}}), "either classes"),
        (classes(json!(["stay"])), "must be an object"),
        (classes(json!({})), "1 to 49"),
        (classes(json!({"stay": 0, "churn": 0})), "no count above 0"),
        (classes(json!({"stay": -1, "churn": 2})), "classes['stay'] is -1"),
        (classes(json!({"leave": 1})), "'leave' is none of the names in predictions.classes: stay, churn"),
        (json!({"reference": {"classes": {"": 1}}}), "1 to 64 bytes"),
        (json!({"reference": {"classes": {"__other__": 1}}}), "what has no name"),
        (json!({"reference": {"classes": {"a\u{7}": 1, "a\u{fffd}": 1}}}), "two counts for one class"),
        (ranges(json!([]), json!([1])), "1 to 49 rising numbers"),
        (ranges(json!([1, 1]), json!([1, 1, 1])), "rising"),
        (ranges(json!(["1"]), json!([1, 1])), "rising numbers"),
        (ranges(json!([1, 2]), json!([1, 1])), "a list of 3 numbers, one more than bounds"),
        (ranges(json!([1]), json!([1, -1])), "counts[1] is -1"),
        (ranges(json!([1]), json!([0, 0])), "no count above 0"),
    ] {
        let error = check(&settings).expect_err(&settings.to_string());
        assert!(error.contains("predictions.reference") && error.contains(words), "{settings}: {error}");
    }
}

fn rows() -> impl Strategy<Value = Vec<Value>> {
    let one = prop_oneof![
        prop::sample::select(vec!["stay", "churn", "new", "größe", ""]).prop_map(|text| json!(text)),
        (-3.0..3.0_f64).prop_map(|number| json!(number)),
        (0..4).prop_map(|number| json!(number)),
        prop::collection::vec(0.0..1.0_f64, 0..4).prop_map(|row| json!(row)),
        Just(Value::Null),
    ];
    prop::collection::vec(one, 0..12)
}

proptest! {
    /// Of whatever kind: what counts as a prediction counts in one bin.
    #[test]
    fn the_bins_add_up_to_the_predictions(answers in prop::collection::vec(rows(), 1..8), kind in 0..4_usize) {
        let by_class = json!({"classes": {"stay": 3, "churn": 1}});
        let (kind, reference, total) = [
            ("class", by_class.clone(), "model_predictions_total"),
            ("probabilities", by_class, "model_predictions_total"),
            ("probability", json!({"bounds": [0.25, 0.5], "counts": [1, 1, 1]}), "model_prediction_probability_count"),
            ("number", json!({"bounds": [-1, 0, 1.5], "counts": [1, 0, 1, 1]}), "model_prediction_value_count"),
        ][kind].clone();
        let mut room = Room::new(&json!({"kind": kind, "maxClasses": 2, "reference": reference}));
        for answer in answers {
            room.answer(&json!({"predictions": answer}).to_string());
        }
        let page = room.page();
        let total: f64 = page.iter().filter(|(series, _)| series.starts_with(total)).map(|(_, count)| count).sum();
        prop_assert_eq!(total, by_bin(&room, COUNTED).values().sum::<f64>());
        let shares: f64 = by_bin(&room, SHARE).values().sum();
        prop_assert!((shares - 1.0).abs() < 1e-9);
    }
}
