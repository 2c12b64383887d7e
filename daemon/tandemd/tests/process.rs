//! The daemon as a process: how it starts, what stops it from starting, what it tells systemd, and how it ends.

use kit::{Daemon, PrivateBus, ROOT_PATH, Refused};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

async fn refused(builder: kit::DaemonBuilder) -> Refused {
    match builder.try_start().await {
        Ok(daemon) => panic!("it started; it said:\n{}", daemon.stderr()),
        Err(refused) => refused,
    }
}

#[tokio::test]
async fn it_takes_its_name_and_ends_when_it_is_asked_to() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut daemon = Daemon::builder().start().await;
        let bus = daemon.connect().await;
        let version: String =
            kit::property(&bus, ROOT_PATH, "org.tandemd.Sync1.Services", "Version").await.unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        let asked = Instant::now();
        daemon.signal(signal);
        let status = daemon.wait().await;
        assert_eq!(status.code(), Some(0), "{}", daemon.stderr());
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn it_serves_the_system_bus_and_listens_for_agents() {
    let mut daemon = Daemon::builder().system().start().await;
    assert!(daemon.home().join("run/library.sock").exists(), "{}", daemon.stderr());
    assert!(daemon.terminate().await.success(), "{}", daemon.stderr());
}

#[tokio::test]
async fn it_starts_again_after_a_crash() {
    let mut daemon = Daemon::builder().start().await;
    daemon.kill().await;
    daemon.restart().await;
    assert!(daemon.terminate().await.success(), "{}", daemon.stderr());
}

#[tokio::test]
async fn a_second_one_on_the_bus_is_told_who_has_the_name() {
    let first = Daemon::builder().start().await;
    let refused = refused(Daemon::builder().bus(first.bus())).await;
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    let pid = first.pid().unwrap().to_string();
    assert!(refused.stderr.contains(&pid) && refused.stderr.contains("tandemd"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_second_one_over_the_same_state_is_told_who_holds_it() {
    let first = Daemon::builder().start().await;
    let refused = refused(Daemon::builder().argument("--state").argument(first.state_dir())).await;
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    let holder = format!("process {} (tandemd)", first.pid().unwrap());
    assert!(refused.stderr.contains(&holder), "{}", refused.stderr);
}

#[tokio::test]
async fn a_wrong_configuration_is_named_by_file_line_and_column() {
    let refused = refused(Daemon::builder().config("[log]\nlevel = \"info\"\nlevle = 1\n")).await;
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    let text = &refused.stderr;
    assert!(text.contains("/tandem/tandemd.toml:3:1: unknown field `levle`, expected `level`"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[tokio::test]
async fn folders_that_overlap_are_refused() {
    let player = kit::player_dir();
    let inside = player.path().join("Music");
    let (status, stderr) = match Daemon::builder().folder(player.path()).folder(&inside).try_start().await {
        Ok(mut daemon) => (daemon.wait().await, daemon.stderr()),
        Err(refused) => (refused.status, refused.stderr),
    };
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(inside.to_str().unwrap()), "{stderr}");
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused() {
    let filter = refused(Daemon::builder().environment("TANDEM_LOG", "tandem=loud")).await;
    assert_eq!(filter.status.code(), Some(2), "{}", filter.stderr);
    assert!(filter.stderr.contains("TANDEM_LOG"), "{}", filter.stderr);
}

#[tokio::test]
async fn checking_the_configuration_starts_nothing() {
    let good = Daemon::builder().argument("--check-config");
    let end = refused(good).await;
    assert_eq!((end.status.code(), end.stderr.as_str()), (Some(0), ""));
    let end = refused(Daemon::builder().argument("--check-config").config("x = 1")).await;
    assert_eq!(end.status.code(), Some(2), "{}", end.stderr);
}

#[tokio::test]
async fn without_a_bus_it_ends_with_an_error() {
    let mut bus = PrivateBus::start();
    bus.stop();
    let gone = format!("unix:path={}", bus.address());
    let end = refused(Daemon::builder().environment("DBUS_SESSION_BUS_ADDRESS", gone)).await;
    assert_eq!(end.status.code(), Some(1), "{}", end.stderr);
    assert!(end.stderr.contains("bus"), "{}", end.stderr);
}

#[tokio::test]
async fn when_the_bus_goes_away_it_ends_with_an_error_so_that_it_is_started_again() {
    let mut daemon = Daemon::builder().start().await;
    rustix::process::kill_process(daemon.bus().pid(), rustix::process::Signal::KILL).unwrap();
    let status = daemon.wait().await;
    assert_eq!(status.code(), Some(1), "{}", daemon.stderr());
}

#[tokio::test]
async fn systemd_is_told_of_every_stage() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(kit::LIMIT)).unwrap();
    let mut daemon = Daemon::builder()
        .environment("NOTIFY_SOCKET", &path)
        .environment("WATCHDOG_USEC", "200000")
        .start()
        .await;
    let mut buffer = [0; 4096];
    let mut next = || {
        let length = socket.recv(&mut buffer).expect("systemd's socket gets what is told within the limit");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut seen = Vec::new();
    while seen.iter().filter(|text: &&String| text.contains("WATCHDOG=1")).count() < 3 {
        seen.push(next());
    }
    assert!(seen.iter().any(|text| text.contains("READY=1")), "{seen:?}");
    assert!(daemon.terminate().await.success());
    while !seen.iter().any(|text| text.contains("STOPPING=1")) {
        seen.push(next());
    }
}

#[tokio::test]
async fn a_folder_is_a_device() {
    let player = kit::player_dir();
    let bus = Arc::new(PrivateBus::start());
    let daemon = Daemon::builder().bus(&bus).folder(player.path()).start().await;
    let connection = daemon.connect().await;
    let services = "org.tandemd.Sync1.Services";
    kit::wait_for_property::<u32>(&connection, ROOT_PATH, services, "DeviceCount", |count| *count == 1).await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_of_with_the_remedy() {
    let (player, elsewhere) = (kit::player_dir(), TempDir::new().unwrap());
    let absent = elsewhere.path().join("Plyaer");
    let daemon = Daemon::builder().folder(player.path()).folder(&absent).start().await;
    let connection = daemon.connect().await;
    let services = "org.tandemd.Sync1.Services";
    let count = |wanted: u32| move |count: &u32| *count == wanted;
    kit::wait_for_property::<u32>(&connection, ROOT_PATH, services, "DeviceCount", count(1)).await;
    let told = daemon.stderr();
    let line = told.lines().find(|line| line.contains("Plyaer")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("WARN") && line.contains("correct --folder or [[folder]]"), "{line}");
    assert!(!told.contains(&format!("path={}", player.path().display())), "{told}");
    std::fs::create_dir(&absent).unwrap();
    kit::wait_for_property::<u32>(&connection, ROOT_PATH, services, "DeviceCount", count(2)).await;
}

#[tokio::test]
async fn it_may_have_more_files_open_than_programs_usually_may() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(1000), ..allowed };
    setrlimit(Resource::Nofile, few).unwrap();
    let daemon = Daemon::builder().start().await;
    setrlimit(Resource::Nofile, allowed).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid().unwrap())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(soft, allowed.maximum.map_or(16_384, |maximum| maximum.min(16_384)), "{line}");
}
