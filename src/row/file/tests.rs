//! Laws of files: values are the same whether they are in memory or in pages; what is not what it was is told.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int64Array, NullArray, RecordBatch, StringArray,
    StringViewArray, UInt64Array,
};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, TimeUnit};
use tempfile::TempDir;

use super::*;
use crate::pace::DueTimes;
use crate::row::{Checksum, Column, Encoder, Pick, Values};

/// Enough for several pages.
const ROWS: u64 = 20_000;

/// Rows with all that CSV has: quotes within quotes, line breaks, NULLs, and ends of lines of either kind.
fn csv() -> String {
    let mut text = "\u{feff}n,note,amount\r\n".to_owned();
    for row in 0..ROWS {
        let end = if row % 3 == 0 { "\r\n" } else { "\n" };
        let note = match row % 7 {
            0 => String::new(),
            1 => format!("\"line {row}\nand, \"\"more\"\"\r\n\""),
            2 => "\u{feff}é".to_owned(),
            _ => format!("a note of row {row}"),
        };
        write!(text, "{row},{note},{}.{:02}{end}", row * 7, row % 100).unwrap();
    }
    text
}

const NUMERIC: ColumnType = ColumnType::Numeric { precision: 12, scale: 2 };
const COLUMNS: [(&str, ColumnType); 3] =
    [("n", ColumnType::BigInt), ("note", ColumnType::Text), ("amount", NUMERIC)];

fn wanted(columns: &[(&str, ColumnType)], cycles: bool) -> Vec<Wanted> {
    let wanted = |(column, sql_type): &(&str, ColumnType)| Wanted {
        column: (*column).to_owned(),
        sql_type: *sql_type,
        cycles,
    };
    columns.iter().map(wanted).collect()
}

/// The columns of a file, in the order of its rows.
fn columns(content: &Content, columns: &[(&str, ColumnType)]) -> Vec<Column> {
    let samples = read("v", content, &wanted(columns, true));
    let column = |((name, sql_type), sample): (&(&str, ColumnType), Result<Sample, FileFault>)| {
        let values = Values::File {
            path: "v".to_owned(),
            column: (*name).to_owned(),
            fingerprint: String::new(),
            pick: Pick::Cycle,
            sample: sample.unwrap_or_else(|fault| panic!("{name}: {fault}")),
        };
        Column::new(*name, *sql_type, values)
    };
    columns.iter().zip(samples).map(column).collect()
}

fn faults(content: &Content, columns: &[(&str, ColumnType)], cycles: bool) -> Vec<String> {
    let samples = read("v", content, &wanted(columns, cycles)).into_iter();
    samples.map(|sample| sample.map_or_else(|fault| fault.what, |_| String::new())).collect()
}

/// Rows from one on, as they are sent.
fn rows(columns: &[Column], first: u64, count: u64) -> Result<Vec<u8>, FileFault> {
    let mut encoder = Encoder::new(columns, 7, 0, 0).unwrap();
    let mut bytes = vec![0; encoder.max_row_bytes() * count as usize];
    let encoded = encoder.encode(&mut bytes, first, count, &mut DueTimes::constant(0))?;
    assert_eq!(encoded.rows, count);
    bytes.truncate(encoded.bytes);
    Ok(bytes)
}

/// The same content in memory, and as a file that is too large for that.
fn both(folder: &TempDir, bytes: &[u8]) -> [Content; 2] {
    let path = folder.path().join("v");
    fs::write(&path, bytes).unwrap();
    let both = [u64::MAX - 1, 0].map(|most| Content::open(&path, most).unwrap());
    assert!(matches!(both, [Content::Whole(_), Content::Open(_)]));
    both
}

