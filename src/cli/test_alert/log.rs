//! What Alertmanager's log has to say of a receiver. Pure.

/// Characters of it that are shown.
const SHOWN: usize = 300;

/// Why the last attempt failed, in Alertmanager's words; of either format that it logs in.
pub fn complaint(log: &str, receiver: &str) -> Option<String> {
    let told = log.lines().rev().filter(|line| line.contains(receiver));
    told.filter_map(|line| {
        let (_, words) = ["err=", "\"err\":"].iter().find_map(|key| line.split_once(key))?;
        // The format's own quotes and what follows them.
        let words = match words.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => words.split_whitespace().next()?.to_owned(),
        };
        Some(words.chars().take(SHOWN).collect())
    })
    .next()
}

/// Up to the quote that ends it.
fn unquoted(text: &str) -> String {
    let mut words = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => words.extend(characters.next()),
            other => words.push(other),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVER: &str = "cellar/grape-scorer/email";

    #[test]
    fn the_last_words_about_the_receiver_are_found_in_either_format() {
        let lines = r#"time=1 level=WARN msg="Notify attempt failed, will retry later" receiver=cellar/grape-scorer/email err="first"
time=2 level=WARN msg="Notify attempt failed" receiver=cellar/grape-scorer/email integration=email[0] attempts=2 err="*smtp.plainAuth auth: 535 \"no\"" more=1
time=3 level=WARN receiver=kitchen/grape-scorer/email err="other"
time=4 level=INFO receiver=cellar/grape-scorer/email msg="no complaint""#;
        assert_eq!(complaint(lines, RECEIVER).unwrap(), "*smtp.plainAuth auth: 535 \"no\"");
        let json = r#"{"level":"WARN","receiver":"cellar/grape-scorer/email","err":"dial tcp: refused","more":1}"#;
        assert_eq!(complaint(json, RECEIVER).unwrap(), "dial tcp: refused");
        assert_eq!(complaint("level=WARN err=other", RECEIVER), None);
    }
}
