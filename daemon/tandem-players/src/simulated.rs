//! A player that is simulated: MTP in this process, with a profile's abilities and habits, for trying out and for tests.
//!
//! It must not reach outside the directory that it is given.

use std::fs;
use std::path::{Path, PathBuf};
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::id::DeviceId;
use tandem_model::presence::{Arrival, Locator};
use tandem_mtp::responder::{Place, Profile, SimulatedPlayer, SimulationError, profile};
use tandem_mtp::transport::Transport;

/// Why a player can't be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedError {
    /// Neither a profile of the program's own nor a file.
    #[error("`{name}` is neither a profile nor a file with one ({cause}); the profiles are {}", names().join(", "))]
    Unknown {
        /// As given.
        name: String,
        /// What the system said of the file.
        cause: std::io::Error,
    },
    /// A profile that can't be used.
    #[error("the profile `{name}` can't be used: {cause}")]
    Profile {
        /// As given.
        name: String,
        /// What is wrong.
        cause: SimulationError,
    },
}

/// The names of the program's own profiles.
fn names() -> Vec<&'static str> {
    profile::OWN.iter().map(|(name, _)| *name).collect()
}

/// A simulated player. It keeps its files from one opening to the next.
#[derive(Debug)]
pub struct Simulated {
    name: String,
    ids: (u16, u16),
    player: SimulatedPlayer,
}

impl Simulated {
    /// A player from one of the program's own profiles, or from a file with one. Its files are in the directory, or in
    /// memory without one.
    ///
    /// # Errors
    /// When there is no such profile, or it can't be used.
    pub fn new(name: &str, directory: Option<&Path>) -> Result<Self, SimulatedError> {
        let own = profile::OWN.iter().find(|(own, _)| *own == name).map(|(_, text)| (*text).to_owned());
        let text = match own {
            Some(text) => text,
            None => fs::read_to_string(name)
                .map_err(|cause| SimulatedError::Unknown { name: name.to_owned(), cause })?,
        };
        let unusable = |cause| SimulatedError::Profile { name: name.to_owned(), cause };
        let profile = Profile::from_json(&text).map_err(|error| unusable(SimulationError::Profile(error)))?;
        let ids = (profile.vendor_id, profile.product_id);
        let place = directory.map_or(Place::Memory, |directory| Place::Directory(PathBuf::from(directory)));
        let player = SimulatedPlayer::new(profile, place).map_err(unusable)?;
        Ok(Self { name: name.to_owned(), ids, player })
    }

    /// The profile's name or path, as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// USB's vendor and product id.
    #[must_use]
    pub fn ids(&self) -> (u16, u16) {
        self.ids
    }

    /// The player behind it: its files, faults to plan, the plug to pull.
    #[must_use]
    pub fn player(&self) -> &SimulatedPlayer {
        &self.player
    }

    /// Plugs it in.
    pub(crate) fn connect(&self) -> Box<dyn Transport> {
        self.player.connect()
    }

    /// What the hardware would tell of it.
    #[must_use]
    pub fn arrival(&self) -> Arrival {
        let stem =
            Path::new(&self.name).file_stem().map_or(&*self.name, |stem| stem.to_str().unwrap_or("player"));
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let description = DeviceDescription::named(
            DeviceId(format!("simulated-{}", stem.chars().map(legal).collect::<String>())),
            Kind::Mtp,
            format!("Simulated {stem}"),
        );
        let locator = Locator::Simulated { profile: self.name.clone() };
        Arrival { key: format!("simulated:{}", self.name), description, port: String::new(), locator }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_own_profile_makes_a_player_and_others_are_refused_with_the_choice() {
        for name in names() {
            let simulated = Simulated::new(name, None).unwrap();
            assert_eq!(simulated.arrival().description.id.0, format!("simulated-{name}"));
        }
        let told = Simulated::new("no-such-profile", None).unwrap_err().to_string();
        assert!(told.contains("no-such-profile") && told.contains("classic"), "{told}");
    }
}
