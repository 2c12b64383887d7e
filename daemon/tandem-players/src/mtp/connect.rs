//! Reaches a player over USB: claims its interface, and waits a while for another program to let go of it.
//!
//! It must not take a device from a program by force.

use std::path::Path;
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_mtp::transport::Transport;
use tandem_mtp::usb::{OpenError, UsbTransport};
use tokio::time::Instant;

/// How long another program may hold the device before that is told: desktops look at what is plugged in.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// The transport over this interface of a device. `ids` are USB's, vendor and product.
pub(crate) async fn connect(
    node: &Path,
    ids: (u16, u16),
    interface: u8,
) -> Result<Box<dyn Transport>, PlayerError> {
    let patience_ends = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        match UsbTransport::open(node, ids, interface).await {
            Ok(transport) => return Ok(Box::new(transport)),
            Err(OpenError::Busy(holder)) if Instant::now() < patience_ends => {
                if !told {
                    tracing::info!("the player is in use by {holder}; waiting until it is let go");
                    told = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(OpenError::Busy(holder)) => return Err(PlayerError::Busy(holder)),
            Err(OpenError::Gone) => return Err(PlayerError::Removed),
            Err(error @ OpenError::NotPermitted { .. }) => {
                return Err(PlayerError::NotPermitted(error.to_string()));
            }
            Err(error @ (OpenError::NoPipes(_) | OpenError::Other { .. })) => {
                return Err(PlayerError::Other(error.to_string()));
            }
        }
    }
}
