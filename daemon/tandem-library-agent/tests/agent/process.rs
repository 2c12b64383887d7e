//! The agent as a process: two clients, its death, its end, damaged files, a socket of another kind.

use crate::kit::{Fixture, LIMIT, own, until};
use crate::samples;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::process::Stdio;
use tandem_library::message::VERSION;
use tandem_library::wire;
use tandem_model::error::LibraryError;
use tandem_model::library::Libraries;

fn kill(fixture: &Fixture, signal: Signal) {
    let pid = *fixture.recorder.pids.lock().unwrap().last().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_killed_agent_is_started_again_and_has_lost_nothing() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    let id = library.create_playlist("Mine".into(), vec![fixture.uri("one.flac")]).await.unwrap().id;
    let before = library.state().borrow().clone();
    for round in 2..5 {
        kill(&fixture, Signal::KILL);
        // the call that meets the death fails, the next one doesn't
        let items = async {
            loop {
                match library.playlist_items(id.clone(), 0, 0).await {
                    Err(LibraryError::Unavailable(_)) => {}
                    outcome => return outcome.unwrap(),
                }
            }
        };
        let items = tokio::time::timeout(LIMIT, items).await.unwrap();
        assert_eq!(items, [fixture.uri("one.flac")]);
        assert_eq!(fixture.recorder.pids.lock().unwrap().len(), round);
    }
    until(&*library, |state| !state.scanning).await;
    let after = library.state().borrow().clone();
    assert_eq!((after.generation, after.track_count), (before.generation, before.track_count));
}

#[tokio::test]
async fn two_holders_share_an_agent_that_ends_after_them() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let (one, two) = (fixture.open().await, fixture.open().await);
    one.create_playlist("Mine".into(), Vec::new()).await.unwrap();
    assert_eq!(two.playlists().await.unwrap().len(), 1);
    until(&*two, |state| state.playlist_count == 1).await;
    drop(one);
    assert!(two.playlists().await.is_ok());
    assert_eq!(fixture.recorder.pids.lock().unwrap().len(), 1);
    drop(two);
    fixture.libraries.shut_down().await;
    let pid = i32::try_from(fixture.recorder.pids.lock().unwrap()[0]).unwrap();
    assert!(rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()).is_err(), "the agent still runs");
}

#[tokio::test]
async fn damaged_files_are_replaced_and_told() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    let id = library.create_playlist("Mine".into(), Vec::new()).await.unwrap().id;
    let generation = library.state().borrow().generation;
    drop(library);
    fixture.libraries.shut_down().await;
    let state = fixture.folder.path().join("state");
    for name in ["index.sqlite", "library.sqlite"] {
        std::fs::File::create(state.join(name)).unwrap().write_all(&[7; 20_000]).unwrap();
    }
    let library = fixture.open().await;
    assert!(library.state().borrow().generation > generation);
    assert_eq!(library.state().borrow().track_count, 1);
    let resolved = library.resolve(vec![id.clone()]).await.unwrap();
    assert!(resolved.trouble.unwrap().contains("damaged"));
    assert_eq!(resolved.missing, std::slice::from_ref(&id));
    library.set_folders(vec![fixture.at("")]).await.unwrap();
    assert_eq!(library.resolve(vec![id]).await.unwrap().trouble, None);
}

#[tokio::test]
async fn a_library_that_can_not_be_opened_now_is_left_alone_and_works_when_it_can() {
    let fixture = Fixture::that_is_full_while("full");
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    let id = library.create_playlist("Mine".into(), vec![fixture.uri("one.flac")]).await.unwrap().id;
    kill(&fixture, Signal::KILL);
    library.playlists().await.unwrap_err();
    drop(library);
    fixture.libraries.shut_down().await;
    let state = fixture.folder.path().join("state");
    // as after a start of the system; without it the log can't be read before something is written
    for name in ["library.sqlite-shm", "index.sqlite-shm"] {
        std::fs::remove_file(state.join(name)).unwrap();
    }
    let files = || {
        let mut files: Vec<_> =
            std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.retain(|name| !name.to_string_lossy().ends_with("-shm"));
        files.sort();
        files.into_iter().map(|name| (std::fs::read(state.join(&name)).unwrap(), name)).collect::<Vec<_>>()
    };
    let before = files();
    std::fs::File::create(fixture.folder.path().join("full")).unwrap();
    let error = fixture.libraries.open(own()).await.err().unwrap();
    let words = error.to_string();
    assert!(matches!(error, LibraryError::Unavailable(_)), "{error:?}");
    assert!(words.contains("library.sqlite can't be used: ") && words.contains("free space"), "{words}");
    assert!(files() == before, "something was changed");
    std::fs::remove_file(fixture.folder.path().join("full")).unwrap();
    let library = fixture.open().await;
    assert_eq!(library.playlist_items(id.clone(), 0, 0).await.unwrap(), [fixture.uri("one.flac")]);
    assert_eq!(library.resolve(vec![id]).await.unwrap().trouble, None);
}

