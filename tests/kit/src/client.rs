//! Waiting for what the daemon says: properties that take a value, and events in their order. Nothing polls; each wait
//! ends with a message that tells what was seen instead.

use crate::{BUS_NAME, LIMIT, ROOT_PATH};
use futures_util::StreamExt;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant, Variant};

/// More than any test makes the daemon say while nobody reads.
const QUEUE: NonZeroUsize = NonZeroUsize::new(65_536).expect("65536 is not zero");

/// A property's value now, asked for anew.
///
/// # Errors
/// What the daemon answers, or that the value isn't a `T`.
pub async fn property<T>(bus: &Connection, path: &str, interface: &str, name: &str) -> zbus::Result<T>
where
    T: TryFrom<OwnedVariant>,
    T::Error: Into<zbus::Error>,
{
    let body = (interface, name);
    let properties = Some("org.freedesktop.DBus.Properties");
    let reply = bus.call_method(Some(BUS_NAME), path, properties, "Get", &body).await?;
    T::try_from(reply.body().deserialize::<OwnedVariant>()?).map_err(Into::into)
}

/// Sets a property.
///
/// # Errors
/// What the daemon answers.
pub async fn set_property<'v>(
    bus: &Connection,
    path: &str,
    interface: &str,
    name: &str,
    value: impl Into<Variant<'v>>,
) -> zbus::Result<()> {
    let body = (interface, name, value.into());
    let properties = Some("org.freedesktop.DBus.Properties");
    bus.call_method(Some(BUS_NAME), path, properties, "Set", &body).await.map(drop)
}

/// Waits until a property's value is accepted, and returns it. It asks again at each `PropertiesChanged` of the object.
///
/// # Panics
/// When that doesn't come to pass within [`LIMIT`]; the message names the value seen last.
pub async fn wait_for_property<T>(
    bus: &Connection,
    path: &str,
    interface: &str,
    name: &str,
    accept: impl Fn(&T) -> bool,
) -> T
where
    T: TryFrom<OwnedVariant> + Debug,
    T::Error: Into<zbus::Error>,
{
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(BUS_NAME)
        .path(path.to_owned())
        .interface("org.freedesktop.DBus.Properties")
        .member("PropertiesChanged")
        .build()
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut changes = MessageStream::for_match_rule(rule, bus, Some(QUEUE))
        .await
        .unwrap_or_else(|error| panic!("changes of {path} can't be watched: {error}"));
    let mut seen = String::from("nothing");
    let wait = async {
        loop {
            match property::<T>(bus, path, interface, name).await {
                Ok(value) if accept(&value) => return value,
                Ok(value) => seen = format!("{value:?}"),
                Err(error) => seen = error.to_string(),
            }
            if changes.next().await.is_none() {
                seen.push_str("; the bus is gone");
                std::future::pending::<()>().await;
            }
        }
    };
    match tokio::time::timeout(LIMIT, wait).await {
        Ok(value) => value,
        Err(_) => panic!("{interface}.{name} of {path} did not become what was awaited; last seen: {seen}"),
    }
}

/// The daemon's signals on all its objects, in the order in which they came. It has a connection of its own, so that a
/// test that doesn't read it stalls nothing else.
pub struct Events {
    stream: MessageStream,
    seen: Vec<String>,
}

impl Events {
    /// Listens from now on. It also calls the service once, because some signals go only to those who have.
    ///
    /// # Panics
    /// When the bus refuses.
    pub async fn subscribe(bus: Connection) -> Self {
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(BUS_NAME)
            .path_namespace(ROOT_PATH)
            .build()
            .expect("the contract's names are legal names");
        let stream = MessageStream::for_match_rule(rule, &bus, Some(QUEUE))
            .await
            .unwrap_or_else(|error| panic!("signals can't be watched: {error}"));
        let version = property::<String>(&bus, ROOT_PATH, "org.tandemd.Sync1.Services", "Version").await;
        version.unwrap_or_else(|error| panic!("the service doesn't answer: {error}"));
        Self { stream, seen: Vec::new() }
    }

    /// The next signal of any kind.
    ///
    /// # Panics
    /// When none comes within [`LIMIT`].
    pub async fn next(&mut self) -> Message {
        let next = tokio::time::timeout(LIMIT, self.stream.next()).await;
        let Ok(Some(Ok(message))) = next else {
            panic!("no further signal came ({next:?}); so far: {:?}", self.seen)
        };
        self.seen.push(member(&message));
        message
    }

    /// The next signal with this name; others before it are skipped, and kept in [`Self::seen`].
    ///
    /// # Panics
    /// When none comes within [`LIMIT`].
    pub async fn wait_for(&mut self, name: &str) -> Message {
        self.wait_until(|message| member(message) == name).await
    }

    /// The next signal that is accepted; others before it are skipped, and kept in [`Self::seen`].
    ///
    /// # Panics
    /// When none comes within [`LIMIT`].
    pub async fn wait_until(&mut self, accept: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.next().await;
            if accept(&message) {
                return message;
            }
        }
    }

    /// The names of all signals that were received so far, in their order.
    #[must_use]
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}

fn member(message: &Message) -> String {
    message.header().member().map(ToString::to_string).unwrap_or_default()
}
