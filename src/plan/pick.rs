//! How values are chosen, as a profile has it, resolved and written back.

use super::value_text::{ValuesFault, from_1, need};
use crate::profile::{self, Number, Values as Written, Whole};
use crate::row::{Pick, Zipf};

/// How the values are chosen, where that is said.
fn pick_of(values: &Written) -> Option<profile::Pick> {
    match values {
        Written::Label(label) => label.pick,
        Written::Integer(integer) => integer.pick,
        Written::Decimal(decimal) => decimal.pick,
        Written::Float(float) => float.pick,
        Written::Day(day) => day.pick,
        Written::File(file) => file.pick,
        Written::Reference(reference) => reference.pick,
        Written::Timestamp(timestamp) => timestamp.pick,
        Written::Histogram(histogram) => histogram.pick,
        Written::Choice(choice) => choice.pick,
        _ => None,
    }
}

/// The settings that a pick cannot do without: name, example, and whether it is there.
pub(super) fn pick_settings(values: &Written) -> Vec<(&'static str, &'static str, bool)> {
    let mut all = Vec::new();
    match pick_of(values) {
        None | Some(profile::Pick::Random | profile::Pick::Cycle) => {}
        Some(profile::Pick::Ascending(order) | profile::Pick::Descending(order)) => {
            all.push(("rows", "1_000_000", order.rows.is_some()));
        }
        Some(profile::Pick::Zipf(zipf)) => {
            all.push(("exponent", "1.0", zipf.exponent.is_some()));
        }
        Some(profile::Pick::Normal(normal)) => {
            all.push(("mean", "100.0", normal.mean.is_some()));
            all.push(("sd", "15.0", normal.sd.is_some()));
        }
        Some(profile::Pick::Lognormal(lognormal)) => {
            all.push(("median", "20.0", lognormal.median.is_some()));
            all.push(("sigma", "1.0", lognormal.sigma.is_some()));
        }
        Some(profile::Pick::Exponential(exponential)) => {
            all.push(("scale", "10.0", exponential.scale.is_some()));
        }
    }
    all
}

pub(super) fn resolve_pick(values: &Written) -> Result<Pick, ValuesFault> {
    let number = |setting: Option<Number>| need(setting.as_ref()).map(|number| number.0);
    Ok(match pick_of(values) {
        None | Some(profile::Pick::Random) => Pick::Random,
        Some(profile::Pick::Cycle) => Pick::Cycle,
        Some(profile::Pick::Ascending(order)) => {
            Pick::Ascending { rows: from_1("rows", need(order.rows.as_ref())?)? }
        }
        Some(profile::Pick::Descending(order)) => {
            Pick::Descending { rows: from_1("rows", need(order.rows.as_ref())?)? }
        }
        Some(profile::Pick::Zipf(zipf)) => Pick::Zipf(Zipf::new(number(zipf.exponent)?)),
        Some(profile::Pick::Normal(normal)) => {
            Pick::Normal { mean: number(normal.mean)?, sd: number(normal.sd)? }
        }
        Some(profile::Pick::Lognormal(lognormal)) => {
            Pick::Lognormal { median: number(lognormal.median)?, sigma: number(lognormal.sigma)? }
        }
        Some(profile::Pick::Exponential(exponential)) => {
            Pick::Exponential { scale: number(exponential.scale)? }
        }
    })
}

pub(super) fn unless_random(pick: &Pick) -> Option<profile::Pick> {
    (*pick != Pick::Random).then(|| written_pick(pick))
}

pub(super) fn written_pick(pick: &Pick) -> profile::Pick {
    let number = |number: f64| Some(Number(number));
    let order = |rows: u64| profile::InOrder { rows: Some(Whole(rows as i64)) };
    match pick {
        Pick::Random => profile::Pick::Random,
        Pick::Cycle => profile::Pick::Cycle,
        Pick::Ascending { rows } => profile::Pick::Ascending(order(*rows)),
        Pick::Descending { rows } => profile::Pick::Descending(order(*rows)),
        Pick::Zipf(zipf) => {
            profile::Pick::Zipf(profile::Zipf { exponent: number(zipf.exponent()) })
        }
        Pick::Normal { mean, sd } => {
            profile::Pick::Normal(profile::Normal { mean: number(*mean), sd: number(*sd) })
        }
        Pick::Lognormal { median, sigma } => profile::Pick::Lognormal(profile::Lognormal {
            median: number(*median),
            sigma: number(*sigma),
        }),
        Pick::Exponential { scale } => {
            profile::Pick::Exponential(profile::Exponential { scale: number(*scale) })
        }
    }
}
