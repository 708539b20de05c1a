//! A column made ready for encoding: how its values are drawn, and how they are written.

use std::sync::Arc;

use super::array::Frame;
use super::block::{InRow, Rows, write};
use super::draw::{Bytes, Chosen, EventTime, Float, Inet, Text, Whole, below};
use super::known::Known;
use super::label::{NumberedText, Table};
use super::pattern::Template;
use crate::row::conditional;
use crate::row::day::{DAY_US, EPOCH_UNIX_US, TIMESTAMP_MAX_US, TIMESTAMP_MIN_US};
use crate::row::fields::NULL;
use crate::row::file::Pages;
use crate::row::literal;
use crate::row::numeric::{self, Packed};
use crate::row::quantile::Quantiles;
use crate::row::random::Stream;
use crate::row::sample::Reader;
use crate::row::uuid;
use crate::row::{Column, ColumnType, ElementType, Elements, Pick, RunTag, Sample, Values};

/// What tells one partition's rows from another's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) seed: u64,
    pub(super) partition: u32,
    pub(super) first_id: i64,
    pub(super) run: RunTag,
}

/// One column, ready to be encoded.
#[derive(Debug, Clone)]
pub(super) enum Field {
    RowId {
        first: i64,
    },
    RowUuid {
        run: RunTag,
        partition: u32,
        first: i64,
    },
    DueTimestamp,
    DueDate,
    ShortLabel(Whole, Table<16>),
    LongLabel(Whole, Table<32>),
    FormattedLabel(Whole, NumberedText),
    SmallInt(Whole),
    Integer(Whole),
    BigInt(Whole),
    ShortNumeric(Whole, Packed<3>),
    LongNumeric(Whole, Packed<4>),
    WideNumeric(Whole, u16),
    WideWhole(Whole, u16),
    Real(Float),
    Double(Float),
    Text(Text),
    Boolean {
        stream: Stream,
        true_below: u64,
    },
    ShortChoice(Chosen, Table<16>),
    LongChoice(Chosen, Table<32>),
    Choice(Chosen, Box<[Vec<u8>]>),
    Sampled {
        number: Whole,
        reader: Reader,
        longest: usize,
    },
    /// One of these, or else of another field.
    Mixed(Chosen, Box<[Vec<u8>]>, Box<Field>),
    Uuid(Stream),
    DueUuid(Stream),
    EventTime(EventTime),
    Bytes(Bytes),
    Inet(Inet),
    Pattern(Template),
    Array {
        lengths: Whole,
        /// Most elements.
        most: usize,
        frame: Frame,
        element: Box<Field>,
    },
    /// Of one of these, by the value of another column.
    Conditional {
        on: Known,
        entry_of: Box<[u32]>,
        entries: Box<[Field]>,
    },
    /// Texts, followed by spaces up to so many characters.
    Padded {
        field: Box<Field>,
        chars: usize,
    },
    Nullable {
        field: Box<Field>,
        stream: Stream,
        null_below: u64,
    },
}

impl Field {
    /// Compiles a column that has passed [`Column::check`].
    pub(super) fn new(columns: &[Column], place: usize, origin: Origin) -> Self {
        let stream = |place| Stream::new(origin.seed, origin.partition, place);
        let column = &columns[place];
        let Values::Conditional(own) = &column.values else {
            return Self::of_stream(column, stream(place), origin);
        };
        let entry = |values: &Values| {
            let column = Column { values: values.clone(), ..column.clone() };
            Self::of_values(&column, stream(place), origin)
        };
        let entries: Box<[Field]> = own.each().map(entry).collect();
        let on = conditional::entries(columns, place, own).ok();
        let on = on.and_then(|(on, entry_of)| Some((Known::new(columns, on, stream)?, entry_of)));
        let field = match on {
            Some((on, entry_of)) => Self::Conditional { on, entry_of, entries },
            // The check of the columns refuses it.
            None => Self::null(stream(place)),
        };
        field.wrapped(column, stream(place))
    }

