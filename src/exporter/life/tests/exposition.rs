use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn written(page: &str, openmetrics: bool) -> Result<String, Malformed> {
    let mut to = String::new();
    write(&parse(page, openmetrics)?, &mut to);
    Ok(to)
}

#[test]
fn a_page_is_written_as_it_was_read() {
    let page = "\
# HELP a_total What \\\\ it \\n is.
# TYPE a_total counter
a_total{b=\"x\\\"y}, \\\\ \\n\",c=\"\"} 1.5e3
a_total{b=\"é\"} NaN 1700000000000
# TYPE h histogram
h_bucket{le=\"+Inf\"} 3
h_sum 1.25
h_count 3
# HELP s Sizes.
# TYPE s summary
s{quantile=\"0.5\"} +Inf
s_sum -Inf
s_count 0
# TYPE plain untyped
plain -1
";
    assert_eq!(written(page, false).unwrap(), page);
}

#[test]
fn families_that_are_torn_apart_come_together() {
    let page = "# TYPE a counter\na{x=\"1\"} 1\n# TYPE h histogram\nh_count 1\na{x=\"2\"} 2\n\
        other 1\nh_sum 5\n# a comment\n\n";
    let expected = "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n# TYPE h histogram\nh_count 1\nh_sum 5\n\
        # TYPE other untyped\nother 1\n";
    assert_eq!(written(page, false).unwrap(), expected);
}

#[test]
fn blanks_are_put_right() {
    assert_eq!(written("  a { b = \"c\" , } \t 1 ", false).unwrap(), "# TYPE a untyped\na{ b = \"c\" , } 1\n");
    assert_eq!(written("a{} 1", false).unwrap(), "# TYPE a untyped\na{} 1\n");
}

#[test]
fn openmetrics_becomes_the_older_format() {
    let page = "\
# TYPE requests counter
# UNIT requests requests
# HELP requests What came.
requests_total{a=\"b # c\"} 5.0 1700000000.123 # {trace=\"1\"} 0.5 1700000000
# TYPE build info
build_info{v=\"1\"} 1
# TYPE odd unknown
odd 4
# EOF
not a line";
    let expected = "\
# HELP requests_total What came.
# TYPE requests_total counter
requests_total{a=\"b # c\"} 5.0
# TYPE build_info untyped
build_info{v=\"1\"} 1
# TYPE odd untyped
odd 4
";
    assert_eq!(written(page, true).unwrap(), expected);
}

#[test]
fn a_line_that_prometheus_would_refuse_is_malformed() {
    for line in [
        "<html>",
        "a",
        "a ",
        "a b",
        "1a 1",
        "a 1 2 3",
        "a 1 x",
        "a 1 1.5",
        "a{b=\"c\" 1",
        "a{b=c} 1",
        "a{b=\"c} 1",
        "a{b=\"\\x\"} 1",
        "a{1=\"c\"} 1",
        "a{b:c=\"c\"} 1",
        "a{b=\"c\"d=\"e\"} 1",
        "a{,} 1",
        "a{b=\"c\"}} 1",
        "a-b 1",
        "{a=\"b\"} 1",
        "a 1,5",
        "a 0x10",
        "# TYPE a number",
        "# TYPE a-b gauge",
        "# TYPE",
        "# HELP",
        "a 1\r2",
    ] {
        let page = format!("good 1\n{line}\n");
        assert_eq!(parse(&page, false), Err(Malformed(2)), "{line}");
    }
    assert_eq!(parse("a 1\n# TYPE a gauge\n", false), Err(Malformed(2)), "a type after its samples");
}

#[test]
fn an_empty_page_has_nothing() {
    assert_eq!(parse("", false), Ok(vec![]));
    assert_eq!(parse("# EOF\n", false), Ok(vec![]));
    assert_eq!(parse("# TYPE a gauge\n# HELP a b\n", false), Ok(vec![]));
}

proptest! {
    #[test]
    fn no_text_breaks_it(page in ".{0,80}(\n[a#{]{1,3}.{0,40}){0,4}", openmetrics: bool) {
        drop(parse(&page, openmetrics));
    }

    #[test]
    fn what_it_writes_it_reads_the_same(page in "([ab]_?(sum|total)?(\\{a=\"[ -!#-Z]{0,4}\"\\})? [0-9]{1,3}\n){0,8}") {
        let once = written(&page, false).unwrap();
        prop_assert_eq!(written(&once, false).unwrap(), once);
    }
}
