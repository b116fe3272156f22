use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

/// What is written of a page that is right.
fn written(page: &str, format: Format) -> String {
    let read = parse(page.as_bytes(), format);
    assert_eq!((read.wrong, read.first_wrong), (0, None), "{page}");
    let mut to = String::new();
    write(&read.families, true, &mut to);
    to
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
    assert_eq!(written(page, Format::Text), page);
}

#[test]
fn families_that_are_torn_apart_come_together() {
    let page = "# TYPE a counter\na{x=\"1\"} 1\n# TYPE h histogram\nh_count 1\na{x=\"2\"} 2\n\
        other 1\nh_sum 5\n# a comment\n\n";
    let expected = "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n# TYPE h histogram\nh_count 1\nh_sum 5\n\
        # TYPE other untyped\nother 1\n";
    assert_eq!(written(page, Format::Text), expected);
}

#[test]
fn openmetrics_becomes_the_older_format() {
    let page = "\
# TYPE requests counter
# UNIT took_seconds seconds
# HELP requests What came.
requests_total{a=\"b # c\"} 5.0 1700000000.123 # {trace=\"1\"} 0.5 1700000000
# TYPE build info
build_info{v=\"1\"} 1
# TYPE odd unknown
odd 4
# EOF
";
    let expected = "\
# HELP requests_total What came.
# TYPE requests_total counter
requests_total{a=\"b # c\"} 5.0
# TYPE build_info untyped
build_info{v=\"1\"} 1
# TYPE odd untyped
odd 4
";
    assert_eq!(written(page, Format::OpenMetrics), expected);
}

#[test]
fn wrong_lines_are_left_out_and_the_first_is_named() {
    let page = "a 1\n\nb{c=\"d\ne\"} 2\nf -nan\n<html>\nf{g=\"h} 3\nf{g=\"i\"} 4";
    let Read { families, wrong, first_wrong } = parse(page.as_bytes(), Format::Text);
    assert_eq!((wrong, first_wrong), (3, Some(5)), "the value of a label has a line break");
    let mut to = String::new();
    write(&families, true, &mut to);
    assert_eq!(to, "# TYPE a untyped\na 1\n# TYPE b untyped\nb{c=\"d\\ne\"} 2\n# TYPE f untyped\nf{g=\"i\"} 4\n");
}

#[test]
fn the_last_type_and_help_count_as_long_as_the_samples_fit() {
    let page = "# HELP a x\n# TYPE a gauge\na 1\n# TYPE a counter\n# HELP a y\n\
        # TYPE h histogram\nh_count 1\n# TYPE h gauge\n";
    let expected = "# HELP a y\n# TYPE a counter\na 1\n# TYPE h histogram\nh_count 1\n";
    assert_eq!(written(page, Format::Text), expected);
}

#[test]
fn names_in_quotes_are_for_those_who_can_read_them() {
    let page = "# TYPE \"a.b\" gauge\n# HELP \"a.b\" c\n{\"a.b\"} 1\nd{\"e.f\"=\"g\"} 2\nd 3\n";
    let all = "# HELP \"a.b\" c\n# TYPE \"a.b\" gauge\n{\"a.b\"} 1\n# TYPE d untyped\nd{\"e.f\"=\"g\"} 2\nd 3\n";
    assert_eq!(written(page, Format::Text), all);
    let mut plain = String::new();
    write(&parse(page.as_bytes(), Format::Text).families, false, &mut plain);
    assert_eq!(plain, "# TYPE d untyped\nd 3\n");
}

#[test]
fn an_openmetrics_page_without_its_end_or_with_more_is_wrong_there_alone() {
    for (page, line) in [("a 1\n", 2), ("a 1\n# EOF\nb 1\n", 3), ("a 1\n# EOF\n\n", 3), ("a 1", 1)] {
        let Read { families, wrong, first_wrong } = parse(page.as_bytes(), Format::OpenMetrics);
        assert_eq!((families.len(), wrong, first_wrong), (1, 1, Some(line)), "{page:?}");
    }
}

#[test]
fn an_empty_page_has_nothing() {
    for page in ["", "# EOF\n", "# TYPE a gauge\n# HELP a b\n"] {
        assert_eq!(written(page, Format::Text), "");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_it(page in ".{0,80}(\n[a#{]{1,3}.{0,40}){0,4}", openmetrics: bool) {
        drop(parse(page.as_bytes(), if openmetrics { Format::OpenMetrics } else { Format::Text }));
    }

    #[test]
    fn what_it_writes_it_reads_the_same(page in "([ab]_?(sum|total)?(\\{a=\"[ -!#-Z]{0,4}\"\\})? [0-9]{1,3}\n){0,8}") {
        let once = written(&page, Format::Text);
        prop_assert_eq!(written(&once, Format::Text), once);
    }
}
