//! Just enough of SQL's lexical rules to tell one statement from several, and to find
//! placeholders.

/// What stands outside comments, literals and quoted identifiers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape<'a> {
    /// No statement at all.
    Empty,
    /// One statement, perhaps with its semicolon.
    One {
        /// Names in braces other than `{table}`.
        unknown_placeholders: Vec<&'a str>,
    },
    /// Another statement follows the semicolon.
    Several,
    /// A literal, quoted name or comment is not closed.
    Unclosed,
}

/// The shape of `sql`.
pub(crate) fn shape(sql: &str) -> Shape<'_> {
    let mut unknown_placeholders = Vec::new();
    let (mut seen, mut ended) = (false, false);
    let mut rest = sql;
    let mut before = "";
    while let Some(first) = rest.chars().next() {
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if !is_comment && !first.is_whitespace() && first != ';' {
            if ended {
                return Shape::Several;
            }
            seen = true;
        }
        if first == ';' {
            ended = seen;
        }
        if let Some(name) = placeholder(rest)
            && name != "table"
        {
            unknown_placeholders.push(name);
        }
        let Some(length) = token(rest, before) else { return Shape::Unclosed };
        (before, rest) = rest.split_at(length);
    }
    if seen { Shape::One { unknown_placeholders } } else { Shape::Empty }
}

/// One of several statements of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// Its text, without the semicolon behind it, and without comments before it.
    pub(crate) sql: &'a str,
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
}

/// The statements of a text in which all is closed.
pub(crate) fn split(sql: &str) -> Vec<Part<'_>> {
    let (mut parts, mut at) = (Vec::new(), 0);
    loop {
        at += blank(&sql[at..]);
        let rest = &sql[at..];
        if rest.is_empty() {
            return parts;
        }
        let length = statement(rest).unwrap_or(rest.len());
        if length > 0 {
            let line = sql[..at].matches('\n').count() + 1;
            parts.push(Part { sql: rest[..length].trim_end(), line });
        }
        at += length + usize::from(rest[length..].starts_with(';'));
    }
}

/// Bytes of the blanks and comments at the start of a text.
pub(crate) fn blank(text: &str) -> usize {
    let mut rest = text;
    while let Some(length) = token(rest, "") {
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if !is_comment && !rest.starts_with(char::is_whitespace) {
            break;
        }
        rest = &rest[length..];
    }
    text.len() - rest.len()
}

/// Bytes of the statement at the start of a text: up to its semicolon, or to the end. `None` if a literal,
/// quoted name or comment in it is not closed.
pub(crate) fn statement(text: &str) -> Option<usize> {
    let (mut rest, mut before) = (text, "");
    while !rest.is_empty() && !rest.starts_with(';') {
        (before, rest) = rest.split_at(token(rest, before)?);
    }
    Some(text.len() - rest.len())
}

/// Where in a statement a backslash stands outside of literals, quoted names and comments. SQL has no use for one.
pub(crate) fn backslash(text: &str) -> Option<usize> {
    let (mut rest, mut before) = (text, "");
    while !rest.is_empty() && !rest.starts_with('\\') {
        (before, rest) = rest.split_at(token(rest, before)?);
    }
    (!rest.is_empty()).then_some(text.len() - rest.len())
}

/// The first word of a statement; none if it begins with something else.
pub(crate) fn first_word(sql: &str) -> &str {
    let first = tokens(sql).into_iter().next().unwrap_or_default();
    if first.starts_with(is_word) { first } else { "" }
}

/// `sql` with blanks for comments and empty quotes for literals: what is left is keywords, names
/// and operators.
pub fn bare_sql(sql: &str) -> String {
    let mut bare = String::with_capacity(sql.len());
    let mut rest = sql;
    let mut before = "";
    while let Some(first) = rest.chars().next() {
        let (text, left) = rest.split_at(token(rest, before).unwrap_or(rest.len()));
        let is_comment = text.starts_with("--") || text.starts_with("/*");
        match first {
            _ if is_comment => bare.push(' '),
            '\'' => bare.push_str("''"),
            '$' if text.len() > 1 && text.ends_with('$') => bare.push_str("''"),
            _ => bare.push_str(text),
        }
        (before, rest) = (text, left);
    }
    bare
}

