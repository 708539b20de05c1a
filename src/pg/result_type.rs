//! The types of a query's result, as far as their binary form is known here.

use tokio_postgres::types::Type;

use super::{Error, Session};

/// A column of a query's result, with its type. A domain is seen as the type beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub result_type: ResultType,
}

/// A type whose binary form is known, or the name of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultType {
    /// `boolean`.
    Boolean,
    /// `smallint`.
    SmallInt,
    /// `integer`.
    Integer,
    /// `bigint`.
    BigInt,
    /// `real`.
    Real,
    /// `double precision`.
    Double,
    /// `numeric`, with its modifier if it has one.
    Numeric(Option<NumericModifier>),
    /// `text`, `varchar` or `char(n)`.
    Text,
    /// `date`.
    Date,
    /// `timestamp`.
    Timestamp,
    /// `timestamptz`.
    TimestampTz,
    /// Any other, by its name.
    Other(String),
}

/// What stands in the brackets of `numeric(precision, scale)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumericModifier {
    /// Digits in all, 1 to 1000.
    pub precision: u16,
    /// Digits after the point, −1000 to 1000: since PostgreSQL 15 it may be negative, or more
    /// than the precision.
    pub scale: i16,
}

impl NumericModifier {
    /// From the server's type modifier: four bytes of header, then the precision in the upper
    /// half and the scale in the lower eleven bits, signed.
    fn from_typmod(typmod: i32) -> Option<Self> {
        let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
        let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
        Some(Self { precision: (packed >> 16) as u16, scale: scale as i16 })
    }
}

impl Session {
    /// The columns that `query` gives, with their types; it is not run.
    ///
    /// # Errors
    /// When the server does not accept the query.
    pub async fn typed_columns(&mut self, query: &str) -> Result<Vec<TypedColumn>, Error> {
        let statement = self.drive("prepare the query", |client| client.prepare(query)).await?;
        let column = |column: &tokio_postgres::Column| TypedColumn {
            name: column.name().to_owned(),
            result_type: match *column.type_() {
                Type::BOOL => ResultType::Boolean,
                Type::INT2 => ResultType::SmallInt,
                Type::INT4 => ResultType::Integer,
                Type::INT8 => ResultType::BigInt,
                Type::FLOAT4 => ResultType::Real,
                Type::FLOAT8 => ResultType::Double,
                Type::NUMERIC => {
                    ResultType::Numeric(NumericModifier::from_typmod(column.type_modifier()))
                }
                Type::TEXT | Type::VARCHAR | Type::BPCHAR => ResultType::Text,
                Type::DATE => ResultType::Date,
                Type::TIMESTAMP => ResultType::Timestamp,
                Type::TIMESTAMPTZ => ResultType::TimestampTz,
                ref other => ResultType::Other(other.name().to_owned()),
            },
        };
        Ok(statement.columns().iter().map(column).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_is_unpacked_as_the_server_packs_it() {
        // SELECT atttypmod FROM pg_attribute of PostgreSQL 15.
        let read = |typmod| NumericModifier::from_typmod(typmod).map(|m| (m.precision, m.scale));
        assert_eq!(read(-1), None);
        assert_eq!(read(983_046), Some((15, 2)));
        assert_eq!(read(2_490_372), Some((38, 0)));
        assert_eq!(read(133_121), Some((2, -3)));
        assert_eq!(read(65_536_004 + 1000), Some((1000, 1000)));
    }
}
