//! Which disks the running system lives on: those are never players, even when they are USB sticks or cards.
//!
//! Found by the mount table, through device mapper and arrays down to the disks. Nothing is opened.

use rustix::fs::{major, makedev, minor};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a running system is mounted from.
const SYSTEM_MOUNTS: [&str; 8] =
    ["/", "/usr", "/var", "/home", "/boot", "/boot/efi", "/boot/firmware", "/efi"];

/// How deep devices may be stacked on each other (encryption on volumes on an array); bounds the descent.
const DEEPEST_STACK: u8 = 8;

/// A mounted file system of the system: its device number, and what the mount table names as its source.
type Mount<'a> = (u32, u32, &'a str);

/// The sysfs folders of the system's disks. What can't be read is left out: a container has no disks of its own.
pub(crate) fn disks() -> BTreeSet<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_else(|error| {
        tracing::debug!(%error, "the mount table can't be read; the system's disks are not known");
        String::new()
    });
    let mut disks = BTreeSet::new();
    for (major, minor, source) in system_mounts(&table) {
        let number = match block_number(source) {
            // such as btrfs, whose number names no device
            Some(number) if major == 0 => number,
            _ => (major, minor),
        };
        collect(
            &PathBuf::from(format!("/sys/dev/block/{}:{}", number.0, number.1)),
            DEEPEST_STACK,
            &mut disks,
        );
    }
    disks
}

/// The lines of `mountinfo` that mount the system.
fn system_mounts(table: &str) -> impl Iterator<Item = Mount<'_>> {
    table.lines().filter_map(|line| {
        let (fixed, optional) = line.split_once(" - ")?;
        let mut fields = fixed.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let place = fields.nth(1)?;
        let source = optional.split(' ').nth(1)?;
        SYSTEM_MOUNTS.contains(&place).then_some((major.parse().ok()?, minor.parse().ok()?, source))
    })
}

fn block_number(source: &str) -> Option<(u32, u32)> {
    let number = source.starts_with("/dev/").then(|| fs::metadata(source).ok())??.rdev();
    (number != makedev(0, 0)).then(|| (major(number), minor(number)))
}

/// Adds the disks below a device's sysfs folder: its own, or those it is built on.
fn collect(device: &Path, depth: u8, disks: &mut BTreeSet<PathBuf>) {
    let Ok(path) = fs::canonicalize(device) else { return };
    let is_partition = path.join("partition").exists();
    let disk = if is_partition { path.parent().map_or(path.clone(), Path::to_owned) } else { path.clone() };
    if depth > 0 {
        for below in fs::read_dir(path.join("slaves")).into_iter().flatten().flatten() {
            collect(&below.path(), depth - 1, disks);
        }
    }
    disks.insert(disk);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_systems_mounts_are_found_and_others_are_not() {
        let table = "\
22 1 179:2 / / rw,relatime shared:1 - ext4 /dev/mmcblk0p2 rw\n\
23 22 0:21 / /proc rw - proc proc rw\n\
24 22 179:1 / /boot/firmware rw shared:7 master:3 - vfat /dev/mmcblk0p1 rw\n\
25 22 0:30 /@home /home rw - btrfs /dev/sda2 rw,subvol=/@home\n\
26 22 8:17 / /media/ann/STICK rw - vfat /dev/sdb1 rw\n\
27 22 8:33 / /home\\040of\\040ann rw - ext4 /dev/sdc1 rw\n";
        let found: Vec<Mount<'_>> = system_mounts(table).collect();
        assert_eq!(found, [(179, 2, "/dev/mmcblk0p2"), (179, 1, "/dev/mmcblk0p1"), (0, 30, "/dev/sda2")]);
    }

    #[test]
    fn a_partition_counts_for_its_disk_and_a_mapped_device_for_what_is_below() {
        let sysfs = tempfile::tempdir().unwrap();
        let root = sysfs.path().canonicalize().unwrap();
        let folder = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(&path).unwrap();
            path
        };
        folder("sda/sda2/partition");
        let mapped = folder("dm-0/slaves");
        std::os::unix::fs::symlink(root.join("sda/sda2"), mapped.join("sda2")).unwrap();
        // a stack that runs in a circle ends too
        std::os::unix::fs::symlink(root.join("dm-0"), mapped.join("dm-0")).unwrap();
        let mut disks = BTreeSet::new();
        collect(&root.join("dm-0"), DEEPEST_STACK, &mut disks);
        assert_eq!(disks, BTreeSet::from([root.join("dm-0"), root.join("sda")]));
    }

    proptest! {
        #[test]
        fn any_table_is_taken(table in "([0-9: /-]{0,20}|[a-z/ -]{0,10}|\n){0,20}") {
            let _ = system_mounts(&table).count();
        }
    }
}
