//! Whether Prometheus takes a text as a template: labels and annotations of alerts are templates of Go. It refuses all rules of
//! a model for one that it cannot read, so what is not certain to be read is refused here.

/// What Prometheus' and Go's templates have had for years, beside variables and fields.
const FUNCTIONS: [&str; 49] = [
    "and",
    "args",
    "call",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlquery",
    "value",
    "eq",
    "true",
    "false",
];
/// Those that Prometheus sets, and Go's own for what the template is about.
const VARIABLES: [&str; 5] = ["", "labels", "externalLabels", "externalURL", "value"];

/// # Errors
/// A sentence that says what Prometheus would not read.
pub(super) fn check(text: &str) -> Result<(), String> {
    let (mut rest, mut open) = (text, Vec::new());
    let mut variables: Vec<String> = VARIABLES.map(str::to_owned).to_vec();
    while let Some((_, after)) = rest.split_once("{{") {
        let (words, after) = action(after)?;
        block(&words, &mut open, &mut variables)?;
        rest = after;
    }
    match open.is_empty() {
        true => Ok(()),
        false => Err("has an if, with or range without {{ end }}".into()),
    }
}

#[derive(Debug, PartialEq)]
enum Word<'a> {
    Name(&'a str),
    /// With what is selected of it left out: `$labels.pod` is `labels`.
    Variable(&'a str),
    /// A field, text or number.
    Value,
    Pipe,
    Open,
    Close,
    Declare,
    Comma,
}

/// The words up to `}}`, and what comes after it.
fn action(text: &str) -> Result<(Vec<Word<'_>>, &str), String> {
    let mut rest = text.strip_prefix("- ").unwrap_or(text);
    let mut words = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(after) = rest.strip_prefix("}}").or_else(|| rest.strip_prefix("-}}")) {
            return Ok((words, after));
        }
        let word;
        (word, rest) = next(rest)?;
        words.push(word);
    }
}

fn next(text: &str) -> Result<(Word<'_>, &str), String> {
    if let Some(rest) = text.strip_prefix(')') {
        return fields(rest).map(|rest| (Word::Close, rest));
    }
    for (sign, word) in [(":=", Word::Declare), ("|", Word::Pipe), ("(", Word::Open), (",", Word::Comma)] {
        if let Some(rest) = text.strip_prefix(sign) {
            return Ok((word, rest));
        }
    }
    let first = text.chars().next().ok_or("has {{ without }}")?;
    match first {
        '"' => quoted(text.get(1..).unwrap_or_default()).map(|rest| (Word::Value, rest)),
        '`' => {
            let inside = text.get(1..).unwrap_or_default();
            let (_, rest) = inside.split_once('`').ok_or("has a ` that is not closed")?;
            ended(rest).map(|rest| (Word::Value, rest))
        }
        '$' => {
            let (name, rest) = name(text.get(1..).unwrap_or_default());
            fields(rest).map(|rest| (Word::Variable(name), rest))
        }
        '.' => match text.get(1..) {
            Some(rest) if ends(rest) => Ok((Word::Value, rest)),
            _ => fields(text).map(|rest| (Word::Value, rest)),
        },
        '0'..='9' => {
            let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
            let rest = match rest.strip_prefix('.') {
                Some(more) if more.starts_with(|c: char| c.is_ascii_digit()) => {
                    more.trim_start_matches(|c: char| c.is_ascii_digit())
                }
                _ => rest,
            };
            ended(rest).map(|rest| (Word::Value, rest))
        }
        c if c.is_ascii_alphabetic() || c == '_' => {
            let (name, rest) = name(text);
            ended(rest).map(|rest| (Word::Name(name), rest))
        }
        c => Err(format!("has '{c}' within {{{{ }}}}, where it means nothing")),
    }
}

/// Whether a word may end here.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t', '|', ')', ',', ':', '}'])
}

fn ended(rest: &str) -> Result<&str, String> {
    if ends(rest) {
        Ok(rest)
    } else {
        Err(format!("cannot be read at '{}'", rest.chars().take(20).collect::<String>()))
    }
}

fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// `.Labels.pod`, or nothing.
fn fields(mut rest: &str) -> Result<&str, String> {
    while let Some(field) = rest.strip_prefix('.') {
        let (name, after) = name(field);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("has a '.' that no field follows".into());
        }
        rest = after;
    }
    ended(rest)
}

/// After the closing quote. Only the escapes that everybody uses.
fn quoted(text: &str) -> Result<&str, String> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return ended(text.get(at + 1..).unwrap_or_default()),
            '\n' => break,
            '\\' if !chars.next().is_some_and(|(_, c)| matches!(c, 'n' | 't' | '"' | '\\')) => {
                return Err("has an escape other than \\n, \\t, \\\" and \\\\".into());
            }
            _ => {}
        }
    }
    Err("has a \" that is not closed".into())
}

