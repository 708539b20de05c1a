//! The keys of other tables, before a stream is prepared that refers to them.

use std::borrow::Cow;

use crate::pg::{self, Address, Session};
use crate::plan::{Plan, StreamJob};

/// The plan with the keys that its values refer to, as they are now.
pub(super) async fn with_keys<'p>(
    plan: &'p Plan<StreamJob>,
    address: &Address,
) -> Result<Cow<'p, Plan<StreamJob>>, pg::Error> {
    let references = plan.references();
    if references.is_empty() {
        return Ok(Cow::Borrowed(plan));
    }
    let mut session = Session::own(address, "strom-load keys").await?.telling_of_waits();
    let found = pg::keys::find(&mut session, &references).await?;
    session.close().await;
    Ok(Cow::Owned(plan.with_keys(&found)))
}
