//! Words of commands that people are told to type.

/// A word as a shell reads it back.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_when_a_shell_would_split_it() {
        assert_eq!(shell_word("/usr/lib/postgresql/15/bin"), "/usr/lib/postgresql/15/bin");
        assert_eq!(shell_word("/it's here"), "'/it'\\''s here'");
        assert_eq!(shell_word(""), "''");
    }
}
