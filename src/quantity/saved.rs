//! Numbers in files. JSON has no NaN and no infinity, and what writes it puts null in their place.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// A number, or null for one that is none.
pub fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Numbers, any of which may be null.
pub fn each_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let numbers: Vec<Option<f64>> = Vec::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect())
}

/// Numbers by name, any of which may be null, or null in place of them all.
pub fn numbers_or_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, f64>>, D::Error> {
    let numbers: Option<BTreeMap<String, Option<f64>>> = Option::deserialize(deserializer)?;
    let or_nan = |(name, number): (String, Option<f64>)| (name, number.unwrap_or(f64::NAN));
    Ok(numbers.map(|numbers| numbers.into_iter().map(or_nan).collect()))
}
