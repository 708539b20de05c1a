//! CSV with the names of its columns in the first line. A page ends with a row, wherever that ends: a value in
//! quotes may have line breaks.

use csv_core::{ReadRecordResult, Reader};

use super::{Content, FileFault, PAGE_BYTES, Pass, UNIT_BYTES_MAX, fault, unread};
use crate::row::fields::SampleBuilder;

/// What a page of it is decoded by.
#[derive(Debug)]
pub(super) struct Csv {
    /// How many columns it has.
    columns: usize,
}

/// Takes records, one after the other.
struct Scanner {
    reader: Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// What of these the record has so far.
    bytes: usize,
    count: usize,
}

enum Step {
    /// There is a record.
    Record,
    /// It goes on in what follows.
    Unfinished,
    /// There is none.
    End,
}

impl Scanner {
    /// At the beginning of a file.
    fn new() -> Self {
        let (fields, ends) = (vec![0; 4096], vec![0; 64]);
        Self { reader: Reader::new(), fields, ends, bytes: 0, count: 0 }
    }

    /// At the beginning of a page, where no mark of the byte order is left out.
    fn within() -> Self {
        let mut own = Self::new();
        let _ = own.reader.read_record(b"\n", &mut own.fields, &mut own.ends);
        own
    }

    /// Begins with another record.
    fn begin(&mut self) {
        (self.bytes, self.count) = (0, 0);
    }

    /// Goes on with a record; also returns how much of the input that took. No input is its end.
    fn step(&mut self, mut input: &[u8]) -> (Step, usize) {
        let before = input.len();
        loop {
            let (fields, ends) = (&mut self.fields[self.bytes..], &mut self.ends[self.count..]);
            let (result, taken, bytes, count) = self.reader.read_record(input, fields, ends);
            input = &input[taken..];
            self.bytes += bytes;
            self.count += count;
            let step = match result {
                ReadRecordResult::OutputFull => {
                    self.fields.resize(2 * self.fields.len(), 0);
                    continue;
                }
                ReadRecordResult::OutputEndsFull => {
                    self.ends.resize(2 * self.ends.len(), 0);
                    continue;
                }
                ReadRecordResult::InputEmpty => Step::Unfinished,
                ReadRecordResult::Record => Step::Record,
                ReadRecordResult::End => Step::End,
            };
            return (step, before - input.len());
        }
    }

    /// A value of the record.
    fn field(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.fields[start..self.ends[place]]
    }
}

/// How often a byte is there.
fn count(bytes: &[u8], byte: u8) -> usize {
    bytes.split(|own| *own == byte).count() - 1
}

/// What was read of the file, from the beginning of a page on.
struct Input<'c> {
    content: &'c Content,
    path: &'c str,
    buffer: Vec<u8>,
    /// Where in the file it begins.
    at: u64,
    /// How far the records reach that were taken.
    read: usize,
    /// How many quotes the pages before it have.
    quotes: usize,
}

impl Input<'_> {
    /// Takes the next record; whether there is one.
    fn next(&mut self, scanner: &mut Scanner) -> Result<bool, FileFault> {
        let start = self.read;
        scanner.begin();
        loop {
            if self.read == self.buffer.len() && !self.more(start)? {
                // The end of the file ends its last record.
                return Ok(matches!(scanner.step(&[]).0, Step::Record));
            }
            let (step, taken) = scanner.step(&self.buffer[self.read..]);
            self.read += taken;
            match step {
                Step::Record => return Ok(true),
                Step::End => return Ok(false),
                Step::Unfinished => {}
            }
        }
    }

    /// Reads on, within a record that begins there; whether there was more.
    fn more(&mut self, start: usize) -> Result<bool, FileFault> {
        if self.read - start > UNIT_BYTES_MAX {
            let (line, path, most) = (self.line(start)?, self.path, UNIT_BYTES_MAX >> 20);
            let what = format!("line {line} of `{path}` begins a row of more than {most} MiB");
            return Err(fault(what, "see whether a quote is not closed"));
        }
        let (at, before) = (self.at + self.buffer.len() as u64, self.buffer.len());
        let more = self.content.append_at(at, PAGE_BYTES, &mut self.buffer);
        more.map_err(|error| unread(self.path, &error))?;
        Ok(self.buffer.len() > before)
    }

    /// Ends a page where the last record ends.
    fn cut(&mut self) {
        self.quotes += count(self.page(), b'"');
        self.at += self.read as u64;
        self.buffer.drain(..self.read);
        self.read = 0;
    }

    /// What was taken since.
    fn page(&self) -> &[u8] {
        &self.buffer[..self.read]
    }

    /// The number of the line in which a record begins whose reader stood at this byte.
    fn line(&self, start: usize) -> Result<u64, FileFault> {
        let ends = self.buffer[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        self.line_at(start + ends.count())
    }

    /// The number of the line in which this byte is.
    fn line_at(&self, byte: usize) -> Result<u64, FileFault> {
        let mut line = 1;
        let add = |bytes: &[u8]| line += count(bytes, b'\n') as u64;
        let end = self.at + byte as u64;
        self.content.each_chunk(end, add).map_err(|error| unread(self.path, &error))?;
        Ok(line)
    }

    /// Whether the file has a quote that is not closed.
    fn is_open(&self) -> Result<bool, FileFault> {
        let mut quotes = 0;
        let add = |bytes: &[u8]| quotes += count(bytes, b'"');
        self.content.each_chunk_of_all(add).map_err(|error| unread(self.path, &error))?;
        Ok(quotes % 2 == 1)
    }
}

