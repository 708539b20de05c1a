//! Two texts beside each other, each in a line: cut, they still show where they differ.

/// Longest text that is shown.
const LENGTH_MAX: usize = 60;
/// So much is shown before the first difference.
const BEFORE: usize = 20;

/// Both, cut to a line around the first difference.
pub(super) fn apart(texts: [&str; 2]) -> [String; 2] {
    let lines = texts.map(in_a_line);
    // Where nothing but space differs, that is shown.
    let shown =
        if lines[0] == lines[1] && texts[0] != texts[1] { texts.map(spaced) } else { lines };
    let chars = shown.map(|line| line.chars().collect::<Vec<char>>());
    let same = chars[0].iter().zip(&chars[1]).take_while(|(own, other)| own == other).count();
    let is_long = chars.iter().any(|own| own.len() > LENGTH_MAX);
    let from = match is_long && same + BEFORE > LENGTH_MAX {
        // Alike to their ends, they are shown from the beginning.
        true if same < chars[0].len().max(chars[1].len()) => same - BEFORE,
        _ => 0,
    };
    chars.map(|own| cut(&own, from))
}

fn cut(text: &[char], from: usize) -> String {
    let shown: String = text.iter().skip(from).take(LENGTH_MAX).collect();
    let before = if from > 0 { "…" } else { "" };
    let behind = if text.len() > from + LENGTH_MAX { "…" } else { "" };
    format!("{before}{shown}{behind}")
}

fn in_a_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// With each space to be seen.
fn spaced(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ' ' => out.push('␣'),
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            c if c.is_whitespace() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_is_cut_around_the_first_difference() {
        let long = "SELECT count(*), sum(amount) FROM {table} WHERE created_at > now() - interval ";
        let [a, b] = [format!("{long}'1 minute'"), format!("{long}'2 minutes'")];
        assert_eq!(
            apart([&a, &b]),
            ["…> now() - interval '1 minute'", "…> now() - interval '2 minutes'"]
        );
        assert_eq!(apart(["128MB", "16MB"]), ["128MB", "16MB"]);
        let [whole, more] = apart([long.trim_end(), &a]);
        assert_eq!(
            (whole.as_str(), more.as_str()),
            ("…t > now() - interval", "…t > now() - interval '1 minute'")
        );
        assert_eq!(apart(["SELECT 1", "SELECT\n  1"]), ["SELECT␣1", "SELECT\\n␣␣1"]);
        assert_eq!(apart(["a", "a\u{a0}"]), ["a", "a\\u{a0}"]);
    }

    proptest! {
        #[test]
        fn what_differs_is_never_shown_alike(
            same in "[a-c \n\u{a0}]{0,90}", own in "[a-c \n]{0,90}", other in "[a-c \n]{0,90}",
        ) {
            let [a, b] = [format!("{same}{own}"), format!("{same}{other}")];
            let [shown_a, shown_b] = apart([&a, &b]);
            prop_assert_eq!(shown_a == shown_b, a == b, "{:?} {:?}", a, b);
            prop_assert!(shown_a.chars().count() <= LENGTH_MAX + 2);
        }
    }
}
