//! Reading a table back as COPY BINARY tuples, one at a time, keeping none; where a server has no COPY BINARY, by a
//! query whose answer is in binary.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::Client;
use tokio_postgres::types::{FromSql, Type};

use crate::row::CopyFormat;

use super::silence::Heard;
use super::{Error, Session};

/// Signature, flags and the length of the header's extension.
const HEADER_BYTES: usize = 19;
/// What is done to rows that were sent.
const READ_BACK: &str = "read the rows back";

impl Session {
    /// Runs `query` as `COPY (query) TO STDOUT (FORMAT binary)`, or as it is on a server that has no such
    /// form, and hands each tuple's bytes, field count and all, to `each`.
    ///
    /// # Errors
    /// When the server fails it, or sends what is not COPY BINARY.
    pub async fn read_back(&mut self, query: &str, each: impl FnMut(&[u8])) -> Result<(), Error> {
        self.copy_out(READ_BACK, query, each).await
    }

    /// The same of what are no rows that were sent: `act` says what is done.
    ///
    /// # Errors
    /// As [`Session::read_back`].
    pub(super) async fn copy_out(
        &mut self,
        act: &str,
        query: &str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let each = |tuple: &[u8]| {
            each(tuple);
            Ok(())
        };
        let Ok(()) = self.try_copy_out::<Infallible>(act, query, each).await?;
        Ok(())
    }

