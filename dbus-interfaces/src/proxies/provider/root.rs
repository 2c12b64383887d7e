//! Proxy of `org.tandemd.Provider1`, made from `org.tandemd.Provider1.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// The root object of a service provider: a program that serves players to Tandem. WMDM's counterparts are IMDServiceProvider, IMDServiceProvider2 and IMDServiceProvider3. The daemon calls; the provider answers. Its bus name and this object's path come from its file in `providers.d`, or from `RegisterProvider`.
///
/// Every object of the provider lies below this object's path. What lies elsewhere is refused by the daemon.
///
/// Errors are `org.tandemd.Provider1.Error.` and a word: `InterfaceDead` (the object is gone, with its device or by itself), `NotSupported` (the device can't do that), `NoSpace` (it does not fit), `Exists` (the name is taken), `NotFound` (what an argument names isn't there), `Busy` (not now; the same call may succeed later), `InvalidArgument` (the call itself is wrong), `Failed` (anything else). The message says what was wrong, with the value. D-Bus's own `UnknownObject` is taken for `InterfaceDead`, and `UnknownMethod`, `UnknownInterface` and `UnknownProperty` for `NotSupported`.
///
/// Every object has `org.freedesktop.DBus.Introspectable`: the daemon asks it which of the interfaces an object has.
///
/// A call that fails has changed nothing, except where a method says otherwise. A call that succeeds is lasting: when it has answered, a pulled cable or a power cut doesn't undo it. Only a caller that has said in `CreateDevice` that it calls `Flush` may be answered before that: what it was told lasts from the next `Flush` on, and until then a power cut may undo each call by itself.
///
/// Calls may come at any time, several at once, for several devices. A provider answers each within 10 seconds, the two transfers of `org.tandemd.Provider1.Object` and `Flush` excepted, and answers while a transfer is under way. Where the device itself can do one thing at a time, calls wait for each other within that time, or fail with `Busy`.
///
/// A provider trusts nobody but the daemon: on the system bus its policy lets only the daemon's user and root call it.
#[proxy(interface = "org.tandemd.Provider1", assume_defaults = true)]
pub trait Provider1 {
    /// CreateDevice method
    ///
    /// Opens a device, and publishes its object. A device is open for one caller: for another one the call fails with `Busy`, and for the same one it first releases what that had. What a caller opened is released when the caller leaves the bus. `NotFound` when there is no such device, `NotSupported` when this provider doesn't serve it. IMDServiceProvider2::CreateDevice.
    ///
    /// # Arguments
    ///
    /// * `identity` - What is known of the device: `canonical-name` (`s`, always there: lasting, unique to the device), and where they are known `vendor-id` and `product-id` (`q`), `serial` (`s`), `interfaces` (`as`: the GUIDs that it advertises, in braces and capital letters), `syspath` (`s`: its place below `/sys`), `flushes` (`b`: whether the caller calls `Flush` of the device before it relies on what was done). Keys that the provider doesn't know are to be ignored.
    /// * `usb` - One descriptor of the USB device's node, open to read and write, or none where there is no such node. The provider owns it, and closes it with the device. No interface of the device is claimed.
    /// * `device` - The device's object, with `org.tandemd.Provider1.Device`.
    fn create_device(
        &self,
        identity: std::collections::HashMap<&str, &zbus::Variant<'_>>,
        usb: &[zbus::Fd<'_>],
    ) -> zbus::Result<zbus::OwnedObjectPath>;

    /// ReleaseDevice method
    ///
    /// Closes a device: when the call has answered, everything is on the device, its descriptors are closed, and its objects are gone. `InvalidArgument` when the object is no open device of the caller's; a transfer that is under way fails with `InterfaceDead`.
    ///
    /// # Arguments
    ///
    /// * `device` - What `CreateDevice` answered.
    fn release_device(&self, device: &zbus::ObjectPath<'_>) -> zbus::Result<()>;

    /// EnumDevices method
    ///
    /// The devices that the provider has announced with `DeviceArrived` and that are there now: the daemon asks when the provider enters the bus or is registered. A provider of devices that udev finds answers with none, or doesn't have the method. IMDServiceProvider::EnumDevices.
    ///
    /// # Arguments
    ///
    /// * `identities` - One for each, as in `DeviceArrived`.
    fn enum_devices(&self) -> zbus::Result<Vec<std::collections::HashMap<String, zbus::OwnedVariant>>>;

    /// DeviceArrived signal
    ///
    /// A device is there that udev doesn't know, such as one on a network. The daemon then calls `CreateDevice` with this identity and without a descriptor. WMDMMessage's device arrival.
    ///
    /// # Arguments
    ///
    /// * `identity` - As in `CreateDevice`; `canonical-name` is at most 255 bytes and the same each time.
    #[zbus(signal)]
    fn device_arrived(
        &self,
        identity: std::collections::HashMap<&str, zbus::Variant<'_>>,
    ) -> zbus::Result<()>;

    /// DeviceRemoved signal
    ///
    /// A device that was announced is gone. Its objects are gone before. WMDMMessage's device removal.
    ///
    /// # Arguments
    ///
    /// * `canonical_name` - Its name, as it was announced.
    #[zbus(signal)]
    fn device_removed(&self, canonical_name: &str) -> zbus::Result<()>;
}
