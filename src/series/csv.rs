//! Lines of separated values. A field may be quoted, and then hold separators, quotes and line ends.

use std::io::BufRead;

use super::lines::{Lines, Taken};

/// Calls `take` with the fields of each record, the head's names first, and counts those that it does not take;
/// ends at what cannot be read. What has no end of line was not written to its end.
pub(super) fn records(mut text: impl BufRead, mut take: impl FnMut(&[&str]) -> Taken) -> Lines {
    let mut lines = Lines::default();
    let mut record = String::new();
    loop {
        let before = record.len();
        match text.read_line(&mut record) {
            Ok(0) => {
                lines.cut_off = !record.is_empty();
                return lines;
            }
            Ok(_) if record.ends_with('\n') => {}
            _ => {
                lines.cut_off = true;
                return lines;
            }
        }
        // Within quotes a record goes on in the next line. A quote that is never closed takes no more
        // than this.
        let is_open = record.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
        if is_open && before < 1 << 16 {
            continue;
        }
        let line = record.trim_end_matches(['\n', '\r']);
        let taken = if line.contains('"') {
            let fields = quoted(line);
            take(&fields.iter().map(String::as_str).collect::<Vec<_>>())
        } else {
            take(&line.split(',').map(str::trim).collect::<Vec<_>>())
        };
        lines.note(taken);
        record.clear();
    }
}

fn quoted(line: &str) -> Vec<String> {
    let (mut fields, mut within) = (vec![String::new()], false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if within && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut fields, '"');
            }
            '"' => within = !within,
            ',' if !within => fields.push(String::new()),
            c => push(&mut fields, c),
        }
    }
    fields
}

fn push(fields: &mut [String], c: char) {
    if let Some(field) = fields.last_mut() {
        field.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_hold_anything() {
        let text = "a,b , c\n1,\"x,\"\"y\"\"\nz\",3\n4,5\n";
        let mut all = Vec::new();
        let lines = records(text.as_bytes(), |fields| {
            all.push(fields.join("|"));
            Taken::Whole
        });
        assert_eq!(all, ["a|b|c", "1|x,\"y\"\nz|3", "4|5"]);
        assert_eq!(lines, Lines::default());
    }

    #[test]
    fn a_torn_end_is_no_error_and_is_not_taken() {
        let take = |text: &[u8]| {
            let mut all = 0;
            let lines = records(text, |_| {
                all += 1;
                Taken::Whole
            });
            (all, lines.cut_off)
        };
        assert_eq!(take(b"a,b\n1,\"never closed"), (1, true));
        assert_eq!(take(b"a,b\n1,\"never closed\n2,3\n"), (1, true));
        assert_eq!(take(b"a,b\n1,2"), (1, true));
        assert_eq!(take(&[0xff, 0xfe, b'\n']), (0, true));
        assert_eq!(take(b"a,b\n1,2\n"), (2, false));
    }
}
