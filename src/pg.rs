//! PostgreSQL: sessions, COPY, and the server this program can bring itself.

pub mod embedded;
