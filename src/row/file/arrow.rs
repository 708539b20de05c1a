//! Arrow IPC files: the file format, with a footer that says where all is, and the stream format, whose messages
//! are found one behind the other. A page is a record batch.

use std::io::ErrorKind;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, CompressionType, Message, MessageHeader, MetadataVersion};
use arrow_schema::{Schema, SchemaRef};

use super::convert::{Unfit, convert, takes};
use super::guarded::guarded;
use super::{Content, FileFault, Pass, UNIT_BYTES_MAX, fault, unread};
use crate::row::fields::{SampleBuilder, SampleFault, VALUES_MAX};

/// What an Arrow file begins with, and ends with.
const MAGIC: &[u8; 6] = b"ARROW1";
/// What a message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// That, and the length of what follows.
const PREFIX: usize = 8;
/// Most bytes of a buffer that is written compressed.
const BUFFER_BYTES_MAX: i64 = 1 << 30;
/// What is said of buffers that cannot be what their message says.
const DAMAGED: &str = "a message says of its buffers what cannot be";
/// What to do where a record batch is too large.
pub(super) const SMALLER_BATCHES: &str = "write the file in smaller record batches, such as pyarrow's max_chunksize \
                                          or chunksize of 65536";

/// Which of the two formats it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    File,
    Stream,
}

impl Format {
    /// By what a file holds; `None`: it is no Arrow.
    pub(super) fn of(content: &Content) -> Result<Option<Self>, FileFault> {
        let mut head = Vec::new();
        // One that cannot be read is refused by whoever takes it for CSV.
        let _ = content.append_at(0, 8, &mut head);
        let other = |what: &str| {
            let fix =
                "write it as Arrow IPC, such as pyarrow.feather.write_feather does, or as CSV";
            Err(fault(format!("the file is {what}"), fix))
        };
        match head.as_slice() {
            head if head.starts_with(MAGIC) => Ok(Some(Self::File)),
            head if head.starts_with(&CONTINUATION) => Ok(Some(Self::Stream)),
            head if head.starts_with(b"FEA1") => other("Feather of version 1"),
            head if head.starts_with(b"PAR1") => other("Parquet"),
            _ => Ok(None),
        }
    }
}

/// What a page of it is decoded by.
#[derive(Debug)]
pub(super) struct Batches {
    /// With the dictionaries that hold from some batch on.
    decoders: Vec<FileDecoder>,
    /// Each batch, and by which of them it is decoded.
    blocks: Vec<(Block, usize)>,
    /// The places of the columns that are decoded, in ascending order.
    places: Vec<usize>,
}

/// Where the messages of a file are.
struct Messages {
    schema: SchemaRef,
    version: MetadataVersion,
    /// Dictionaries, each with the number of the batch that it comes before, in the order of the file.
    dictionaries: Vec<(Block, usize)>,
    batches: Vec<Block>,
}

/// A file that is being read.
struct Source<'a> {
    path: &'a str,
    content: &'a Content,
}

/// Takes the values of a file.
pub(super) fn read(pass: &mut Pass<'_>, format: Format) -> Result<Batches, FileFault> {
    let source = Source { path: pass.path, content: pass.content };
    let messages = match format {
        Format::File => source.footer()?,
        Format::Stream => source.scan()?,
    };
    let schema = Arc::clone(&messages.schema);
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    pass.place(&names);
    for own in pass.columns.iter_mut().filter(|own| own.fault.is_none()) {
        let (data_type, sql_type) = (schema.field(own.place).data_type(), own.wanted.sql_type);
        if let Err(Unfit { types }) = takes(data_type, sql_type) {
            let (path, column) = (source.path, &own.wanted.column);
            let what = format!(
                "column `{column}` of `{path}` has the Arrow type {data_type}, whose values are not taken as {sql_type}"
            );
            own.fault = Some(fault(what, types));
        }
    }
    let sound = pass.columns.iter().filter(|own| own.fault.is_none());
    let mut places: Vec<usize> = sound.map(|own| own.place).collect();
    places.sort_unstable();
    places.dedup();
    let mut table = source.decoders(&messages, places)?;
    for (number, block) in messages.batches.iter().enumerate() {
        if !pass.goes_on() {
            break;
        }
        let is_large = matches!(pass.content, Content::Open(_));
        let bytes = source.message(block)?;
        if is_large && bytes.len() > UNIT_BYTES_MAX {
            let what = format!(
                "record batch {} of `{}` has {} MiB; one of so large a file may have {}",
                number + 1,
                source.path,
                bytes.len() >> 20,
                UNIT_BYTES_MAX >> 20
            );
            return Err(fault(what, SMALLER_BATCHES));
        }
        let (_, decoder) = table.blocks[number];
        let batch = source.decode(&table.decoders[decoder], block, &bytes)?;
        take(pass, &table.places, &batch);
        pass.end_page(block.offset() as u64, &bytes, batch.num_rows() as u64)?;
    }
    // Batches behind the one at which nothing was left to take.
    table.blocks.truncate(pass.index.len());
    Ok(table)
}

