//! The columns of an answer, and what their text stands for.

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its text stands for.
    pub kind: Kind,
}

/// What a value's text stands for, as far as comparing it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Equal exactly if the text is.
    Plain,
    /// An instant, written in the time zone of its session.
    Instant,
    /// Instants with something between them: an array, a range.
    Instants,
    /// The same for all that is compared here, but the server may take different texts for equal, as
    /// of `citext` or `interval`: where rows are ordered by it, more of them may tie.
    Other,
    /// A number.
    Number(Number),
    /// Numbers of one kind with something between them: an array, a range, a point.
    Numbers(Number),
    /// Something that numbers of any kind may lie in: json, jsonb, a composite.
    Mixed,
}

impl Kind {
    /// What the text of values of both kinds stands for, where the two answers have different types.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a.max(b)),
            (Self::Numbers(a), Self::Numbers(b)) => Self::Numbers(a.max(b)),
            // Of a whole number and another one.
            (Self::Number(number), Self::Plain) | (Self::Plain, Self::Number(number)) => {
                Self::Number(number)
            }
            (Self::Numbers(number), Self::Plain) | (Self::Plain, Self::Numbers(number)) => {
                Self::Numbers(number)
            }
            (a, b) if a == b => a,
            _ => Self::Other,
        }
    }
}

/// A kind of number that is not whole. Later ones hold less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    /// A decimal number.
    Numeric,
    /// A binary number of eight bytes.
    Float8,
    /// A binary number of four bytes.
    Float4,
}

/// The columns' names as results and people are told them, each once: a second `sum` is `sum (2)`.
pub(super) fn labels(columns: &[Column]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(columns.len());
    for Column { name, .. } in columns {
        let is_own = |label: &String| columns.iter().any(|column| column.name == *label);
        let numbered =
            (2..).map(|number| format!("{name} ({number})")).filter(|label| !is_own(label));
        let free =
            std::iter::once(name.clone()).chain(numbered).find(|label| !labels.contains(label));
        labels.extend(free);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let column = |name: &&str| Column { name: (*name).to_owned(), kind: Kind::Plain };
        let columns: Vec<_> = ["g", "sum", "sum", "sum (2)", "sum"].iter().map(column).collect();
        assert_eq!(labels(&columns), ["g", "sum", "sum (3)", "sum (2)", "sum (4)"]);
    }
}