#[test]
fn values_are_the_same_in_memory_and_in_pages() {
    let folder = TempDir::new().unwrap();
    let [memory, paged] = both(&folder, csv().as_bytes()).map(|own| columns(&own, &COLUMNS));
    let facts = |columns: &[Column]| -> Vec<_> {
        let of = |column: &Column| {
            let Values::File { sample, .. } = &column.values else { panic!("{column:?}") };
            (
                sample.is_paged(),
                sample.count(),
                sample.has_nulls(),
                sample.longest(),
                sample.chars(),
            )
        };
        columns.iter().map(of).collect()
    };
    assert!(facts(&memory).iter().zip(facts(&paged)).all(|(own, other)| {
        (own.0, other.0) == (false, true)
            && (own.1, own.2, own.3, own.4) == (other.1, other.2, other.3, other.4)
    }));
    // Twice around, and beyond; some in the middle; in an order that hops between pages.
    let around = rows(&memory, 0, 2 * ROWS + 7).unwrap();
    assert!(around == rows(&paged, 0, 2 * ROWS + 7).unwrap());
    for first in [ROWS - 1, 3, ROWS / 2, u64::MAX / 2, 17, 19_000] {
        assert_eq!(rows(&memory, first, 5).unwrap(), rows(&paged, first, 5).unwrap(), "{first}");
    }
    // The bytes are those of every version.
    let mut sum = Checksum::default();
    sum.add(&around);
    assert_eq!(sum.to_string(), "e1f2a71775d39a4d");
    // A mark of the byte order is none where a page begins.
    let mut field = [SampleBuilder::new(ColumnType::Text)];
    let table = csv::tests::table(1);
    assert_eq!(csv::decode(&table, "\u{feff}a\n".as_bytes(), &[0], &mut field), Some(1));
    assert_eq!(field[0].bytes(), 4 + 4);
}

#[test]
fn what_is_chosen_otherwise_has_to_be_in_memory() {
    let folder = TempDir::new().unwrap();
    let [memory, paged] = both(&folder, b"n\n7\n8\n");
    let n = [("n", ColumnType::Integer)];
    assert_eq!(faults(&memory, &n, false), [""]);
    let refused = read("v", &paged, &wanted(&n, false)).remove(0).unwrap_err();
    assert!(refused.what.contains("one behind the other"), "{refused}");
    assert!(refused.fix.contains("cycle"), "{refused}");
}

#[test]
fn a_file_that_is_not_what_it_was_ends_what_is_made_of_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("v");
    let text = csv();
    let open = || {
        fs::write(&path, &text).unwrap();
        let columns = columns(&Content::open(&path, 0).unwrap(), &COLUMNS);
        rows(&columns, 0, 10).unwrap();
        columns
    };
    let told = |columns: &[Column], what: &str| {
        let fault = rows(columns, ROWS / 2, 10).unwrap_err();
        assert!(fault.what.contains(what), "{what}: {fault}");
        // From then on for all, whatever they ask for.
        assert_eq!(rows(columns, 0, 10), Err(fault));
    };
    let columns = open();
    fs::write(&path, text.clone() + "1,,1\n").unwrap();
    told(&columns, "has changed since it was opened");
    let columns = open();
    fs::remove_file(&path).unwrap();
    told(&columns, "is gone");
    // Another one at its place.
    let columns = open();
    fs::rename(&path, folder.path().join("w")).unwrap();
    fs::copy(folder.path().join("w"), &path).unwrap();
    told(&columns, "has changed since it was opened");
    // As long as it was, and as old.
    let columns = open();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"0", text.len() as u64 / 2).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"0", text.len() as u64 / 2 + 9).unwrap();
    file.set_modified(modified).unwrap();
    told(&columns, "is not what it was when the run began");
    // In memory nothing of that matters.
    fs::write(&path, &text).unwrap();
    let columns = super::tests::columns(&Content::open(&path, 1 << 30).unwrap(), &COLUMNS);
    fs::remove_file(&path).unwrap();
    rows(&columns, 0, 10).unwrap();
}