/// The tokens of `sql`, without blanks and comments: words, names in their quotes, whole literals, and
/// single characters. What is not closed is left out with all behind it.
pub(super) fn tokens(sql: &str) -> Vec<&str> {
    let (mut found, mut rest, mut before) = (Vec::new(), sql, "");
    while let Some(length) = token(rest, before) {
        let (text, left) = rest.split_at(length);
        let is_comment = text.starts_with("--") || text.starts_with("/*");
        if !is_comment && !text.starts_with(char::is_whitespace) {
            found.push(text);
        }
        (before, rest) = (text, left);
    }
    found
}

/// A `:name` outside comments, literals, quoted names and casts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placeholder<'a> {
    /// Byte of its colon.
    pub(super) at: usize,
    /// The name.
    pub(super) name: &'a str,
    /// Whether it stands in square brackets, where it may be the end of a slice.
    pub(super) in_brackets: bool,
}

/// What in `sql` may be parameters.
pub(super) fn placeholders(sql: &str) -> Vec<Placeholder<'_>> {
    let (mut found, mut rest, mut before, mut brackets) = (Vec::new(), sql, "", 0_usize);
    while let Some(length) = token(rest, before) {
        let (text, left) = rest.split_at(length);
        match text {
            "[" => brackets += 1,
            "]" => brackets = brackets.saturating_sub(1),
            // A cast has two colons.
            ":" if before != ":" => {
                let name = &left[..left.find(|c| !is_word(c)).unwrap_or(left.len())];
                if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    let at = sql.len() - rest.len();
                    found.push(Placeholder { at, name, in_brackets: brackets > 0 });
                }
            }
            _ => {}
        }
        (before, rest) = (text, left);
    }
    found
}

/// The names of what may be parameters in a statement, as often as they stand there.
pub(crate) fn parameter_names(sql: &str) -> Vec<&str> {
    placeholders(sql).into_iter().map(|own| own.name).collect()
}

/// A statement with other names of what may be parameters in it.
pub(crate) fn rename_parameters<'a>(sql: &'a str, name: impl Fn(&'a str) -> &'a str) -> String {
    let (mut renamed, mut end) = (String::with_capacity(sql.len()), 0);
    for own in placeholders(sql) {
        let begins = own.at + 1;
        renamed.push_str(&sql[end..begins]);
        renamed.push_str(name(own.name));
        end = begins + own.name.len();
    }
    renamed + &sql[end..]
}

/// Bytes of the token that opens `text`: a whole comment, literal, quoted identifier or word, or
/// one character. `None` if it does not end. After the word `e`, a literal has escapes.
fn token(text: &str, before: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if first == '\'' {
        return quoted(text, '\'', before.eq_ignore_ascii_case("e"));
    }
    if first == '"' {
        return quoted(text, '"', false);
    }
    if first == '$'
        && let Some(end) = dollar_tag(text)
    {
        let tag = &text[..end];
        return text[end..].find(tag).map(|at| end + at + tag.len());
    }
    // A word in one piece, so that a `$` inside it opens no literal.
    let word = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    Some(word.max(first.len_utf8()))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn quoted(text: &str, quote: char, has_escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if has_escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    chars.next();
                }
                _ => return Some(at + 1),
            }
        }
    }
    None
}

/// Block comments nest.
fn block_comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_u32, 0);
    loop {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}

/// Bytes of `$$` or `$tag$` at the start of `text`.
fn dollar_tag(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('$')?;
    let end = inner.find('$')?;
    let tag = &inner[..end];
    let is_tag = tag.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !tag.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then_some(end + 2)
}

