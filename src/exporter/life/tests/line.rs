use std::collections::HashMap;

use serde::Deserialize;

use super::*;

/// What Prometheus' parsers took and refused of lines between two good ones.
#[derive(Deserialize)]
struct Vectors {
    text: Lines,
    openmetrics: Lines,
}

#[derive(Deserialize)]
struct Lines {
    taken: Vec<Taken>,
    refused: Vec<String>,
}

/// A line, and the name, the number of labels and the value of the sample that it is, if it is one.
#[derive(Deserialize)]
struct Taken(String, Option<(String, usize, String)>);

fn vectors() -> HashMap<&'static str, (Format, Lines)> {
    let text = include_str!("../../../../tests/vectors/prometheus-3.15-lines.json");
    let Vectors { text, openmetrics } = serde_json::from_str(text).unwrap();
    HashMap::from([("text", (Format::Text, text)), ("openmetrics", (Format::OpenMetrics, openmetrics))])
}

/// Reads it as a page does: line after line, each with what follows.
fn lines(text: &[u8], format: Format) -> Option<Vec<Line>> {
    let page = [text, b"\nafter 2\n"].concat();
    let (mut lines, mut at) = (Vec::new(), 0);
    while at < page.len() {
        let (line, length) = read(&page[at..], format)?;
        // Something follows, and nothing may.
        if line == Line::End {
            return None;
        }
        lines.push(line);
        at += length;
    }
    let after = lines.pop();
    matches!(after, Some(Line::Sample(after)) if after.line() == "after 2").then_some(lines)
}

fn unescaped(name: &str) -> String {
    name.replace("\\\\", "\0").replace("\\\"", "\"").replace("\\n", "\n").replace('\0', "\\")
}

#[test]
fn what_prometheus_takes_is_taken_as_it_takes_it_and_what_it_refuses_is_refused() {
    for (name, (format, recorded)) in vectors() {
        assert!(recorded.taken.len() > 100 && recorded.refused.len() > 100);
        for Taken(text, sample) in recorded.taken {
            let lines = lines(text.as_bytes(), format).unwrap_or_else(|| panic!("{name} refuses {text:?}"));
            let found = lines.iter().find_map(|line| match line {
                Line::Sample(sample) => Some(sample),
                _ => None,
            });
            let Some((name, labels, value)) = sample else {
                assert_eq!(found, None, "{text:?}");
                continue;
            };
            let found = found.unwrap();
            // Go drops the sign of a value that is no number, and writes the others as Rust reads them.
            let same = found.value.to_bits() == value.parse::<f64>().unwrap().to_bits()
                || found.value.is_nan() && value == "NaN";
            // Prometheus takes blanks before a name for a part of it. A label without a value is none.
            assert!(same && unescaped(found.name()) == name.trim_start_matches([' ', '\t']), "{text:?}: {found:?}");
            let empty = found.series().matches("=\"\"").count();
            assert_eq!(found.series().matches("=\"").count() - empty, labels, "{text:?}: {found:?}");
        }
        for text in recorded.refused {
            assert_eq!(lines(text.as_bytes(), format), None, "{name} takes {text:?}");
        }
    }
}

#[test]
fn what_is_no_utf_8_is_refused_but_in_comments() {
    for refused in
        [&b"a{b=\"\xff\"} 1"[..], b"{\"\xff\"} 1", b"a{\"b\xff\"=\"c\"} 1", b"# HELP a \xff", b"a \xff", b"\xff 1"]
    {
        assert_eq!(lines(refused, Format::Text), None, "{refused:?}");
        assert_eq!(lines(refused, Format::OpenMetrics), None, "{refused:?}");
    }
    assert_eq!(lines(b"# \xff", Format::Text), Some(vec![Line::Nothing]));
}

#[test]
fn what_is_read_is_written_in_one_way() {
    let written = |text: &str| match lines(text.as_bytes(), Format::Text).unwrap().remove(0) {
        Line::Sample(sample) => (sample.line().to_owned(), sample.plain),
        other => panic!("{other:?}"),
    };
    for (text, line, plain) in [
        ("  a { b = \"c\" , } \t 1  5 ", "a{b=\"c\"} 1 5", true),
        ("a{}1", "a 1", true),
        ("a-1", "a -1", true),
        ("{\"a\",\"b\"=\"c\"} 1", "a{b=\"c\"} 1", true),
        ("{\"a.b\"} NaN", "{\"a.b\"} NaN", false),
        ("{b=\"c\",\"a.b\"} 1", "{\"a.b\",b=\"c\"} 1", false),
        ("a{\"b.c\"=\"d\" e=\"f\"} 1", "a{\"b.c\"=\"d\",e=\"f\"} 1", false),
        ("a{b=\"\\x\\\\\\n\\\"\n\"} 1", "a{b=\"\\\\x\\\\\\n\\\"\\n\"} 1", true),
        ("a{b=\"\",b=\"c\",d=\"\"} 1", "a{d=\"\"} 1", true),
    ] {
        assert_eq!(written(text), (line.to_owned(), plain), "{text:?}");
    }
}
