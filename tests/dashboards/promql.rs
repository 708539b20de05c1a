//! What a PromQL expression names: metrics with their selectors, and labels. No parser of the
//! language; whether it is PromQL at all, Prometheus says in the live test.

use std::fmt;

/// Something that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// A metric, with what stands in its braces.
    Metric { name: String, selector: String },
    /// A label that is selected, matched or grouped by.
    Label(String),
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric { name, .. } | Self::Label(name) => out.write_str(name),
        }
    }
}

/// Words that are neither metrics nor functions.
const WORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];
/// Words before a list of labels.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Everything that an expression names, in order.
pub(super) fn names(expr: &str) -> Vec<Name> {
    let mut names = Vec::new();
    let mut rest = expr.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '[' {
            rest = after(rest, ']').1;
        } else if first == '"' {
            rest = after(&rest[1..], '"').1;
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = behind.trim_start();
            if BEFORE_LABELS.contains(&word) && rest.starts_with('(') {
                let (list, behind) = after(&rest[1..], ')');
                let labels = list.split(',').map(str::trim).filter(|label| !label.is_empty());
                names.extend(labels.map(|label| Name::Label(label.to_owned())));
                rest = behind;
            } else if !WORDS.contains(&word) && !is_call(rest) {
                let (selector, behind) = match rest.strip_prefix('{') {
                    Some(inside) => after(inside, '}'),
                    None => ("", rest),
                };
                let (name, selector) = (word.to_owned(), selector.to_owned());
                let labels = matched(&selector);
                names.push(Name::Metric { name, selector });
                names.extend(labels.into_iter().map(Name::Label));
                rest = behind;
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
        rest = rest.trim_start();
    }
    names
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// `f(` and `sum by (…) (`, but not `metric (`, which PromQL does not know.
fn is_call(rest: &str) -> bool {
    rest.starts_with('(') || ["by", "without"].iter().any(|word| rest.starts_with(word))
}

/// What stands before a closing mark, and what behind it.
fn after(text: &str, close: char) -> (&str, &str) {
    text.split_once(close).unwrap_or((text, ""))
}

/// Labels of a selector: `a="1", b=~"2"`.
fn matched(selector: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut rest = selector;
    while let Some(at) = rest.find(['=', '!']) {
        labels.push(rest[..at].trim_matches([',', ' ']).to_owned());
        let value = rest[at..].split_once('"').map_or("", |(_, value)| value);
        rest = after(value, '"').1;
    }
    labels
}

#[test]
fn names_are_found_wherever_they_stand() {
    let expr = "sum by (le, job) (rate(a_total{x=\"b, d=1\"}[5s])) / on (y) (2.5e3 * b:c > bool 1) \
                or topk(3, d_1 offset 5m) unless histogram_quantile(0.5, e)";
    let found: Vec<_> = names(expr).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["le", "job", "a_total", "x", "y", "b:c", "d_1", "e"]);
    let Name::Metric { selector, .. } = &names(expr)[2] else { panic!("{expr}") };
    assert_eq!(selector, "x=\"b, d=1\"");
    assert_eq!(matched("a=\"1\", b!~\"2=\", c=~\"$d\""), ["a", "b", "c"]);
}
