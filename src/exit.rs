//! Exit codes: a documented contract, once. `--help`, the README and docs/ print this table.

use std::fmt::Write as _;

/// Done as planned.
pub const DONE: u8 = 0;
/// A defect of strom-load or something else unforeseen.
pub const UNEXPECTED: u8 = 1;
/// A flag, variable or profile is wrong.
pub const USAGE: u8 = 2;
/// The server or an output could not be reached, started or made ready.
pub const PREPARE: u8 = 3;
/// The run began, and an error ended it early. The report is written.
pub const ENDED_EARLY: u8 = 4;
/// Rows are lost or doubled, or the arms of a query give different answers.
pub const INTEGRITY: u8 = 5;
/// The run came to its end, and not all that was asked for was done.
pub const SHORTFALL: u8 = 6;
/// A threshold does not hold.
pub const THRESHOLD: u8 = 99;
/// A signal ended the run. The report is written.
pub const INTERRUPTED: u8 = 130;

/// Every code with what it means, in ascending order.
pub const CODES: [(u8, &str); 9] = [
    (DONE, "done"),
    (UNEXPECTED, "unexpected"),
    (USAGE, "usage or profile: nothing was started"),
    (PREPARE, "cannot connect, start or prepare"),
    (ENDED_EARLY, "ended early by an error; the report is written"),
    (INTEGRITY, "integrity: rows lost or doubled, or answers that differ"),
    (
        SHORTFALL,
        "finished, but not what was asked: rows or queries dropped, rows undecided, a query \
         that failed each time, a check that was not made, an output lost, a rate missed by the loader's own fault",
    ),
    (THRESHOLD, "a threshold failed"),
    (INTERRUPTED, "interrupted; the report is written"),
];

/// Every code, the gravest first: where several fit, this order decides.
pub const GRAVEST_FIRST: [u8; 9] =
    [INTEGRITY, UNEXPECTED, ENDED_EARLY, PREPARE, USAGE, SHORTFALL, INTERRUPTED, THRESHOLD, DONE];

/// Longest line of [`help`].
const WIDTH: usize = 100;

/// The gravest of several codes; [`DONE`] of none.
pub fn gravest(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: &u8| GRAVEST_FIRST.iter().position(|own| own == code);
    codes.into_iter().min_by_key(rank).unwrap_or(DONE)
}

/// What a code means, in a few words: its meaning up to the first details.
pub fn words(code: u8) -> &'static str {
    let meaning = CODES.iter().find(|(own, _)| *own == code).map_or("", |(_, meaning)| meaning);
    meaning.split([':', ';']).next().unwrap_or_default()
}

/// What a code says in a word, as a summary does where nothing else is known.
pub fn word(code: u8) -> &'static str {
    match code {
        DONE => "OK",
        INTERRUPTED => "INTERRUPTED",
        _ => "FAIL",
    }
}

/// The contract as `--help` prints it.
pub fn help() -> String {
    let mut help = "Exit codes:".to_owned();
    for (code, meaning) in CODES {
        // Writing to a String cannot fail.
        let _ = write!(help, "\n  {code:>3} ");
        let mut column = 6;
        for word in meaning.split(' ') {
            if column + 1 + word.len() > WIDTH {
                help.push_str("\n      ");
                column = 6;
            }
            let _ = write!(help, " {word}");
            column += 1 + word.len();
        }
    }
    help.push_str("\nWhere several fit, the first of these is taken: ");
    let order = [INTEGRITY, ENDED_EARLY, SHORTFALL, INTERRUPTED, THRESHOLD, DONE];
    help.push_str(&order.map(|code| code.to_string()).join(", "));
    help.push('.');
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_meaning_and_a_rank() {
        let mut ranked = GRAVEST_FIRST;
        ranked.sort_unstable();
        assert_eq!(ranked, CODES.map(|(code, _)| code), "in ascending order, each once");
    }

    #[test]
    fn the_gravest_of_several_codes_counts() {
        assert_eq!(gravest([]), DONE);
        assert_eq!(gravest([DONE, THRESHOLD, DONE]), THRESHOLD);
        assert_eq!(gravest([THRESHOLD, INTERRUPTED]), INTERRUPTED);
        assert_eq!(gravest([INTERRUPTED, SHORTFALL, THRESHOLD]), SHORTFALL);
        assert_eq!(gravest([SHORTFALL, ENDED_EARLY]), ENDED_EARLY);
        assert_eq!(gravest([PREPARE, ENDED_EARLY, INTEGRITY]), INTEGRITY);
    }

    #[test]
    fn the_words_of_a_code_are_those_of_its_meaning() {
        assert_eq!(words(INTEGRITY), "integrity");
        assert_eq!(words(SHORTFALL), "finished, but not what was asked");
        assert_eq!(words(7), "");
    }

    #[test]
    fn the_help_is_the_table() {
        insta::assert_snapshot!(help());
    }
}
