//! A statement that changes nothing.

use super::session::Sessions;
use super::value::Value;
use super::{Reply, trouble::Trouble};
use crate::failure::Failure;

/// Carries a query out, alone in a transaction that can't write, and that is rolled back.
///
/// `READ ONLY` by itself could be left (`SET TRANSACTION READ WRITE`), so nothing comes behind the
/// statement, nothing that it does is committed, and the mode is settled before it: see
/// [`Sessions::begin`]. It would not hold what leaves the database either (`COPY … TO PROGRAM`): that is
/// what the login is looked at for.
pub(super) async fn query(readers: &Sessions, statement: &str, parameters: &[Value]) -> Result<Reply, Failure> {
    let session = readers.begin().await?;
    let outcome = readers.run(&session.client, statement, parameters).await;
    let is_usable = match &outcome {
        Ok(_) => true,
        Err(Trouble { is_usable, .. }) => *is_usable,
    };
    if is_usable && session.roll_back().await.is_ok() {
        readers.put(session);
    }
    outcome.map(|(rows, _)| Reply::Rows(rows)).map_err(|trouble| trouble.failure)
}