    /// Nothing but NULL.
    fn null(stream: Stream) -> Self {
        Self::Choice(Chosen::of(1, &[], None, &Pick::Random, stream), [NULL.to_vec()].into())
    }

    /// The same with the random bits of a stream.
    fn of_stream(column: &Column, stream: Stream, origin: Origin) -> Self {
        Self::of_values(column, stream, origin).wrapped(column, stream)
    }

    /// With what belongs to each value of the column.
    fn wrapped(mut self, column: &Column, stream: Stream) -> Self {
        if let ColumnType::Char(chars) = column.sql_type {
            self = Self::Padded { field: Box::new(self), chars: chars as usize };
        }
        if column.null_ratio == 0.0 {
            return self;
        }
        let null_below = below(column.null_ratio);
        Self::Nullable { field: Box::new(self), stream: stream.split(0), null_below }
    }

    fn of_values(column: &Column, stream: Stream, origin: Origin) -> Self {
        let sql_type = column.sql_type;
        match &column.values {
            Values::RowId if sql_type == ColumnType::Uuid => {
                let Origin { run, partition, first_id: first, .. } = origin;
                Self::RowUuid { run, partition, first }
            }
            Values::RowId => Self::RowId { first: origin.first_id },
            Values::Partition => {
                let number = origin.partition.into();
                Self::whole(sql_type, number, number, &Pick::Random, stream)
            }
            Values::DueTime if sql_type == ColumnType::Date => Self::DueDate,
            Values::DueTime => Self::DueTimestamp,
            Values::Label { prefix, min, max, pick } => {
                let offset = Whole::new(0, (max - min) as i64, pick, stream);
                let number = Whole::new(*min as i64, *max as i64, pick, stream);
                let label = NumberedText::new(prefix, *max);
                match (Table::new(&label, *min, *max), Table::new(&label, *min, *max)) {
                    (Some(table), _) => Self::ShortLabel(offset, table),
                    (None, Some(table)) => Self::LongLabel(offset, table),
                    (None, None) => Self::FormattedLabel(number, label),
                }
            }
            Values::Integer { min, max, pick } => Self::whole(sql_type, *min, *max, pick, stream),
            Values::Decimal { min, max, pick } => {
                let scale = sql_type.scale();
                let pick = (pick, numeric::pow10(scale) as f64);
                Self::decimal(Whole::in_units(*min, *max, pick, stream), scale, [*min, *max])
            }
            Values::Float { min, max, pick } if sql_type == ColumnType::Real => {
                Self::Real(Float::new(*min, *max, pick, stream))
            }
            Values::Float { min, max, pick } => Self::Double(Float::new(*min, *max, pick, stream)),
            // A date is sent as an integer.
            Values::Day { min, max, pick } => {
                Self::Integer(Whole::new((*min).into(), (*max).into(), pick, stream))
            }
            Values::Timestamp { min_us, max_us, pick } => {
                Self::BigInt(Whole::new(*min_us, *max_us, pick, stream))
            }
            Values::Histogram { bounds, weights, distinct, pick } => {
                let histogram = (bounds.as_slice(), weights.as_slice(), *distinct);
                Self::histogram(sql_type, histogram, pick, stream)
            }
            Values::Text { min_chars, max_chars } => {
                Self::Text(Text::new(*min_chars, *max_chars, stream))
            }
            Values::Boolean { true_ratio } => {
                Self::Boolean { stream, true_below: below(*true_ratio) }
            }
            Values::Choice { of, weights, others, pick } => {
                let field =
                    |text: &String| field(&literal::encode(sql_type, text).unwrap_or_default());
                let fields: Vec<Vec<u8>> = of.iter().map(field).collect();
                let weight = others.as_ref().map(|others| others.weight);
                let chosen = Chosen::of(of.len(), weights, weight, pick, stream);
                if let Some(others) = others {
                    // Of their own stream: which it is and what it is do not hang together.
                    let column = Column { values: others.values.clone(), ..column.clone() };
                    let others = Self::of_values(&column, stream.split(1), origin);
                    return Self::Mixed(chosen, fields.into(), Box::new(others));
                }
                match (Table::of(&fields), Table::of(&fields)) {
                    (Some(table), _) => Self::ShortChoice(chosen, table),
                    (None, Some(table)) => Self::LongChoice(chosen, table),
                    (None, None) => Self::Choice(chosen, fields.into()),
                }
            }
            Values::File { pick, sample, .. } => Self::one_of(sample, pick, stream),
            Values::Reference { pick, keys, .. } => {
                Self::one_of(&keys.clone().unwrap_or_default(), pick, stream)
            }
            Values::Uuid => Self::Uuid(stream),
            Values::UuidV7 => Self::DueUuid(stream),
            Values::EventTime { late_ratio, mean_lateness_s } => {
                let late_below = below(*late_ratio);
                Self::EventTime(EventTime::new(late_below, *mean_lateness_s, stream))
            }
            // A time of day is sent in microseconds.
            Values::Time { min_us, max_us } => {
                Self::BigInt(Whole::new(*min_us, *max_us, &Pick::Random, stream))
            }
            Values::Bytes { min_bytes, max_bytes } => {
                Self::Bytes(Bytes::new(*min_bytes, *max_bytes, stream))
            }
            Values::Inet { network } => Self::Inet(Inet::new(*network, stream)),
            Values::Pattern(pattern) => {
                let binary = sql_type == ColumnType::Jsonb;
                Self::Pattern(Template::new(pattern, binary, stream, origin.first_id))
            }
            Values::Array(array) => Self::array(column, array, stream, origin),
            // It has no part in other values: the check refuses that.
            Values::Conditional(_) => Self::null(stream),
        }
    }

