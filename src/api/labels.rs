//! Which labels and annotations Kubernetes takes: for one that it does not, it would refuse the whole object.
//!
//! Source: `IsQualifiedName` and `IsValidLabelValue` of Kubernetes' apimachinery.

use super::names;

/// Characters of a name without its domain, and of a value.
const LONGEST: usize = 63;
const LONGEST_DOMAIN: usize = 253;

/// Why no object of ours can bear this label.
pub(super) fn wrong(name: &str, value: &str) -> Option<String> {
    const OURS: [&str; 3] = ["app.kubernetes.io/name", "app.kubernetes.io/instance", names::MANAGED_BY];
    if name.starts_with("modelship.dev/") || OURS.contains(&name) {
        return Some(format!("'{name}' is Modelship's own; choose another"));
    }
    wrong_name(name).or_else(|| wrong_value(value))
}

/// Whether an object can bear this label.
pub(crate) fn is_label(name: &str, value: &str) -> bool {
    wrong_name(name).or_else(|| wrong_value(value)).is_none()
}

/// Why no label is called so.
pub(super) fn wrong_name(name: &str) -> Option<String> {
    let (domain, short) = name.rsplit_once('/').map_or((None, name), |(domain, short)| (Some(domain), short));
    let right = !short.is_empty() && is_word(short) && domain.is_none_or(is_domain);
    (!right).then(|| {
        format!(
            "'{name}' is not a label's name: at most {LONGEST} letters, digits, '-', '_' and '.', which a domain and '/' may precede"
        )
    })
}

/// Why no annotation is called so: a name is looked at in lower case.
pub(super) fn wrong_annotation(name: &str) -> Option<String> {
    wrong_name(&name.to_ascii_lowercase()).map(|_| {
        format!(
            "'{name}' is not an annotation's name: at most {LONGEST} letters, digits, '-', '_' and '.', which a domain and '/' may precede"
        )
    })
}

pub(super) fn wrong_value(value: &str) -> Option<String> {
    (!is_word(value)).then(|| {
        format!(
            "'{value}' is not a label's value: at most {LONGEST} letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
        )
    })
}

/// May be empty.
pub(super) fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    let within = |c: char| ends(c) || matches!(c, '-' | '_' | '.');
    text.is_empty()
        || (text.len() <= LONGEST && text.chars().all(within) && text.starts_with(ends) && text.ends_with(ends))
}

fn is_domain(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part =
        |part: &str| part.starts_with(lower) && part.ends_with(lower) && part.chars().all(|c| lower(c) || c == '-');
    text.len() <= LONGEST_DOMAIN && text.split('.').all(part)
}
