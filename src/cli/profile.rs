//! A modelship-profile.json that a command is given, in place of an image's labels.

use std::{fs::File, io::Read as _, path::Path};

use crate::api::Meaning;

/// Artifacts of a run hold more than labels can: features, up to a hundred.
const LARGEST: u64 = 16 << 20;

/// Reads it.
///
/// # Errors
/// A sentence that names the file and all that is wrong with it.
pub fn read(path: &Path) -> Result<Meaning, String> {
    let at = path.display().to_string();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    read.map_err(|error| format!("{at}: {error}"))?;
    if text.len() as u64 > LARGEST {
        return Err(format!("{at}: is larger than 16 MiB, and no profile"));
    }
    let meaning = Meaning::of_profile(&text, &at);
    match meaning.faults.is_empty() {
        true => Ok(meaning),
        false => Err(meaning.faults.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_from_its_file_and_a_bad_one_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let good = file("good.json", r#"{"version": 1, "kind": "class", "example": {"body": [1]}}"#);
        assert!(read(&good).unwrap().example.is_some());
        for (path, words) in [
            (
                file("future.json", r#"{"version": 2}"#),
                "future.json is of version 2, and this Modelship reads version 1",
            ),
            (file("text.json", "profile"), "text.json is no JSON object"),
            (file("two.json", r#"{"version": 1, "kind": "klass", "metrics": 1}"#), "klass"),
            (file("two.json", r#"{"version": 1, "kind": "klass", "metrics": 1}"#), "; "),
            (folder.path().join("nowhere.json"), "nowhere.json: No such file"),
        ] {
            let message = read(&path).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