    /// One of the values of a file or table.
    fn one_of(sample: &Sample, pick: &Pick, stream: Stream) -> Self {
        let number = Whole::new(0, sample.count().saturating_sub(1) as i64, pick, stream);
        Self::Sampled { number, reader: sample.reader(), longest: sample.longest() }
    }

    /// Arrays: how long they are is drawn from the column's own stream, and the elements from another.
    fn array(column: &Column, array: &Elements, stream: Stream, origin: Origin) -> Self {
        let element = array.element(column);
        let lengths = match &array.length {
            Values::Histogram { bounds, weights, distinct, pick } => {
                let bounds = bounds.iter().filter_map(|bound| bound.parse().ok());
                let bounds: Vec<i64> = bounds.collect();
                Whole::along(Quantiles::new(&bounds, weights, *distinct), pick, stream)
            }
            Values::Integer { min, max, pick } => Whole::new(*min, *max, pick, stream),
            // The check refuses others.
            _ => Whole::new(0, 0, &Pick::Random, stream),
        };
        let most = array.lengths().map_or(0, |[_, most]| most as usize);
        let usual = || element.sql_type.as_element().map_or(0, ElementType::oid);
        let oid = column.element_oid.unwrap_or_else(usual);
        let frame = Frame::new(oid, element.has_nulls());
        let element = Box::new(Self::of_stream(&element, stream.split(1), origin));
        Self::Array { lengths, most, frame, element }
    }

    /// Numbers in units of a numeric's scale, between these ends.
    fn decimal(whole: Whole, scale: u16, [min, max]: [i64; 2]) -> Self {
        let max_abs = min.unsigned_abs().max(max.unsigned_abs());
        match (Packed::new(scale, max_abs), Packed::new(scale, max_abs)) {
            (Some(packed), _) => Self::ShortNumeric(whole, packed),
            (None, Some(packed)) => Self::LongNumeric(whole, packed),
            (None, None) => Self::WideNumeric(whole, scale),
        }
    }

