//! What tells rows apart: a number, a UUID that carries the run and the row's number, or a text around the
//! number. All that goes by numbers of rows goes by any of them.

use super::run_tag::{UUID_MAX, usual_form};
use super::{Column, ColumnType, Ids, Values};

/// The highest number in a text: as many nines as any bigint can hold.
const TEXT_MAX: i64 = 999_999_999_999_999_999;
/// Digits of it.
const TEXT_DIGITS: usize = 18;

/// How a column tells rows apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowIdentity {
    /// By the number itself.
    Number,
    /// By a UUID.
    Uuid,
    /// By a text around the number.
    Text {
        /// What stands before it,
        prefix: String,
        /// and behind it.
        suffix: String,
    },
}

impl RowIdentity {
    /// How a column tells rows apart, if it does.
    pub fn of(column: &Column) -> Option<Self> {
        match (&column.values, column.sql_type) {
            (Values::RowId, ColumnType::Uuid) => Some(Self::Uuid),
            (Values::RowId, _) => Some(Self::Number),
            (Values::Pattern(pattern), ColumnType::Text | ColumnType::Varchar(_))
                if !column.has_nulls() =>
            {
                let (prefix, suffix) = pattern.around_row_id()?;
                Some(Self::Text { prefix, suffix })
            }
            _ => None,
        }
    }

    /// Whether a run's numbers follow on those of the runs before it; if not, each counts from 1, and its rows
    /// are told from theirs by the run.
    pub fn follows_on(&self) -> bool {
        *self != Self::Uuid
    }

    /// The highest number that it carries.
    pub fn number_max(&self) -> i64 {
        match self {
            Self::Number => i64::MAX,
            Self::Uuid => UUID_MAX,
            Self::Text { .. } => TEXT_MAX,
        }
    }

    /// The number that a value carries, as COPY BINARY has it; `None`: no row of these has it.
    pub(crate) fn number(&self, ids: &Ids, value: &[u8]) -> Option<i64> {
        match self {
            Self::Number => value.try_into().ok().map(i64::from_be_bytes),
            Self::Uuid => {
                let uuid = u128::from_be_bytes(value.try_into().ok()?);
                let number = uuid.wrapping_sub(ids.run.uuid(ids.lane.key(), 0));
                i64::try_from(number).ok().filter(|number| *number <= UUID_MAX)
            }
            Self::Text { prefix, suffix } => {
                let behind = value.strip_prefix(prefix.as_bytes())?;
                let digits = behind.strip_suffix(suffix.as_bytes())?;
                let is_written = digits.len() <= TEXT_DIGITS
                    && digits.first().is_some_and(|digit| *digit != b'0');
                let digits = digits.iter().filter(|_| is_written);
                let mut digits = digits.map(|digit| char::from(*digit).to_digit(10)).peekable();
                digits.peek()?;
                digits.try_fold(0, |number, digit| Some(number * 10 + i64::from(digit?)))
            }
        }
    }

    /// The value of the row with this number, as SQL shows it.
    pub(crate) fn text(&self, ids: &Ids, number: i64) -> String {
        match self {
            Self::Number => number.to_string(),
            Self::Uuid => usual_form(ids.run.uuid(ids.lane.key(), number)),
            Self::Text { prefix, suffix } => format!("{prefix}{number}{suffix}"),
        }
    }

