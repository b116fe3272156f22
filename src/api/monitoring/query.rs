//! Whether Prometheus can read a query that a user writes, and whether it is short enough to be looked at in every turn.

/// Bytes of a query; those of people have some hundred.
pub(in crate::api) const LONGEST: usize = 4096;
/// Levels of brackets and signs: the parser needs stack for each.
const DEEPEST: usize = 64;

/// Looks at length and depth before it is parsed: both cost the parser more than they tell anybody.
///
/// # Errors
/// What is wrong with it, and how to mend it.
pub(super) fn check(expression: &str) -> Result<(), String> {
    const REMEDY: &str = "give a name to a part of it by a rule with record";
    if expression.len() > LONGEST {
        return Err(format!("expr has {} bytes; {LONGEST} are the most: {REMEDY}", expression.len()));
    }
    if levels(expression) > DEEPEST {
        return Err(format!("expr nests deeper than {DEEPEST} levels: {REMEDY}"));
    }
    promql_parser::parser::parse(&without_backquotes(expression))
        .map(drop)
        .map_err(|error| format!("expr cannot be read: {error}"))
}

/// What a query is made of, as far as it matters here.
enum Piece<'a> {
    Code(char),
    /// With its quotes; the second is missing where the query ends before.
    Text(&'a str),
    Comment(&'a str),
}

fn pieces(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = match first {
            '"' | '\'' | '`' => length_of_text(rest, first),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        Some(match first {
            '"' | '\'' | '`' => Piece::Text(piece),
            '#' => Piece::Comment(piece),
            _ => Piece::Code(first),
        })
    })
}

/// To behind the quote that ends it; between backquotes a backslash is one.
fn length_of_text(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => drop(chars.next()),
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// How deep brackets and signs nest.
fn levels(expression: &str) -> usize {
    let (mut open, mut signs, mut deepest) = (0_usize, 0_usize, 0);
    for piece in pieces(expression) {
        match piece {
            Piece::Code('(' | '[' | '{') => open += 1,
            Piece::Code(')' | ']' | '}') => open = open.saturating_sub(1),
            _ => {}
        }
        signs = match piece {
            Piece::Code('+' | '-') => signs + 1,
            Piece::Code(c) if c.is_whitespace() => signs,
            _ => 0,
        };
        deepest = deepest.max(open + signs);
    }
    deepest
}

/// The same query without backquotes. Between them Prometheus takes a backslash as it is, as in ``path=~`/v\d+` ``;
/// `promql-parser` (0.11.1) takes it for the beginning of an escape.
fn without_backquotes(expression: &str) -> String {
    let mut same = String::with_capacity(expression.len());
    for piece in pieces(expression) {
        match piece {
            Piece::Code(c) => same.push(c),
            Piece::Comment(comment) => same.push_str(comment),
            Piece::Text(text) => match text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
                Some(inside) => {
                    same.push('"');
                    same.push_str(&inside.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"));
                    same.push('"');
                }
                None => same.push_str(text),
            },
        }
    }
    same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_between_backquotes_is_no_escape() {
        for expression in [
            r"http_requests_total{path=~`/v\d+`}",
            r"a{b=~`x\)`} > 0",
            r#"a{b="c\\d", e=~`\"f`}"#,
            r"a{b=`c\`}",
            "a{b=`c\nd`}",
            "a # `\\d\n > 0",
        ] {
            assert_eq!(check(expression), Ok(()), "{expression}");
        }
        for expression in [r#"a{b=~"\d"}"#, r"a{b=`c", r"a{b=`c`d`}"] {
            assert!(check(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn all_else_of_a_query_is_left_as_it_is() {
        let same = r#"sum by (b) (rate(a{b=~"c\\.d", e!='f"g'}[5m])) # h `i` "j""#;
        assert_eq!(without_backquotes(same), same);
        assert_eq!(without_backquotes("a{b=`c\"\\`}"), r#"a{b="c\"\\"}"#);
    }
}
