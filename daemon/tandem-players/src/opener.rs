//! Opens players: chooses the implementation by where the hardware says the device is.
//!
//! It classifies nothing; an arrival comes classified.

use crate::mass_storage::BlockDevice;
use crate::mtp::{Families, MtpPlayer};
use crate::simulated::Simulated;
use crate::{folder, mass_storage};
use std::path::PathBuf;
use std::sync::Arc;
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::player::{Player, PlayerOpener};
use tandem_model::presence::{Arrival, Locator, Mounter, Providers};

/// Opens folders, mass storage, MTP players, and what service providers serve.
pub struct Players {
    mounter: Option<Arc<dyn Mounter>>,
    media_player_info_dirs: Vec<PathBuf>,
    families: Families,
    simulated: Vec<Arc<Simulated>>,
    providers: Option<Arc<dyn Providers>>,
}

impl Players {
    /// Players on block devices are mounted by `mounter`; without one they are refused. Data on models is looked for
    /// in these directories of media-player-info, the first that has a file winning.
    #[must_use]
    pub fn new(mounter: Option<Arc<dyn Mounter>>, media_player_info_dirs: Vec<PathBuf>) -> Self {
        Self {
            mounter,
            media_player_info_dirs,
            families: Families::default(),
            simulated: Vec::new(),
            providers: None,
        }
    }

    /// With what is known of families of MTP players.
    #[must_use]
    pub fn with_families(self, families: Families) -> Self {
        Self { families, ..self }
    }

    /// With players that are simulated.
    #[must_use]
    pub fn with_simulated(self, simulated: Vec<Arc<Simulated>>) -> Self {
        Self { simulated, ..self }
    }

    /// With service providers, which serve the devices that none of the others can.
    #[must_use]
    pub fn with_providers(self, providers: Arc<dyn Providers>) -> Self {
        Self { providers: Some(providers), ..self }
    }
}

impl PlayerOpener for Players {
    fn open<'a>(&'a self, arrival: &'a Arrival) -> BoxFuture<'a, Result<Arc<dyn Player>, PlayerError>> {
        Box::pin(async move {
            let (description, dirs) = (arrival.description.clone(), self.media_player_info_dirs.clone());
            let player = match &arrival.locator {
                Locator::Folder { path } => folder::open(path, description, dirs).await?,
                Locator::BlockDevice { node, number, file_system_uuid, media_player } => {
                    let mounter = self.mounter.clone().ok_or_else(|| {
                        PlayerError::NotPermitted(format!(
                            "{} can't be mounted: there is no connection to UDisks2; start udisks2, or mount the \
                             player and name it as a folder",
                            node.display()
                        ))
                    })?;
                    let device = BlockDevice {
                        node: node.clone(),
                        number: *number,
                        file_system_uuid: file_system_uuid.clone(),
                        media_player: media_player.clone(),
                    };
                    mass_storage::open(mounter, device, description, dirs).await?
                }
                Locator::Usb { node, ids, interface } => {
                    let transport = crate::mtp::connect(node, *ids, *interface).await?;
                    let player = MtpPlayer::open(transport, *ids, description, &self.families);
                    return Ok(Arc::new(Box::pin(player).await?) as Arc<dyn Player>);
                }
                Locator::Provider(device) => {
                    let providers = self.providers.as_ref().ok_or_else(|| {
                        PlayerError::Manual(
                            "there is no bus that a service provider could be reached by".into(),
                        )
                    })?;
                    return providers.open(device, description).await;
                }
                Locator::Simulated { profile } => {
                    let simulated = self.simulated.iter().find(|simulated| simulated.name() == profile);
                    let simulated = simulated.ok_or(PlayerError::Removed)?;
                    let (transport, ids) = (simulated.connect(), simulated.ids());
                    let player = MtpPlayer::open(transport, ids, description, &self.families);
                    return Ok(Arc::new(Box::pin(player).await?) as Arc<dyn Player>);
                }
            };
            Ok(Arc::new(player) as Arc<dyn Player>)
        })
    }
}
