//! A profile before it is typed: values with their places, that others can be laid over, and that
//! serde reads into the mirror. Its errors say where they are, as a path.

use std::fmt;
use std::ops::Range;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::scalar::LOCATED;

/// A value and its place: bytes of the file, or beyond its end for what was given elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// A value as TOML has them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Whole(i128),
    Float(f64),
    Boolean(bool),
    Date,
    Array(Vec<Node>),
    Table(Table),
}

/// Keys and their values, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table(Vec<Entry>);

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

/// A step from a node to one below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Why a document cannot be read into the mirror.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) message: String,
    /// What is wrong; the node at the path, unless a part of it.
    pub(crate) span: Option<Range<usize>>,
    /// From the inside to the root.
    reversed: Vec<Step>,
}

impl Value {
    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Whole(_) => "a whole number",
            Self::Float(_) => "a decimal number",
            Self::Boolean(_) => "a boolean",
            Self::Date => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

impl Table {
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.key == key)
    }

    /// Lays a value over what is at a dotted key; whether that could be done. It cannot where a
    /// part of the key is there and no table.
    pub(crate) fn lay(&mut self, dotted: &str, node: Node) -> bool {
        let (key, rest) = dotted.split_once('.').map_or((dotted, None), |(k, r)| (k, Some(r)));
        let span = node.span.clone();
        let entry = match self.0.iter().position(|entry| entry.key == key) {
            Some(at) => &mut self.0[at],
            None => {
                let table = Node { span: span.clone(), value: Value::Table(Self::default()) };
                self.0.push(Entry { key: key.to_owned(), key_span: span, node: table });
                let last = self.0.len() - 1;
                &mut self.0[last]
            }
        };
        match (rest, &mut entry.node.value) {
            (None, _) => {
                entry.node = node;
                true
            }
            (Some(rest), Value::Table(table)) => table.lay(rest, node),
            (Some(_), _) => false,
        }
    }

    /// Takes out the node at a path, with the span of the table that it was in.
    pub(crate) fn cut(
        &mut self,
        own_span: Range<usize>,
        path: &[Step],
    ) -> Option<(Range<usize>, Node)> {
        let (Step::Key(first), rest) = path.split_first()? else { return None };
        if rest.is_empty() {
            let at = self.0.iter().position(|entry| entry.key == *first)?;
            return Some((own_span, self.0.remove(at).node));
        }
        let mut table_span = own_span;
        let mut node = &mut self.get_mut(first)?.node;
        for (depth, step) in rest.iter().enumerate() {
            let is_last = depth + 1 == rest.len();
            let span = node.span.clone();
            node = match (&mut node.value, step) {
                (Value::Table(table), Step::Key(key)) => {
                    table_span = span;
                    if is_last {
                        let at = table.0.iter().position(|entry| entry.key == *key)?;
                        return Some((table_span, table.0.remove(at).node));
                    }
                    &mut table.get_mut(key)?.node
                }
                (Value::Array(array), Step::Index(index)) if *index < array.len() => {
                    if is_last {
                        return Some((table_span, array.remove(*index)));
                    }
                    &mut array[*index]
                }
                _ => return None,
            };
        }
        None
    }
}

impl From<&DeTable<'_>> for Table {
    fn from(table: &DeTable<'_>) -> Self {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| Entry {
            key: String::from(std::borrow::Cow::clone(key.get_ref())),
            key_span: key.span(),
            node: Node::from(value),
        };
        Self(table.iter().map(entry).collect())
    }
}

impl From<&Spanned<DeValue<'_>>> for Node {
    fn from(value: &Spanned<DeValue<'_>>) -> Self {
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            // The parser has seen that they are numbers; more digits than these are no number of
            // a profile.
            DeValue::Integer(number) => {
                let radix = number.radix();
                Value::Whole(i128::from_str_radix(number.as_str(), radix).unwrap_or(i128::MAX))
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(array) => Value::Array(array.iter().map(Self::from).collect()),
            DeValue::Table(table) => Value::Table(table.into()),
        };
        Self { span, value }
    }
}

