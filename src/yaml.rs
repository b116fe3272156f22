//! YAML as Modelship writes it, so that the readers of Kubernetes and Prometheus take it.

use serde::Serialize;
use serde_json::Value;
use serde_saphyr::{ser::Error, ser_options};

/// Writes one document. Long texts stay on one line: a folded one is harder to read and to compare.
///
/// # Errors
/// When the value has no form in YAML, which maps with other keys than texts have not.
pub fn to_string(value: &impl Serialize) -> Result<String, Error> {
    let value = serde_json::to_value(value).map_err(|error| Error::Message { msg: error.to_string() })?;
    let options =
        ser_options! { folded_wrap_chars: usize::MAX, prefer_block_scalars: !takes_a_tab_for_indentation(&value) };
    serde_saphyr::to_string_with_options(&value, options)
}

/// Go's YAML does not read a block of several lines whose first one begins with a tab.
fn takes_a_tab_for_indentation(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\n') && text.trim_start_matches('\n').starts_with('\t'),
        Value::Array(items) => items.iter().any(takes_a_tab_for_indentation),
        Value::Object(fields) => fields.values().any(takes_a_tab_for_indentation),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_of_several_lines_is_a_block_unless_it_begins_with_a_tab() {
        let written = |text: &str| to_string(&json!({"text": text})).unwrap();
        assert_eq!(written("one\n\ttwo"), "text: |-\n  one\n  \ttwo\n");
        assert_eq!(written("\n\tone\ntwo"), "text: \"\\n\\tone\\ntwo\"\n");
    }

    #[test]
    fn a_long_line_stays_one() {
        let long = "words ".repeat(60);
        assert_eq!(to_string(&json!({"text": long.trim()})).unwrap().lines().count(), 1);
    }
}
