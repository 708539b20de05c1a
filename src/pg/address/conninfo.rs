//! Connection texts as libpq reads them: a URL, or key=value pairs. Says what is wrong with one
//! without repeating any of it, since a password may be anywhere in it.

/// A key and its value, in the order of the text.
pub(super) type Pair = (String, String);

/// Reads a text of either form.
///
/// Blanks, line ends and a byte order mark around it are no part of it: a secret that a file was
/// made into mostly ends in a line end, which nobody sees.
pub(super) fn parse(text: &str) -> Result<Vec<Pair>, String> {
    let around = [' ', '\t', '\r', '\n', '\u{feff}'];
    let url = ["postgresql://", "postgres://"];
    let bare = text.trim_matches(around);
    match url.iter().find_map(|scheme| bare.strip_prefix(scheme)) {
        Some(rest) => parse_url(rest),
        // Here a blank at the end may be an escaped one, and part of a value.
        None => parse_pairs(text.trim_start_matches(around)),
    }
}

/// `user:password@host:port,host:port/database?key=value&…`, without the scheme.
fn parse_url(rest: &str) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    let mut put = |key: &str, value: String| pairs.push((key.to_owned(), value));
    // As libpq: user and password end at the first `@`, unless a `/` comes first.
    let (login, rest) = match rest.find(['@', '/']) {
        Some(at) if rest[at..].starts_with('@') => (Some(&rest[..at]), &rest[at + 1..]),
        _ => (None, rest),
    };
    if let Some(login) = login {
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        put("user", decode(user)?);
        if let Some(password) = password {
            put("password", decode(password)?);
        }
    }
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (hosts, database) = match rest.split_once('/') {
        Some((hosts, database)) => (hosts, Some(database)),
        None => (rest, None),
    };
    if rest.contains('@') {
        return Err("an `@` is where none can be; in user, password and database write @ as %40, \
                    / as %2F and % as %25"
            .to_owned());
    }
    let hosts = hosts.split(',').map(split_port).collect::<Result<Vec<_>, _>>()?;
    if hosts.iter().any(|(host, _)| !host.is_empty()) {
        put("host", hosts.iter().map(|(host, _)| &**host).collect::<Vec<_>>().join(","));
    }
    if hosts.iter().any(|(_, port)| !port.is_empty()) {
        put("port", hosts.iter().map(|(_, port)| &**port).collect::<Vec<_>>().join(","));
    }
    if let Some(database) = database {
        put("dbname", decode(database)?);
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = match pair.split_once('=') {
            Some((_, value)) if value.contains('=') => {
                return Err("a query parameter has two `=`; write one of them as %3D".to_owned());
            }
            Some((key, value)) => (decode(key)?, decode(value)?),
            None => return Err("a query parameter has no `=`".to_owned()),
        };
        match (&*key, &*value) {
            // What JDBC calls it.
            ("ssl", "true") => put("sslmode", "require".to_owned()),
            _ => put(&key, value),
        }
    }
    Ok(pairs)
}

/// `host:port`, either of them empty; an IPv6 address stands in brackets.
fn split_port(host: &str) -> Result<(String, String), String> {
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("a `[` has no `]`")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, port),
                None if rest.is_empty() => (host, ""),
                None => return Err("only a :port can follow `]`".to_owned()),
            }
        }
        None => host.split_once(':').unwrap_or((host, "")),
    };
    Ok((decode(host)?, decode(port)?))
}

/// Resolves `%40` and the like.
fn decode(text: &str) -> Result<String, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(0), Some(0)) => return Err("%00 stands for no character".to_owned()),
            (Some(high), Some(low)) => decoded.push((high * 16 + low) as u8),
            _ => {
                return Err("a `%` is not followed by two hexadecimal digits; write % itself as \
                            %25"
                .to_owned());
            }
        }
    }
    String::from_utf8(decoded).map_err(|_| "its %-codes are not UTF-8".to_owned())
}

