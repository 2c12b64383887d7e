//! What the daemon announces, in the order in which it does: one stream of events and property changes.
//!
//! Subscribe before the call whose outcome is awaited, and make that call with [`Events::during`]: then nothing is
//! missed, and the connection never stalls because nobody reads.

use crate::bus::Client;
use crate::error::Error;
use dbus_interfaces::names::{BUS_NAME, ROOT_PATH, SERVICES};
use dbus_interfaces::proxies as signals;
use futures_util::StreamExt;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use zbus::message::{Message, Type};
use zbus::{MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, fdo};

/// An event of the contract. Each is for people and, tagged with its kebab-case name, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    DeviceConnect,
    DeviceDisconnect,
    DeviceStatusChange { status: String },
    DeviceSyncStateChange { state: String },
    DeviceSyncError { media: String, error: String, message: String },
    CreatePartnershipComplete { success: bool, error: String, message: String },
    DeletePartnershipComplete { success: bool, error: String, message: String },
    SyncEstimationComplete { success: bool, estimated_used_space: u64, estimated_space: u64 },
    SettingsRequested,
}

/// Something that the daemon announced.
#[derive(Debug)]
pub(crate) enum Notice {
    /// An event of a device.
    Event(OwnedObjectPath, Event),
    /// New values of an object's properties; those in `invalidated` must be asked for.
    Changed(Change),
}

/// New values of an object's properties.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) path: OwnedObjectPath,
    pub(crate) interface: String,
    pub(crate) values: HashMap<String, OwnedVariant>,
    pub(crate) invalidated: Vec<String>,
}

/// The daemon's announcements from the moment of subscription.
pub(crate) struct Events {
    signals: MessageStream,
    changes: MessageStream,
    owners: fdo::NameOwnerChangedStream,
    daemon: String,
    waiting: VecDeque<Result<Notice, Error>>,
}

impl Events {
    /// Subscribes. The daemon is started by the bus if it doesn't run.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn subscribe(client: &Client) -> Result<Self, Error> {
        let bus = fdo::DBusProxy::new(&client.connection).await?;
        let owners = bus.receive_name_owner_changed_with_args(&[(0, BUS_NAME)]).await?;
        // a call, so that the daemon runs, and knows this connection as one to send events to
        client.services.get_devices().await?;
        let daemon = bus.get_name_owner(BUS_NAME.try_into()?).await?.to_string();
        let rule = |interface: &'static str| -> zbus::Result<MatchRule<'_>> {
            MatchRule::builder()
                .msg_type(Type::Signal)
                .sender(daemon.as_str())
                .interface(interface)
                .path_namespace(ROOT_PATH)
                .build()
        };
        let signals = MessageStream::for_match_rule(rule(SERVICES)?, &client.connection, None).await?;
        let changes =
            MessageStream::for_match_rule(rule("org.freedesktop.DBus.Properties")?, &client.connection, None)
                .await?;
        Ok(Self { signals, changes, owners, daemon, waiting: VecDeque::new() })
    }

    /// The next announcement.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the daemon leaves the bus.
    pub(crate) async fn next(&mut self) -> Result<Notice, Error> {
        match self.waiting.pop_front() {
            Some(notice) => notice,
            None => self.receive().await,
        }
    }

    /// Makes a call, collecting meanwhile what is announced. On return all that was announced before the call's
    /// answer has been collected.
    pub(crate) async fn during<F: Future>(&mut self, call: F) -> F::Output {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                notice = self.receive() => {
                    let gone = notice.is_err();
                    self.waiting.push_back(notice);
                    if gone {
                        return call.await;
                    }
                }
                answer = &mut call => return answer,
            }
        }
    }

    /// What was collected and not yet taken.
    pub(crate) fn collected(&mut self) -> Option<Result<Notice, Error>> {
        self.waiting.pop_front()
    }

    async fn receive(&mut self) -> Result<Notice, Error> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.signals.next() => message,
                message = self.changes.next() => message,
                owner = self.owners.next() => {
                    self.check_owner(owner.as_ref())?;
                    continue;
                }
            };
            let message =
                message.ok_or_else(|| Error::Unreachable("the connection to the bus broke".to_owned()))??;
            if let Some(notice) = decode(&message)? {
                return Ok(notice);
            }
        }
    }

    fn check_owner(&self, change: Option<&fdo::NameOwnerChanged>) -> Result<(), Error> {
        let gone = || {
            Error::Unreachable(
                "tandemd has ended; what it was doing it goes on with when it runs again".to_owned(),
            )
        };
        let change = change.ok_or_else(gone)?.args()?;
        if change.new_owner().as_ref().is_some_and(|name| name.as_str() == self.daemon) {
            Ok(())
        } else {
            Err(gone())
        }
    }
}

/// What a message announces; `None` for an event that this version doesn't know.
fn decode(message: &Message) -> Result<Option<Notice>, Error> {
    if let Some(signal) = fdo::PropertiesChanged::from_message(message.clone()) {
        return change(message, &signal).map(Some);
    }
    macro_rules! event {
        ($signal:ident, |$args:ident| $event:expr) => {
            if let Some(signal) = signals::$signal::from_message(message.clone()) {
                let $args = signal.args()?;
                return Ok(Some(Notice::Event($args.device().to_owned().into(), $event)));
            }
        };
    }
    event!(DeviceConnect, |args| Event::DeviceConnect);
    event!(DeviceDisconnect, |args| Event::DeviceDisconnect);
    event!(DeviceStatusChange, |args| Event::DeviceStatusChange { status: (*args.status()).to_owned() });
    event!(DeviceSyncStateChange, |args| Event::DeviceSyncStateChange { state: (*args.state()).to_owned() });
    event!(DeviceSyncError, |args| Event::DeviceSyncError {
        media: (*args.media()).to_owned(),
        error: (*args.error()).to_owned(),
        message: (*args.message()).to_owned(),
    });
    event!(CreatePartnershipComplete, |args| Event::CreatePartnershipComplete {
        success: *args.success(),
        error: (*args.error()).to_owned(),
        message: (*args.message()).to_owned(),
    });
    event!(DeletePartnershipComplete, |args| Event::DeletePartnershipComplete {
        success: *args.success(),
        error: (*args.error()).to_owned(),
        message: (*args.message()).to_owned(),
    });
    event!(SyncEstimationComplete, |args| Event::SyncEstimationComplete {
        success: *args.success(),
        estimated_used_space: *args.estimated_used_space(),
        estimated_space: *args.estimated_space(),
    });
    event!(SettingsRequested, |args| Event::SettingsRequested);
    Ok(None)
}

fn change(message: &Message, signal: &fdo::PropertiesChanged) -> Result<Notice, Error> {
    let header = message.header();
    let path = header.path().ok_or_else(|| Error::Mismatch("a property change without a path".to_owned()))?;
    let args = signal.args()?;
    let values = args
        .changed_properties()
        .iter()
        .map(|(name, value)| Ok(((*name).to_owned(), value.try_to_owned()?)))
        .collect::<zbus::Result<_>>()?;
    Ok(Notice::Changed(Change {
        path: path.to_owned().into(),
        interface: args.interface_name().to_string(),
        values,
        invalidated: args.invalidated_properties().iter().map(|name| (*name).to_owned()).collect(),
    }))
}
