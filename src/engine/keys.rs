//! What only a server knows of a stream, before it is prepared: the keys of other tables, and the numbers of types of the
//! server's own.

use std::borrow::Cow;

use crate::pg::{self, Address, Session};
use crate::plan::{Plan, Recreate, StreamJob};

/// The plan with the keys that its values refer to, as they are now, and with the types of its arrays' elements.
pub(super) async fn completed_on<'p>(
    plan: &'p Plan<StreamJob>,
    address: &Address,
) -> Result<Cow<'p, Plan<StreamJob>>, pg::Error> {
    let (stream, references) = (&plan.job.stream, plan.references());
    if references.is_empty() && !stream.has_arrays() {
        return Ok(Cow::Borrowed(plan));
    }
    let mut session = Session::own(address, "strom-load keys").await?.telling_of_waits();
    let found = pg::keys::find(&mut session, &references).await?;
    let mut plan = plan.with_keys(&found);
    if stream.has_arrays() {
        let mut types = Vec::new();
        // What is made anew is made like another table, or of types that each server knows.
        if stream.recreate == Recreate::No {
            types = pg::element_types::find(&mut session, &stream.table).await?;
        }
        if let (true, Some(like)) = (types.is_empty(), &stream.like) {
            types = pg::element_types::find(&mut session, like).await?;
        }
        plan.job.stream.set_element_types(&types);
    }
    session.close().await;
    Ok(Cow::Owned(plan))
}
