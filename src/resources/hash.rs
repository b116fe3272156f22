//! Hashes of our own inputs, over canonical JSON (RFC 8785): a library struct that gains a field must not look like a
//! change.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of the value's canonical JSON, in lower-case hexadecimal.
pub fn of(value: &Value) -> String {
    // Canonical JSON refuses only NaN and infinite numbers, which a `Value` cannot hold.
    let canonical = serde_json_canonicalizer::to_vec(value).unwrap_or_else(|_| value.to_string().into_bytes());
    Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
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
