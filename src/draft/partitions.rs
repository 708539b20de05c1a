//! The values that partitions are listed for, read from what SQL says of them.

/// What stands before them.
const LIST: &str = "FOR VALUES IN (";

/// Every value of these bounds, as text. What is no list of values has none, nor has NULL.
pub(super) fn listed(bounds: &[String]) -> Vec<String> {
    bounds.iter().filter_map(|bound| bound.strip_prefix(LIST)).flat_map(values).collect()
}

/// The values of a list behind its parenthesis.
fn values(list: &str) -> Vec<String> {
    let (mut all, mut own, mut is_quoted) = (Vec::new(), String::new(), false);
    // Whether it stood in quotes, so that even an empty text is a value.
    let mut is_text = false;
    let mut chars = list.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' if is_quoted && chars.next_if_eq(&'\'').is_some() => own.push(char),
            '\'' => (is_quoted, is_text) = (!is_quoted, true),
            ',' | ')' if !is_quoted => {
                let value = std::mem::take(&mut own);
                if is_text || !(value.is_empty() || value == "NULL") {
                    all.push(value);
                }
                is_text = false;
                if char == ')' {
                    break;
                }
            }
            ' ' if !is_quoted => {}
            char => own.push(char),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_sql_writes_them() {
        for (bound, values) in [
            (
                "FOR VALUES IN ('acme', 'O''Brien, (sons)', '')",
                &["acme", "O'Brien, (sons)", ""][..],
            ),
            ("FOR VALUES IN (1, -2, NULL)", &["1", "-2"]),
            ("FOR VALUES IN ('1', '2')", &["1", "2"]),
            ("FOR VALUES IN (true)", &["true"]),
            ("FOR VALUES FROM ('a') TO ('b')", &[]),
            ("DEFAULT", &[]),
        ] {
            assert_eq!(listed(&[bound.to_owned()]), values, "{bound}");
        }
    }
}
