//! The SQL types that rows can be generated for.

use std::convert::Infallible;
use std::fmt::{self, Display};

use serde::{Serialize, Serializer};

/// An SQL type that rows can be generated for. `Element` is the type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType<Element> {
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `real`
    Real,
    /// `double precision`
    Double,
    /// `numeric(precision,scale)`
    Numeric {
        /// Digits in all.
        precision: u16,
        /// Digits after the decimal point, at most `precision`.
        scale: u16,
    },
    /// `text`
    Text,
    /// `varchar(n)`
    Varchar(u32),
    /// `char(n)`
    Char(u32),
    /// `uuid`
    Uuid,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
    /// `inet`
    Inet,
    /// `time without time zone`
    Time,
    /// `boolean`
    Boolean,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// An array of one dimension.
    Array(Element),
}

/// The type of a column.
pub type ColumnType = SqlType<ElementType>;

/// The type of an array's elements: any but an array.
pub type ElementType = SqlType<Infallible>;

impl<Element> SqlType<Element> {
    /// The same type, or what `array` makes of an array.
    fn map<Other, Error>(
        self,
        array: impl FnOnce(Element) -> Result<SqlType<Other>, Error>,
    ) -> Result<SqlType<Other>, Error> {
        Ok(match self {
            Self::SmallInt => SqlType::SmallInt,
            Self::Integer => SqlType::Integer,
            Self::BigInt => SqlType::BigInt,
            Self::Real => SqlType::Real,
            Self::Double => SqlType::Double,
            Self::Numeric { precision, scale } => SqlType::Numeric { precision, scale },
            Self::Text => SqlType::Text,
            Self::Varchar(chars) => SqlType::Varchar(chars),
            Self::Char(chars) => SqlType::Char(chars),
            Self::Uuid => SqlType::Uuid,
            Self::Json => SqlType::Json,
            Self::Jsonb => SqlType::Jsonb,
            Self::Bytea => SqlType::Bytea,
            Self::Inet => SqlType::Inet,
            Self::Time => SqlType::Time,
            Self::Boolean => SqlType::Boolean,
            Self::Date => SqlType::Date,
            Self::Timestamp => SqlType::Timestamp,
            Self::TimestampTz => SqlType::TimestampTz,
            Self::Array(element) => return array(element),
        })
    }
}

impl From<ElementType> for ColumnType {
    fn from(element: ElementType) -> Self {
        let Ok(own) = element.map::<_, Infallible>(|never| match never {});
        own
    }
}

impl ColumnType {
    /// The type as one of elements, unless it is an array.
    pub fn as_element(self) -> Option<ElementType> {
        self.map(Err).ok()
    }

    /// The type of an array's elements.
    pub fn element(self) -> Option<Self> {
        match self {
            Self::Array(element) => Some(element.into()),
            _ => None,
        }
    }

    /// The name by which a value is cast to it without being cut or rounded.
    pub fn cast_name(self) -> String {
        match self {
            Self::Numeric { .. } => "numeric".to_owned(),
            Self::Varchar(_) => "varchar".to_owned(),
            Self::Char(_) => "bpchar".to_owned(),
            Self::Array(element) => Self::from(element).cast_name() + "[]",
            whole => whole.to_string(),
        }
    }

    /// Digits after the decimal point: none but a numeric's.
    pub(crate) fn scale(self) -> u16 {
        match self {
            Self::Numeric { scale, .. } => scale,
            _ => 0,
        }
    }
}

impl ElementType {
    /// The number by which every server knows the type: it stands before the elements of an array.
    pub(super) fn oid(self) -> u32 {
        match self {
            Self::SmallInt => 21,
            Self::Integer => 23,
            Self::BigInt => 20,
            Self::Real => 700,
            Self::Double => 701,
            Self::Numeric { .. } => 1700,
            Self::Text => 25,
            Self::Varchar(_) => 1043,
            Self::Char(_) => 1042,
            Self::Uuid => 2950,
            Self::Json => 114,
            Self::Jsonb => 3802,
            Self::Bytea => 17,
            Self::Inet => 869,
            Self::Time => 1083,
            Self::Boolean => 16,
            Self::Date => 1082,
            Self::Timestamp => 1114,
            Self::TimestampTz => 1184,
        }
    }
}

impl<Element: Display> Display for SqlType<Element> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double precision"),
            Self::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Varchar(chars) => write!(f, "character varying({chars})"),
            Self::Char(chars) => write!(f, "character({chars})"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Jsonb => f.write_str("jsonb"),
            Self::Bytea => f.write_str("bytea"),
            Self::Inet => f.write_str("inet"),
            Self::Time => f.write_str("time without time zone"),
            Self::Boolean => f.write_str("boolean"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp without time zone"),
            Self::TimestampTz => f.write_str("timestamp with time zone"),
            Self::Array(element) => write!(f, "{element}[]"),
        }
    }
}

impl<Element: Display> Serialize for SqlType<Element> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
