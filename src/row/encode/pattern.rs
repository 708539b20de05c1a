//! Patterns made ready for encoding: each part draws for itself.

use super::block::Rows;
use super::draw::{Whole, put_chars, put_number, put_units};
use crate::row::pattern::Part;
use crate::row::random::{Row, Stream, scale};
use crate::row::uuid;
use crate::row::words::WORDS;
use crate::row::{Pattern, Pick};

/// What precedes a `jsonb`: the version of its form.
const JSONB_VERSION: u8 = 1;

/// A pattern, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Box<[Piece]>,
    /// Bytes that precede the text.
    head: &'static [u8],
    max_bytes: usize,
}

#[derive(Debug, Clone)]
enum Piece {
    Fixed(Box<[u8]>),
    Chars(&'static [u8], usize, Stream),
    Integer(Whole),
    Decimal(Whole, u16),
    Choice(Box<[Box<[u8]>]>, Stream),
    Words { min: u32, span: u64, is_sentence: bool, stream: Stream },
    Uuid(Stream),
    RowId(i64),
}

impl Template {
    /// Of a pattern; `binary`: of a `jsonb`.
    pub(super) fn new(pattern: &Pattern, binary: bool, stream: Stream, first_id: i64) -> Self {
        // The first is that of NULLs.
        let streams = (1..).map(|number| stream.split(number));
        let piece = |(part, stream): (&Part, Stream)| match part {
            Part::Fixed(text) => Piece::Fixed(text.as_bytes().into()),
            Part::Chars(alphabet, count) => Piece::Chars(alphabet, *count as usize, stream),
            Part::Integer(min, max) => {
                Piece::Integer(Whole::new(*min, *max, &Pick::Random, stream))
            }
            Part::Zipf(min, max, zipf) => {
                Piece::Integer(Whole::new(*min, *max, &Pick::Zipf(zipf.clone()), stream))
            }
            Part::Decimal(min, max, scale) => {
                Piece::Decimal(Whole::new(*min, *max, &Pick::Random, stream), *scale)
            }
            Part::Choice(of) => {
                Piece::Choice(of.iter().map(|text| text.as_bytes().into()).collect(), stream)
            }
            Part::Words(min, max) | Part::Sentence(min, max) => Piece::Words {
                min: *min,
                span: u64::from(max - min) + 1,
                is_sentence: matches!(part, Part::Sentence(..)),
                stream,
            },
            Part::Uuid => Piece::Uuid(stream),
            Part::RowId => Piece::RowId(first_id),
        };
        let head: &[u8] = if binary { &[JSONB_VERSION] } else { &[] };
        Self {
            pieces: pattern.parts().iter().zip(streams).map(piece).collect(),
            head,
            max_bytes: 4 + head.len() + pattern.bytes_max(),
        }
    }

    /// Most bytes of a field, length included.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Appends the pattern's field to each row of the block.
    pub(super) fn put(&self, block: &mut impl Rows) {
        block.put(|row, space| {
            let mut end = 4;
            end += append(&mut space[end..], self.head);
            for piece in &self.pieces {
                end += piece.write(row, &mut space[end..]);
            }
            space[..4].copy_from_slice(&(end as u32 - 4).to_be_bytes());
            end
        });
    }
}

fn append(space: &mut [u8], bytes: &[u8]) -> usize {
    space[..bytes.len()].copy_from_slice(bytes);
    bytes.len()
}

impl Piece {
    fn write(&self, row: Row, space: &mut [u8]) -> usize {
        match self {
            Self::Fixed(text) => append(space, text),
            Self::Chars(alphabet, count, stream) => {
                put_chars(&mut stream.draws(row), alphabet, &mut space[..*count]);
                *count
            }
            Self::Integer(whole) => put_number(whole.at(row), space),
            Self::Decimal(whole, scale) => put_units(whole.at(row), *scale, space),
            Self::Choice(of, stream) => {
                append(space, &of[scale(stream.bits(row), of.len() as u64) as usize])
            }
            Self::Words { min, span, is_sentence, stream } => {
                let mut draws = stream.draws(row);
                let count = u64::from(*min) + scale(draws.next(), *span);
                let mut end = 0;
                for number in 0..count {
                    if number > 0 {
                        end += append(&mut space[end..], b" ");
                    }
                    let word = WORDS[scale(draws.next(), WORDS.len() as u64) as usize];
                    end += append(&mut space[end..], word.as_bytes());
                }
                if *is_sentence {
                    space[0].make_ascii_uppercase();
                    end += append(&mut space[end..], b".");
                }
                end
            }
            Self::Uuid(stream) => uuid::write_text(uuid::random(*stream, row), space),
            Self::RowId(first) => put_number(first.wrapping_add(row.seq as i64), space),
        }
    }
}
