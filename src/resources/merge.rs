//! Merges a user's `podTemplate` into the rendered one, the way the API server merges patches of these types: lists of
//! named things by their key, all other lists as a whole.

use serde_json::{Map, Value};

/// The merge key of each keyed list in a pod template.
///
/// Source: `x-kubernetes-patch-merge-key` in the Kubernetes 1.33 OpenAPI document, `io.k8s.api.core.v1.PodSpec` and below.
/// Lists that are not here (tolerations, command, args …) are replaced.
fn merge_key(list: &str) -> Option<&'static str> {
    Some(match list {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" => "name",
        "ports" => "containerPort",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "resourceClaims" | "schedulingGates" => "name",
        _ => return None,
    })
}

/// The object at this path of fields, made where it is not there yet. `None` where something else stands in the way: to write
/// by index would panic there, and what users wrote may hold a text or a list.
pub fn object_at<'a>(base: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut at = base;
    for field in path {
        at = at.as_object_mut()?.entry(*field).or_insert(Value::Null);
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
    }
    at.as_object_mut()
}

/// Merges `patch` into `base`. A null removes the field, as in a merge patch.
pub fn merge(base: &mut Value, patch: &Value) {
    let (Value::Object(base), Value::Object(patch)) = (&mut *base, patch) else {
        *base = patch.clone();
        return;
    };
    for (field, wanted) in patch {
        if wanted.is_null() {
            base.remove(field);
            continue;
        }
        let slot = base.entry(field.clone()).or_insert(Value::Null);
        match (merge_key(field), slot, wanted) {
            (Some(key), Value::Array(list), Value::Array(additions)) => merge_list(list, additions, key),
            (_, slot @ Value::Object(_), Value::Object(_)) => merge(slot, wanted),
            (_, slot, _) => *slot = wanted.clone(),
        }
    }
}

fn merge_list(list: &mut Vec<Value>, additions: &[Value], key: &str) {
    for addition in additions {
        let plain = |wanted: &&Value| wanted.is_string() || wanted.is_number();
        let known = addition
            .get(key)
            .filter(plain)
            .and_then(|wanted| list.iter_mut().find(|item| item.get(key) == Some(wanted)));
        match known {
            Some(item) => merge(item, addition),
            None => list.push(addition.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut base: Value, patch: Value) -> Value {
        merge(&mut base, &patch);
        base
    }

    #[test]
    fn containers_are_merged_by_name_and_others_are_added() {
        let base = json!({"containers": [{"name": "model", "image": "a", "env": [{"name": "A", "value": "1"}]}]});
        let patch = json!({"containers": [
            {"name": "model", "env": [{"name": "B", "value": "2"}]},
            {"name": "side", "image": "b"},
        ]});
        assert_eq!(
            merged(base, patch),
            json!({"containers": [
                {"name": "model", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                {"name": "side", "image": "b"},
            ]})
        );
    }

    #[test]
    fn a_list_without_a_key_is_replaced() {
        assert_eq!(merged(json!({"args": ["a", "b"]}), json!({"args": ["c"]})), json!({"args": ["c"]}));
    }

    #[test]
    fn null_removes_a_field() {
        assert_eq!(merged(json!({"a": 1, "b": 2}), json!({"a": null})), json!({"b": 2}));
    }

    #[test]
    fn every_keyed_list_is_merged_by_its_key() {
        let rows = [
            ("initContainers", "name", json!("fetch")),
            ("volumes", "name", json!("cellar")),
            ("imagePullSecrets", "name", json!("key")),
            ("ports", "containerPort", json!(9000)),
            ("volumeMounts", "mountPath", json!("/cellar")),
            ("volumeDevices", "devicePath", json!("/dev/barrel")),
            ("hostAliases", "ip", json!("127.0.0.1")),
            ("topologySpreadConstraints", "topologyKey", json!("zone")),
        ];
        for (list, key, value) in rows {
            let base = json!({list: [{key: value, "a": 1}, {key: "other", "a": 2}]});
            let patch = json!({list: [{key: value, "b": 3}, {key: "third"}]});
            assert_eq!(
                merged(base, patch),
                json!({list: [{key: value, "a": 1, "b": 3}, {key: "other", "a": 2}, {key: "third"}]})
            );
        }
    }

    #[test]
    fn an_item_without_its_key_is_added() {
        assert_eq!(merged(json!({"env": [{"name": "A"}]}), json!({"env": [{}]})), json!({"env": [{"name": "A"}, {}]}));
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;
        use crate::resources::hash::json::{any_json, object};

        proptest! {
            #[test]
            fn an_empty_patch_changes_nothing(base in object()) {
                prop_assert_eq!(merged(base.clone(), json!({})), base);
            }

            #[test]
            fn a_field_that_the_patch_does_not_name_stays(base in object(), patch in object()) {
                let after = merged(base.clone(), patch.clone());
                for (field, value) in base.as_object().unwrap() {
                    if patch.get(field).is_none() {
                        prop_assert_eq!(&after[field], value);
                    }
                }
            }

            #[test]
            fn a_plain_value_of_the_patch_wins_and_a_null_removes(base in object(), patch in object()) {
                let after = merged(base, patch.clone());
                for (field, value) in patch.as_object().unwrap() {
                    match value {
                        Value::Null => prop_assert_eq!(after.get(field), None),
                        Value::Object(_) | Value::Array(_) => prop_assert!(after.get(field).is_some()),
                        plain => prop_assert_eq!(&after[field], plain),
                    }
                }
            }

            #[test]
            fn no_item_of_a_keyed_list_is_lost(base in prop::collection::vec(any_json(), 0..4), patch in prop::collection::vec(any_json(), 0..4)) {
                let after = merged(json!({"containers": base}), json!({"containers": patch}));
                let after = after["containers"].as_array().unwrap();
                prop_assert!(after.len() >= base.len() && after.len() <= base.len() + patch.len());
                for (index, item) in base.iter().enumerate() {
                    prop_assert_eq!(after[index].get("name"), item.get("name"));
                }
            }
        }
    }
}