#[tokio::test]
async fn what_a_failed_scan_has_missed_is_found_before_the_next_use() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    let all = library.default_playlists().await.unwrap().pop().unwrap();
    let index = rusqlite::Connection::open(fixture.folder.path().join("state/index.sqlite")).unwrap();
    let refusal = "CREATE TRIGGER refusal BEFORE INSERT ON track BEGIN SELECT RAISE(ABORT, 'refused'); END";
    index.execute_batch(refusal).unwrap();
    fixture.put("two.flac", &samples::flac(&["TITLE=two"]));
    let resolved = library.resolve(vec![all.clone()]).await.unwrap();
    assert!(resolved.trouble.unwrap().contains("refused"));
    index.execute_batch("DROP TRIGGER refusal").unwrap();
    let resolved = library.resolve(vec![all]).await.unwrap();
    assert_eq!((resolved.trouble, resolved.tracks.len()), (None, 2));
}

#[tokio::test]
async fn a_library_that_lost_its_playlists_is_in_trouble_until_that_is_confirmed() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    fixture.put("list.m3u", b"one.flac\n");
    let library = fixture.open().await;
    library.set_folders(vec![fixture.at("")]).await.unwrap();
    let file = library.playlists().await.unwrap().remove(0).id;
    let made = library.create_playlist("Mine".into(), vec![fixture.uri("one.flac")]).await.unwrap().id;
    drop(library);
    fixture.libraries.shut_down().await;
    let state = fixture.folder.path().join("state");
    for name in ["library.sqlite", "library.sqlite-wal", "library.sqlite-shm"] {
        let removed = std::fs::remove_file(state.join(name));
        assert!(removed.is_ok() || removed.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound));
    }
    std::fs::remove_file(fixture.at("list.m3u")).unwrap();
    let library = fixture.open().await;
    let resolved = library.resolve(vec![made.clone()]).await.unwrap();
    assert!(resolved.trouble.is_some_and(|words| words.contains(&made.0)));
    // a playlist file that is gone was deleted by its owner
    assert_eq!(library.resolve(vec![file]).await.unwrap().trouble, None);
    library.set_folders(vec![fixture.at("")]).await.unwrap();
    assert_eq!(library.resolve(vec![made]).await.unwrap().trouble, None);
}

#[tokio::test]
async fn another_user_and_a_terminal_are_refused() {
    let fixture = Fixture::new();
    let error = fixture.libraries.open(own() + 1).await.err().unwrap();
    assert!(matches!(error, LibraryError::Unavailable(_)));
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tandem-library-agent"))
        .args(["--stdin", "--state"])
        .arg(fixture.folder.path())
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(LIMIT, output).await.unwrap().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a socket"), "{output:?}");
}

#[tokio::test]
async fn it_ends_cleanly_when_it_is_told_to() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    for ended_by_signal in [true, false] {
        let theirs = theirs.try_clone().unwrap();
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_tandem-library-agent"))
            .args(["--stdin", "--state"])
            .arg(fixture.folder.path().join("state"))
            .arg("--music")
            .arg(fixture.at(""))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        if ended_by_signal {
            // its greeting shows that it runs and listens to signals
            let mut greeting = [0; 16];
            let mut stream = ours.try_clone().unwrap();
            tokio::task::spawn_blocking(move || std::io::Read::read_exact(&mut stream, &mut greeting))
                .await
                .unwrap()
                .unwrap();
            let pid = i32::try_from(child.id().unwrap()).unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
        } else {
            ours.shutdown(std::net::Shutdown::Both).unwrap();
        }
        let status = tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
        // a daemon that is gone before it has greeted is an error, a signal is not
        assert_eq!(status.success(), ended_by_signal, "{status}");
    }
}

#[tokio::test]
async fn it_ends_quietly_when_the_daemon_is_gone() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_tandem-library-agent"))
        .args(["--stdin", "--state"])
        .arg(fixture.folder.path().join("state"))
        .arg("--music")
        .arg(fixture.at(""))
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut daemon = tokio::net::UnixStream::from_std(ours).unwrap();
    wire::send(&daemon, &wire::Frame::hello(VERSION)).await.unwrap();
    let mut greeting = [0; 16];
    tokio::io::AsyncReadExt::read_exact(&mut daemon, &mut greeting).await.unwrap();
    // what the agent has told and nobody has read makes its next read or write fail
    tokio::time::timeout(LIMIT, daemon.readable()).await.unwrap().unwrap();
    drop(daemon);
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