/// Takes the values of a batch.
fn take(pass: &mut Pass<'_>, places: &[usize], batch: &RecordBatch) {
    let (path, first_row) = (pass.path, pass.rows);
    for own in pass.columns.iter_mut().filter(|own| own.fault.is_none()) {
        let Ok(at) = places.binary_search(&own.place) else { continue };
        let column = batch.column(at);
        let mut from = 0;
        // Once more from where it was too many, if they need not all be kept.
        while let Err((row, fault, shown)) = convert(column, from, &mut own.builder) {
            let (name, sql_type) = (&own.wanted.column, own.wanted.sql_type);
            own.took(path, Err(fault), || {
                let (row, data_type) = (first_row + row as u64 + 1, column.data_type());
                let what = format!(
                    "row {row} of `{path}`: column `{name}` has {shown} ({data_type}), which is no value of type \
                     {sql_type}"
                );
                super::fault(what, "choose a type that holds it, or change the column in the file")
            });
            if own.fault.is_some() || fault == SampleFault::Value {
                break;
            }
            from = row + 1;
        }
    }
}

/// Appends the values of a page to those of each column; returns its rows. `None`: it is none of such a file.
pub(super) fn decode(
    table: &Batches,
    number: usize,
    page: Vec<u8>,
    places: &[usize],
    builders: &mut [SampleBuilder],
) -> Option<u64> {
    let (block, decoder) = table.blocks.get(number)?;
    let batch = table.decoders[*decoder].read_record_batch(block, &page.into()).ok()??;
    for (place, builder) in places.iter().zip(builders) {
        let at = table.places.binary_search(place).ok()?;
        convert(batch.column(at), 0, builder).ok()?;
    }
    Some(batch.num_rows() as u64)
}

