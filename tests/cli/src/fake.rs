//! A stand-in for the daemon on a private bus. It answers each call at once, in the order in which they come, and a
//! test decides what is announced before the answer of `Start` and what after it.

use crate::answers::{
    answer, device_answer, library_answer, playlist_answer, probe_answer, properties, refusal,
};
use crate::objects::{LIBRARY, World};
use crate::program::{Ended, Running};
use dbus_interfaces::names::{self, BUS_NAME, DEVICE, ERROR_PREFIX, ROOT_PATH, SERVICES};
use futures_util::StreamExt;
use kit::PrivateBus;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use zbus::message::{Flags, Message, Type};
use zbus::{Connection, MessageStream, ObjectPath, OwnedObjectPath, Variant};

/// What happens at a call that has a script.
#[derive(Debug, Clone)]
pub enum Step {
    /// The call is answered.
    Reply,
    /// It is refused, with one of the contract's words.
    Refuse(&'static str, &'static str),
    /// The device's engine does something else; announced as the daemon does, the property first.
    State(&'static str),
    /// A property takes a value, and that is announced.
    Set(&'static str, Variant<'static>),
    /// `DeviceSyncError` with media, error, message.
    Error(&'static str, &'static str, &'static str),
    /// `CreatePartnershipComplete` with success, error, message.
    Partnered(bool, &'static str, &'static str),
    /// `DeletePartnershipComplete` with success, error, message.
    Unpartnered(bool, &'static str, &'static str),
    /// `SyncEstimationComplete` with success and both sizes.
    Estimated(bool, u64, u64),
    /// `DeviceDisconnect`.
    Disconnect,
    /// The device is not known any more.
    Forget,
    /// The rest happens when this method is called, before its answer.
    Await(&'static str),
}

struct Inner {
    world: Mutex<World>,
    scripts: Mutex<HashMap<String, VecDeque<Step>>>,
    calls: Mutex<Vec<String>>,
    /// Methods of devices whose calls let polkit ask the user.
    interactive: Mutex<Vec<String>>,
    /// A device's properties were read.
    read: Notify,
    /// A scripted call came; no other is answered before its script was played as far as it goes.
    came: Notify,
}

/// The stand-in, which answers until it is dropped.
pub struct Fake {
    bus: PrivateBus,
    connection: Connection,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds this lock")
}

impl Fake {
    /// Starts it, with its name on a bus of its own.
    ///
    /// # Panics
    /// When the bus doesn't start.
    pub async fn start(world: World) -> Self {
        let bus = PrivateBus::start();
        let connection = bus.connect().await;
        let calls = MessageStream::from(&connection);
        connection.request_name(BUS_NAME).await.expect("nobody else is on the bus");
        let inner = Arc::new(Inner {
            world: Mutex::new(world),
            scripts: Mutex::new(HashMap::new()),
            calls: Mutex::new(Vec::new()),
            interactive: Mutex::new(Vec::new()),
            read: Notify::new(),
            came: Notify::new(),
        });
        let task = tokio::spawn(serve(connection.clone(), calls, Arc::clone(&inner)));
        Self { bus, connection, inner, task }
    }

    /// From now on, a run would stop for this reason, and previews say so.
    pub fn stop_previews(&self, objection: &str) {
        objection.clone_into(&mut lock(&self.inner.world).objection);
    }

    /// Decides what happens at the next call of a method of a device, such as `Start`.
    pub fn script(&self, key: &str, method: &str, steps: &[Step]) {
        lock(&self.inner.scripts).insert(format!("{key} {method}"), steps.iter().cloned().collect());
    }

    /// All calls that changed something, in their order, with the arguments that matter.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        lock(&self.inner.calls).clone()
    }

    /// Methods of devices whose calls let polkit ask the user, in the order of the calls.
    #[must_use]
    pub fn interactive(&self) -> Vec<String> {
        lock(&self.inner.interactive).clone()
    }

    /// Waits until a scripted call has come, as `calls` names it.
    ///
    /// # Panics
    /// When it doesn't come within the limit.
    pub async fn called(&self, call: &str) {
        let wait = async {
            loop {
                let came = self.inner.came.notified();
                if lock(&self.inner.calls).iter().any(|other| other == call) {
                    return;
                }
                came.await;
            }
        };
        tokio::time::timeout(kit::LIMIT, wait).await.expect("the call comes");
    }

    /// Leaves the bus, as a daemon that ends.
    ///
    /// # Panics
    /// When it has left already.
    pub async fn leave(&self) {
        assert!(
            self.connection.release_name(BUS_NAME).await.expect("the bus answers"),
            "the name was given up before"
        );
    }

    /// Waits until a client has read every device: a monitor does so when it has subscribed.
    ///
    /// # Panics
    /// When that doesn't come to pass within the limit.
    pub async fn subscribed(&self) {
        let read = self.inner.read.notified();
        tokio::time::timeout(kit::LIMIT, read).await.expect("a client reads the devices");
    }

    /// Runs `tandemctl --session` with these arguments, to its end.
    pub async fn ctl(&self, arguments: &[&str]) -> Ended {
        self.spawn(arguments).end().await
    }

    /// Runs `tandemctl` with these arguments as if its bus were the system's, to its end.
    pub async fn ctl_on_system_bus(&self, arguments: &[&str]) -> Ended {
        Running::start(self.bus.address(), arguments).end().await
    }

    /// Starts `tandemctl --session` with these arguments.
    #[must_use]
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        Running::start(self.bus.address(), &[&["--session"], arguments].concat())
    }
}

async fn serve(connection: Connection, mut calls: MessageStream, inner: Arc<Inner>) {
    while let Some(Ok(message)) = calls.next().await {
        if message.message_type() == Type::MethodCall {
            // an error is the caller's: it has gone, or sent what doesn't fit
            handle(&connection, &inner, &message).await.ok();
        }
    }
}

async fn handle(bus: &Connection, inner: &Inner, call: &Message) -> zbus::Result<()> {
    let header = call.header();
    let path = header.path().map(ToString::to_string).unwrap_or_default();
    let interface = header.interface().map(ToString::to_string).unwrap_or_default();
    let member = header.member().map(ToString::to_string).unwrap_or_default();
    let key = path.rsplit('/').next().unwrap_or_default().to_owned();
    if interface == DEVICE {
        if header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH) {
            lock(&inner.interactive).push(member.clone());
        }
        resume(bus, inner, &key, &member).await?;
        let script = lock(&inner.scripts).remove(&format!("{key} {member}"));
        if let Some(steps) = script {
            lock(&inner.calls).push(format!("{key} {member}"));
            inner.came.notify_one();
            return play(bus, inner, &key, steps, Some(call)).await;
        }
    }
    let message = {
        let world = &mut *lock(&inner.world);
        let calls = &mut *lock(&inner.calls);
        match (interface.as_str(), member.as_str()) {
            ("org.freedesktop.DBus.Properties", "GetAll") => match properties(world, &path) {
                Some(properties) => answer(call, &properties)?,
                None => refusal(call, "NotFound", &path)?,
            },
            (SERVICES, "GetDevices") => {
                let paths: Vec<_> = world.devices.iter().map(|device| object(device.path())).collect();
                answer(call, &paths)?
            }
            (SERVICES, "Probe") => probe_answer(world, call)?,
            (SERVICES, "GetLibrary") => answer(call, &object(LIBRARY.to_owned()))?,
            (names::LIBRARY, "GetPlaylists") if world.agent_hangs => return Ok(()),
            (DEVICE, _) => device_answer(world, calls, call, &key, &member)?,
            (names::LIBRARY, _) => library_answer(world, calls, call, &member)?,
            _ => playlist_answer(world, calls, call, &path, &member)?,
        }
    };
    bus.send(&message).await?;
    if member == "GetAll" {
        inner.read.notify_one();
    }
    Ok(())
}