#[test]
fn lines_are_counted_and_empty_ones_within_quotes_are_values() {
    let n = [("n", ColumnType::Integer)];
    let t = [("n", ColumnType::Text)];
    let whole = |text: &str| Content::from(text.to_owned());
    assert_eq!(faults(&whole("n\n\"a\n\nb\"\n\"\"\n"), &t, true), [""]);
    for (text, columns, what) in [
        ("n\n\"a\n\nb\"\n\nc\n", &t, "line 5 of `v` is empty"),
        ("n\r\n7\r\n\r\n", &n, "line 3 of `v` is empty"),
        ("n\n7\n\n", &n, "line 3 of `v` is empty"),
        ("n\r\n7\r\n8.5", &n, "line 3 of `v`: `8.5` is no value of type integer"),
        ("m,n\n\"a\n\",7\n\n\n,x\n", &n, "line 6 of `v`: `x` is no value of type integer"),
        ("m,n\n1\n", &n, "`v` is not CSV: line 2 has 1 values, and the first line names 2 columns"),
        ("n\n\"7\n8\n", &n, "`v` has a quote that is not closed"),
        ("n\n7\n8\"\n", &n, "`v` has a quote that is not closed"),
        ("", &n, "`v` has no column `n`"),
        ("n", &n, "`v` has no rows"),
        ("n,n\n1,2\n", &n, "`v` has more than one column `n`"),
    ] {
        assert_eq!(faults(&whole(text), columns, true), [what], "{text:?}");
    }
    let latin = Content::Whole(b"n\na\n\xe9\n".as_slice().into());
    assert_eq!(faults(&latin, &t, true), ["line 3 of `v` is not UTF-8"]);
    // What is wrong with one column is not wrong with another.
    let two = [("n", ColumnType::Integer), ("m", ColumnType::Text)];
    let found = faults(&whole("n,m\n1,a\nx,b\n"), &two, true);
    assert_eq!(found, ["line 3 of `v`: `x` is no value of type integer", ""]);
}

/// A batch with a dictionary of its own.
fn batch(number: i64, rows: i64) -> RecordBatch {
    let numbers = (0..rows).map(|row| (row % 5 != 0).then_some(number * 1_000 + row));
    let words: DictionaryArray<Int32Type> = (0..rows)
        .map(|row| (row % 3 != 0).then_some(if row % 2 == 0 { "even" } else { "odd" }))
        .collect();
    let own = format!("of batch {number}");
    let replaced: DictionaryArray<Int32Type> = (0..rows).map(|_| Some(own.as_str())).collect();
    let views: StringViewArray =
        (0..rows).map(|row| Some(format!("a text that is longer than twelve {row}"))).collect();
    RecordBatch::try_from_iter([
        ("n", Arc::new(numbers.collect::<Int64Array>()) as ArrayRef),
        ("word", Arc::new(words) as ArrayRef),
        ("own", Arc::new(replaced) as ArrayRef),
        ("view", Arc::new(views) as ArrayRef),
        (
            "even",
            Arc::new((0..rows).map(|row| Some(row % 2 == 0)).collect::<BooleanArray>()) as ArrayRef,
        ),
        ("null", Arc::new(NullArray::new(rows as usize)) as ArrayRef),
    ])
    .unwrap()
}

