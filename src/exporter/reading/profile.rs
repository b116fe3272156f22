//! What a version says itself of its predictions, by a label of its image, and what is said over it.

use serde_json::{Map, Value};

use super::settings::check;

/// In a pod's environment: two versions run side by side in a roll-out, and read the same settings.
pub const PROFILE_VARIABLE: &str = "MODELSHIP_PROFILE";

/// The settings that count: field by field what is `said` to the exporter, else what the version says of itself.
///
/// Another kind that is said is another meaning: then nothing of the profile counts. Nor does it where both together
/// contradict each other; of other names of classes only what the profile says by its own names does not.
///
/// ```
/// # use modelship_exporter::reading::merged;
/// # use serde_json::json;
/// let profile = json!({"kind": "class", "path": "$.label"});
/// let profile = profile.as_object().unwrap();
/// assert_eq!(merged(&json!({"path": "$.class"}), profile), json!({"kind": "class", "path": "$.class"}));
/// assert_eq!(merged(&json!({"kind": "number"}), profile), json!({"kind": "number"}));
/// ```
pub fn merged(said: &Value, profile: &Map<String, Value>) -> Value {
    merged_and_told(said, profile).0
}

/// What [`merged`] gives, and why the profile, or some of it, does not count, where it was not another kind that was said.
pub fn merged_and_told(said: &Value, profile: &Map<String, Value>) -> (Value, Option<String>) {
    let nothing = Map::new();
    let given = match said {
        Value::Object(given) => given,
        Value::Null => &nothing,
        // It is for `check` to complain.
        _ => return (said.clone(), None),
    };
    let another = given.get("kind").is_some_and(|kind| !kind.is_null() && Some(kind) != profile.get("kind"));
    if another || profile.is_empty() {
        return (said.clone(), None);
    }
    let over = |profile: Map<String, Value>| {
        let mut all = profile;
        all.extend(
            given.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())),
        );
        let all = Value::Object(all);
        check(&all).map(|_| all)
    };
    let why = match over(profile.clone()) {
        Ok(all) => return (all, None),
        Err(why) => why,
    };
    let mut nameless = profile.clone();
    nameless.retain(|name, _| !["positive", "reference"].contains(&name.as_str()));
    match over(nameless) {
        Ok(all) => (all, Some(format!("positive and reference do not count: {why}"))),
        Err(_) => (said.clone(), Some(format!("nothing of it counts: {why}"))),
    }
}
