//! What the values of a type are, as far as comparing answers goes.

use tokio_postgres::types::{self, Type};

use crate::answer::{Kind, Number};

/// What the text of a type's values stands for.
pub(super) fn kind_of(of: &Type) -> Kind {
    let number = |of: &Type| match *of {
        Type::NUMERIC => Some(Number::Numeric),
        Type::FLOAT8 => Some(Number::Float8),
        Type::FLOAT4 => Some(Number::Float4),
        _ => None,
    };
    if let Some(number) = number(of) {
        return Kind::Number(number);
    }
    match *of {
        Type::BOOL
        | Type::INT2
        | Type::INT4
        | Type::INT8
        | Type::OID
        | Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::CHAR
        | Type::DATE
        | Type::TIME
        | Type::TIMESTAMP
        | Type::UUID
        | Type::BYTEA => return Kind::Plain,
        Type::TIMESTAMPTZ => return Kind::Instant,
        Type::JSON | Type::JSONB | Type::RECORD => return Kind::Mixed,
        Type::POINT
        | Type::LINE
        | Type::LSEG
        | Type::BOX
        | Type::PATH
        | Type::POLYGON
        | Type::CIRCLE => return Kind::Numbers(Number::Float8),
        _ => {}
    }
    match of.kind() {
        types::Kind::Domain(base) => kind_of(base),
        types::Kind::Composite(_) => Kind::Mixed,
        types::Kind::Enum(_) => Kind::Plain,
        types::Kind::Array(of) | types::Kind::Range(of) | types::Kind::Multirange(of) => {
            match (kind_of(of), number(of)) {
                (_, Some(number)) => Kind::Numbers(number),
                (Kind::Plain, _) => Kind::Plain,
                (Kind::Instant | Kind::Instants, _) => Kind::Instants,
                _ => Kind::Other,
            }
        }
        // Of pgvector: elements of four bytes or fewer.
        _ if matches!(of.name(), "vector" | "halfvec") => Kind::Numbers(Number::Float4),
        _ => Kind::Other,
    }
}
