//! The keys of other tables that a stream's values refer to: which there are, and the plan once they are read.

use sha2::{Digest as _, Sha256};

use super::column::written;
use super::{Plan, Stream, StreamJob, TableName};
use crate::row::{Column, ColumnType, NUMBERS_MAX, Sample, SampleBuilder, SampleFault, Values};

/// Most keys that count: as many as can be chosen by rank.
pub const KEYS_MAX: usize = NUMBERS_MAX as usize;

/// The keys that some values refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table.
    pub table: TableName,
    /// Its column.
    pub column: String,
    /// The type of the values.
    pub sql_type: ColumnType,
    /// The last key that counts, in their order; `None`: all, or the first [`KEYS_MAX`].
    pub last: Option<String>,
    /// What tells the keys from others, if they are to be some.
    pub fingerprint: Option<String>,
}

/// The keys that were found of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    sample: Sample,
    last: String,
    fingerprint: String,
    /// Whether there are more, which do not count.
    pub more: bool,
}

/// Takes the keys of a reference, one after the other.
#[derive(Debug)]
pub struct KeysBuilder<'r> {
    reference: &'r Reference,
    sample: SampleBuilder,
    last: String,
    digest: Sha256,
    count: usize,
    fault: Option<KeysFault>,
}

/// Why keys cannot be referred to: a fact, and its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysFault {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl<'r> KeysBuilder<'r> {
    /// Of none so far.
    pub fn new(reference: &'r Reference) -> Self {
        let sample = SampleBuilder::new(reference.sql_type);
        let (last, digest) = (String::new(), Sha256::new());
        Self { reference, sample, last, digest, count: 0, fault: None }
    }

    /// Takes the next key in their order, as text.
    pub fn push(&mut self, key: &str) {
        self.count += 1;
        if self.count > KEYS_MAX || self.fault.is_some() {
            return;
        }
        // A key may hold any character, so each says how long it is.
        self.digest.update((key.len() as u64).to_be_bytes());
        self.digest.update(key.as_bytes());
        key.clone_into(&mut self.last);
        if let Err(fault) = self.sample.push_value(key) {
            let sql_type = self.reference.sql_type;
            let (what, fix) = match fault {
                SampleFault::Value => (
                    format!("the key `{key}` is no value of type {sql_type}"),
                    "choose the type that the keys have; NaN, infinity and years before 1 are never values \
                     here: refer to a view without them",
                ),
                SampleFault::TooMany => {
                    ("the keys take more than 4 GiB".to_owned(), "refer to shorter ones")
                }
            };
            self.fault = Some(KeysFault { what, fix: fix.to_owned() });
        }
    }

    /// The keys, unless they are none, no values of the type, or not those that they are to be.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn build(self) -> Result<Keys, KeysFault> {
        let Self { reference, sample, last, digest, count, fault } = self;
        if let Some(fault) = fault {
            return Err(fault);
        }
        let fault = |what: String, fix: &str| Err(KeysFault { what, fix: fix.to_owned() });
        let fingerprint = super::files::fingerprint(digest);
        match &reference.fingerprint {
            Some(then) if *then != fingerprint => fault(
                format!(
                    "its keys are not what they were: their fingerprint is {fingerprint}, and was {then}"
                ),
                "bring back the keys that were there, and take those away that came between them; keys behind \
                 the last one do not matter",
            ),
            _ if count == 0 => fault("it has no keys".to_owned(), "fill it before"),
            _ => Ok(Keys { sample: sample.into(), last, fingerprint, more: count > KEYS_MAX }),
        }
    }
}

impl Stream {
    /// The keys of other tables that values of its rows refer to, each once.
    pub fn references(&self) -> Vec<Reference> {
        each_once(self.columns.iter())
    }
}

impl Plan<StreamJob> {
    /// The keys of other tables that values of its rows and queries refer to, each once.
    pub fn references(&self) -> Vec<Reference> {
        let job = &self.job;
        let queries = job.readers.queries.iter().filter(|_| job.readers.count > 0);
        let parameters = queries.filter_map(|query| query.parameters.as_ref());
        let columns = parameters.flat_map(|parameters| &parameters.columns);
        each_once(job.stream.columns.iter().chain(columns))
    }

    /// The same plan with the keys that were found. Its profile has what tells them from others.
    #[must_use]
    pub fn with_keys(&self, found: &[(Reference, Keys)]) -> Self {
        let mut plan = self.clone();
        let Self { common, job } = &mut plan;
        let profile = &mut common.profile;
        put_in(&mut job.stream.columns, found);
        if let Some(stream) = &mut profile.stream {
            stream.columns = Some(written(&job.stream.columns));
        }
        let queries = profile.readers.as_mut().and_then(|readers| readers.queries.as_mut());
        for (query, profile) in job.readers.queries.iter_mut().zip(queries.into_iter().flatten()) {
            let Some(parameters) = &mut query.parameters else { continue };
            put_in(&mut parameters.columns, found);
            profile.parameters = Some(super::parameters::written(parameters));
        }
        plan
    }
}

fn each_once<'c>(columns: impl Iterator<Item = &'c Column>) -> Vec<Reference> {
    let mut all: Vec<Reference> = Vec::new();
    for reference in columns.filter_map(reference) {
        if !all.contains(&reference) {
            all.push(reference);
        }
    }
    all
}

fn reference(column: &Column) -> Option<Reference> {
    let Values::Reference { table, column: keys, last, fingerprint, .. } =
        column.values.reference()?
    else {
        return None;
    };
    // Read once before, so it is a name.
    let table = table.parse().ok()?;
    let (last, fingerprint) = (last.clone(), fingerprint.clone());
    let sql_type = column.sql_type.element().unwrap_or(column.sql_type);
    Some(Reference { table, column: keys.clone(), sql_type, last, fingerprint })
}

fn put_in(columns: &mut [Column], found: &[(Reference, Keys)]) {
    for column in columns {
        let Some(wanted) = reference(column) else { continue };
        let found = found.iter().find(|(reference, _)| *reference == wanted);
        if let (Some(Values::Reference { last, fingerprint, keys, .. }), Some((_, new))) =
            (column.values.reference_mut(), found)
        {
            *last = Some(new.last.clone());
            *fingerprint = Some(new.fingerprint.clone());
            *keys = Some(new.sample.clone());
        }
    }
}
