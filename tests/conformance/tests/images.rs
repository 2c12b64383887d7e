//! The suite over real file systems in images, mounted through loop devices where the machine can.
//!
//! A file system that can't be mounted here is skipped, and that is said aloud with the reason.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod common;

use common::{FakeMounter, MountPoint, mass_storage_arrival};
use conformance::Subject;
use tandem_model::player::PlayerOpener;
use tandem_players::Players;

async fn image(kind: &str, make: &[&str], fuse: Option<&str>) -> Option<Subject> {
    let mount = match MountPoint::image(kind, 160, make, fuse) {
        Ok(mount) => mount,
        Err(reason) => {
            conformance::skip(kind, &reason);
            return None;
        }
    };
    let number = rustix::fs::stat(mount.node()).map(|stat| stat.st_rdev).unwrap();
    let number = (rustix::fs::major(number), rustix::fs::minor(number));
    let arrival = mass_storage_arrival(mount.node(), number, None);
    let mounter = FakeMounter::new(mount.path(), false);
    let player = Players::new(Some(mounter), Vec::new()).open(&arrival).await.unwrap();
    Some(Subject { player, keep: Box::new(mount) })
}

mod fat32 {
    conformance::conformance!(crate::image("vfat", &["mkfs.vfat", "-F", "32"], None));
}

mod exfat {
    conformance::conformance!(crate::image("exfat", &["mkfs.exfat"], Some("mount.exfat-fuse")));
}

mod ext4 {
    conformance::conformance!(crate::image("ext4", &["mkfs.ext4", "-q"], None));
}