/// Takes the values of a file.
pub(super) fn read(pass: &mut Pass<'_>) -> Result<Csv, FileFault> {
    let (path, content) = (pass.path, pass.content);
    let mut input = Input { content, path, buffer: Vec::new(), at: 0, read: 0, quotes: 0 };
    let unclosed = || {
        let what = format!("`{path}` has a quote that is not closed");
        Err(fault(what, "see whether the file is whole"))
    };
    let table = match read_pages(pass, &mut input) {
        Ok(table) if pass.columns.iter().all(|own| own.fault.is_none()) => table,
        // What is wrong may follow from it.
        _ if input.is_open()? => return unclosed(),
        faulty => return faulty,
    };
    if input.quotes % 2 == 1 { unclosed() } else { Ok(table) }
}

fn read_pages(pass: &mut Pass<'_>, input: &mut Input<'_>) -> Result<Csv, FileFault> {
    let path = pass.path;
    let mut scanner = Scanner::new();
    input.next(&mut scanner)?;
    let name = |place| String::from_utf8(scanner.field(place).to_vec());
    let names: Result<Vec<String>, _> = (0..scanner.count).map(name).collect();
    let names = names.map_err(|_| {
        fault(format!("line 1 of `{path}` is not UTF-8"), "save it as CSV in UTF-8")
    })?;
    pass.place(&names);
    let columns = names.len();
    let mut after_return = input.page().ends_with(b"\r");
    input.cut();
    let mut rows = 0;
    while pass.goes_on() {
        let start = input.read;
        let is_there = input.next(&mut scanner)?;
        let raw = &input.buffer[start..input.read];
        // The reader passes over them, and the server writes a lone NULL so.
        let behind = if after_return { raw.strip_prefix(b"\n").unwrap_or(raw) } else { raw };
        if columns == 1 && matches!(behind.first(), Some(b'\r' | b'\n')) {
            let line = input.line_at(start + raw.len() - behind.len())?;
            return Err(fault(
                format!("line {line} of `{path}` is empty"),
                "write \"\" for NULL where there is one column, or delete the line",
            ));
        }
        if !is_there {
            break;
        }
        after_return = raw.ends_with(b"\r");
        if scanner.count != columns {
            let line = input.line(start)?;
            let what = format!(
                "`{path}` is not CSV: line {line} has {} values, and the first line names {columns} columns",
                scanner.count
            );
            return Err(fault(what, "see whether values with commas are in quotes"));
        }
        rows += 1;
        for own in pass.columns.iter_mut().filter(|own| own.fault.is_none()) {
            let (field, sql_type) = (scanner.field(own.place), own.wanted.sql_type);
            let Ok(text) = std::str::from_utf8(field) else {
                let what = format!("line {} of `{path}` is not UTF-8", input.line(start)?);
                own.fault = Some(fault(what, "save it as CSV in UTF-8"));
                continue;
            };
            let outcome = own.builder.push(text);
            let line = if outcome.is_err() { input.line(start)? } else { 0 };
            own.took(path, outcome, || {
                let what =
                    format!("line {line} of `{path}`: `{text}` is no value of type {sql_type}");
                fault(what, "choose the type that the file has, or mend the line")
            });
        }
        if input.read >= PAGE_BYTES {
            pass.end_page(input.at, input.page(), rows)?;
            input.cut();
            rows = 0;
        }
    }
    if rows > 0 {
        pass.end_page(input.at, input.page(), rows)?;
        input.cut();
    }
    Ok(Csv { columns })
}

/// Appends the values of a page to those of each column; returns its rows. `None`: it is none of such a file.
pub(super) fn decode(
    table: &Csv,
    page: &[u8],
    places: &[usize],
    builders: &mut [SampleBuilder],
) -> Option<u64> {
    let mut scanner = Scanner::within();
    let (mut rest, mut rows) = (page, 0);
    loop {
        scanner.begin();
        let (mut step, taken) = scanner.step(rest);
        rest = &rest[taken..];
        if matches!(step, Step::Unfinished) {
            step = scanner.step(&[]).0;
        }
        if !matches!(step, Step::Record) {
            return Some(rows);
        }
        if scanner.count != table.columns {
            return None;
        }
        rows += 1;
        for (place, builder) in places.iter().zip(&mut *builders) {
            builder.push(std::str::from_utf8(scanner.field(*place)).ok()?).ok()?;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Csv;

    pub(in super::super) fn table(columns: usize) -> Csv {
        Csv { columns }
    }
}