    /// The same with `{row_id}` in place of the number, or `{row_id:x}` where it has 12 hexadecimal digits; `None`
    /// where it is the number alone.
    pub(crate) fn form(&self, ids: &Ids) -> Option<String> {
        match self {
            Self::Number => None,
            Self::Uuid => {
                let text = self.text(ids, 0);
                let (run, _) = text.rsplit_once('-')?;
                Some(format!("{run}-{{row_id:x}}"))
            }
            Self::Text { prefix, suffix } => Some(format!("{prefix}{{row_id}}{suffix}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::pace::DueTimes;
    use crate::row::{Encoder, Lane, Pattern, RunTag};

    fn column(sql_type: ColumnType, values: Values) -> Column {
        Column::new("id", sql_type, values)
    }

    fn pattern(text: &str) -> Column {
        column(ColumnType::Text, Values::Pattern(Pattern::of_text(text).unwrap()))
    }

    fn kinds() -> [Column; 4] {
        [
            column(ColumnType::BigInt, Values::RowId),
            column(ColumnType::Uuid, Values::RowId),
            pattern("order-{row_id}"),
            pattern("7{row_id}.0é'\\"),
        ]
    }

    /// The value that the encoder sends of a lane's row.
    fn sent(column: &Column, ids: &Ids, sequence: u64) -> Vec<u8> {
        let mut encoder = Encoder::of_ids(std::slice::from_ref(column), 7, ids).unwrap();
        let mut bytes = vec![0; encoder.max_row_bytes()];
        let encoded = encoder.encode(&mut bytes, sequence, 1, &mut DueTimes::constant(0)).unwrap();
        bytes[2 + 4..encoded.bytes].to_vec()
    }

    fn ids(run: u128, lane: u32, lanes: u32, partitions: Option<u32>, base: i64) -> Ids {
        let lanes = NonZeroU32::new(lanes).unwrap();
        let lane = Lane::of(lane % lanes, lanes, partitions.and_then(NonZeroU32::new));
        Ids { lane, base, run: RunTag::of(run) }
    }

    proptest! {
        #[test]
        fn what_is_sent_leads_back_to_its_row(
            run: u128, lane in 0u32..2_000, lanes in 1u32..1_025, partitions in prop::option::of(1u32..1_025),
            base in 1i64..1 << 40, sequence in 0u64..1 << 30,
        ) {
            let partitions = partitions.filter(|partitions| *partitions <= lanes);
            let own = ids(run, lane, lanes, partitions, base);
            for column in kinds() {
                let identity = RowIdentity::of(&column).unwrap();
                let value = sent(&column, &own, sequence);
                prop_assert_eq!(identity.number(&own, &value), Some(own.of(sequence)));
                let text = identity.text(&own, own.of(sequence));
                match identity {
                    RowIdentity::Number => {}
                    RowIdentity::Uuid => {
                        let digits = u128::from_str_radix(&text.replace('-', ""), 16).unwrap();
                        prop_assert_eq!(&value[..], &digits.to_be_bytes()[..]);
                        prop_assert_eq!(text.as_bytes()[14], b'8');
                        prop_assert!(b"89ab".contains(&text.as_bytes()[19]));
                        prop_assert_eq!((digits >> 80) as u64, (run >> 80) as u64);
                    }
                    RowIdentity::Text { .. } => prop_assert_eq!(&value[..], text.as_bytes()),
                }
            }
        }

        #[test]
        fn uuids_of_other_runs_and_partitions_and_of_others_are_no_rows(
            run: u128, other: u128, number in 0..=UUID_MAX, foreign: [u8; 16], partition in 1u32..1_024,
        ) {
            let own = ids(run, 0, 1_024, Some(1_024), 1);
            let elsewhere = ids(run, partition, 1_024, Some(1_024), 1);
            let uuid = |ids: &Ids| ids.run.uuid(ids.lane.key(), number).to_be_bytes();
            let decoded = |ids: &Ids, value: &[u8]| RowIdentity::Uuid.number(ids, value);
            prop_assert_eq!(decoded(&own, &uuid(&own)), Some(number));
            prop_assert_eq!(decoded(&own, &uuid(&elsewhere)), None);
            let theirs = ids(other, 0, 1, None, 1);
            prop_assert_eq!(decoded(&own, &uuid(&theirs)).is_some(), own.run == theirs.run);
            if let Some(number) = decoded(&own, &foreign) {
                prop_assert_eq!(uuid_of(&own, number), foreign);
            }
        }

        #[test]
        fn uuids_are_in_the_order_of_runs_partitions_and_numbers(
            runs: (u128, u128), partitions in (0u32..1_024, 0u32..1_024), numbers in (0..=UUID_MAX, 0..=UUID_MAX),
        ) {
            let ms = |run: u128| run >> 80;
            let [a, b] = [(runs.0, partitions.0, numbers.0), (runs.1, partitions.1, numbers.1)]
                .map(|(run, partition, number)| RunTag::of(run).uuid(partition, number));
            if ms(runs.0) != ms(runs.1) {
                prop_assert_eq!(a < b, ms(runs.0) < ms(runs.1));
            }
            let [a, b] = [(partitions.0, numbers.0), (partitions.1, numbers.1)];
            let [c, d] = [a, b].map(|(partition, number)| RunTag::of(runs.0).uuid(partition, number));
            prop_assert_eq!(c.cmp(&d), a.cmp(&b));
        }

        #[test]
        fn a_text_is_a_row_only_as_it_would_be_sent(value in prop_oneof!["order-[0-9]{0,20}", "o?rder-[ +x0-9]{1,4}", ".*"]) {
            let own = ids(0, 0, 1, None, 1);
            let identity = RowIdentity::of(&pattern("order-{row_id}")).unwrap();
            if let Some(number) = identity.number(&own, value.as_bytes()) {
                prop_assert_eq!(identity.text(&own, number), value);
            } else if let Some(number) = value.strip_prefix("order-").and_then(|n| n.parse::<i64>().ok()) {
                let again = identity.text(&own, number);
                prop_assert!(number > TEXT_MAX || number <= 0 || again != value);
            }
        }
    }

    fn uuid_of(ids: &Ids, number: i64) -> [u8; 16] {
        ids.run.uuid(ids.lane.key(), number).to_be_bytes()
    }

    #[test]
    fn what_identifies_and_what_does_not() {
        for text in ["order-7", "{row_id}{row_id}", "{row_id}-{hex:2}", "{uuid}", ""] {
            assert_eq!(RowIdentity::of(&pattern(text)), None, "{text}");
        }
        let with_nulls = pattern("order-{row_id}").with_nulls(0.5);
        assert_eq!(RowIdentity::of(&with_nulls), None);
        let padded = Column { sql_type: ColumnType::Char(40), ..pattern("order-{row_id}") };
        assert_eq!(RowIdentity::of(&padded), None);
        let [_, uuid, text, _] = kinds().map(|column| RowIdentity::of(&column).unwrap());
        let own = ids(0x0193_f0a1_b2c3_7abc_8765_4321_0fed_cba9, 1, 2, Some(2), 1);
        assert_eq!(uuid.text(&own, 1_000), "0193f0a1-b2c3-8abc-8401-0000000003e8");
        assert_eq!(uuid.form(&own).unwrap(), "0193f0a1-b2c3-8abc-8401-{row_id:x}");
        assert_eq!(text.form(&own).unwrap(), "order-{row_id}");
        assert_eq!(RunTag::parse("0193f0a1-b2c3-7abc-8765-43210fedcba9"), Some(own.run));
        assert_eq!(RunTag::parse("0193f0a1"), None);
        assert_eq!(RunTag::parse("+193f0a1-b2c3-7abc-8765-43210fedcba9"), None);
    }
}