impl Error {
    /// From the root to what is at fault.
    pub(crate) fn path(&self) -> Vec<Step> {
        self.reversed.iter().rev().cloned().collect()
    }

    fn at(mut self, span: &Range<usize>) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    fn below(mut self, step: Step) -> Self {
        self.reversed.push(step);
        self
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None, reversed: Vec::new() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Whole(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_i64(number),
                (Err(_), Ok(number)) => visitor.visit_u64(number),
                (Err(_), Err(_)) => visitor.visit_i128(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Date => Err(de::Error::invalid_type(Unexpected::Other("a date"), &visitor)),
            Value::Array(array) => visitor.visit_seq(Elements { array, next: 0 }),
            Value::Table(table) => visitor.visit_map(Entries { table, next: 0 }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == LOCATED {
            visitor.visit_seq(Located { node: self, next: 0 })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    /// Derived code would take an array for a struct, by position.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Table(table) => match table.entries() {
                [entry] => visitor.visit_enum(Variant(entry)),
                _ => Err(de::Error::custom(NOT_ONE_KEY)),
            },
            _ => Err(de::Error::custom(NO_VARIANT)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// What an enumeration is not: a table with more or fewer keys than one.
pub(crate) const NOT_ONE_KEY: &str = "wanted exactly 1 element";
/// What an enumeration is not: a number, or the like.
pub(crate) const NO_VARIANT: &str = "wanted string or table";
/// What a variant without settings does not take.
pub(crate) const NO_SETTINGS: &str = "wanted no settings";

/// A value with its place: start and end of the place, and the value.
struct Located<'de> {
    node: &'de Node,
    next: usize,
}

impl<'de> SeqAccess<'de> for Located<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.next += 1;
        let Range { start, end } = self.node.span;
        match self.next {
            1 => seed.deserialize(start.into_deserializer()).map(Some),
            2 => seed.deserialize(end.into_deserializer()).map(Some),
            3 => seed.deserialize(self.node).map(Some),
            _ => Ok(None),
        }
    }
}

struct Elements<'de> {
    array: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let (index, Some(node)) = (self.next, self.array.get(self.next)) else { return Ok(None) };
        self.next += 1;
        let read = seed.deserialize(node);
        read.map(Some).map_err(|error| error.at(&node.span).below(Step::Index(index)))
    }
}

struct Entries<'de> {
    table: &'de Table,
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.table.0.get(self.next) else { return Ok(None) };
        self.next += 1;
        let read = seed.deserialize(BorrowedStrDeserializer::new(&entry.key));
        read.map(Some)
            .map_err(|error: Error| error.at(&entry.key_span).below(Step::Key(entry.key.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        // serde asks for a key first.
        let Some(entry) = self.table.0.get(self.next.wrapping_sub(1)) else {
            return Err(de::Error::custom("a value without a key"));
        };
        let read = seed.deserialize(&entry.node);
        read.map_err(|error| error.at(&entry.node.span).below(Step::Key(entry.key.clone())))
    }
}

/// A variant with its settings.
struct Variant<'de>(&'de Entry);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let Entry { key, key_span, .. } = self.0;
        let read = seed.deserialize(BorrowedStrDeserializer::new(key));
        read.map(|variant| (variant, self)).map_err(|error: Error| error.at(key_span))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match &self.0.node.value {
            Value::Table(table) if table.entries().is_empty() => Ok(()),
            _ => Err(de::Error::custom(NO_SETTINGS)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let Entry { key, node, .. } = self.0;
        let read = seed.deserialize(node);
        read.map_err(|error| error.at(&node.span).below(Step::Key(key.clone())))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        (&self.0.node).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        (&self.0.node).deserialize_any(visitor)
    }
}
