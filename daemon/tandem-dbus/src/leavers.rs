//! Connections that have left the bus are forgotten: by the memory of callers, by the libraries they held open, with the
//! calls that still waited for their turn, and with the service providers that they had registered.
//!
//! It has a task of its own, which waits for nothing else: a stream that isn't read holds up the whole connection, and
//! with it the answers that whoever ought to read it may be waiting for.

use crate::context::Context;
use crate::turns::Turns;
use futures_util::StreamExt;
use std::sync::Arc;
use zbus::{Connection, MatchRule, MessageStream};

/// The bus's announcements of connections that are gone.
///
/// # Errors
/// When the bus refuses the match.
pub(crate) async fn watch(connection: &Connection) -> Result<MessageStream, zbus::Error> {
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .arg(2, "")
        .build()?;
    MessageStream::for_match_rule(rule, connection, None).await
}

/// Forgets whoever leaves, until the bus goes away.
pub(crate) async fn forget(context: Arc<Context>, listings: Arc<Turns>, mut leavers: MessageStream) {
    while let Some(left) = leavers.next().await {
        match left {
            Ok(message) => forget_one(&context, &listings, &message),
            Err(error) => tracing::debug!(%error, "a message of the bus can't be read"),
        }
    }
}

fn forget_one(context: &Context, listings: &Turns, message: &zbus::Message) {
    let body = message.body();
    if let Ok((name, _, _)) = body.deserialize::<(&str, &str, &str)>()
        && name.starts_with(':')
    {
        listings.left(name);
        context.turns.left(name);
        context.callers().left(name);
        context.libraries.left(name);
        context.providers.left(name);
    }
}
