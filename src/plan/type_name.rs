//! SQL types by their names.

use super::fault::suggest;
use super::value_text::VARCHAR_MAX;
use crate::row::ColumnType;

/// Most digits of a `numeric` column.
const PRECISION_MAX: u16 = 1000;

/// Names of types as a profile may write them; the first of each is the one to suggest.
const TYPES: [(ColumnType, &[&str]); 16] = [
    (ColumnType::SmallInt, &["smallint", "int2"]),
    (ColumnType::Integer, &["integer", "int", "int4"]),
    (ColumnType::BigInt, &["bigint", "int8"]),
    (ColumnType::Real, &["real", "float4"]),
    (ColumnType::Double, &["double precision", "float8"]),
    (ColumnType::Text, &["text"]),
    (ColumnType::Boolean, &["boolean", "bool"]),
    (ColumnType::Date, &["date"]),
    (ColumnType::TimestampTz, &["timestamptz", "timestamp with time zone"]),
    (ColumnType::Timestamp, &["timestamp", "timestamp without time zone"]),
    (ColumnType::Time, &["time", "time without time zone"]),
    (ColumnType::Uuid, &["uuid"]),
    (ColumnType::Json, &["json"]),
    (ColumnType::Jsonb, &["jsonb"]),
    (ColumnType::Bytea, &["bytea"]),
    (ColumnType::Inet, &["inet"]),
];

/// The type named `text`, or how to write one.
pub(crate) fn parse_type(text: &str) -> Result<ColumnType, String> {
    let Some(element) = text.trim_end().strip_suffix("[]") else {
        return match text.split_once('[') {
            Some((element, _)) => Err(format!("write `{element}[]` without a number")),
            None => parse_scalar(text),
        };
    };
    let element = parse_type(element.trim_end())?.as_element();
    element
        .map(ColumnType::Array)
        .ok_or_else(|| "write `[]` once: arrays have one dimension".to_owned())
}

/// The same of a type that is no array.
fn parse_scalar(text: &str) -> Result<ColumnType, String> {
    let text = text.to_ascii_lowercase();
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => {
            let inner = rest.trim_end().strip_suffix(')').ok_or("close the parenthesis")?;
            (name, Some(inner.split(',').map(str::trim).collect::<Vec<_>>()))
        }
        None => (text.as_str(), None),
    };
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match (name.as_str(), arguments.as_deref()) {
        ("numeric" | "decimal", arguments) => {
            let (precision, scale) = match arguments {
                Some([precision]) => (precision.parse().ok(), Some(0)),
                Some([precision, scale]) => (precision.parse().ok(), scale.parse().ok()),
                _ => (None, None),
            };
            match (precision, scale) {
                (Some(precision @ 1..=PRECISION_MAX), Some(scale)) if scale <= precision => {
                    Ok(ColumnType::Numeric { precision, scale })
                }
                _ => Err(format!(
                    "write digits in all (1 to {PRECISION_MAX}) and after the point, such as `numeric(15,2)`"
                )),
            }
        }
        ("varchar" | "character varying", arguments) => match arguments {
            Some([chars]) => match chars.parse() {
                Ok(chars @ 1..=VARCHAR_MAX) => Ok(ColumnType::Varchar(chars)),
                _ => Err(format!("write 1 to {VARCHAR_MAX} characters, such as `varchar(50)`")),
            },
            _ => Err("write the most characters, such as `varchar(50)`, or `text`".to_owned()),
        },
        ("char" | "character", arguments) => match arguments {
            None => Ok(ColumnType::Char(1)),
            Some([chars]) => match chars.parse() {
                Ok(chars @ 1..=VARCHAR_MAX) => Ok(ColumnType::Char(chars)),
                _ => Err(format!("write 1 to {VARCHAR_MAX} characters, such as `char(8)`")),
            },
            _ => Err("write its characters, such as `char(8)`".to_owned()),
        },
        (name, None) => TYPES
            .iter()
            .find(|(_, names)| names.contains(&name))
            .map(|(sql_type, _)| *sql_type)
            .ok_or_else(|| {
                let known = TYPES.iter().map(|(_, names)| names[0]);
                suggest(name, known.chain(["numeric(15,2)", "varchar(50)", "char(8)"]))
            }),
        (name, Some(_)) => Err(if TYPES.iter().any(|(_, names)| names.contains(&name)) {
            format!("write `{name}` without parentheses")
        } else {
            "only `numeric(15,2)`, `varchar(50)` and `char(8)` take parentheses".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_by_each_name_and_by_its_own() {
        for (sql_type, names) in TYPES {
            for name in names {
                assert_eq!(parse_type(name), Ok(sql_type));
                assert_eq!(parse_type(&name.to_uppercase()), Ok(sql_type));
            }
            assert_eq!(parse_type(&sql_type.to_string()), Ok(sql_type));
        }
        for sql_type in [ColumnType::Numeric { precision: 15, scale: 2 }, ColumnType::Varchar(50)] {
            assert_eq!(parse_type(&sql_type.to_string()), Ok(sql_type));
            let array = sql_type.as_element().map(ColumnType::Array).unwrap();
            assert_eq!(parse_type(&array.to_string()), Ok(array));
        }
        assert_eq!(parse_type("decimal( 7 )"), Ok(ColumnType::Numeric { precision: 7, scale: 0 }));
    }

    #[test]
    fn a_bad_type_is_explained() {
        for (text, fix) in [
            ("bigit", "did you mean `bigint`?"),
            ("varchar", "write the most characters, such as `varchar(50)`, or `text`"),
            ("bigint(3)", "write `bigint` without parentheses"),
            ("bigit[]", "did you mean `bigint`?"),
            ("bigint[][]", "write `[]` once: arrays have one dimension"),
            ("bigint[3]", "write `bigint[]` without a number"),
            (
                "numeric(2,3)",
                "write digits in all (1 to 1000) and after the point, such as `numeric(15,2)`",
            ),
        ] {
            assert_eq!(parse_type(text), Err(fix.to_owned()));
        }
    }
}
