//! PostgreSQL: the only room that imports the client library. Knows no metrics.

mod abandoned;
pub mod address;
mod admit;
mod cancel;
pub mod clock;
mod connect;
pub mod copy;
mod disk;
pub mod dry_run;
pub mod embedded;
pub mod error;
pub mod facts;
pub mod fate;
pub mod fault;
mod identity;
pub mod load;
pub(crate) mod mark;
mod own;
mod pooler;
mod quote;
pub mod read_back;
pub mod result_type;
pub mod select;
pub mod session;
mod silence;
mod start;
pub mod table;
mod tls;

pub use abandoned::cancel_abandoned;
pub use address::Address;
pub use cancel::Canceller;
pub use error::Error;
pub use fault::QUERY_CANCELED;
pub use quote::quote_literal;
pub use session::Session;
pub use start::{note_recovery, until_started};