/// What an action does to the blocks that are open, and to the variables there are. A block holds how many variables there
/// were before it, and whether it had its else.
fn block(words: &[Word], open: &mut Vec<(usize, bool)>, variables: &mut Vec<String>) -> Result<(), String> {
    match words {
        [Word::Name("end")] => {
            let (known, _) = open.pop().ok_or("has an {{ end }} too many")?;
            variables.truncate(known);
            Ok(())
        }
        [Word::Name("else")] => match open.last_mut() {
            Some((_, had)) if !*had => {
                *had = true;
                Ok(())
            }
            _ => Err("has an {{ else }} that belongs to nothing".into()),
        },
        // It takes the place of the block that it continues, with the same end.
        [Word::Name("else"), Word::Name("if"), rest @ ..] => match open.last() {
            Some((_, false)) => pipeline(rest, variables),
            _ => Err("has an {{ else if }} that belongs to nothing".into()),
        },
        [Word::Name("if" | "with" | "range"), rest @ ..] => {
            open.push((variables.len(), false));
            assigned(rest, variables)
        }
        words => assigned(words, variables),
    }
}

/// A pipeline, perhaps kept in variables.
fn assigned(words: &[Word], variables: &mut Vec<String>) -> Result<(), String> {
    let (new, rest) = match words {
        [Word::Variable(one), Word::Declare, rest @ ..] => (vec![*one], rest),
        [Word::Variable(one), Word::Comma, Word::Variable(two), Word::Declare, rest @ ..] => (vec![*one, *two], rest),
        rest => (vec![], rest),
    };
    pipeline(rest, variables)?;
    variables.extend(new.into_iter().map(str::to_owned));
    Ok(())
}

fn pipeline(words: &[Word], variables: &[String]) -> Result<(), String> {
    // What began each pipeline that is open, and whether a command has begun in it, and whether it is not the first.
    let mut open = vec![(false, false)];
    for word in words {
        let Some((begun, later)) = open.last_mut() else { return Err("has a ) too many".into()) };
        match word {
            Word::Pipe if *begun => (*begun, *later) = (false, true),
            Word::Name(name) if FUNCTIONS.contains(name) => {
                if matches!(*name, "true" | "false") && *later && !*begun {
                    return Err(format!("pipes something into {name}"));
                }
                *begun = true;
            }
            Word::Name(name) => return Err(format!("asks for {name}, which Prometheus' templates do not have")),
            // Only a function can take what is piped into it.
            Word::Variable(_) | Word::Value | Word::Open if *later && !*begun => {
                return Err("pipes something into what is no function".into());
            }
            Word::Variable(name) if !variables.iter().any(|known| known == name) => {
                return Err(format!("asks for ${name}, which is not there"));
            }
            Word::Variable(_) | Word::Value => *begun = true,
            Word::Open => {
                *begun = true;
                open.push((false, false));
            }
            Word::Close if *begun && open.len() > 1 => drop(open.pop()),
            Word::Pipe | Word::Close | Word::Declare | Word::Comma => return Err("cannot be read within {{ }}".into()),
        }
    }
    match open.as_slice() {
        [(true, _)] => Ok(()),
        [_] => Err("has {{ }} with nothing in it, or behind a |".into()),
        _ => Err("has a ( that is not closed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_taken() {
        for text in [
            "plain } text",
            "{{ $value | humanizePercentage }} of {{ $labels.pod }}",
            "{{- if gt $value 0.5 -}} much {{- else -}} little {{- end }}",
            "{{ range query \"up == 0\" }}{{ .Labels.instance }} {{ .Value }}{{ end }}",
            "{{ with query \"x\" }}{{ . | first | value }}{{ end }}",
            "{{ range $i, $s := query `x{a=\"b\"}` }}{{ $i }} {{ $s.Value }}{{ end }}",
            "{{ $x := printf \"%.2f\" $value }}{{ $x }}",
            "{{ (index (query \"x\") 0).Value }}",
            "{{ if $value }}a{{ else if eq $value 2.0 }}b{{ else }}c{{ end }}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_prometheus_cannot_read_is_refused_with_a_reason() {
        for (text, words) in [
            ("{{ $value", "without }}"),
            ("{{ }}", "nothing in it"),
            ("{{ $value | }}", "behind a |"),
            ("{{ $vale }}", "$vale"),
            ("{{ humanise $value }}", "humanise"),
            ("{{ if $value }}x", "without {{ end }}"),
            ("{{ end }}", "too many"),
            ("{{ else }}", "belongs to nothing"),
            ("{{ if true }}{{ else }}{{ else if true }}{{ end }}", "belongs to nothing"),
            ("{{ \"x }}", "not closed"),
            ("{{ `a`humanize }}", "cannot be read"),
            ("{{ $value | 3 }}", "no function"),
            ("{{ (len $value }}", "not closed"),
            ("{{ .Labels..pod }}", "no field follows"),
            ("{{ $value + 1 }}", "'+'"),
            ("{{ \"\\q\" }}", "escape"),
            ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "$x"),
        ] {
            let fault = check(text).expect_err(text);
            assert!(fault.contains(words), "{text}: {fault}");
        }
    }
}