    /// Numbers and moments along a histogram: its bounds, weights, and how many different values.
    fn histogram(
        sql_type: ColumnType,
        (bounds, weights, distinct): (&[String], &[f64], Option<u64>),
        pick: &Pick,
        stream: Stream,
    ) -> Self {
        if matches!(sql_type, ColumnType::Real | ColumnType::Double) {
            let bound = |text: &String| literal::float(sql_type, text).unwrap_or_default();
            let bounds: Vec<f64> = bounds.iter().map(bound).collect();
            let ends = [bounds[0], bounds[bounds.len() - 1]];
            let quantiles = Quantiles::new(&bounds, weights, distinct);
            let float = Float::along(quantiles, ends, pick, stream);
            return match sql_type {
                ColumnType::Real => Self::Real(float),
                _ => Self::Double(float),
            };
        }
        let bound = |text: &String| literal::whole(sql_type, text).unwrap_or_default();
        let bounds: Vec<i64> = bounds.iter().map(bound).collect();
        let ends = [bounds[0], bounds[bounds.len() - 1]];
        let whole = Whole::along(Quantiles::new(&bounds, weights, distinct), pick, stream);
        match sql_type {
            ColumnType::SmallInt => Self::SmallInt(whole),
            ColumnType::Integer | ColumnType::Date => Self::Integer(whole),
            ColumnType::Numeric { scale, .. } => Self::decimal(whole, scale, ends),
            _ => Self::BigInt(whole),
        }
    }

    fn whole(sql_type: ColumnType, min: i64, max: i64, pick: &Pick, stream: Stream) -> Self {
        let whole = Whole::new(min, max, pick, stream);
        match sql_type {
            ColumnType::SmallInt => Self::SmallInt(whole),
            ColumnType::Integer => Self::Integer(whole),
            ColumnType::Numeric { scale, .. } => {
                let max_abs = min.unsigned_abs().max(max.unsigned_abs());
                match (Packed::whole(scale, max_abs), Packed::whole(scale, max_abs)) {
                    (Some(packed), _) => Self::ShortNumeric(whole, packed),
                    (None, Some(packed)) => Self::LongNumeric(whole, packed),
                    (None, None) => Self::WideWhole(whole, scale),
                }
            }
            _ => Self::BigInt(whole),
        }
    }

    /// Whether it is made of the row's due time.
    pub(super) fn is_due(&self) -> bool {
        matches!(self, Self::DueTimestamp | Self::DueDate | Self::DueUuid(_) | Self::EventTime(_))
    }

    /// Adds the files that values are read of as they are written.
    pub(super) fn add_pages(&self, all: &mut Vec<Arc<Pages>>) {
        match self {
            Self::Sampled { reader: Reader::Paged(cursor), .. }
                if !all.iter().any(|own| Arc::ptr_eq(own, cursor.pages())) =>
            {
                all.push(Arc::clone(cursor.pages()));
            }
            Self::Mixed(_, _, field)
            | Self::Array { element: field, .. }
            | Self::Padded { field, .. }
            | Self::Nullable { field, .. } => field.add_pages(all),
            Self::Conditional { entries, .. } => {
                entries.iter().for_each(|field| field.add_pages(all));
            }
            _ => {}
        }
    }

    /// Most bytes of buffer that [`Field::put`] writes a row, more than it keeps in some cases.
    pub(super) fn max_bytes(&self) -> usize {
        match self {
            Self::RowId { .. }
            | Self::DueTimestamp
            | Self::EventTime(_)
            | Self::BigInt(_)
            | Self::Double(_) => 4 + 8,
            Self::DueDate | Self::Integer(_) | Self::Real(_) => 4 + 4,
            Self::SmallInt(_) => 4 + 2,
            Self::Boolean { .. } => 4 + 1,
            Self::ShortLabel(..) | Self::ShortChoice(..) => 16,
            Self::LongLabel(..) | Self::LongChoice(..) => 32,
            Self::Choice(_, fields) => longest(fields),
            Self::Sampled { longest, .. } => *longest,
            Self::Mixed(_, fields, others) => others.max_bytes().max(longest(fields)),
            Self::Nullable { field, .. } => field.max_bytes(),
            Self::FormattedLabel(_, label) => label.max_bytes(),
            Self::ShortNumeric(..) | Self::LongNumeric(..) => numeric::PACKED_BYTES,
            Self::WideNumeric(..) | Self::WideWhole(..) => numeric::WIDE_BYTES,
            Self::Text(text) => text.max_bytes(),
            Self::RowUuid { .. } | Self::Uuid(_) | Self::DueUuid(_) => 4 + 16,
            Self::Bytes(bytes) => bytes.max_bytes(),
            Self::Inet(inet) => inet.bytes(),
            Self::Pattern(template) => template.max_bytes(),
            Self::Conditional { entries, .. } => {
                entries.iter().map(Self::max_bytes).max().unwrap_or(0)
            }
            Self::Array { most, element, .. } => Frame::max_bytes(most * element.max_bytes()),
            Self::Padded { field, chars } => field.max_bytes() + chars,
        }
    }