fn stream(batches: i64, rows: i64) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch(0, rows).schema()).unwrap();
    (0..batches).for_each(|number| writer.write(&batch(number, rows)).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// The file format takes one dictionary for all batches.
fn file(batches: i64, rows: i64) -> Vec<u8> {
    let one = |number| batch(number, rows).project(&[0, 1, 3, 4, 5]).unwrap();
    let mut writer = FileWriter::try_new(Vec::new(), &one(0).schema()).unwrap();
    (0..batches).for_each(|number| writer.write(&one(number)).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

const ARROW: [(&str, ColumnType); 5] = [
    ("n", ColumnType::BigInt),
    ("word", ColumnType::Text),
    ("view", ColumnType::Varchar(60)),
    ("even", ColumnType::Boolean),
    ("null", ColumnType::Date),
];

#[test]
fn record_batches_are_pages_in_both_formats() {
    let folder = TempDir::new().unwrap();
    let mut sums = Vec::new();
    for bytes in [file(5, 1_000), stream(5, 1_000)] {
        let [memory, paged] = both(&folder, &bytes).map(|own| columns(&own, &ARROW));
        let around = rows(&memory, 0, 10_007).unwrap();
        assert!(around == rows(&paged, 0, 10_007).unwrap());
        for first in [4_990, 0, 2_500, 1_000] {
            assert_eq!(rows(&memory, first, 20).unwrap(), rows(&paged, first, 20).unwrap());
        }
        sums.push(around);
    }
    assert!(sums[0] == sums[1], "the formats differ");
    // A stream may replace a dictionary: each batch has the one that was there when it came.
    let own = [("own", ColumnType::Text)];
    let [memory, paged] = both(&folder, &stream(3, 1_000)).map(|content| columns(&content, &own));
    let around = rows(&paged, 0, 3_000).unwrap();
    assert!(around == rows(&memory, 0, 3_000).unwrap());
    for number in 0..3 {
        let text = format!("of batch {number}");
        let found = around.windows(text.len()).filter(|bytes| *bytes == text.as_bytes()).count();
        assert_eq!(found, 1_000, "{text}");
    }
}

#[test]
fn a_damaged_arrow_file_is_refused_or_read_and_nothing_else() {
    for bytes in [file(2, 20), stream(2, 20)] {
        assert!(
            faults(&Content::Whole(bytes.clone().into()), &ARROW, true)
                .iter()
                .all(String::is_empty)
        );
        for end in (0..bytes.len()).step_by(7) {
            faults(&Content::Whole(bytes[..end].to_vec().into()), &ARROW, true);
        }
        for at in (0..bytes.len()).step_by(2) {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = byte;
                faults(&Content::Whole(bytes.into()), &ARROW, true);
            }
        }
    }
    // Of the file format the end is needed, of the other one what it holds by then.
    let (whole, begun) = (file(2, 20), stream(2, 20));
    let cut = |bytes: &[u8]| {
        faults(&Content::Whole(bytes[..bytes.len() - 9].to_vec().into()), &ARROW[..1], true)
    };
    assert_eq!(cut(&whole), ["`v` is no sound Arrow file: its footer is missing"]);
    assert_eq!(cut(&begun), ["`v` is no sound Arrow file: it ends within a message"]);
    for (head, what) in [
        (&b"PAR1...."[..], "the file is Parquet"),
        (b"FEA1....", "the file is Feather of version 1"),
        (b"ARROW1\0\0", "`v` is no sound Arrow file: its footer is missing"),
    ] {
        let content = Content::Whole(head.to_vec().into());
        assert_eq!(faults(&content, &ARROW[..1], true), [what]);
    }
}

#[test]
fn a_value_that_a_type_does_not_hold_is_told_with_its_row() {
    let of = |column: ArrayRef, sql_type| {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.write(&batch).unwrap();
        let content = Content::Whole(writer.into_inner().unwrap().into());
        let samples = read("v", &content, &wanted(&[("c", sql_type)], true));
        samples.into_iter().next().unwrap().map_err(|fault| fault.to_string())
    };
    let large = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
    let fault = of(large.clone(), ColumnType::BigInt).unwrap_err();
    assert_eq!(
        fault,
        "row 2 of `v`: column `c` has 18446744073709551615 (UInt64), which is no value of type bigint; choose a type \
         that holds it, or change the column in the file"
    );
    assert_eq!(
        of(large.clone(), ColumnType::Numeric { precision: 20, scale: 0 }).unwrap().count(),
        4
    );
    assert!(of(large, ColumnType::Double).is_err(), "a digit would be lost");
    let text = Arc::new(StringArray::from(vec!["1", "a\0"]));
    assert!(of(text.clone(), ColumnType::Integer).unwrap_err().contains("row 2 of `v`"));
    assert!(of(text.clone(), ColumnType::Text).is_err());
    let refused = of(text, ColumnType::Bytea).unwrap_err();
    assert!(
        refused.contains("has the Arrow type Utf8, whose values are not taken as bytea"),
        "{refused}"
    );
    let none = convert::takes(&DataType::Duration(TimeUnit::Second), ColumnType::BigInt);
    assert!(none.is_err());
}