/// A path as the bus takes it.
pub(crate) fn object(path: String) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).expect("the paths of the stand-in are legal")
}

/// Carries on a script that waits for this method.
async fn resume(bus: &Connection, inner: &Inner, key: &str, member: &str) -> zbus::Result<()> {
    let waiting = lock(&inner.scripts).remove(&format!("{key} await {member}"));
    match waiting {
        Some(steps) => play(bus, inner, key, steps, None).await,
        None => Ok(()),
    }
}

async fn play(
    bus: &Connection,
    inner: &Inner,
    key: &str,
    mut steps: VecDeque<Step>,
    call: Option<&Message>,
) -> zbus::Result<()> {
    let path = object(format!("{}/{key}", crate::DEVICES));
    while let Some(step) = steps.pop_front() {
        match step {
            Step::Reply => {
                if let Some(call) = call {
                    bus.reply(&call.header(), &()).await?;
                }
            }
            Step::Refuse(word, text) => {
                if let Some(call) = call {
                    bus.reply_error(&call.header(), format!("{ERROR_PREFIX}{word}"), &text).await?;
                }
            }
            Step::State(state) => {
                set(bus, inner, &path, "SyncState", state.into()).await?;
                event(bus, "DeviceSyncStateChange", &(&path, state)).await?;
            }
            Step::Set(name, value) => set(bus, inner, &path, name, value).await?,
            Step::Error(media, error, text) => {
                event(bus, "DeviceSyncError", &(&path, media, error, text)).await?;
            }
            Step::Partnered(success, error, text) => {
                event(bus, "CreatePartnershipComplete", &(&path, success, error, text)).await?;
            }
            Step::Unpartnered(success, error, text) => {
                event(bus, "DeletePartnershipComplete", &(&path, success, error, text)).await?;
            }
            Step::Estimated(success, used, left) => {
                event(bus, "SyncEstimationComplete", &(&path, success, used, left)).await?;
            }
            Step::Disconnect => event(bus, "DeviceDisconnect", &path).await?,
            Step::Forget => lock(&inner.world).devices.retain(|device| device.key != key),
            Step::Await(method) => {
                lock(&inner.scripts).insert(format!("{key} await {method}"), steps);
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn event<B: serde::Serialize + zbus::DynamicType>(
    bus: &Connection,
    name: &'static str,
    body: &B,
) -> zbus::Result<()> {
    bus.emit_signal(None::<&str>, ROOT_PATH, SERVICES, name, body).await
}

/// Gives a device's property a value, and announces it.
async fn set(
    bus: &Connection,
    inner: &Inner,
    path: &ObjectPath<'_>,
    name: &'static str,
    value: Variant<'static>,
) -> zbus::Result<()> {
    if let Some(device) = lock(&inner.world).devices.iter_mut().find(|device| device.path() == path.as_str())
    {
        device.properties.insert(name.to_owned(), value.try_clone()?);
    }
    let body = (DEVICE, HashMap::from([(name, value)]), Vec::<String>::new());
    bus.emit_signal(None::<&str>, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", &body).await
}
