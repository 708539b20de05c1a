//! PG-Strom's GPU service: a process of the server, which every reload of the configuration ends
//! and the server starts anew after five seconds.

use super::settings::SHARED;
use crate::pg::{self, Session, quote_literal};

const ACT: &str = "wake PG-Strom's GPU service";

/// Lets the GPU service have workers again after a reload. Without PG-Strom it does nothing;
/// without the right to set `pg_strom.max_async_tasks` it warns.
///
/// In PG-Strom 6.1 and 6.2-dev a service that was started anew launches its worker threads only
/// when that setting has been changed since the last one did. Until then the planner goes on
/// choosing the GPU, and every query there waits for ever. So the setting is changed and put back,
/// for the whole server, which is what it always is.
///
/// # Errors
/// When the connection is lost.
pub async fn wake_gpu_service(session: &mut Session) -> Result<(), pg::Error> {
    match change_and_put_back(session).await {
        Err(error) if !error.is_lost() => {
            tracing::warn!(
                "after the reload queries on the GPU may hang, until a superuser sets {SHARED} to \
                 another value and back: {error}"
            );
            Ok(())
        }
        done => done,
    }
}

async fn change_and_put_back(session: &mut Session) -> Result<(), pg::Error> {
    let read = format!("SELECT pg_catalog.current_setting({}, true)", quote_literal(SHARED));
    let Some(tasks) = session.text(ACT, &read).await? else { return Ok(()) };
    let tasks: u32 = tasks.parse().unwrap_or(1);
    let other = if tasks > 1 { tasks - 1 } else { tasks + 1 };
    session.execute(ACT, &format!("SET {SHARED} = {other}")).await?;
    session.execute(ACT, &format!("SET {SHARED} = {tasks}")).await
}
