//! Does a live object hold everything that we want of it? What it holds besides belongs to others, except where one more
//! entry changes what ours mean: see [`WHOLLY_OURS`].

use serde_json::Value;

use crate::api::units::same_quantity;

/// A step on the way to a field: a field's name, or an item of a list with the key it is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Field(String),
    Item { key: &'static str, value: String },
    Index(usize),
}

/// The way to a field.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Path(pub Vec<Step>);

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => write!(f, "{name}")?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item { value, .. } => write!(f, "[{value}]")?,
                Step::Index(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}

/// Keys by which list items are matched, tried in this order. The API server may add items of others to such lists.
/// `mountPath` comes before `name`: one volume may be mounted twice.
const KEYS: [&str; 5] = ["mountPath", "containerPort", "uid", "name", "port"];

/// Where what others add counts, for it changes what ours means: a selector that asks for one label more selects nothing, a
/// rule of a NetworkPolicy that names one port more lets it in.
const WHOLLY_OURS: [&str; 5] = ["selector", "podSelector", "namespaceSelector", "scaleTargetRef", "ingress"];

/// Not in a pod template, where others add what they like: what they must not touch there is refused before.
fn wholly_ours(path: &[Step]) -> bool {
    let mut names = path.iter().filter_map(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        _ => None,
    });
    match path {
        // What a ConfigMap holds becomes files in a pod, and names of modules there.
        [Step::Field(first)] if first == "data" => true,
        _ => !names.clone().any(|name| name == "template") && names.any(|name| WHOLLY_OURS.contains(&name)),
    }
}

/// The first field that `live` does not hold as `wanted` has it; `None` if it holds everything.
pub fn first_difference(wanted: &Value, live: &Value) -> Option<Path> {
    let mut path = Vec::new();
    (differs(wanted, live, &mut path) || holds_binary_data(wanted, live, &mut path)).then_some(Path(path))
}

/// The maps of a ConfigMap: both become files in a pod.
pub const FILES: [&str; 2] = ["data", BINARY_DATA];
const BINARY_DATA: &str = "binaryData";

/// None of ours has any: that it is to be empty is not written in what we want.
fn holds_binary_data(wanted: &Value, live: &Value, path: &mut Vec<Step>) -> bool {
    let added = live[BINARY_DATA].as_object().filter(|_| wanted["kind"] == "ConfigMap");
    let added = added.and_then(|added| added.keys().find(|name| wanted[BINARY_DATA].get(name.as_str()).is_none()));
    path.extend(added.iter().flat_map(|name| [BINARY_DATA, name.as_str()]).map(|name| Step::Field(name.to_owned())));
    added.is_some()
}

fn differs(wanted: &Value, live: &Value, path: &mut Vec<Step>) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), _) => {
            for (name, value) in wanted {
                path.push(Step::Field(name.clone()));
                if differs(value, live.get(name).unwrap_or(&Value::Null), path) {
                    return true;
                }
                path.pop();
            }
            let added = live.as_object().filter(|_| wholly_ours(path)).and_then(|live| {
                live.iter().find(|(name, value)| !wanted.contains_key(*name) && says_something(value))
            });
            path.extend(added.map(|(name, _)| Step::Field(name.clone())));
            added.is_some()
        }
        (Value::Array(items), _) => list_differs(items, live.as_array().map_or(&[], Vec::as_slice), path),
        // A podTemplate may say `cpu: 1`, which the server stores as text.
        (Value::String(_) | Value::Number(_), Value::String(_)) if in_quantities(path) => {
            let (a, b) = (plain(wanted), plain(live));
            a != b && !same_quantity(&a, &b)
        }
        // What is empty, zero or false the server stores as absent.
        (Value::String(text), Value::Null) => !text.is_empty(),
        (Value::Number(number), Value::Null) => number.as_f64() != Some(0.0),
        (Value::Bool(false), Value::Null) => false,
        _ => wanted != live,
    }
}