    /// The same until `each` fails; then the query is cancelled. What `each` says is the inner
    /// result.
    ///
    /// # Errors
    /// As [`Session::read_back`].
    pub async fn try_read_back<E>(
        &mut self,
        query: &str,
        each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Error> {
        self.try_copy_out(READ_BACK, query, each).await
    }

    async fn try_copy_out<E>(
        &mut self,
        act: &str,
        query: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Error> {
        // The query may end in a comment.
        let sql = format!("COPY ({query}\n) TO STDOUT (FORMAT binary)");
        let mut tuples = Tuples::default();
        let mut outcome = Ok(());
        let heard = self.heard.clone();
        if self.copy_format == CopyFormat::Text {
            let select = |client| select(client, query, heard, &mut each);
            let outcome = self.at_length().drive(act, select).await?;
            if outcome.is_err() {
                self.canceller().cancel().await;
            }
            return Ok(outcome);
        }
        self.at_length()
            .drive(act, |client| async {
                let statement = client.prepare(&sql).await?;
                let mut stream = pin!(client.copy_out(&statement).await?);
                while let Some(bytes) = stream.try_next().await? {
                    heard.note();
                    tuples.feed(&bytes, &mut |tuple: &[u8]| {
                        if outcome.is_ok() {
                            outcome = each(tuple);
                        }
                    });
                    if outcome.is_err() {
                        break;
                    }
                }
                Ok(())
            })
            .await?;
        if outcome.is_err() {
            // What is still under way is drained with the session's next statement.
            self.canceller().cancel().await;
            return Ok(outcome);
        }
        if tuples.ended { Ok(Ok(())) } else { Err(Error::lost(act, "the data ends early")) }
    }
}

/// Hands each row of an answer to `each`, as COPY BINARY would have it, until that fails.
async fn select<E>(
    client: &Client,
    query: &str,
    heard: Heard,
    each: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Result<(), E>, tokio_postgres::Error> {
    let none: [i32; 0] = [];
    let mut rows = pin!(client.query_raw(query, none).await?);
    let mut tuple = Vec::new();
    while let Some(row) = rows.try_next().await? {
        heard.note();
        tuple.clear();
        tuple.extend((row.len() as i16).to_be_bytes());
        for at in 0..row.len() {
            let Field(value) = row.try_get(at)?;
            let length = value.map_or(-1, |value| value.len() as i32);
            tuple.extend(length.to_be_bytes());
            tuple.extend(value.unwrap_or_default());
        }
        if let Err(error) = each(&tuple) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// A value of any type, as it came; `None` is NULL.
struct Field<'v>(Option<&'v [u8]>);

impl<'v> FromSql<'v> for Field<'v> {
    fn from_sql(_: &Type, value: &'v [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Some(value)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Cuts a COPY BINARY stream into tuples, however it is cut into messages.
#[derive(Debug, Default)]
pub(crate) struct Tuples {
    /// What is left of a message that ended within a tuple.
    carried: Vec<u8>,
    header_read: bool,
    ended: bool,
}

impl Tuples {
    /// Of a stream without its header.
    pub(crate) fn without_header() -> Self {
        Self { header_read: true, ..Self::default() }
    }

    /// Takes the stream's next bytes and hands each tuple that they complete to `each`.
    pub(crate) fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) {
        if self.carried.is_empty() {
            let used = self.cut(bytes, each);
            self.carried.extend_from_slice(&bytes[used..]);
        } else {
            let mut whole = std::mem::take(&mut self.carried);
            whole.extend_from_slice(bytes);
            let used = self.cut(&whole, each);
            whole.drain(..used);
            self.carried = whole;
        }
    }

    /// Hands out the whole tuples in `bytes`; returns how many bytes they took.
    fn cut(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> usize {
        let mut at = 0;
        if !self.header_read {
            let Some(extension) = bytes.get(HEADER_BYTES - 4..HEADER_BYTES) else { return 0 };
            let extension = be_i32(extension).max(0) as usize;
            if bytes.len() < HEADER_BYTES + extension {
                return 0;
            }
            at = HEADER_BYTES + extension;
            self.header_read = true;
        }
        while !self.ended {
            match tuple_length(&bytes[at..]) {
                Some(0) => self.ended = true,
                Some(length) => {
                    each(&bytes[at..at + length]);
                    at += length;
                }
                None => return at,
            }
        }
        bytes.len()
    }
}

/// The length of the tuple that `bytes` begins with: 0 for the trailer, `None` if it is not whole.
fn tuple_length(bytes: &[u8]) -> Option<usize> {
    let fields = i16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
    if fields < 0 {
        return Some(0);
    }
    let mut at = 2;
    for _ in 0..fields {
        // −1 stands for NULL, which has no bytes.
        let length = be_i32(bytes.get(at..at + 4)?).max(0) as usize;
        at += 4 + length;
    }
    (at <= bytes.len()).then_some(at)
}

/// The fields of a tuple; `None` for NULL.
pub(crate) fn fields(tuple: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = tuple.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_at_checked(4)?;
        let length = be_i32(length);
        let (field, after) = after.split_at_checked(length.max(0) as usize)?;
        rest = after;
        Some((length >= 0).then_some(field))
    })
}

fn be_i32(bytes: &[u8]) -> i32 {
    bytes.iter().fold(0, |value, byte| value << 8 | i32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tuples_come_out_whole_wherever_the_stream_is_cut(
            rows in prop::collection::vec(prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), 0..4), 0..12),
            cuts in prop::collection::vec(1usize..40, 1..200),
        ) {
            let mut stream = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
            let mut expected = Vec::new();
            for row in &rows {
                let mut tuple = (row.len() as i16).to_be_bytes().to_vec();
                for field in row {
                    let length = field.as_ref().map_or(-1, |field| field.len() as i32);
                    tuple.extend(length.to_be_bytes());
                    tuple.extend(field.iter().flatten());
                }
                stream.extend(&tuple);
                expected.push(tuple);
            }
            stream.extend((-1i16).to_be_bytes());
            let (mut tuples, mut got) = (Tuples::default(), Vec::new());
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (head, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                tuples.feed(head, &mut |tuple: &[u8]| got.push(tuple.to_vec()));
                rest = tail;
            }
            prop_assert!(tuples.ended);
            prop_assert_eq!(got, expected);
        }
    }
}
