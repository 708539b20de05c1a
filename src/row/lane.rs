//! Lanes: which rows a producer loads, and which ids they have. All that is made of a row goes by its number
//! in its partition, so the rows are the same however many lanes share them.

use std::fmt;
use std::num::NonZeroU32;

use super::RunTag;

/// What one producer loads: of the rows of a partition, or of the whole table, every `step`-th from `place` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Its number among all lanes of the run.
    pub number: u32,
    /// Its partition: the value of the key in its rows. `None`: the rows have no key, and are of one table.
    pub partition: Option<u32>,
    /// The number of its first row in the partition.
    pub place: u32,
    /// How many lanes share the partition.
    pub step: NonZeroU32,
}

impl Lane {
    /// Lane `number` of `lanes`, which are dealt to so many partitions in turn; `None`: to one table.
    pub fn of(number: u32, lanes: NonZeroU32, partitions: Option<NonZeroU32>) -> Self {
        let among = partitions.unwrap_or(NonZeroU32::MIN).get();
        let partition = number % among;
        // Those with a number that leaves the same remainder.
        let sharing = lanes.get().saturating_sub(partition).div_ceil(among);
        Self {
            number,
            partition: partitions.map(|_| partition),
            place: number / among,
            step: NonZeroU32::new(sharing).unwrap_or(NonZeroU32::MIN),
        }
    }

    /// The number in the partition of this lane's row `sequence`.
    pub fn row(&self, sequence: u64) -> u64 {
        sequence.wrapping_mul(self.step.get().into()).wrapping_add(self.place.into())
    }

    /// Which of this lane's rows has this number in the partition; `None` if it is another lane's.
    pub fn sequence(&self, row: u64) -> Option<u64> {
        let step = u64::from(self.step.get());
        let beyond = row.checked_sub(self.place.into())?;
        beyond.is_multiple_of(step).then(|| beyond / step)
    }

    /// How many of this lane's rows have a number in the partition below `row`.
    pub fn rows_below(&self, row: u64) -> u64 {
        row.saturating_sub(self.place.into()).div_ceil(self.step.get().into())
    }

    /// What tells its rows from those of another partition.
    pub fn key(&self) -> u32 {
        self.partition.unwrap_or(0)
    }
}

/// As messages name it: by its partition, where it has that for itself.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            Some(partition) if self.step == NonZeroU32::MIN => write!(f, "partition {partition}"),
            _ => write!(f, "lane {}", self.number),
        }
    }
}

/// The ids of a lane's rows: with those of the lanes beside it, each follows on the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The lane.
    pub lane: Lane,
    /// The id of the partition's first row of the run, which may be another lane's.
    pub base: i64,
    /// What is in the run's UUIDs.
    pub run: RunTag,
}

impl Ids {
    /// The id of the lane's row `sequence`.
    pub fn of(&self, sequence: u64) -> i64 {
        self.base.wrapping_add(self.lane.row(sequence) as i64)
    }

    /// Which of the lane's rows has this id; `None` if none of the run's has, or it is another lane's.
    pub fn sequence(&self, id: i64) -> Option<u64> {
        let row = id.checked_sub(self.base).and_then(|row| u64::try_from(row).ok())?;
        self.lane.sequence(row)
    }

    /// How many of the lane's rows have an id below this one.
    pub fn rows_below(&self, id: i64) -> u64 {
        let row = u64::try_from(id.saturating_sub(self.base)).unwrap_or_default();
        self.lane.rows_below(row)
    }

    /// The id behind those of the first `rows` rows of the lane, below which they all are; saturates.
    pub fn end(&self, rows: u64) -> i64 {
        let Some(last) = rows.checked_sub(1) else { return self.base };
        let step = u64::from(self.lane.step.get());
        let row = last.saturating_mul(step).saturating_add(u64::from(self.lane.place) + 1);
        self.base.saturating_add_unsigned(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn lanes(lanes: u32, partitions: Option<u32>) -> Vec<Lane> {
        let [of, partitions] = [Some(lanes), partitions].map(|n| n.and_then(NonZeroU32::new));
        (0..lanes).map(|number| Lane::of(number, of.unwrap(), partitions)).collect()
    }

    #[test]
    fn with_a_lane_a_partition_a_row_has_its_sequence_as_number() {
        for lane in lanes(3, Some(3)) {
            assert_eq!((lane.partition, lane.place, lane.step.get()), (Some(lane.number), 0, 1));
            assert_eq!((lane.row(7), lane.sequence(7), lane.rows_below(7)), (7, Some(7), 7));
            assert_eq!(lane.to_string(), format!("partition {}", lane.number));
        }
        let shared = lanes(2, None);
        assert_eq!((shared[1].row(3), shared[1].to_string()), (7, "lane 1".to_owned()));
    }

    proptest! {
        #[test]
        fn ids_of_lanes_are_unique_dense_and_lead_back(
            partitions in prop::option::of(1u32..9), more in 0u32..30, rows in 1u64..40, base in -5i64..1_000,
        ) {
            let lanes = lanes(partitions.unwrap_or(1) + more, partitions);
            // By partition: how many rows, so that each of its lanes has as many.
            let mut ids: BTreeMap<Option<u32>, Vec<i64>> = BTreeMap::new();
            for lane in &lanes {
                let own = Ids { lane: *lane, base, run: RunTag::default() };
                for sequence in 0..rows {
                    let id = own.of(sequence);
                    prop_assert_eq!(own.sequence(id), Some(sequence));
                    prop_assert_eq!(own.rows_below(id), sequence);
                    prop_assert_eq!(own.end(sequence + 1), id + 1);
                    let others = lanes.iter().filter(|other| {
                        other.number != lane.number && other.partition == lane.partition
                    });
                    for other in others {
                        prop_assert_eq!(Ids { lane: *other, ..own }.sequence(id), None);
                    }
                    ids.entry(lane.partition).or_default().push(id);
                }
                prop_assert_eq!(own.sequence(base - 1), None);
            }
            prop_assert_eq!(ids.len() as u32, partitions.unwrap_or(1));
            for mut ids in ids.into_values() {
                ids.sort_unstable();
                let dense: Vec<i64> = (base..).take(ids.len()).collect();
                prop_assert_eq!(ids, dense);
            }
        }

        #[test]
        fn nothing_overflows(number in 0u32..1_024, rows: u64, base: i64, id: i64) {
            let lane = Lane::of(number, NonZeroU32::new(1_024).unwrap(), NonZeroU32::new(7));
            let ids = Ids { lane, base, run: RunTag::default() };
            prop_assert!(ids.end(rows) >= base && ids.rows_below(id) <= 1 << 57);
            prop_assert!(ids.sequence(ids.of(rows)).is_none_or(|own| own == rows || rows > 1 << 50));
        }
    }
}