    /// Appends the column's value to each row of the block.
    pub(super) fn put<R: Rows>(&mut self, block: &mut R) {
        match self {
            Self::RowId { first } => {
                block.put(|row, space| write_i64(first.wrapping_add(row.seq as i64), space));
            }
            Self::RowUuid { run, partition, first } => block.put(|row, space| {
                write_uuid(run.uuid(*partition, first.wrapping_add(row.seq as i64)), space)
            }),
            Self::DueTimestamp => {
                block.put_due(|_, due_us, space| write_i64(timestamp(due_us), space));
            }
            Self::DueDate => block.put_due(|_, due_us, space| {
                write_i32(timestamp(due_us).div_euclid(DAY_US) as i32, space)
            }),
            Self::ShortLabel(offset, table) => {
                offset.put(block, |offset, space| table.write(offset as u64, space));
            }
            Self::LongLabel(offset, table) => {
                offset.put(block, |offset, space| table.write(offset as u64, space));
            }
            Self::FormattedLabel(number, label) => {
                number.put(block, |number, space| label.write(number as u64, space));
            }
            Self::SmallInt(whole) => whole.put(block, |value, space| {
                let [high, low] = (value as i16).to_be_bytes();
                write([0, 0, 0, 2, high, low], space)
            }),
            Self::Integer(whole) => whole.put(block, |value, space| write_i32(value as i32, space)),
            Self::BigInt(whole) => whole.put(block, write_i64),
            Self::ShortNumeric(whole, packed) => {
                let packed = *packed;
                whole.put(block, |value, space| packed.write(value, space));
            }
            Self::LongNumeric(whole, packed) => {
                let packed = *packed;
                whole.put(block, |value, space| packed.write(value, space));
            }
            Self::WideNumeric(whole, scale) => {
                whole.put(block, |value, space| numeric::write(value.into(), *scale, space));
            }
            Self::WideWhole(whole, scale) => {
                whole.put(block, |value, space| numeric::write_whole(value, *scale, space));
            }
            Self::Real(float) => {
                block.put(|row, space| write_i32(float.real(row).to_bits() as i32, space));
            }
            Self::Double(float) => {
                block.put(|row, space| write_i64(float.double(row).to_bits() as i64, space));
            }
            Self::Text(text) => block.put(|row, space| text.write(row, space)),
            Self::Boolean { stream, true_below } => block.put(|row, space| {
                let value = stream.bits(row) >> 11 < *true_below;
                write([0, 0, 0, 1, u8::from(value)], space)
            }),
            Self::ShortChoice(chosen, table) => {
                chosen.put(block, |number, space| table.write(number, space));
            }
            Self::LongChoice(chosen, table) => {
                chosen.put(block, |number, space| table.write(number, space));
            }
            Self::Choice(chosen, fields) => chosen.put(block, |number, space| {
                let field = &fields[number as usize];
                space[..field.len()].copy_from_slice(field);
                field.len()
            }),
            Self::Sampled { number, reader: Reader::Memory(fields), .. } => {
                number.put(block, |number, space| fields.write(number as usize, space));
            }
            Self::Sampled { number, reader: Reader::Paged(cursor), .. } => {
                number.put(block, |number, space| cursor.write(number as u64, space));
            }
            Self::Uuid(stream) => {
                block.put(|row, space| write_uuid(uuid::random(*stream, row), space));
            }
            Self::DueUuid(stream) => block.put_due(|row, due_us, space| {
                write_uuid(uuid::of_moment(due_us, *stream, row), space)
            }),
            Self::EventTime(event) => block.put_due(|row, due_us, space| {
                write_i64(timestamp(event.moment(row, due_us)), space)
            }),
            Self::Bytes(bytes) => block.put(|row, space| bytes.write(row, space)),
            Self::Inet(inet) => block.put(|row, space| inet.write(row, space)),
            Self::Pattern(template) => template.put(block),
            Self::Mixed(..)
            | Self::Array { .. }
            | Self::Conditional { .. }
            | Self::Padded { .. }
            | Self::Nullable { .. } => {
                self.put_others(block);
            }
        }
    }

