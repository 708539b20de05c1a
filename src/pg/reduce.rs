//! Hands the values of a row to whoever makes a digest of the answer, in the binary form in which the
//! server sends them.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Kind, Type};

use super::kind::kind_of;
use super::{Error, Session};
use crate::answer::{AnswerError, Column, Decimal, Kind as Meaning, Question, Reducer};

/// How a type is sent, as far as a digest goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wire {
    /// Equal values have equal bytes, which are those of this type.
    Bytes(Type),
    /// The bytes are the text.
    Text,
    /// A whole number of two, four or eight bytes, or four without a sign.
    Integer {
        signed: bool,
    },
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
            Type::INT2 | Type::INT4 | Type::INT8 => return Self::Integer { signed: true },
            Type::OID => return Self::Integer { signed: false },
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => return Self::Text,
            Type::NUMERIC => return Self::Numeric,
            Type::FLOAT8 => return Self::Float8,
            Type::FLOAT4 => return Self::Float4,
            Type::JSON => return Self::Json,
            Type::JSONB => return Self::Jsonb,
            _ => {}
        }
        match of.kind() {
            Kind::Domain(base) => Self::of(base),
            Kind::Enum(_) => Self::Text,
            Kind::Array(element) => match Self::of(element) {
                Self::Opaque => Self::Opaque,
                // As rows are compared: to the letter.
                Self::Json | Self::Jsonb => Self::Bytes(of.clone()),
                element => Self::Array(Box::new(element)),
            },
            Kind::Range(of) | Kind::Multirange(of) if !Self::of(of).is_of_bytes() => Self::Opaque,
            Kind::Composite(_) => Self::Opaque,
            _ => match kind_of(of) {
                Meaning::Mixed | Meaning::Number(_) | Meaning::Numbers(_) => Self::Opaque,
                _ => Self::Bytes(of.clone()),
            },
        }
    }

    fn is_of_bytes(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Text | Self::Integer { .. })
    }

    /// Whether equal values that are sent in these two ways come to the same.
    fn is_like(&self, other: &Self) -> bool {
        let is_number = |wire: &Self| {
            matches!(wire, Self::Integer { .. } | Self::Numeric | Self::Float8 | Self::Float4)
        };
        match (self, other) {
            (Self::Opaque, _) => false,
            (Self::Json | Self::Jsonb, Self::Json | Self::Jsonb) => true,
            (Self::Array(own), Self::Array(others)) => own.is_like(others),
            (own, others) => own == others || (is_number(own) && is_number(others)),
        }
    }

    /// Hands a value on. What is not as it should be is handed on as bytes.
    #[inline]
    fn reduce(&self, reducer: &mut Reducer, column: usize, bytes: &[u8]) {
        let taken = match self {
            Self::Bytes(_) | Self::Text | Self::Opaque => None,
            Self::Integer { signed } => {
                integer(bytes, *signed).map(|value| reducer.integer(column, value))
            }
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

    /// An array: number of dimensions, whether there are NULLs, the type of its elements, which all say
    /// nothing of the values; length and lower bound of each dimension; and each element behind its length.
    fn array(element: &Self, reducer: &mut Reducer, column: usize, bytes: &[u8]) -> Option<()> {
        let dimensions = u32::from_be_bytes(*bytes.first_chunk::<4>()?) as usize;
        let bounds = dimensions.checked_mul(8)?;
        let (bounds, mut rest) = bytes.get(12..)?.split_at_checked(bounds)?;
        reducer.bytes(column, bounds);
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

fn integer(bytes: &[u8], signed: bool) -> Option<i64> {
    match *bytes {
        [a, b] => Some(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] if signed => Some(i32::from_be_bytes([a, b, c, d]).into()),
        [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d]).into()),
        _ => bytes.try_into().ok().map(i64::from_be_bytes),
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

/// The columns of the answers to a query in one arm, and how their values are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerForm {
    columns: Vec<Column>,
    wires: Vec<Wire>,
}

/// What the answers in several arms have in common. Columns whose types differ in such a way that equal values
/// are not seen to be so have no part in a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedForm {
    columns: Vec<Column>,
    can_be_reduced: Vec<bool>,
}

impl SharedForm {
    /// Of these forms; `None` if they have other numbers of columns, or there are none.
    pub fn of<'f>(forms: impl Iterator<Item = &'f AnswerForm> + Clone) -> Option<Self> {
        let first = forms.clone().next()?;
        let mut columns = first.columns.clone();
        let mut can_be_reduced = vec![true; columns.len()];
        for form in forms {
            if form.columns.len() != columns.len() {
                return None;
            }
            for (at, wire) in form.wires.iter().enumerate() {
                can_be_reduced[at] &= first.wires[at].is_like(wire);
                columns[at].kind = columns[at].kind.or(form.columns[at].kind);
            }
        }
        Some(Self { columns, can_be_reduced })
    }

    /// What makes digests that can be compared.
    ///
    /// # Errors
    /// When the rule names other columns.
    pub fn reducer(&self, question: Question<'_>) -> Result<Reducer, AnswerError> {
        Reducer::new(&self.columns, &self.can_be_reduced, question)
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
    /// Of answers of this form.
    pub fn new(form: &AnswerForm, reducer: Reducer) -> Self {
        Self { wires: form.wires.clone(), reducer }
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
    /// The form of the answers to a query, as the session is now.
    ///
    /// # Errors
    /// When the server does not accept the query.
    pub async fn form(&mut self, sql: &str) -> Result<AnswerForm, Error> {
        let statement = self.drive("prepare the query", |client| client.prepare(sql)).await?;
        let column = |column: &tokio_postgres::Column| Column {
            name: column.name().to_owned(),
            kind: kind_of(column.type_()),
        };
        let wires = statement.columns().iter().map(|column| Wire::of(column.type_()));
        let wires = wires.collect();
        Ok(AnswerForm { columns: statement.columns().iter().map(column).collect(), wires })
    }
}