/// `key = value key='value with spaces'`; a backslash takes the next character as it is.
fn parse_pairs(text: &str) -> Result<Vec<Pair>, String> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let key = &rest[..end];
        let Some(value) = rest[end..].trim_start().strip_prefix('=') else {
            return Err(match pairs.last() {
                None => "it has no `=`, and does not open with postgresql://".to_owned(),
                Some((before, _)) => format!(
                    "what follows the value of `{before}` has no `=`; put a value with spaces in \
                     single quotes"
                ),
            });
        };
        if !super::setting::is_known(key) {
            // A password with a space goes on as what looks like a key, and a damaged URL is one: of what is no
            // slip of the keyboard nothing is said.
            let after_password = pairs.iter().any(|(key, _)| key.contains("password"));
            let meant = super::setting::nearest(key).filter(|_| !after_password);
            return Err(match meant {
                Some(meant) => format!("`{key}` is not a key that libpq knows: `{meant}`?"),
                None => "a key is none that libpq knows; put a value with spaces in single quotes"
                    .to_owned(),
            });
        }
        let (value, after) = parse_value(value.trim_start())
            .ok_or_else(|| format!("the value of `{key}` has no closing quote"))?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// The value that `text` opens with, and what follows it; `None` where a quote is not closed.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        match parse(text) {
            Ok(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| format!("{key}=<{value}>"));
                pairs.collect::<Vec<_>>().join(" ")
            }
            Err(fact) => format!("error: {fact}"),
        }
    }

    #[test]
    fn urls() {
        for (text, pairs) in [
            ("postgresql://", ""),
            ("postgres://h", "host=<h>"),
            ("postgresql://h:1/d", "host=<h> port=<1> dbname=<d>"),
            ("postgresql://u@h", "user=<u> host=<h>"),
            ("postgresql://u:p:q%40%2F%25@h", "user=<u> password=<p:q@/%> host=<h>"),
            ("postgresql://u:p?x@h", "user=<u> password=<p?x> host=<h>"),
            ("postgresql://a:1,b,[::1]:3/d", "host=<a,b,::1> port=<1,,3> dbname=<d>"),
            ("postgresql://%2Fvar%2Frun:5/d", "host=</var/run> port=<5> dbname=<d>"),
            (
                "postgresql:///d?host=/s&sslmode=verify-full",
                "dbname=<d> host=</s> sslmode=<verify-full>",
            ),
            ("postgresql://h?ssl=true", "host=<h> sslmode=<require>"),
            ("postgresql://h?options=-c%20a%3Db", "host=<h> options=<-c a=b>"),
            ("postgresql://u@h/d\r", "user=<u> host=<h> dbname=<d>"),
            (" \t\u{feff}postgresql://u@h/d\r\n", "user=<u> host=<h> dbname=<d>"),
            (
                "postgresql://u@h/d?sslmode=require \n",
                "user=<u> host=<h> dbname=<d> sslmode=<require>",
            ),
            ("postgresql://u@h/d%20", "user=<u> host=<h> dbname=<d >"),
            ("postgresql://h?service", "error: a query parameter has no `=`"),
        ] {
            assert_eq!(read(text), pairs, "{text}");
        }
        for text in ["postgresql://u:p@q@h/d", "postgresql://u:p/q@h/d", "postgresql://u:5%@h"] {
            let said = read(text);
            assert!(said.starts_with("error: ") && said.contains("%25"), "{text}: {said}");
        }
    }

    #[test]
    fn pairs() {
        for (text, pairs) in [
            ("", ""),
            ("host=h port = 5", "host=<h> port=<5>"),
            ("\u{feff}\r\nhost=h port=5\r\n", "host=<h> port=<5>"),
            (r"password=a\ ", "password=<a >"),
            (r"password='it\'s \\ ' user=u", r"password=<it's \ > user=<u>"),
            (r"password=a\ b user=", "password=<a b> user=<>"),
            ("host='h", "error: the value of `host` has no closing quote"),
            ("sslmod=require", "error: `sslmod` is not a key that libpq knows: `sslmode`?"),
            (
                "postgressecretsslmode=x",
                "error: a key is none that libpq knows; put a value with spaces in single quotes",
            ),
        ] {
            assert_eq!(read(text), pairs, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        for text in [
            "password=my hunter2 host=h",
            "password=my hunter2=x",
            "mysql://ann:hunter2@h/d",
            "mysql://ann:hunter2=@h/d",
            "hunter2",
            "postgresql://u:p@hunter2@h",
            "postgresql://u:p/hunter2@h",
            "postgresql://u:hunter2%@h",
        ] {
            let said = read(text);
            assert!(said.starts_with("error: ") && !said.contains("hunter2"), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_quoting(value in any::<String>()) {
            let quoted = value.replace('\\', r"\\").replace('\'', r"\'");
            let pairs = parse(&format!(" password = '{quoted}' host=h")).unwrap();
            prop_assert_eq!(&pairs[0].1, &value);
            prop_assert_eq!(&pairs[1].1, "h");
        }

        #[test]
        fn any_value_survives_percent_encoding(value in "[^\0]*") {
            use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
            let encoded = utf8_percent_encode(&value, NON_ALPHANUMERIC);
            let pairs = parse(&format!("postgresql://u:{encoded}@h/{encoded}")).unwrap();
            prop_assert_eq!(&pairs[1].1, &value);
            prop_assert_eq!(&pairs[3].1, &value);
        }

        #[test]
        fn no_text_is_too_much(text in any::<String>(), rest in "[a-z=@:/?&%'\\\\ \\[\\],]*") {
            let _ = parse(&text);
            let _ = parse(&rest);
            let _ = parse(&format!("postgresql://{rest}"));
        }
    }
}
