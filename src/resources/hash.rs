//! Hashes of our own inputs, over canonical JSON (RFC 8785): a library struct that gains a field must not look like a
//! change.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::images::reference::hex;

/// SHA-256 of the value's canonical JSON, in lower-case hexadecimal.
pub fn of(value: &Value) -> String {
    // Canonical JSON refuses only NaN and infinite numbers, which a `Value` cannot hold.
    let canonical = serde_json_canonicalizer::to_vec(value).unwrap_or_else(|_| value.to_string().into_bytes());
    hex(&Sha256::digest(canonical))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_count() {
        let a: Value = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":3}}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).unwrap();
        assert_eq!(of(&a), of(&b));
        assert_ne!(of(&a), of(&json!({"a": 1})));
    }

    #[test]
    fn the_hash_is_the_sha256_of_the_canonical_text() {
        // printf '{"a":1}' | sha256sum
        assert_eq!(of(&json!({"a": 1})), "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862");
    }
}

/// Arbitrary JSON for the property tests of this crate.
#[cfg(test)]
pub(crate) mod json {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    /// Few names, so that two values share some; among them those that mean something to lists and amounts.
    fn name() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "name", "uid", "containers", "env", "limits"]).prop_map(str::to_owned)
    }

    fn map(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        prop::collection::btree_map(name(), values, 0..5).prop_map(|map| Map::from_iter(map).into())
    }

    fn tree(leaf: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
        // A list of things with few names: some are the same.
        let thing = (prop::sample::select(vec!["model", "side"]), leaf.clone())
            .prop_map(|(name, value)| serde_json::json!({"name": name, "a": value}));
        let things = prop::collection::vec(thing, 0..4).prop_map(Value::from);
        let inner = leaf.clone().prop_recursive(3, 24, 4, |inner| {
            prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from), map(inner)]
        });
        prop_oneof![1 => leaf, 1 => things, 3 => inner].boxed()
    }

    fn leaf(text: Vec<&'static str>) -> BoxedStrategy<Value> {
        let text = prop::sample::select(text).prop_map(Value::from);
        prop_oneof![any::<bool>().prop_map(Value::from), (-2i64..3).prop_map(Value::from), text].boxed()
    }

    const TEXT: [&str; 5] = ["", "1", "1000m", "x", "model"];

    pub fn without_nulls() -> BoxedStrategy<Value> {
        let tree = tree(leaf(TEXT.to_vec()));
        prop_oneof![tree.clone(), map(tree)].boxed()
    }

    pub fn any_json() -> BoxedStrategy<Value> {
        let tree = tree(prop_oneof![3 => leaf(TEXT.to_vec()), 1 => Just(Value::Null)].boxed());
        prop_oneof![tree.clone(), map(tree)].boxed()
    }

    pub fn object() -> impl Strategy<Value = Value> {
        map(prop_oneof![4 => any_json(), 1 => Just(Value::Null)])
    }

    #[test]
    fn shuffling_keys_does_not_change_a_hash() {
        proptest!(|(value in any_json())| {
            let mut shuffled = value.clone();
            reverse(&mut shuffled);
            prop_assert_eq!(super::of(&value), super::of(&shuffled));
        });
    }

    fn reverse(value: &mut Value) {
        match value {
            Value::Object(map) => {
                *map = std::mem::take(map).into_iter().rev().collect();
                map.values_mut().for_each(reverse);
            }
            Value::Array(items) => items.iter_mut().for_each(reverse),
            _ => {}
        }
    }
}