/// The name in braces at the start of `text`.
fn placeholder(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    (!name.is_empty() && name.chars().all(is_word)).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_statement_is_one_whatever_it_quotes() {
        for sql in [
            "select 1",
            "select 1;",
            "select 1; -- done; really\n /* ; /* nested; */ */ ;",
            "-- first; a comment\nselect ';' from \"a;b\"",
            "select $$;$$, $tag$ ; $$ ; $tag$",
            "select E'it\\'s; fine', 'it''s; fine'",
            "select 'back\\', 1",
            "select name'\\', 1",
            "select a$b$c, $1",
            "select count(*) from {table}",
            "select '{\"a\": 1}'::jsonb",
        ] {
            assert_eq!(shape(sql), Shape::One { unknown_placeholders: vec![] }, "{sql}");
        }
    }

    #[test]
    fn several_none_and_unclosed_are_told_apart() {
        assert_eq!(shape("select 1; select 2"), Shape::Several);
        assert_eq!(shape("select 'back\\'; select 2; --'"), Shape::Several);
        for sql in ["", " \n", "-- nothing", "/* nothing */", ";"] {
            assert_eq!(shape(sql), Shape::Empty, "{sql}");
        }
        for sql in ["select 'a", "select \"a", "select /* a", "select $x$ a $y$"] {
            assert_eq!(shape(sql), Shape::Unclosed, "{sql}");
        }
    }

    #[test]
    fn statements_are_split_where_a_semicolon_ends_one() {
        let parts = |sql| split(sql).iter().map(|part| (part.sql, part.line)).collect::<Vec<_>>();
        assert_eq!(
            parts("-- two;\nSELECT ';', $$;$$ -- a;\n;;\n\n UPDATE t /* ; */\nSET a = 1 ;\n-- end"),
            [("SELECT ';', $$;$$ -- a;", 2), ("UPDATE t /* ; */\nSET a = 1", 5)]
        );
        assert_eq!(parts("SELECT 1"), [("SELECT 1", 1)]);
        assert_eq!(parts(" ; -- nothing"), []);
        assert_eq!(first_word("/* a */ Begin;"), "Begin");
        assert_eq!(first_word("(SELECT 1)"), "");
    }

    #[test]
    fn bare_sql_keeps_what_the_planner_acts_on() {
        let sql = "SELECT 'a || b', $x$ date_trunc( $x$, \"a b\" /* over ( */ FROM t -- end";
        assert_eq!(bare_sql(sql).trim_end(), "SELECT '', '', \"a b\"   FROM t");
    }

    #[test]
    fn a_parameter_is_found_where_sql_has_no_other_use_for_a_colon() {
        let names = |sql| placeholders(sql).iter().map(|own| own.name).collect::<Vec<_>>();
        assert_eq!(names("a = :a AND b>:b_2 OR c IN (:a,:c)"), ["a", "b_2", "a", "c"]);
        assert_eq!(names(":a::text || b::c :: d"), ["a"]);
        assert_eq!(
            names("':a' \":b\" $$:c$$ $t$ :d $t$ -- :e\n/* :f /* :g */ */ E'\\':h'"),
            [""; 0]
        );
        assert_eq!(names("f(a := 1, b => :b) arr[1:2] '12:30' x:1"), ["b"]);
        let slice = placeholders("a[1:n] = :b");
        assert_eq!(slice.iter().map(|own| own.in_brackets).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn an_unknown_placeholder_is_found() {
        let shape = shape("select '{x}' from {tabel}");
        assert_eq!(shape, Shape::One { unknown_placeholders: vec!["tabel"] });
    }

    proptest! {
        #[test]
        fn no_text_panics(sql in ".*") {
            let _ = shape(&sql);
            for Part { sql: part, line } in split(&sql) {
                prop_assert!(!part.is_empty() && sql.contains(part) && line <= sql.lines().count());
            }
        }
    }
}
