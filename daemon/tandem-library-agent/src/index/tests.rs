//! The two files: made, opened again, damaged, held by others and of other versions, and how changes reach the disk.
//!
//! Nothing is scanned here.

use super::health::{remove, version_of};
use super::*;

fn open(directory: &Path) -> Index {
    Index::open(directory, Folders::default()).unwrap()
}

#[test]
fn the_generation_grows_with_changes_and_over_a_lost_index() {
    let folder = tempfile::tempdir().unwrap();
    let generation = |index: &Index| index.read(|connection| meta(connection, "generation")).unwrap();
    let first = open(folder.path());
    let start = generation(&first);
    first.change(|_| Ok(())).unwrap();
    assert_eq!(generation(&first), start + 1);
    drop(first);
    let second = open(folder.path());
    assert_eq!(generation(&second), start + 1);
    drop(second);
    remove(&folder.path().join("index.sqlite")).unwrap();
    assert!(generation(&open(folder.path())) > start + 1);
}

#[test]
fn a_damaged_index_is_made_again_and_a_damaged_library_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    for name in ["index.sqlite", "library.sqlite"] {
        let file = fs::OpenOptions::new().write(true).truncate(true).open(folder.path().join(name)).unwrap();
        std::io::Write::write_all(&mut &file, &[b'x'; 9000]).unwrap();
    }
    let index = open(folder.path());
    let words = index.read(|connection| lib_meta(connection, "damage")).unwrap().unwrap();
    let kept = fs::read_dir(folder.path())
        .unwrap()
        .filter_map(std::result::Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().contains("damaged-"));
    assert!(words.contains(&*kept.unwrap().file_name().to_string_lossy()), "{words}");
}

fn write(file: &Path, content: &[u8]) {
    std::io::Write::write_all(&mut fs::File::create(file).unwrap(), content).unwrap();
}

/// All names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A library with a mark that only its log has.
fn with_a_log(folder: &Path) -> Vec<u8> {
    let index = open(folder);
    index.write(|transaction| set_lib_meta(transaction, "scanned", Some("mark"))).unwrap();
    let log = fs::read(folder.join("library.sqlite-wal")).unwrap();
    drop(index);
    write(&folder.join("library.sqlite-wal"), &log);
    log
}

#[test]
fn a_damaged_library_is_kept_with_its_log() {
    for damage in [&[b'x'; 9000][..], b""] {
        let folder = tempfile::tempdir().unwrap();
        let log = with_a_log(folder.path());
        write(&folder.path().join("library.sqlite"), damage);
        let index = open(folder.path());
        let words = index.read(|connection| lib_meta(connection, "damage")).unwrap().unwrap();
        let (_, kept) = words.split_once("is kept as ").unwrap();
        let kept = kept.split_once(';').unwrap().0;
        assert_eq!(fs::read(kept).unwrap(), damage);
        assert!(fs::read(format!("{kept}-wal")).unwrap() == log);
        assert_eq!(index.read(|connection| lib_meta(connection, "scanned")).unwrap(), None);
    }
}

#[test]
fn a_library_that_another_program_holds_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let file = folder.path().join("library.sqlite");
    let other = Connection::open(&file).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    other.execute("INSERT INTO meta VALUES ('scanned', '1')", []).unwrap();
    let error = Index::open(folder.path(), Folders::default()).err().unwrap().to_string();
    let words = format!("{} can't be used: ", file.display());
    assert!(error.starts_with(&words) && error.contains("end the other program"), "{error}");
    other.execute_batch("COMMIT").unwrap();
    drop(other);
    assert!(!names(folder.path()).iter().any(|name| name.contains("damaged")));
    let index = open(folder.path());
    assert_eq!(index.read(|c| lib_meta(c, "scanned")).unwrap().as_deref(), Some("1"));
    assert_eq!(index.read(|c| lib_meta(c, "damage")).unwrap(), None);
}

