//! From the bus to the calls and back: takes each method call, finds what lies at its path, and answers. Objects are not
//! registered one by one: a device may have a hundred thousand.

use crate::answers::{Answer, Call, Failure};
use crate::calls;
use crate::sessions::{Place, Sessions};
use crate::standard;
use dbus_interfaces::provider as names;
use futures_util::StreamExt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zbus::message::Message;
use zbus::{Connection, MatchRule, MessageStream, fdo};

/// So many calls are answered at once; further ones wait on the bus.
const MOST_CALLS: usize = 128;

/// Calls that are taken from the bus while others are answered.
const QUEUE: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");

/// What all calls share.
pub(crate) struct Shared {
    pub(crate) sessions: Sessions,
    /// What was announced and is there.
    pub(crate) announced: Mutex<Vec<crate::Identity>>,
}

/// The calls that come to this connection.
pub(crate) async fn calls_of(connection: &Connection) -> zbus::Result<MessageStream> {
    let mut rule = MatchRule::builder().msg_type(zbus::message::Type::MethodCall);
    if let Some(name) = connection.unique_name() {
        rule = rule.destination(name.as_str());
    }
    MessageStream::for_match_rule(rule.build()?, connection, Some(QUEUE)).await
}

/// Answers calls until the connection ends.
pub(crate) async fn serve(connection: Connection, shared: Arc<Shared>, mut calls: MessageStream) {
    let places = Arc::new(Semaphore::new(MOST_CALLS));
    let mut running = JoinSet::new();
    while let Some(message) = calls.next().await {
        let Ok(message) = message else { continue };
        while running.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (connection, shared) = (connection.clone(), Arc::clone(&shared));
        running.spawn(async move {
            let _place = place;
            answer(&connection, &shared, message).await;
        });
    }
}

async fn answer(connection: &Connection, shared: &Shared, message: Message) {
    let Some(call) = Call::of(&message) else { return };
    let reply = Box::pin(route(shared, &call, message)).await;
    let reply = reply.or_else(|failure| call.refusal(&failure));
    let sent = match reply {
        Ok(_) if !call.wants_answer => return,
        Ok(reply) => connection.send(&reply).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        tracing::debug!(member = call.member, %error, "a call was not answered");
    }
}

async fn route(shared: &Shared, call: &Call, message: Message) -> Answer {
    let interface = call.interface.as_ref().map_or("", |name| name.as_str());
    if interface == standard::PEER {
        return standard::peer(call);
    }
    if interface == standard::INTROSPECTABLE
        && let Some(answer) = standard::introspect_above(shared.sessions.root(), call)
    {
        return answer;
    }
    let place = shared.sessions.place(&call.path)?;
    match interface {
        standard::PROPERTIES => return standard::properties(&place, call, message).await,
        standard::INTROSPECTABLE => return standard::introspect(shared, &place, call).await,
        _ => {}
    }
    match (place, interface) {
        (Place::Root, names::PROVIDER | "") => calls::root::answer(shared, call, message).await,
        (Place::Device(open), names::DEVICE | "") => {
            calls::device::answer(shared, &open, call, message).await
        }
        (Place::Storage(open, handle), names::STORAGE) => {
            calls::storage::answer(shared, &open, handle, call, message).await
        }
        (Place::Storage(open, handle), names::OBJECT) => {
            calls::object::answer(shared, &open, handle, call, message).await
        }
        (Place::Storage(open, handle), "") if calls::object::MEMBERS.contains(&call.member.as_str()) => {
            calls::object::answer(shared, &open, handle, call, message).await
        }
        (Place::Storage(open, handle), "") => {
            calls::storage::answer(shared, &open, handle, call, message).await
        }
        (_, other) => {
            Err(fdo::Error::UnknownInterface(format!("`{}` doesn't have `{other}`", call.path.as_str()))
                .into())
        }
    }
}

/// What to answer to a member that an interface doesn't have.
pub(crate) fn unknown(call: &Call) -> Failure {
    fdo::Error::UnknownMethod(format!("`{}` has no method `{}`", call.path.as_str(), call.member)).into()
}
