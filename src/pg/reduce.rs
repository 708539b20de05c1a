//! Hands the values of a row to whoever makes a digest of the answer, in the binary form in which the
//! server sends them.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Kind, Type};

use super::kind::kind_of;
use super::{Error, Session};
use crate::answer::{AnswerError, Column, Decimal, Question, Reducer};

/// How a type is sent, as far as a digest goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wire {
    /// Equal values have equal bytes.
    Bytes,
    Numeric,
    Float8,
    Float4,
    /// Text that numbers may lie in.
    Json,
    /// The same behind a version.
    Jsonb,
    Array(Box<Wire>),
    /// Numbers may lie in it, and where is not known.
    Opaque,
}

impl Wire {
    fn of(of: &Type) -> Self {
        match *of {
            Type::NUMERIC => return Self::Numeric,
            Type::FLOAT8 => return Self::Float8,
            Type::FLOAT4 => return Self::Float4,
            Type::JSON => return Self::Json,
            Type::JSONB => return Self::Jsonb,
            _ => {}
        }
        match of.kind() {
            Kind::Domain(base) => Self::of(base),
            Kind::Array(element) => match Self::of(element) {
                Self::Opaque => Self::Opaque,
                element => Self::Array(Box::new(element)),
            },
            Kind::Range(of) | Kind::Multirange(of) if Self::of(of) == Self::Bytes => Self::Bytes,
            Kind::Composite(_) | Kind::Range(_) | Kind::Multirange(_) => Self::Opaque,
            _ => match kind_of(of) {
                crate::answer::Kind::Plain | crate::answer::Kind::Other => Self::Bytes,
                _ => Self::Opaque,
            },
        }
    }

    /// Hands a value on. What is not as it should be is handed on as bytes.
    #[inline]
    fn reduce(&self, reducer: &mut Reducer, column: usize, bytes: &[u8]) {
        let taken = match self {
            Self::Bytes | Self::Opaque => None,
            Self::Numeric => decimal(bytes).map(|value| reducer.decimal(column, value)),
            Self::Float8 => bytes
                .first_chunk::<8>()
                .map(|bytes| reducer.float(column, f64::from_be_bytes(*bytes))),
            Self::Float4 => bytes
                .first_chunk::<4>()
                .map(|bytes| reducer.float(column, f64::from(f32::from_be_bytes(*bytes)))),
            Self::Json => text(bytes).map(|text| reducer.text(column, text)),
            Self::Jsonb => bytes
                .split_first()
                .and_then(|(_, bytes)| text(bytes))
                .map(|text| reducer.text(column, text)),
            Self::Array(element) => Self::array(element, reducer, column, bytes),
        };
        if taken.is_none() {
            reducer.bytes(column, bytes);
        }
    }

    /// An array: number of dimensions, whether there are NULLs, the type of its elements; length and
    /// lower bound of each dimension; and each element behind its length.
    fn array(element: &Self, reducer: &mut Reducer, column: usize, bytes: &[u8]) -> Option<()> {
        let dimensions = u32::from_be_bytes(*bytes.first_chunk::<4>()?) as usize;
        let header = 12 + dimensions.checked_mul(8)?;
        let (header, mut rest) = bytes.split_at_checked(header)?;
        reducer.bytes(column, header);
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                reducer.null(column);
                rest = after;
                continue;
            };
            let (value, after) = after.split_at_checked(length)?;
            element.reduce(reducer, column, value);
            rest = after;
        }
        Some(())
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A numeric: number of digits, weight, sign, scale, and the digits.
fn decimal(bytes: &[u8]) -> Option<Decimal<'_>> {
    let (header, digits) = bytes.split_first_chunk::<8>()?;
    let [_, weight, sign, _] = header.as_chunks::<2>().0 else { return None };
    let (weight, sign) = (i16::from_be_bytes(*weight), u16::from_be_bytes(*sign));
    Some(Decimal { weight, sign, digits: digits.as_chunks::<2>().0 })
}

/// Any value, as it was sent.
struct Sent<'r>(&'r [u8]);

impl<'r> FromSql<'r> for Sent<'r> {
    fn from_sql(
        _: &Type,
        bytes: &'r [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Makes digests of the answers to one query, in one arm.
#[derive(Debug, Clone)]
pub struct Reduction {
    wires: Vec<Wire>,
    /// Makes them, and compares them.
    pub reducer: Reducer,
}

impl Reduction {
    /// Whether digests of both can be compared: their columns are of the same types.
    pub fn is_like(&self, other: &Self) -> bool {
        self.wires == other.wires
    }

    pub(super) fn row(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
        for (column, wire) in self.wires.iter().enumerate() {
            if !self.reducer.wants(column) {
                continue;
            }
            match row.try_get::<_, Option<Sent<'_>>>(column)? {
                Some(Sent(bytes)) => wire.reduce(&mut self.reducer, column, bytes),
                None => self.reducer.null(column),
            }
        }
        self.reducer.end_row();
        Ok(())
    }
}

impl Session {
    /// What makes digests of the answers to a question, as the session is now.
    ///
    /// # Errors
    /// When the server does not accept the query. The inner result is what is wrong with the rule.
    pub async fn reduction(
        &mut self,
        question: Question<'_>,
    ) -> Result<Result<Reduction, AnswerError>, Error> {
        let sql = question.sql;
        let statement = self.drive("prepare the query", |client| client.prepare(sql)).await?;
        let column = |column: &tokio_postgres::Column| Column {
            name: column.name().to_owned(),
            kind: kind_of(column.type_()),
        };
        let columns: Vec<Column> = statement.columns().iter().map(column).collect();
        let wires = statement.columns().iter().map(|column| Wire::of(column.type_()));
        let wires: Vec<Wire> = wires.collect();
        let can_be_reduced: Vec<bool> = wires.iter().map(|wire| *wire != Wire::Opaque).collect();
        let reducer = Reducer::new(&columns, &can_be_reduced, question);
        Ok(reducer.map(|reducer| Reduction { wires, reducer }))
    }
}
