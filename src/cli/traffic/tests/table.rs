use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;

fn body(table: &Table, at: usize) -> Value {
    serde_json::from_slice(&table.request(at)).unwrap()
}

#[test]
fn columns_of_numbers_are_numbers_and_all_others_are_text() {
    let table = Table::read(b"age,zip,score,name\n41,01234,0.5,\"a, b\"\n7,99999,-1e3,\n", 2).unwrap();
    let data = json!([[41, "01234", 0.5, "a, b"], [7, "99999", -1000.0, ""]]);
    let wanted = json!({"dataframe_split": {"columns": ["age", "zip", "score", "name"], "data": data}});
    assert_eq!(body(&table, 0), wanted);
}

#[test]
fn columns_of_booleans_are_booleans_as_pandas_reads_them() {
    let table = Table::read(b"a,b,c,d\n1,True,yes,true\n2,False,no,1\n3,,no,false\n", 3).unwrap();
    let data = &body(&table, 0)["dataframe_split"]["data"];
    assert_eq!(data, &json!([[1, true, "yes", "true"], [2, false, "no", "1"], [3, null, "no", "false"]]));
}

#[test]
fn a_missing_number_is_null_and_one_word_makes_the_column_text() {
    let table = Table::read(b"a,b,c\n1,2,\n,x,\nNaN,3,\n", 3).unwrap();
    let data = &body(&table, 0)["dataframe_split"]["data"];
    assert_eq!(data, &json!([[1, "2", ""], [null, "x", ""], [null, "3", ""]]));
}

#[test]
fn rows_make_requests_of_the_wanted_size_and_the_last_is_shorter() {
    let table = Table::read(b"\xef\xbb\xbfa\n1\n2\n3\n4\n5\n", 2).unwrap();
    assert_eq!(table.requests(), 3);
    let rows: Vec<Value> = (0..3).map(|at| body(&table, at)["dataframe_split"]["data"].clone()).collect();
    assert_eq!(rows, [json!([[1], [2]]), json!([[3], [4]]), json!([[5]])]);
    assert_eq!(body(&table, 0)["dataframe_split"]["columns"], json!(["a"]));
}

#[test]
fn a_whole_number_stays_whole_and_exact() {
    let table = Table::read(b"a,b,c,d\n9223372036854775807,18446744073709551615,1.0,+3\n", 1).unwrap();
    let text = String::from_utf8(table.request(0).to_vec()).unwrap();
    assert!(text.contains("[[9223372036854775807,18446744073709551615,1.0,3]]"), "{text}");
}

#[test]
fn words_that_a_float_parser_would_take_are_text() {
    for word in ["inf", "-Infinity", "infinity", "0x10", "1_000", "--1", "1e999"] {
        let table = Table::read(format!("a\n{word}\n").as_bytes(), 1).unwrap();
        assert_eq!(body(&table, 0)["dataframe_split"]["data"][0][0], json!(word));
    }
}

#[test]
fn an_error_names_the_line() {
    for (text, words) in [
        (&b""[..], ": is empty"),
        (b"a,b\n", ": has a header, but no rows"),
        (b"a,b\n1,2\n3\n", ", line 3: has 1 cells where the header names 2 columns"),
        (b"a\n1\n\xff\n", ", line 3: is not UTF-8"),
        (b"a,b,a\n1,2,3\n", ", line 1: the column 'a' is named twice"),
    ] {
        let message = Table::read(text, 1).unwrap_err();
        assert!(message.starts_with(words), "{message}");
    }
}
