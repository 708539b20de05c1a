//! Whether a type has the values that one is chosen of.

use super::ColumnType;
use super::check::{ColumnFault, choice, short};
use super::literal;
use super::pick::{Choosing, Pick};

/// Whether the type has each of these values, which come as often as their weights say, beside others of a weight.
pub(super) fn check(
    of: &[String],
    weights: &[f64],
    (others, pick): (Option<f64>, &Pick),
    sql_type: ColumnType,
) -> Result<(), ColumnFault> {
    pick.check(Choosing::Weighed)?;
    if others.is_some() && !pick.is_random() {
        return Err(ColumnFault::Setting {
            fact: "values that come in order have no `others`".to_owned(),
            fix: "delete `others`, or `pick`; a histogram has numbers and moments in order".into(),
        });
    }
    choice(of, weights, others)?;
    if let Some(text) = of.iter().find(|text| literal::encode(sql_type, text).is_none()) {
        return Err(ColumnFault::Setting {
            fact: format!("`{text}` is no value of type {sql_type}"),
            fix: "write values of the column's type, in double quotes".into(),
        });
    }
    let longest = of.iter().map(|text| text.chars().count() as u64).max();
    short(longest.unwrap_or(0), sql_type, "shorten the longest, or use a wider type")
}
