//! Who may do what: one table of all methods and settable properties, and polkit.
//!
//! Deny by default: a member without a row is refused before its code is reached. Root may do everything, as polkit
//! would say too. On the session bus the one user owns everything and polkit isn't asked.

use crate::caller::Callers;
use dbus_interfaces::Error;
use dbus_interfaces::names::{
    ACTION_MANAGE_OTHERS, ACTION_REGISTER_PROVIDER, ACTION_USE_DEVICE, DEVICE, LIBRARY, PLAYLIST, SERVICES,
};
use std::collections::HashMap;
use tandem_model::error::RequestError;
use tandem_model::id::Uid;
use zbus::Connection;
use zbus::message::{Flags, Header};
use zbus_polkit::policykit1::{AuthorityProxy, CheckAuthorizationFlags, Subject};

/// What a member asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// `use-device`; refused with `PartnershipNotExist` when the device is another local user's.
    UseDevice,
    /// `use-device`; `manage-others` when the device is another local user's.
    ManageOthers,
    /// To be the owner of the library, or of the device's partnership if it has one.
    OwnerOnly,
    /// `register-provider`.
    RegisterProvider,
}

/// Every method and every settable property of the contract.
const TABLE: &[(&str, &str, Access)] = &[
    (SERVICES, "GetDevice", Access::Open),
    (SERVICES, "GetDevices", Access::Open),
    (SERVICES, "GetLibrary", Access::Open),
    (SERVICES, "Probe", Access::UseDevice),
    (SERVICES, "RegisterProvider", Access::RegisterProvider),
    (SERVICES, "UnregisterProvider", Access::RegisterProvider),
    (DEVICE, "FriendlyName", Access::UseDevice),
    (DEVICE, "PercentSpaceReserved", Access::UseDevice),
    (DEVICE, "SyncOnConnect", Access::UseDevice),
    (DEVICE, "GetStatus", Access::Open),
    (DEVICE, "GetItemInfo", Access::Open),
    (DEVICE, "SetItemInfo", Access::UseDevice),
    (DEVICE, "CreatePartnership", Access::ManageOthers),
    (DEVICE, "DeletePartnership", Access::ManageOthers),
    (DEVICE, "Start", Access::UseDevice),
    (DEVICE, "Stop", Access::ManageOthers),
    (DEVICE, "IsIdentical", Access::Open),
    (DEVICE, "EstimateSyncSize", Access::UseDevice),
    (DEVICE, "CancelEstimation", Access::UseDevice),
    (DEVICE, "Preview", Access::OwnerOnly),
    (DEVICE, "GetSyncResults", Access::Open),
    (DEVICE, "GetSyncHistory", Access::Open),
    (DEVICE, "Transfer", Access::UseDevice),
    (DEVICE, "ShowSettings", Access::UseDevice),
    (DEVICE, "Eject", Access::ManageOthers),
    (LIBRARY, "SetFolders", Access::OwnerOnly),
    (LIBRARY, "Scan", Access::OwnerOnly),
    (LIBRARY, "GetPlaylists", Access::OwnerOnly),
    (LIBRARY, "GetPlaylist", Access::OwnerOnly),
    (LIBRARY, "CreatePlaylist", Access::OwnerOnly),
    (LIBRARY, "CreateAutoPlaylist", Access::OwnerOnly),
    (LIBRARY, "ImportPlaylist", Access::OwnerOnly),
    (LIBRARY, "ImportPlaylistWithReport", Access::OwnerOnly),
    (LIBRARY, "Search", Access::OwnerOnly),
    (LIBRARY, "GetMediaInfo", Access::OwnerOnly),
    (LIBRARY, "SetMediaInfo", Access::OwnerOnly),
    (PLAYLIST, "Name", Access::OwnerOnly),
    (PLAYLIST, "GetItems", Access::OwnerOnly),
    (PLAYLIST, "GetUnresolved", Access::OwnerOnly),
    (PLAYLIST, "Append", Access::OwnerOnly),
    (PLAYLIST, "Insert", Access::OwnerOnly),
    (PLAYLIST, "Remove", Access::OwnerOnly),
    (PLAYLIST, "Move", Access::OwnerOnly),
    (PLAYLIST, "Clear", Access::OwnerOnly),
    (PLAYLIST, "GetItemInfo", Access::OwnerOnly),
    (PLAYLIST, "SetItemInfo", Access::OwnerOnly),
    (PLAYLIST, "Delete", Access::OwnerOnly),
];

/// What a method or settable property asks of its caller; `None`: it has no row, and is refused.
#[must_use]
pub fn access(interface: &str, member: &str) -> Option<Access> {
    TABLE.iter().find(|(of, name, _)| *of == interface && *name == member).map(|(_, _, access)| *access)
}

/// Every interface and member that has a row.
pub fn guarded_members() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|(interface, member, _)| (*interface, *member))
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// The user whose library or partnership it is about, if it is anybody's.
    pub(crate) owner: Option<Uid>,
    /// How an error calls it.
    pub(crate) name: String,
}

/// What has to be asked before a call goes through.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Polkit(&'static str),
}