    /// The same of what is made of other fields.
    fn put_others<R: Rows>(&mut self, block: &mut R) {
        match self {
            Self::Mixed(chosen, fields, others) => block.put_and_change(
                |block| others.put(block),
                |row, length, space| match fields.get(chosen.at(row) as usize) {
                    None => length,
                    Some(field) => {
                        space[..field.len()].copy_from_slice(field);
                        field.len()
                    }
                },
            ),
            Self::Conditional { on, entry_of, entries } => block.put(|row, space| {
                let mut one = InRow::one(row, space);
                entries[entry_of[on.at(row) as usize] as usize].put(&mut one);
                one.bytes()
            }),
            Self::Array { lengths, frame, element, .. } => block.put(|row, space| {
                let elements = (row, lengths.at(row) as usize);
                frame.write(elements, space, |elements| element.put(elements))
            }),
            Self::Padded { field, chars } => block.put_and_change(
                |block| field.put(block),
                |_, length, space| pad(space, length, *chars),
            ),
            Self::Nullable { field, stream, null_below } => {
                block.put_or_null(
                    |block| field.put(block),
                    |row| stream.bits(row) >> 11 < *null_below,
                );
            }
            _ => {}
        }
    }
}

/// A value as a field.
fn field(value: &[u8]) -> Vec<u8> {
    [&(value.len() as u32).to_be_bytes(), value].concat()
}

fn longest(fields: &[Vec<u8>]) -> usize {
    fields.iter().map(Vec::len).max().unwrap_or(0)
}

/// Appends spaces to a field of a text, up to so many characters; returns its new length.
fn pad(space: &mut [u8], length: usize, chars: usize) -> usize {
    if space[..4] == NULL {
        return length;
    }
    // Each character has one byte that continues no other.
    let has = space[4..length].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let end = length + chars.saturating_sub(has);
    space[length..end].fill(b' ');
    space[..4].copy_from_slice(&(end as u32 - 4).to_be_bytes());
    end
}

#[inline]
fn write_uuid(value: u128, space: &mut [u8]) -> usize {
    let mut field = [0; 20];
    field[..4].copy_from_slice(&16_u32.to_be_bytes());
    field[4..].copy_from_slice(&value.to_be_bytes());
    write(field, space)
}

#[inline]
fn write_i32(value: i32, space: &mut [u8]) -> usize {
    write((4 << 32 | u64::from(value as u32)).to_be_bytes(), space)
}

#[inline]
fn write_i64(value: i64, space: &mut [u8]) -> usize {
    let mut field = [0; 12];
    field[..4].copy_from_slice(&8_u32.to_be_bytes());
    field[4..].copy_from_slice(&value.to_be_bytes());
    write(field, space)
}

/// Unix time as PostgreSQL's. A moment beyond its calendar becomes the nearest within.
#[inline]
fn timestamp(unix_us: i64) -> i64 {
    unix_us.saturating_sub(EPOCH_UNIX_US).clamp(TIMESTAMP_MIN_US, TIMESTAMP_MAX_US)
}