#[test]
fn files_that_can_not_be_opened_are_left_alone() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    for name in ["library.sqlite", "index.sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()));
        let (file, away) = (folder.path().join(name), folder.path().join("away"));
        // root may read everything, so what it can't open is a link to what isn't there
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            fs::rename(&file, &away).unwrap();
            symlink(folder.path().join("no/such"), &file).unwrap();
        } else {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
        }
        let error = Index::open(folder.path(), Folders::default()).err().unwrap().to_string();
        let words = format!("{} can't be used: ", file.display());
        assert!(error.starts_with(&words) && error.contains("make it and its directory"), "{error}");
        assert!(file.symlink_metadata().is_ok());
        assert!(!names(folder.path()).iter().any(|name| name.contains("damaged")));
        if is_root {
            fs::rename(&away, &file).unwrap();
        } else {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        drop(open(folder.path()));
    }
}

#[test]
fn what_is_no_file_is_refused_with_what_to_do() {
    for name in ["index.sqlite", "index.sqlite-wal", "library.sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(name)).unwrap();
        let error = Index::open(folder.path(), Folders::default()).err().unwrap().to_string();
        assert!(
            error.contains(&format!("/{name} is no file")) && error.contains("; move it away"),
            "{error}"
        );
        assert!(folder.path().join(name).is_dir());
    }
}

#[test]
fn a_library_of_a_later_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    Connection::open(folder.path().join("library.sqlite"))
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let error = Index::open(folder.path(), Folders::default()).err().unwrap();
    assert!(error.to_string().contains("format 99"), "{error}");
    assert_eq!(version_of(&folder.path().join("library.sqlite")).unwrap(), 99);
}

#[test]
fn a_library_of_an_earlier_version_is_taken_on() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.write(|transaction| set_lib_meta(transaction, "scanned", Some("1"))).unwrap();
    drop(index);
    for earlier in [
        "DROP TABLE playlist_path; PRAGMA user_version = 3",
        "DROP TABLE playlist_path; DROP TABLE folder_mount; PRAGMA user_version = 2",
        "DROP TABLE playlist_path; DROP TABLE folder_mount; DROP TABLE mount; PRAGMA user_version = 1",
    ] {
        let file = Connection::open(folder.path().join("library.sqlite")).unwrap();
        file.execute_batch(earlier).unwrap();
        drop(file);
        let index = open(folder.path());
        let count = "SELECT (SELECT count(*) FROM lib.mount) + (SELECT count(*) FROM lib.folder_mount)
             + (SELECT count(*) FROM lib.playlist_path)";
        assert_eq!(index.read(|c| Ok(c.query_row(count, [], |row| row.get::<_, i64>(0))?)).unwrap(), 0);
        assert_eq!(index.read(|c| lib_meta(c, "scanned")).unwrap().as_deref(), Some("1"));
    }
}

#[test]
fn changes_at_once_are_all_kept_and_counted_as_synced() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let index = &index;
            scope.spawn(move || {
                for n in 0..20 {
                    let key = format!("{thread}-{n}");
                    index.change(|transaction| set_lib_meta(transaction, &key, Some("1"))).unwrap();
                    let synced = *index.synced.lock().unwrap();
                    assert!(synced > n, "{synced}");
                }
            });
        }
    });
    let (synced, committed) = (*index.synced.lock().unwrap(), index.committed.load(Ordering::SeqCst));
    assert_eq!((synced, committed), (160, 160));
    index.change_index(|_| Ok(())).unwrap();
    assert_eq!(*index.synced.lock().unwrap(), 160);
    let count = "SELECT count(*) FROM lib.meta WHERE value = '1'";
    assert_eq!(index.read(|c| Ok(c.query_row(count, [], |row| row.get::<_, i64>(0))?)).unwrap(), 160);
}

#[test]
fn a_failed_change_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let outcome: Result<()> = index.change(|transaction| {
        set_lib_meta(transaction, "damage", Some("x"))?;
        Err(Failure::invalid("no"))
    });
    assert!(outcome.is_err());
    assert_eq!(index.read(|connection| lib_meta(connection, "damage")).unwrap(), None);
}