impl Source<'_> {
    /// That it is not what it should be.
    fn damaged(&self, fact: impl std::fmt::Display) -> FileFault {
        let what = format!("`{}` is no sound Arrow file: {fact}", self.path);
        fault(what, "see whether the file is whole, or write it again")
    }

    fn bytes(&self, at: u64, bytes: usize) -> Result<Vec<u8>, FileFault> {
        let mut space = vec![0; bytes];
        self.content.read_at(at, &mut space).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged("it ends within a message"),
            _ => unread(self.path, &error),
        })?;
        Ok(space)
    }

    /// What the footer of the file format says.
    fn footer(&self) -> Result<Messages, FileFault> {
        let end = self.content.bytes();
        let no_footer = || self.damaged("its footer is missing");
        let tail_at = end.checked_sub(10).ok_or_else(no_footer)?;
        let tail = self.bytes(tail_at, 10)?;
        let tail: [u8; 10] = tail.try_into().map_err(|_| no_footer())?;
        let length = read_footer_length(tail).map_err(|_| no_footer())?;
        let at = tail_at.checked_sub(length as u64).ok_or_else(no_footer)?;
        let footer = self.bytes(at, length)?;
        let footer = arrow_ipc::root_as_footer(&footer).map_err(|error| self.damaged(error))?;
        let schema = footer.schema().ok_or_else(|| self.damaged("it has no schema"))?;
        let schema = self.schema(schema)?;
        // All dictionaries hold for all batches.
        let dictionaries = footer.dictionaries().into_iter().flat_map(|blocks| blocks.iter());
        let batches = footer.recordBatches().into_iter().flat_map(|blocks| blocks.iter());
        Ok(Messages {
            schema,
            version: footer.version(),
            dictionaries: dictionaries.map(|block| (*block, 0)).collect(),
            batches: batches.copied().collect(),
        })
    }

    fn schema(&self, schema: arrow_ipc::Schema<'_>) -> Result<SchemaRef, FileFault> {
        if !schema.endianness().equals_to_target_endianness() {
            return Err(self.damaged("its bytes are in another order than this machine's"));
        }
        let schema: Schema = try_fb_to_schema(schema).map_err(|error| self.damaged(error))?;
        Ok(Arc::new(schema))
    }

    /// What the messages of the stream format say.
    fn scan(&self) -> Result<Messages, FileFault> {
        let (mut at, end) = (0, self.content.bytes());
        let mut messages: Option<Messages> = None;
        // The end of the file ends it as well as a message without length.
        while at < end {
            let prefix = self.bytes(at, PREFIX)?;
            let (mark, length) = prefix.split_at(4);
            let length = i32::from_le_bytes(length.try_into().unwrap_or_default());
            if mark != CONTINUATION || length < 0 {
                return Err(self.damaged(format!("at byte {at} no message begins")));
            }
            if length == 0 {
                break;
            }
            let head = self.bytes(at + PREFIX as u64, length as usize)?;
            let message = root(&head).map_err(|error| self.damaged(error))?;
            let block = Block::new(at as i64, PREFIX as i32 + length, message.bodyLength());
            match (message.header_type(), &mut messages) {
                (MessageHeader::Schema, None) => {
                    let schema = message.header_as_schema();
                    let schema = schema.ok_or_else(|| self.damaged("it has no schema"))?;
                    messages = Some(Messages {
                        schema: self.schema(schema)?,
                        version: message.version(),
                        dictionaries: Vec::new(),
                        batches: Vec::new(),
                    });
                }
                (MessageHeader::DictionaryBatch, Some(found)) => {
                    found.dictionaries.push((block, found.batches.len()));
                }
                (MessageHeader::RecordBatch, Some(found)) => found.batches.push(block),
                (kind, _) => {
                    return Err(self.damaged(format!("at byte {at} is a message of kind {kind:?}")));
                }
            }
            at = self.end_of(&block)?;
        }
        messages.ok_or_else(|| self.damaged("it has no schema"))
    }

    /// Where a message ends, which is within the file.
    fn end_of(&self, block: &Block) -> Result<u64, FileFault> {
        let length = |length: i64| u64::try_from(length).ok();
        let parts = [block.offset(), block.metaDataLength().into(), block.bodyLength()];
        let end = parts.into_iter().try_fold(0, |end: u64, part| end.checked_add(length(part)?));
        let is_within = |end: &u64| *end <= self.content.bytes() && block.metaDataLength() >= 8;
        end.filter(is_within).ok_or_else(|| self.damaged("it ends within a message"))
    }

    fn message(&self, block: &Block) -> Result<Vec<u8>, FileFault> {
        let bytes = self.end_of(block)? - block.offset() as u64;
        self.bytes(block.offset() as u64, bytes as usize)
    }

    /// What decodes each batch, with the dictionaries that hold there.
    fn decoders(&self, messages: &Messages, places: Vec<usize>) -> Result<Batches, FileFault> {
        let new = || {
            FileDecoder::new(Arc::clone(&messages.schema), messages.version)
                .with_projection(places.clone())
        };
        let mut bytes = 0;
        let is_large = matches!(self.content, Content::Open(_));
        let (mut decoders, mut from) = (vec![new()], vec![0]);
        for (at, (block, before)) in messages.dictionaries.iter().enumerate() {
            if from.last() != Some(before) && *before > 0 {
                // It may take the place of one that batches before it still need.
                let mut decoder = new();
                for (block, _) in &messages.dictionaries[..at] {
                    bytes += self.dictionary(&mut decoder, block)?;
                }
                decoders.push(decoder);
                from.push(*before);
            }
            if let Some(decoder) = decoders.last_mut() {
                bytes += self.dictionary(decoder, block)?;
            }
            if is_large && bytes > UNIT_BYTES_MAX {
                let (path, most) = (self.path, UNIT_BYTES_MAX >> 20);
                let what = format!("the dictionaries of `{path}` have more than {most} MiB");
                return Err(fault(what, "write its columns without dictionaries"));
            }
        }
        let decoder = |number| from.partition_point(|from| *from <= number) - 1;
        let batches = messages.batches.iter().enumerate();
        let blocks = batches.map(|(number, block)| (*block, decoder(number))).collect();
        Ok(Batches { decoders, blocks, places })
    }

    /// Reads a dictionary; returns its bytes.
    fn dictionary(&self, decoder: &mut FileDecoder, block: &Block) -> Result<usize, FileFault> {
        let bytes = self.message(block)?;
        self.check(block, &bytes)?;
        let length = bytes.len();
        guarded(|| decoder.read_dictionary(block, &bytes.into()))
            .ok_or_else(|| self.damaged(DAMAGED))?
            .map_err(|error| self.damaged(error))?;
        Ok(length)
    }

    fn decode(
        &self,
        decoder: &FileDecoder,
        block: &Block,
        bytes: &[u8],
    ) -> Result<RecordBatch, FileFault> {
        self.check(block, bytes)?;
        let batch = guarded(|| decoder.read_record_batch(block, &Buffer::from(bytes)));
        let batch = batch.ok_or_else(|| self.damaged(DAMAGED))?;
        let batch = batch.map_err(|error| self.damaged(error))?;
        let batch = batch.ok_or_else(|| self.damaged("a record batch is missing"))?;
        if batch.num_rows() > VALUES_MAX {
            let (path, rows) = (self.path, batch.num_rows());
            let what =
                format!("a record batch of `{path}` has {rows} rows, and may have {VALUES_MAX}");
            return Err(fault(what, SMALLER_BATCHES));
        }
        Ok(batch)
    }

    /// Whether what a message says of its buffers can be, which the decoder takes for granted.
    fn check(&self, block: &Block, bytes: &[u8]) -> Result<(), FileFault> {
        let wrong = || self.damaged(DAMAGED);
        let (head, body) = bytes.split_at(block.metaDataLength() as usize);
        let start = if head.starts_with(&CONTINUATION) { PREFIX } else { PREFIX / 2 };
        let message = root(&head[start..]).map_err(|error| self.damaged(error))?;
        let dictionary = message.header_as_dictionary_batch().and_then(|own| own.data());
        let batch = message.header_as_record_batch().or(dictionary).ok_or_else(wrong)?;
        let rows = batch.length();
        let counts = batch.nodes().into_iter().flat_map(|nodes| nodes.iter());
        let mut counts = counts.map(|node| (node.length(), node.null_count()));
        if rows < 0 || counts.any(|(length, nulls)| length < 0 || !(0..=length).contains(&nulls)) {
            return Err(wrong());
        }
        let codec = batch.compression().map(|compression| compression.codec());
        if codec.is_some_and(|codec| codec != CompressionType::LZ4_FRAME) {
            let what = format!("`{}` is compressed by zstd, which is not read", self.path);
            return Err(fault(what, "write it with compression = \"lz4\", or without"));
        }
        for buffer in batch.buffers().into_iter().flat_map(|buffers| buffers.iter()) {
            let span =
                usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let own = span.and_then(|(at, length)| body.get(at..)?.get(..length));
            let own = own.ok_or_else(wrong)?;
            // In front of what is compressed stands its length, or −1 where it is not.
            let length = own.first_chunk().map(|length| i64::from_le_bytes(*length));
            let is_well = length.is_some_and(|length| (-1..=BUFFER_BYTES_MAX).contains(&length));
            if codec.is_some() && !own.is_empty() && !is_well {
                return Err(wrong());
            }
        }
        Ok(())
    }
}

fn root(head: &[u8]) -> Result<Message<'_>, impl std::fmt::Display> {
    arrow_ipc::root_as_message(head)
}
