//! How a query is sent: with its values in the text or beside it, and by a statement that the session
//! keeps, or anew each time.

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, RowStream, Statement};

use super::read_back::fields;
use super::{Error, Session};
use crate::row::{ColumnType, ElementType, EncodeError};

const ACT: &str = "prepare the query";

/// One execution of a query.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// The text in one message. The answer comes as text.
    Simple(&'a str),
    /// The text, parsed and planned anew: a plan that was good for a small table does not outlive the
    /// table's growth. Values beside it.
    Extended(&'a str, Bound<'a>),
    /// By a statement that the session keeps for this text and this purpose, such as an arm: a plan that
    /// the server keeps with it is none of another arm.
    Kept(&'a str, Bound<'a>, &'a str),
}

impl<'a> Ask<'a> {
    /// Whether the session keeps a statement for it.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(..))
    }

    /// A text that is parsed and planned anew, and has no values.
    pub fn plain(sql: &'a str) -> Self {
        Self::Extended(sql, Bound::default())
    }
}

/// The values of an execution: those of `$1`, `$2` and so on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bound<'a> {
    /// Their types.
    pub types: &'a [ColumnType],
    /// The values as a tuple of COPY BINARY, whose fields are what a statement takes, too.
    pub tuple: &'a [u8],
}

impl<'a> Bound<'a> {
    fn types(self) -> Vec<Type> {
        self.types.iter().copied().map(wire_type).collect()
    }

    fn values(self) -> Vec<Value<'a>> {
        fields(self.tuple).map(Value).collect()
    }
}

/// A type as the server knows it: without what limits a column of it.
fn wire_type(sql_type: ColumnType) -> Type {
    match (sql_type, sql_type.as_element()) {
        (ColumnType::Array(element), _) => with_array(element).1,
        (_, Some(own)) => with_array(own).0,
        (_, None) => Type::UNKNOWN,
    }
}

/// A type, and the one of its arrays.
fn with_array(own: ElementType) -> (Type, Type) {
    match own {
        ElementType::SmallInt => (Type::INT2, Type::INT2_ARRAY),
        ElementType::Integer => (Type::INT4, Type::INT4_ARRAY),
        ElementType::BigInt => (Type::INT8, Type::INT8_ARRAY),
        ElementType::Real => (Type::FLOAT4, Type::FLOAT4_ARRAY),
        ElementType::Double => (Type::FLOAT8, Type::FLOAT8_ARRAY),
        ElementType::Numeric { .. } => (Type::NUMERIC, Type::NUMERIC_ARRAY),
        ElementType::Text => (Type::TEXT, Type::TEXT_ARRAY),
        ElementType::Varchar(_) => (Type::VARCHAR, Type::VARCHAR_ARRAY),
        ElementType::Char(_) => (Type::BPCHAR, Type::BPCHAR_ARRAY),
        ElementType::Uuid => (Type::UUID, Type::UUID_ARRAY),
        ElementType::Json => (Type::JSON, Type::JSON_ARRAY),
        ElementType::Jsonb => (Type::JSONB, Type::JSONB_ARRAY),
        ElementType::Bytea => (Type::BYTEA, Type::BYTEA_ARRAY),
        ElementType::Inet => (Type::INET, Type::INET_ARRAY),
        ElementType::Time => (Type::TIME, Type::TIME_ARRAY),
        ElementType::Boolean => (Type::BOOL, Type::BOOL_ARRAY),
        ElementType::Date => (Type::DATE, Type::DATE_ARRAY),
        ElementType::Timestamp => (Type::TIMESTAMP, Type::TIMESTAMP_ARRAY),
        ElementType::TimestampTz => (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
    }
}

/// A value that is sent as it is.
#[derive(Debug)]
struct Value<'a>(Option<&'a [u8]>);

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What is sent with values beside it.
pub(super) enum Parsed<'a> {
    Anew(&'a str, Bound<'a>),
    Kept(Statement, Bound<'a>),
}

impl Parsed<'_> {
    /// Sends it; the answer comes in binary.
    pub(super) async fn send(self, client: &Client) -> Result<RowStream, tokio_postgres::Error> {
        match self {
            Self::Anew(sql, bound) => {
                let values = bound.values().into_iter().zip(bound.types());
                client.query_typed_raw(sql, values.collect::<Vec<_>>()).await
            }
            Self::Kept(statement, bound) => client.query_raw(&statement, bound.values()).await,
        }
    }
}

impl Error {
    /// A query's values cannot be made.
    pub fn no_values(error: &EncodeError) -> Self {
        Self::refused("draw the values of a query's parameters", error.to_string())
    }
}

impl Session {
    /// Has the server read a text with values of these types, and nothing more.
    ///
    /// # Errors
    /// When it does not accept it.
    pub async fn parse(&mut self, sql: &str, types: &[ColumnType]) -> Result<(), Error> {
        self.statement(sql, Bound { types, tuple: &[] }).await.map(drop)
    }

    /// Prepares what has to be before an execution: a statement that the session does not keep yet, or the
    /// types of an answer that it does not know.
    ///
    /// The client library asks the server about a type that it meets for the first time. In the middle of an
    /// answer it would wait for that for ever: what is left of the answer comes first, and nobody takes it.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub async fn ready(&mut self, ask: Ask<'_>) -> Result<(), Error> {
        // Boxed: rare, and large.
        match ask {
            Ask::Kept(sql, bound, of) if self.kept.get(sql, of).is_none() => {
                let statement = Box::pin(self.statement(sql, bound)).await?;
                self.kept.add(sql, of, statement);
            }
            Ask::Extended(sql, bound) if !self.kept.is_described(sql) => {
                Box::pin(self.statement(sql, bound)).await?;
                self.kept.describe(sql);
            }
            _ => {}
        }
        Ok(())
    }

    async fn statement(&mut self, sql: &str, bound: Bound<'_>) -> Result<Statement, Error> {
        let types = bound.types();
        self.drive(ACT, |client| async move { client.prepare_typed(sql, &types).await }).await
    }
}