/// Whether an entry that others have added changes what ours mean. An empty text does: a label may have no value, and a selector
/// that asks for it selects nothing.
fn says_something(added: &Value) -> bool {
    match added {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(_) => true,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

fn list_differs(wanted: &[Value], live: &[Value], path: &mut Vec<Step>) -> bool {
    let key = KEYS.into_iter().find(|key| !wanted.is_empty() && identifies(key, wanted));
    if (key.is_none() || wholly_ours(path)) && wanted.len() != live.len() {
        return true;
    }
    for (index, item) in wanted.iter().enumerate() {
        let found = match key {
            None => live.get(index),
            Some(key) => live.iter().find(|candidate| candidate.get(key) == item.get(key)),
        };
        path.push(match key {
            None => Step::Index(index),
            Some(key) => Step::Item { key, value: plain(&item[key]) },
        });
        if differs(item, found.unwrap_or(&Value::Null), path) {
            return true;
        }
        path.pop();
    }
    false
}

/// Whether every item has the key, as text or a number, and no two have the same.
fn identifies(key: &str, items: &[Value]) -> bool {
    let plain = |key: &&Value| key.is_string() || key.is_number();
    let keys: Option<Vec<&Value>> = items.iter().map(|item| item.get(key).filter(plain)).collect();
    keys.is_some_and(|keys| keys.iter().enumerate().all(|(index, key)| !keys[..index].contains(key)))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether the path leads into amounts: resources, and the sizes of volumes.
fn in_quantities(path: &[Step]) -> bool {
    path.iter().any(|step| {
        matches!(step, Step::Field(name) if matches!(name.as_str(), "requests" | "limits" | "sizeLimit" | "capacity" | "overhead"))
    })
}

/// The manager that holds a field, as the API server records it, other than `ourselves`.
pub fn holder(managed_fields: &Value, path: &Path, ourselves: &str) -> Option<String> {
    managed_fields.as_array()?.iter().rev().find_map(|entry| {
        let manager = entry["manager"].as_str()?;
        (manager != ourselves && owns(&entry["fieldsV1"], &path.0)).then(|| manager.to_owned())
    })
}

fn owns(fields: &Value, path: &[Step]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    let Some(fields) = fields.as_object() else { return false };
    let next = match step {
        Step::Field(name) => fields.get(&format!("f:{name}")),
        Step::Item { key, value } => fields
            .iter()
            .find(|(name, _)| {
                let keys = name.strip_prefix("k:").and_then(|text| serde_json::from_str::<Value>(text).ok());
                keys.is_some_and(|keys| keys.get(*key).map(plain).as_deref() == Some(value))
            })
            .map(|(_, fields)| fields),
        Step::Index(_) => return true,
    };
    next.is_some_and(|next| owns(next, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(wanted: Value, live: Value) -> Option<String> {
        first_difference(&wanted, &live).map(|path| path.to_string())
    }

    #[test]
    fn what_others_add_does_not_count() {
        let wanted = json!({"spec": {"containers": [{"name": "model", "image": "a"}]}});
        let live = json!({"spec": {"dnsPolicy": "x", "containers": [{"name": "side"}, {"name": "model", "image": "a", "x": 1}]}});
        assert_eq!(difference(wanted, live), None);
    }

    #[test]
    fn what_others_add_to_a_selector_narrows_it_and_counts() {
        let rows = [
            (json!({"selector": {"a": "1"}}), json!({"selector": {"a": "1", "x": "y"}}), "spec.selector.x"),
            (
                json!({"selector": {"matchLabels": {"a": "1"}}}),
                json!({"selector": {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}}),
                "spec.selector.matchExpressions",
            ),
            (
                json!({"podSelector": {"matchLabels": {"a": "1"}}}),
                json!({"podSelector": {"matchLabels": {"a": "1", "x": "y"}}}),
                "spec.podSelector.matchLabels.x",
            ),
            (
                json!({"ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 1}]}]}),
                json!({"ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"x": "y"}}}], "ports": [{"port": 1}]}]}),
                "spec.ingress[0].from[0].namespaceSelector.matchLabels",
            ),
            (
                json!({"ingress": [{"ports": [{"port": 1}]}]}),
                json!({"ingress": [{"ports": [{"port": 1}, {"port": 2}]}]}),
                "spec.ingress[0].ports",
            ),
            (
                json!({"scaleTargetRef": {"name": "a"}}),
                json!({"scaleTargetRef": {"name": "a", "x": "y"}}),
                "spec.scaleTargetRef.x",
            ),
        ];
        for (wanted, live, at) in rows {
            let (wanted, live) = (json!({"spec": wanted}), json!({"spec": live}));
            assert_eq!(difference(wanted.clone(), live).as_deref(), Some(at));
            assert_eq!(difference(wanted.clone(), wanted), None);
        }
        let data = |extra: Value| json!({"data": {"a": "1", "extra": extra}});
        assert_eq!(difference(json!({"data": {"a": "1"}}), data(json!("x"))).as_deref(), Some("data.extra"));
    }

    #[test]
    fn an_added_label_without_a_value_counts_and_an_added_field_that_says_nothing_does_not() {
        let spec = |selector: Value| json!({"spec": {"selector": selector}});
        let (service, budget) = (spec(json!({"a": "1"})), spec(json!({"matchLabels": {"a": "1"}})));
        let rows = [
            (service.clone(), spec(json!({"a": "1", "x": ""})), "spec.selector.x"),
            (budget.clone(), spec(json!({"matchLabels": {"a": "1", "x": ""}})), "spec.selector.matchLabels.x"),
            (spec(json!({})), spec(json!({"matchLabels": {"x": ""}})), "spec.selector.matchLabels"),
            (json!({"data": {"a": "1"}}), json!({"data": {"a": "1", "x": ""}}), "data.x"),
        ];
        for (wanted, live, at) in rows {
            assert_eq!(difference(wanted, live).as_deref(), Some(at));
        }
        for nothing in [json!(null), json!([]), json!({}), json!(false), json!(0), json!({"a": []})] {
            let live = spec(json!({"matchLabels": {"a": "1"}, "x": nothing}));
            assert_eq!(difference(budget.clone(), live), None);
        }
    }

    #[test]
    fn a_config_map_of_ours_has_no_binary_data() {
        let map = |binary: Value| json!({"kind": "ConfigMap", "data": {"a": "1"}, "binaryData": binary});
        let ours = json!({"kind": "ConfigMap", "data": {"a": "1"}});
        assert_eq!(difference(ours.clone(), map(json!({"b.py": ""}))).as_deref(), Some("binaryData.b.py"));
        assert_eq!(difference(ours.clone(), map(json!({}))), None);
        assert_eq!(difference(ours.clone(), ours), None);
    }

    #[test]
    fn what_is_added_to_the_selectors_of_a_pod_template_is_others() {
        let spread = |labels: Value| json!({"spec": {"template": {"spec": {"topologySpreadConstraints": [{"labelSelector": {"matchLabels": labels}}]}}}});
        assert_eq!(difference(spread(json!({"a": "1"})), spread(json!({"a": "1", "b": "2"}))), None);
        let node = |selector: Value| json!({"spec": {"template": {"spec": {"nodeSelector": selector}}}});
        assert_eq!(difference(node(json!({"a": "1"})), node(json!({"a": "1", "b": "2"}))), None);
    }

    #[test]
    fn amounts_are_compared_as_amounts_and_only_there() {
        let wanted = |amount: &str| json!({"resources": {"limits": {"cpu": amount}}, "value": amount});
        assert_eq!(difference(wanted("1000m"), json!({"resources": {"limits": {"cpu": "1"}}, "value": "1000m"})), None);
        assert_eq!(
            difference(wanted("1000m"), json!({"resources": {"limits": {"cpu": "1"}}, "value": "1"})).as_deref(),
            Some("value")
        );
    }

    #[test]
    fn the_first_field_that_differs_is_named() {
        let wanted = json!({"spec": {"containers": [{"name": "model", "image": "a"}], "replicas": 2}});
        let live = json!({"spec": {"containers": [{"name": "model", "image": "b"}], "replicas": 2}});
        assert_eq!(difference(wanted.clone(), live).as_deref(), Some("spec.containers[model].image"));
        assert_eq!(
            difference(wanted, json!({"spec": {"replicas": 3}})).as_deref(),
            Some("spec.containers[model].image")
        );
    }

    #[test]
    fn a_list_without_keys_is_compared_as_a_whole() {
        assert_eq!(difference(json!({"args": ["a"]}), json!({"args": ["a", "b"]})).as_deref(), Some("args"));
    }

    #[test]
    fn the_holder_of_a_field_is_found_in_managed_fields() {
        let path = first_difference(
            &json!({"spec": {"containers": [{"name": "model", "image": "a"}]}}),
            &json!({"spec": {"containers": [{"name": "model", "image": "b"}]}}),
        )
        .unwrap();
        let managed = json!([
            {"manager": "modelship", "fieldsV1": {"f:spec": {}}},
            {"manager": "other", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "meddler", "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"model\"}": {"f:image": {}}}}}},
        ]);
        assert_eq!(holder(&managed, &path, "modelship").as_deref(), Some("meddler"));
    }

    #[test]
    fn a_volume_that_is_mounted_twice_is_told_apart_by_its_paths() {
        let wanted = json!({"volumeMounts": [
            {"name": "cellar", "mountPath": "/red", "subPath": "red"},
            {"name": "cellar", "mountPath": "/white", "subPath": "white"},
        ]});
        assert_eq!(difference(wanted.clone(), wanted.clone()), None);
        let mut live = wanted.clone();
        live["volumeMounts"][1]["subPath"] = json!("rose");
        assert_eq!(difference(wanted, live).as_deref(), Some("volumeMounts[/white].subPath"));
    }

    #[test]
    fn only_text_and_numbers_are_keys() {
        assert_eq!(difference(json!([{"name": {"a": 1}}]), json!([{"name": {"a": 1, "b": 2}}])), None);
    }

    #[test]
    fn amounts_may_be_written_as_numbers() {
        let wanted = json!({"requests": {"cpu": 1, "memory": 1024}, "maxSurge": 1});
        let live = json!({"requests": {"cpu": "1", "memory": "1Ki"}, "maxSurge": "1"});
        assert_eq!(difference(wanted, live).as_deref(), Some("maxSurge"));
    }

    #[test]
    fn what_the_server_stores_as_absent_is_no_difference() {
        let wanted = json!({"hostNetwork": false, "value": "", "initialDelaySeconds": 0, "emptyDir": {}, "args": []});
        assert_eq!(difference(wanted, json!({})), None);
        for present in
            [json!({"a": true}), json!({"a": "x"}), json!({"a": 1}), json!({"a": [1]}), json!({"a": {"b": 1}})]
        {
            assert!(difference(present.clone(), json!({})).is_some(), "{present}");
        }
    }

    #[test]
    fn a_false_that_became_true_and_a_zero_that_became_one_are_differences() {
        assert_eq!(difference(json!({"a": false}), json!({"a": true})).as_deref(), Some("a"));
        assert_eq!(difference(json!({"a": 0}), json!({"a": 1})).as_deref(), Some("a"));
    }

    #[test]
    fn an_item_that_is_gone_and_an_order_that_changed() {
        let env = |names: &[&str]| json!({"env": names.iter().map(|name| json!({"name": name, "value": name})).collect::<Vec<_>>()});
        assert_eq!(difference(env(&["A", "B"]), env(&["B", "C", "A"])), None);
        assert_eq!(difference(env(&["A", "B"]), env(&["A"])).as_deref(), Some("env[B].name"));
    }

    #[test]
    fn our_own_fields_and_fields_that_nobody_holds_have_no_holder() {
        let path = first_difference(&json!({"spec": {"replicas": 2}}), &json!({"spec": {"replicas": 3}})).unwrap();
        let managed = json!([{"manager": "modelship", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        assert_eq!(holder(&managed, &path, "modelship"), None);
        assert_eq!(holder(&json!(null), &path, "modelship"), None);
        assert_eq!(holder(&managed, &path, "someone").as_deref(), Some("modelship"));
    }

    #[test]
    fn the_holder_of_a_port_is_found_by_its_number() {
        let ports = |name: &str| json!({"ports": [{"containerPort": 8080, "name": name, "protocol": "TCP"}]});
        let path = first_difference(&ports("http"), &ports("web")).unwrap();
        let key = "k:{\"containerPort\":8080,\"protocol\":\"TCP\"}";
        let managed = json!([{"manager": "meddler", "fieldsV1": {"f:ports": {key: {"f:name": {}}}}}]);
        assert_eq!(holder(&managed, &path, "modelship").as_deref(), Some("meddler"));
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;
        use crate::resources::hash::json::any_json;

        /// Adds a field that nobody asked for to every object.
        fn adorn(value: &mut Value) {
            match value {
                Value::Object(map) => {
                    map.values_mut().for_each(adorn);
                    map.insert("somebodyElses".into(), json!({"x": 1}));
                }
                Value::Array(items) => items.iter_mut().for_each(adorn),
                _ => {}
            }
        }

        proptest! {
            #[test]
            fn whatever_it_is_it_holds_itself(value in any_json()) {
                prop_assert_eq!(first_difference(&value, &value), None);
            }

            #[test]
            fn what_others_add_is_never_a_difference(value in any_json()) {
                let mut live = value.clone();
                adorn(&mut live);
                prop_assert_eq!(first_difference(&value, &live), None);
            }

            #[test]
            fn a_difference_leads_somewhere_and_is_shown(wanted in any_json(), live in any_json()) {
                if let Some(path) = first_difference(&wanted, &live)
                    && (wanted.is_object() || wanted.as_array().is_some_and(|items| items.len() == 1 && live.as_array().is_some_and(|live| live.len() == 1)))
                {
                    prop_assert!(!path.0.is_empty());
                    prop_assert!(!path.to_string().is_empty());
                }
            }

            #[test]
            fn what_is_wanted_is_held_after_it_was_merged_in(wanted in any_json(), live in any_json()) {
                // Not with amounts and empty values alone: a merge writes every wanted field as it is.
                let mut merged = live;
                crate::resources::merge::merge(&mut merged, &wanted);
                if !holds_null(&wanted) && !holds_list(&wanted) {
                    prop_assert_eq!(first_difference(&wanted, &merged), None);
                }
            }
        }

        fn holds_null(value: &Value) -> bool {
            match value {
                Value::Object(map) => map.values().any(holds_null),
                Value::Array(items) => items.iter().any(holds_null),
                other => other.is_null(),
            }
        }

        /// A list with a key may keep items of both sides, in an order of its own.
        fn holds_list(value: &Value) -> bool {
            match value {
                Value::Object(map) => map.values().any(holds_list),
                other => other.is_array(),
            }
        }
    }
}
