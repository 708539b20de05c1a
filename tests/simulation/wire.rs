//! PostgreSQL's protocol as a server speaks it, as far as the client library asks for it.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// A session begins, of this name.
    Startup(String),
    /// Another session's statement is to be cancelled.
    Cancel(u32),
    Query(String),
    Parse {
        name: String,
        sql: String,
    },
    Bind {
        statement: String,
    },
    Describe {
        statement: String,
    },
    Execute,
    Sync,
    Close {
        statement: String,
    },
    CopyData(Bytes),
    CopyDone,
    CopyFail,
    Terminate,
}

const CANCEL: u32 = 80_877_102;

/// Takes a whole message from the front of what has come; `None`: there is none yet.
pub(crate) fn take(buffer: &mut BytesMut, started: bool) -> Option<Message> {
    let head = usize::from(started);
    let length = u32::from_be_bytes(buffer.get(head..head + 4)?.try_into().ok()?) as usize;
    if buffer.len() < head + length {
        return None;
    }
    let mut body = buffer.split_to(head + length).freeze();
    let kind = if started { body.get_u8() } else { 0 };
    body.advance(4);
    Some(match kind {
        0 => match body.get_u32() {
            CANCEL => Message::Cancel(body.get_u32()),
            _ => {
                let mut name = String::new();
                while body.first().is_some_and(|byte| *byte != 0) {
                    let (key, value) = (text(&mut body), text(&mut body));
                    if key == "application_name" {
                        name = value;
                    }
                }
                Message::Startup(name)
            }
        },
        b'Q' => Message::Query(text(&mut body)),
        b'P' => Message::Parse { name: text(&mut body), sql: text(&mut body) },
        b'B' => {
            let _portal = text(&mut body);
            Message::Bind { statement: text(&mut body) }
        }
        b'D' => {
            body.advance(1);
            Message::Describe { statement: text(&mut body) }
        }
        b'E' => Message::Execute,
        b'S' => Message::Sync,
        b'C' => {
            body.advance(1);
            Message::Close { statement: text(&mut body) }
        }
        b'd' => Message::CopyData(body),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail,
        b'X' => Message::Terminate,
        other => panic!("the model knows no message `{}`", char::from(other)),
    })
}

fn text(body: &mut Bytes) -> String {
    let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
    let text = String::from_utf8_lossy(&body.split_to(end)).into_owned();
    if !body.is_empty() {
        body.advance(1);
    }
    text
}

/// What a server says.
#[derive(Debug, Default)]
pub(crate) struct Reply(BytesMut);

impl Reply {
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0.freeze()
    }

    fn message(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) {
        self.0.put_u8(kind);
        let at = self.0.len();
        self.0.put_u32(0);
        body(&mut self.0);
        let length = (self.0.len() - at) as u32;
        self.0[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// The session is there.
    pub(crate) fn welcome(&mut self, pid: u32) {
        self.message(b'R', |body| body.put_u32(0));
        self.message(b'K', |body| {
            body.put_u32(pid);
            body.put_u32(0);
        });
    }

    pub(crate) fn ready(&mut self, status: u8) {
        self.message(b'Z', |body| body.put_u8(status));
    }

    pub(crate) fn done(&mut self, tag: &str) {
        self.message(b'C', |body| put_text(body, tag));
    }

    pub(crate) fn row_description(&mut self, columns: usize) {
        self.message(b'T', |body| {
            body.put_u16(columns as u16);
            for _ in 0..columns {
                put_text(body, "c");
                body.put_u32(0);
                body.put_u16(0);
                // text, which is the same in both forms.
                body.put_u32(25);
                body.put_i16(-1);
                body.put_i32(-1);
                body.put_u16(0);
            }
        });
    }

    pub(crate) fn row(&mut self, values: &[Option<String>]) {
        self.message(b'D', |body| {
            body.put_u16(values.len() as u16);
            for value in values {
                match value {
                    None => body.put_i32(-1),
                    Some(value) => {
                        body.put_u32(value.len() as u32);
                        body.put_slice(value.as_bytes());
                    }
                }
            }
        });
    }

    pub(crate) fn parsed(&mut self) {
        self.message(b'1', |_| ());
    }

    pub(crate) fn bound(&mut self) {
        self.message(b'2', |_| ());
    }

    pub(crate) fn closed(&mut self) {
        self.message(b'3', |_| ());
    }

    /// A statement without parameters, with this many columns.
    pub(crate) fn described(&mut self, columns: usize) {
        self.message(b't', |body| body.put_u16(0));
        match columns {
            0 => self.message(b'n', |_| ()),
            columns => self.row_description(columns),
        }
    }

    /// COPY begins: `G` to take rows, `H` to give them.
    pub(crate) fn copy(&mut self, kind: u8) {
        self.message(kind, |body| {
            body.put_u8(1);
            body.put_u16(0);
        });
    }

    pub(crate) fn copy_data(&mut self, bytes: &[u8]) {
        self.message(b'd', |body| body.put_slice(bytes));
    }

    pub(crate) fn copy_done(&mut self) {
        self.message(b'c', |_| ());
    }

    pub(crate) fn error(&mut self, severity: &str, code: &str, message: &str) {
        self.message(b'E', |body| {
            for (field, value) in
                [(b'S', severity), (b'V', severity), (b'C', code), (b'M', message)]
            {
                body.put_u8(field);
                put_text(body, value);
            }
            body.put_u8(0);
        });
    }
}

fn put_text(body: &mut BytesMut, text: &str) {
    body.put_slice(text.as_bytes());
    body.put_u8(0);
}
