//! A statement's text with places for values: the places are cut out once, and filled anew for each execution.

use super::sql::placeholders;

/// A statement's text, cut at the places of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// One more than there are places.
    texts: Vec<String>,
    /// By place: the parameter, and the bytes of its name and colon.
    places: Vec<(usize, usize)>,
}

impl Template {
    /// The text of a statement with parameters of these names. What is no name of them stays.
    pub fn new(sql: &str, names: &[&str]) -> Self {
        let (mut texts, mut places, mut from) = (Vec::new(), Vec::new(), 0);
        for own in placeholders(sql) {
            let Some(parameter) = names.iter().position(|name| *name == own.name) else { continue };
            texts.push(sql[from..own.at].to_owned());
            places.push((parameter, own.name.len() + 1));
            from = own.at + own.name.len() + 1;
        }
        texts.push(sql[from..].to_owned());
        Self { texts, places }
    }

    /// The text with `$1` for the first parameter, and so on.
    pub fn numbered(&self) -> String {
        self.filled(|parameter| format!("${}", parameter + 1))
    }

    /// The text with these values at the places of the parameters.
    pub fn filled(&self, value: impl Fn(usize) -> String) -> String {
        let mut filled = self.texts[0].clone();
        for ((parameter, _), text) in self.places.iter().zip(&self.texts[1..]) {
            filled.push_str(&value(*parameter));
            filled.push_str(text);
        }
        filled
    }

    /// Where in the text as it was written a character of the filled one is; both count from 1. Of one
    /// within a value it is where the parameter stands.
    pub fn written_position(&self, position: u32, value: impl Fn(usize) -> String) -> u32 {
        let chars = |text: &str| text.chars().count() as u32;
        let (mut left, mut written) = (position, 0);
        for (text, (parameter, name)) in self.texts.iter().zip(&self.places) {
            let (own, filled) = (chars(text), chars(&value(*parameter)));
            if left <= own {
                break;
            }
            if left <= own + filled {
                return written + own + 1;
            }
            left -= own + filled;
            // A name is of one byte a character, or it is no parameter's.
            written += own + *name as u32;
        }
        written.saturating_add(left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 2] = ["a", "least_2"];

    fn template(sql: &str) -> Template {
        Template::new(sql, &NAMES)
    }

    #[test]
    fn a_parameter_has_one_number_wherever_it_stands() {
        let sql =
            "SELECT :least_2::text, :a FROM \":a\" WHERE x > :least_2 AND y[1:b] = ':a' -- :a";
        assert_eq!(
            template(sql).numbered(),
            "SELECT $2::text, $1 FROM \":a\" WHERE x > $2 AND y[1:b] = ':a' -- :a"
        );
        assert_eq!(template("SELECT 1").numbered(), "SELECT 1");
    }

    #[test]
    fn a_position_leads_to_the_text_as_it_was_written() {
        let sql = "SELECT é, :a + :least_2 FROM tabel";
        let value = |_| "CAST('ä' AS text)".to_owned();
        let filled = template(sql).filled(value);
        let at = |text: &str, what: &str| {
            text.split_once(what).map(|(before, _)| before.chars().count() as u32 + 1).unwrap()
        };
        let back = |position| template(sql).written_position(position, value);
        for what in ["SELECT", "é", "tabel", "FROM"] {
            assert_eq!(back(at(&filled, what)), at(sql, what), "{what}");
        }
        assert_eq!(back(at(&filled, "'ä'")), at(sql, ":a"));
        assert_eq!(template("SELECT x").written_position(8, value), 8);
    }

    /// Pieces of SQL that open and close whatever they open.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(":a".to_owned()),
            Just(":least_2".to_owned()),
            Just(":other".to_owned()),
            Just("x::a".to_owned()),
            "'[:a ;$-]*'",
            "\"[:a ;$-]*\"",
            "/\\*[:a '\"]*\\*/",
            Just("$$:a '$$".to_owned()),
            Just("-- :a '\n".to_owned()),
            "[a-zé0-9+=(]{0,4}",
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
    }

    proptest! {
        #[test]
        fn values_change_nothing_but_the_places_of_parameters(sql in pieces(), value in "[ -~]{0,6}") {
            let own = template(&sql);
            // By its own name each place is as it was.
            prop_assert_eq!(own.filled(|parameter| format!(":{}", NAMES[parameter])), sql.clone());
            let words: Vec<&str> = sql.split(' ').filter(|word| [":a", ":least_2"].contains(word)).collect();
            prop_assert!(own.places.len() <= words.len(), "{}", sql);
            let filled = own.filled(|_| value.clone());
            let names: usize = own.places.iter().map(|(_, name)| name).sum();
            prop_assert_eq!(filled.len(), sql.len() - names + own.places.len() * value.len());
            for position in 1..=sql.chars().count() as u32 {
                let same = own.written_position(position, |parameter| format!(":{}", NAMES[parameter]));
                prop_assert!(same <= position);
            }
        }

        #[test]
        fn no_text_panics(sql in ".*", position: u32) {
            let own = template(&sql);
            own.written_position(position, |_| "1".to_owned());
        }
    }
}
