//! The scalars of a profile, with errors that name what is wanted in the author's words.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a [`Located`] is called where its place is known. Any other format reads the bare value.
pub(crate) const LOCATED: &str = "$strom-load located";

/// A value and its place: bytes of the file, or beyond its end for what a flag or variable gives.
/// Two are the same if their values are.
#[derive(Debug, Clone)]
pub struct Located<T> {
    value: T,
    span: Range<usize>,
}

impl<T> Located<T> {
    /// Where the value stands.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Another value at the same place.
    #[must_use]
    pub fn with<U>(&self, value: U) -> Located<U> {
        Located { value, span: self.span() }
    }
}

/// A value that was not read from a file.
impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self { value, span: 0..0 }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Located<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Wanted<T> {
            type Value = Located<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Self::Value, D::Error> {
                T::deserialize(deserializer).map(Located::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let part = |part: Option<usize>| part.ok_or_else(|| de::Error::custom("no place"));
                let (start, end) = (part(seq.next_element()?)?, part(seq.next_element()?)?);
                let value = seq.next_element()?.ok_or_else(|| de::Error::custom("no value"))?;
                Ok(Located { value, span: start..end })
            }
        }
        deserializer.deserialize_newtype_struct(LOCATED, Wanted(PhantomData))
    }
}

impl<T: Serialize> Serialize for Located<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Whole(pub i64);

/// A number, with or without decimals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

/// A number per second, or "max".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateOrMax {
    /// So many a second.
    PerSecond(Number),
    /// As many as the server takes.
    Max,
}

/// Seconds, or "forever".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SecondsOrForever {
    /// So many seconds.
    Seconds(Number),
    /// Until it is stopped.
    Forever,
}

/// Milliseconds, or "off".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MillisecondsOrOff {
    /// So many milliseconds.
    Milliseconds(Number),
    /// Not at all.
    Off,
}

/// A time: a number of seconds, or as people write it, such as "90s" or "5m".
#[derive(Debug, Clone, PartialEq)]
pub enum Time {
    /// Seconds.
    Seconds(Number),
    /// With its unit.
    Written(String),
}

/// Whether a table that is there is dropped first: true, false, or the name of the table that may be
/// dropped whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recreate {
    /// Whether it is dropped if strom-load made it.
    Switch(bool),
    /// The table's name, as in SQL.
    Table(String),
}

/// The value of a server's setting: text, a number, or true or false; kept as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingValue(pub String);

impl<'de> Deserialize<'de> for SettingValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = SettingValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, true or false")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<SettingValue, E> {
                Ok(SettingValue(if value { "on" } else { "off" }.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<SettingValue, E> {
                Ok(SettingValue(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<SettingValue, E> {
                Ok(SettingValue(value.to_string()))
            }

            fn visit_i128<E: de::Error>(self, value: i128) -> Result<SettingValue, E> {
                Ok(SettingValue(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<SettingValue, E> {
                Ok(SettingValue(value.to_string()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<SettingValue, E> {
                Ok(SettingValue(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, or a time such as \"90s\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Time, E> {
                Ok(Time::Seconds(Number(value as f64)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Time, E> {
                Ok(Time::Seconds(Number(value as f64)))
            }

            fn visit_i128<E: de::Error>(self, value: i128) -> Result<Time, E> {
                Ok(Time::Seconds(Number(value as f64)))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Time, E> {
                Ok(Time::Seconds(Number(value)))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Time, E> {
                Ok(Time::Written(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl<'de> Deserialize<'de> for Recreate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = Recreate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or the table's name")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Recreate, E> {
                Ok(Recreate::Switch(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Recreate, E> {
                Ok(Recreate::Table(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Whole, E> {
                Ok(Whole(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Whole, E> {
                i64::try_from(value)
                    .map(Whole)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
        }
        deserializer.deserialize_i64(Wanted)
    }
}

/// Takes a number, or one word in place of it (then the value is `None`).
struct NumberOrWord {
    word: Option<&'static str>,
    wanted: &'static str,
}

impl Visitor<'_> for NumberOrWord {
    type Value = Option<Number>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Number(value as f64)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(Number(value as f64)))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Self::Value, E> {
        Ok(Some(Number(value as f64)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Number(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        if self.word == Some(value) {
            Ok(None)
        } else {
            Err(E::invalid_type(de::Unexpected::Str(value), &self))
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = NumberOrWord { word: None, wanted: "a number" };
        // Without a word the visitor always yields a number.
        deserializer.deserialize_f64(visitor).map(|number| number.unwrap_or(Self(0.0)))
    }
}

impl<'de> Deserialize<'de> for RateOrMax {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = NumberOrWord { word: Some("max"), wanted: "a number or \"max\"" };
        Ok(deserializer.deserialize_any(visitor)?.map_or(Self::Max, Self::PerSecond))
    }
}

impl<'de> Deserialize<'de> for SecondsOrForever {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor =
            NumberOrWord { word: Some("forever"), wanted: "a number of seconds or \"forever\"" };
        Ok(deserializer.deserialize_any(visitor)?.map_or(Self::Forever, Self::Seconds))
    }
}

impl<'de> Deserialize<'de> for MillisecondsOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor =
            NumberOrWord { word: Some("off"), wanted: "a number of milliseconds or \"off\"" };
        Ok(deserializer.deserialize_any(visitor)?.map_or(Self::Off, Self::Milliseconds))
    }
}

/// Whole numbers are written without a decimal point, as people write them.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = self.0 as i64;
        if self.0.fract() != 0.0 || whole.unsigned_abs() >= 1 << 53 {
            serializer.serialize_f64(self.0)
        } else {
            serializer.serialize_i64(whole)
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(number) => number.serialize(serializer),
            Self::Written(text) => serializer.serialize_str(text),
        }
    }
}

impl Serialize for Recreate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Switch(on) => serializer.serialize_bool(*on),
            Self::Table(name) => serializer.serialize_str(name),
        }
    }
}

impl Serialize for RateOrMax {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::PerSecond(number) => number.serialize(serializer),
            Self::Max => serializer.serialize_str("max"),
        }
    }
}

impl Serialize for SecondsOrForever {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(number) => number.serialize(serializer),
            Self::Forever => serializer.serialize_str("forever"),
        }
    }
}

impl Serialize for MillisecondsOrOff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Milliseconds(number) => number.serialize(serializer),
            Self::Off => serializer.serialize_str("off"),
        }
    }
}

macro_rules! inline_schema {
    ($($scalar:ident => $schema:tt),* $(,)?) => {$(
        impl JsonSchema for $scalar {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($scalar).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

inline_schema! {
    Whole => { "type": "integer" },
    Number => { "type": "number" },
    SettingValue => { "type": ["string", "number", "boolean"] },
    Recreate => { "type": ["boolean", "string"] },
    Time => { "type": ["number", "string"] },
    RateOrMax => { "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "const": "max" }] },
    SecondsOrForever => {
        "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "const": "forever" }]
    },
    MillisecondsOrOff => {
        "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "const": "off" }]
    },
}