/// The rule, as a pure function.
fn need(access: Access, caller: Uid, about: &About) -> Result<Need, RequestError> {
    let others = about.owner.is_some_and(|owner| owner != caller);
    match access {
        _ if caller == 0 => Ok(Need::Nothing),
        Access::Open => Ok(Need::Nothing),
        Access::RegisterProvider => Ok(Need::Polkit(ACTION_REGISTER_PROVIDER)),
        Access::UseDevice if others => Err(RequestError::PartnershipNotExist(format!(
            "{} is partnered with another user's library; create a partnership with yours first",
            about.name
        ))),
        Access::ManageOthers if others => Ok(Need::Polkit(ACTION_MANAGE_OTHERS)),
        Access::UseDevice | Access::ManageOthers => Ok(Need::Polkit(ACTION_USE_DEVICE)),
        Access::OwnerOnly if others => Err(RequestError::NotAuthorized(format!(
            "{} is another user's; only its owner and root may ask",
            about.name
        ))),
        Access::OwnerOnly => Ok(Need::Nothing),
    }
}

/// Decides about each call before its code runs.
pub(crate) struct Gate {
    callers: Callers,
    /// `None` on the session bus.
    authority: Option<AuthorityProxy<'static>>,
}

impl Gate {
    /// A gate that asks polkit over this connection.
    ///
    /// # Errors
    /// When the proxy can't be made.
    pub(crate) async fn new(connection: &Connection, callers: Callers) -> Result<Self, zbus::Error> {
        let authority = match callers.only_user() {
            Some(_) => None,
            None => {
                let builder = AuthorityProxy::builder(connection);
                Some(builder.cache_properties(zbus::proxy::CacheProperties::No).build().await?)
            }
        };
        Ok(Self { callers, authority })
    }

    /// Who calls, as the bus vouches for it.
    pub(crate) fn callers(&self) -> &Callers {
        &self.callers
    }

    /// Lets the call through, or says why not. With `may_ask` polkit may ask the user, if the caller allows it too.
    ///
    /// # Errors
    /// `NotAuthorized` or `PartnershipNotExist`; `UnknownMethod` for a member without a row.
    pub(crate) async fn admit(
        &self,
        header: &Header<'_>,
        access: Access,
        about: &About,
        may_ask: bool,
    ) -> Result<(), Error> {
        let caller = self.callers.uid(header).await?;
        let Some(authority) = &self.authority else { return Ok(()) };
        match need(access, caller, about).map_err(crate::errors::contract)? {
            Need::Nothing => Ok(()),
            Need::Polkit(action) => ask(authority, header, action, about, may_ask).await,
        }
    }
}

async fn ask(
    authority: &AuthorityProxy<'static>,
    header: &Header<'_>,
    action: &'static str,
    about: &About,
    may_ask: bool,
) -> Result<(), Error> {
    let refuse =
        |why: String| Error::NotAuthorized(format!("{}: {action} is not allowed: {why}", about.name));
    let subject = Subject::new_for_message_header(header)
        .map_err(|error| refuse(format!("the caller can't be named to polkit: {error}")))?;
    let interactive = may_ask && header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
    let flags = if interactive {
        CheckAuthorizationFlags::ALLOW_USER_INTERACTION
    } else {
        CheckAuthorizationFlags::empty()
    };
    let answer = authority
        .check_authorization(&subject, action, &HashMap::new(), flags, "")
        .await
        .map_err(|error| refuse(format!("polkit can't be asked: {error}; see that polkit is running")))?;
    if answer.is_authorized {
        return Ok(());
    }
    Err(refuse(if answer.is_challenge {
        "it needs an administrator's password; call it from a program that can ask for one".to_owned()
    } else {
        "polkit refuses it; use an active local session, or root".to_owned()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Uid = 1000;
    const BEN: Uid = 1001;

    fn about(owner: Option<Uid>) -> About {
        About { owner, name: "Walkman".to_owned() }
    }

    #[test]
    fn one_row_for_each_member() {
        for (position, (interface, member, _)) in TABLE.iter().enumerate() {
            let first = TABLE.iter().position(|(of, name, _)| of == interface && name == member);
            assert_eq!(first, Some(position), "{interface}.{member} has two rows");
        }
        assert_eq!(access(DEVICE, "Explode"), None);
        assert_eq!(access("org.example", "Start"), None);
    }

    #[test]
    fn own_and_unpartnered_devices_ask_for_use_device() {
        for owner in [None, Some(ANN)] {
            for access in [Access::UseDevice, Access::ManageOthers] {
                assert_eq!(need(access, ANN, &about(owner)), Ok(Need::Polkit(ACTION_USE_DEVICE)));
            }
        }
    }

    #[test]
    fn another_users_device_asks_for_more_or_is_refused() {
        assert_eq!(
            need(Access::ManageOthers, BEN, &about(Some(ANN))),
            Ok(Need::Polkit(ACTION_MANAGE_OTHERS))
        );
        assert!(matches!(
            need(Access::UseDevice, BEN, &about(Some(ANN))),
            Err(RequestError::PartnershipNotExist(_))
        ));
        assert!(matches!(
            need(Access::OwnerOnly, BEN, &about(Some(ANN))),
            Err(RequestError::NotAuthorized(_))
        ));
        assert_eq!(need(Access::Open, BEN, &about(Some(ANN))), Ok(Need::Nothing));
    }

    #[test]
    fn root_may_do_everything() {
        for (_, _, access) in TABLE {
            assert_eq!(need(*access, 0, &about(Some(ANN))), Ok(Need::Nothing));
        }
    }
}
