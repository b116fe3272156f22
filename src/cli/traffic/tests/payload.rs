use super::*;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("modelship-payload-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sent(payloads: &Payloads, many: u64) -> Vec<String> {
    (0..many).map(|at| String::from_utf8(payloads.get(at).body.to_vec()).unwrap()).collect()
}

#[test]
fn files_folders_and_rows_are_sent_in_turn_and_over_again() {
    let folder = Folder::new("turn");
    let (first, table) = (folder.file("z.json", "[0]"), folder.file("rows.txt", "a\n1\n2\n"));
    let dir = folder.0.join("dir");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, text) in [("b.json", "[2]"), ("a.json", "[1]"), ("c.csv", "x\n1\n"), ("notes.txt", "no JSON")] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let payloads = Payloads::read(&[first], &[dir], &[table], 1).unwrap().unwrap();
    assert_eq!(payloads.len(), 6);
    let rows = [1, 2].map(|row| format!(r#"{{"dataframe_split":{{"columns":["a"],"data":[[{row}]]}}}}"#));
    let once = ["[0]", "[1]", "[2]", "x\n1\n", &rows[0], &rows[1]];
    assert_eq!(sent(&payloads, 8), [&once[..], &["[0]", "[1]"]].concat());
    let kinds: Vec<&str> = (0..6).map(|at| payloads.get(at).content_type).collect();
    assert_eq!(kinds, [JSON, JSON, JSON, CSV, JSON, JSON]);
    assert_eq!(payloads.get(u64::MAX).content_type, CSV);
}

#[test]
fn a_body_with_pythons_nan_is_sent_as_it_is() {
    let folder = Folder::new("nan");
    let text = "{\"inputs\": [[NaN, -Infinity, 1]]}\n";
    assert_eq!(body(&folder.file("nan.json", text)).unwrap().body, text);
}

#[test]
fn an_error_names_the_file_and_the_line() {
    let folder = Folder::new("errors");
    let (broken, empty) = (folder.file("broken.json", "{\n\"a\": ]\n"), folder.file("empty.json", ""));
    let short = folder.file("short.csv", "a,b\n1\n");
    let read =
        |files: &[PathBuf], dirs: &[PathBuf], tables: &[PathBuf]| Payloads::read(files, dirs, tables, 1).unwrap_err();
    let message = read(&[broken], &[], &[]);
    assert!(message.contains("broken.json, line 2, column 6: not JSON"), "{message}");
    let message = read(&[empty], &[], &[]);
    assert!(message.contains("empty.json: is empty"), "{message}");
    let message = read(&[], &[], &[short]);
    assert!(message.contains("short.csv, line 2: has 1 cells"), "{message}");
    let message = read(&[folder.0.join("none.json")], &[], &[]);
    assert!(message.contains("none.json: No such file"), "{message}");
    let bare = Folder::new("bare");
    let message = read(&[], std::slice::from_ref(&bare.0), &[]);
    assert!(message.contains("holds no *.json"), "{message}");
    assert!(Payloads::read(&[], &[], &[], 1).unwrap().is_none(), "then the version's own example is sent");
}

#[test]
fn a_file_beyond_the_bound_is_refused_without_being_read_whole() {
    let folder = Folder::new("large");
    let path = folder.file("large.json", "");
    // Sparse: it takes no room on the disk.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(FILE_MAX * 1000).unwrap();
    let message = body(&path).unwrap_err();
    assert!(message.contains("larger than 100 MiB"), "{message}");
}
