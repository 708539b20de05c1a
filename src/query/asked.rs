//! A query as one execution asks it: its values are a function of the seed, the query and the execution's
//! number, so that both arms can be asked the same.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pace::DueTimes;
use crate::pg::{Ask, Bound, quote_literal};
use crate::plan::{Parameters, Protocol, Query, Template};
use crate::result::answers::Row;
use crate::row::{Column, ColumnType, EncodeError, Encoder, row_text};
use crate::strom::Arm;

/// The number of the execution whose values stand for all: in which a query is admitted and its plan taken.
pub(crate) const TYPICAL: u64 = 0;
/// Numbers from here on are of executions that are no samples. They have values of their own, so that
/// none of a sample is warmed by them.
pub(crate) const NO_SAMPLE: u64 = 1 << 40;

/// The parameters of a query, with what makes their values.
#[derive(Debug)]
pub(crate) struct Values {
    template: Template,
    /// The text with numbers in the place of values.
    numbered: String,
    columns: Vec<Column>,
    types: Vec<ColumnType>,
    encoder: Mutex<Encoder>,
}

impl Values {
    /// Of a query with this text, in which the table's name is filled in.
    ///
    /// # Errors
    /// When the values are beyond what one message holds.
    pub(super) fn new(sql: &str, parameters: &Parameters) -> Result<Self, EncodeError> {
        let Parameters { columns, .. } = parameters;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let template = Template::new(sql, &names);
        Ok(Self {
            numbered: template.numbered(),
            template,
            types: columns.iter().map(|column| column.sql_type).collect(),
            columns: columns.clone(),
            encoder: Mutex::new(parameters.encoder()?),
        })
    }

    /// The values of an execution as a tuple of COPY BINARY.
    fn tuple(&self, number: u64) -> Vec<u8> {
        let mut encoder = self.encoder();
        let mut tuple = vec![0; encoder.max_row_bytes()];
        let encoded = encoder.encode(&mut tuple, number, 1, &mut DueTimes::constant(0));
        // All values are in memory: a plan has no others here.
        tuple.truncate(encoded.map_or(0, |encoded| encoded.bytes));
        tuple
    }

    /// The values of an execution as text.
    fn texts(&self, number: u64) -> Vec<Option<String>> {
        let texts =
            row_text(&self.columns, &mut self.encoder(), number, &mut DueTimes::constant(0));
        // All values are in memory: a plan has no others here.
        texts.unwrap_or_default()
    }

    /// The values of an execution as SQL has them. With their types, as values beside the text have them.
    fn literals(&self, number: u64) -> Vec<String> {
        let texts = self.texts(number).into_iter();
        let literal = |(text, sql_type): (Option<String>, &ColumnType)| {
            let text = text.map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text));
            format!("CAST({text} AS {})", sql_type.cast_name())
        };
        texts.zip(&self.types).map(literal).collect()
    }

    fn encoder(&self) -> MutexGuard<'_, Encoder> {
        // Whatever was left in it is written anew.
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query with the values of one execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'q> {
    /// The query.
    pub(crate) query: &'q Query,
    values: Option<&'q Values>,
    number: u64,
}

impl<'q> Asked<'q> {
    pub(super) fn new(query: &'q Query, values: Option<&'q Values>, number: u64) -> Self {
        Self { query, values, number }
    }

    /// Its text with the values in it.
    pub(crate) fn literal(&self) -> Cow<'q, str> {
        let Some(values) = self.values else { return Cow::Borrowed(&self.query.sql) };
        let literals = values.literals(self.number);
        Cow::Owned(values.template.filled(|parameter| literals[parameter].clone()))
    }

    /// Its text with numbers in the place of values, and their types; `None`: it is not sent so.
    pub(crate) fn numbered(&self) -> Option<(&'q str, &'q [ColumnType])> {
        let values = self.values.filter(|_| self.query.protocol != Protocol::Simple)?;
        Some((&values.numbered, &values.types))
    }

    /// Where a character of [`Asked::literal`] is in the query's text.
    pub(crate) fn position_of_literal(&self, position: u32) -> u32 {
        let Some(values) = self.values else { return position };
        let literals = values.literals(self.number);
        values.template.written_position(position, |parameter| literals[parameter].clone())
    }

    /// Where a character of [`Asked::numbered`] is in the query's text.
    pub(crate) fn position_of_numbered(&self, position: u32) -> u32 {
        let number = |parameter| format!("${}", parameter + 1);
        self.values.map_or(position, |values| values.template.written_position(position, number))
    }

    /// The values by name, as text.
    pub(crate) fn shown(&self) -> Row {
        let Some(values) = self.values else { return Row::new() };
        let names = values.columns.iter().map(|column| column.name.clone());
        names.zip(values.texts(self.number)).collect()
    }

    /// What is sent.
    pub(super) fn sending(&self) -> Sending<'q> {
        let protocol = self.query.protocol;
        match self.numbered().zip(self.values) {
            Some(((text, types), values)) => {
                Sending { text: text.into(), types, tuple: values.tuple(self.number), protocol }
            }
            None => Sending { text: self.literal(), types: &[], tuple: Vec::new(), protocol },
        }
    }
}

/// What one execution does.
#[derive(Debug, Clone)]
pub(crate) enum Work<'q> {
    /// It runs a statement.
    Statement(Asked<'q>),
    /// It runs these, in a transaction of their own.
    Transaction(Vec<Asked<'q>>),
}

impl<'q> Work<'q> {
    /// Each statement.
    pub(crate) fn each(&self) -> &[Asked<'q>] {
        match self {
            Self::Statement(asked) => std::slice::from_ref(asked),
            Self::Transaction(each) => each,
        }
    }

    /// Whether it may write.
    pub(super) fn writes(&self) -> bool {
        self.each().iter().any(|asked| asked.query.writes)
    }
}

/// What one execution sends.
pub(super) struct Sending<'q> {
    text: Cow<'q, str>,
    types: &'q [ColumnType],
    tuple: Vec<u8>,
    protocol: Protocol,
}

impl Sending<'_> {
    /// How it is sent in an arm.
    pub(super) fn ask<'a>(&'a self, arm: &'a Arm) -> Ask<'a> {
        let bound = Bound { types: self.types, tuple: &self.tuple };
        match self.protocol {
            Protocol::Simple => Ask::Simple(&self.text),
            Protocol::Extended => Ask::Extended(&self.text, bound),
            Protocol::Prepared => Ask::Kept(&self.text, bound, &arm.name),
        }
    }
}
