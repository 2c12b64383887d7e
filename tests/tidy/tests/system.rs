//! The units, policies and rules, held by the programs that read them, where those are installed.

use kit::PrivateBus;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn text(path: &str) -> String {
    std::fs::read_to_string(tidy::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The units as they are installed, but with a program that exists here.
fn units(dir: &Path) -> [PathBuf; 2] {
    [("tandemd.service", "tandemd.service"), ("tandem-library@.service", "tandem-library@1000.service")].map(
        |(source, name)| {
            let lines = text(&format!("systemd/{source}"));
            let lines = lines
                .lines()
                .map(|line| if line.starts_with("ExecStart=") { "ExecStart=/bin/true" } else { line });
            let unit = dir.join(name);
            let content = lines.collect::<Vec<_>>().join("\n");
            kit::write_file(&unit, content.as_bytes());
            unit
        },
    )
}

fn run(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        eprintln!("skipped: {program} isn't installed");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn units_are_sound_and_as_closed_as_they_can_be() {
    let dir = TempDir::new().unwrap();
    for (unit, threshold) in units(dir.path()).iter().zip(["15", "10"]) {
        let unit = unit.to_str().unwrap();
        let Some((sound, text)) = run("systemd-analyze", &["verify", "--man=no", unit]) else { return };
        assert!(sound && text.trim().is_empty(), "{unit}: {text}");
        let threshold = format!("--threshold={threshold}");
        let Some((closed, text)) =
            run("systemd-analyze", &["security", "--offline=true", "--no-pager", &threshold, unit])
        else {
            return;
        };
        let overall = text.lines().last().unwrap_or_default();
        println!("{overall}");
        assert!(closed, "{text}");
    }
}

#[test]
fn users_and_directories_are_sound() {
    let dir = TempDir::new().unwrap();
    let root = format!("--root={}", dir.path().display());
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    for program in ["systemd-sysusers", "systemd-tmpfiles"] {
        let file = tidy::root().join("systemd").join(program.replace("systemd-", "tandem."));
        let file = file.to_str().unwrap();
        let mut arguments = vec![root.as_str(), file];
        if program == "systemd-tmpfiles" {
            arguments.insert(0, "--create");
        }
        let Some((sound, text)) = run(program, &arguments) else { return };
        assert!(sound || !is_root(), "{program}: {text}");
    }
    if is_root() {
        let users = std::fs::read_to_string(dir.path().join("etc/passwd")).unwrap();
        assert!(users.contains("tandem:"), "{users}");
        assert!(dir.path().join("var/lib/tandem-library").is_dir());
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0)
}

#[tokio::test]
async fn the_bus_takes_the_policy_and_lets_the_daemon_have_its_name() {
    let dir = TempDir::new().unwrap();
    let policy = dir.path().join("policy.conf");
    // The daemon's user exists only where it is installed, so here the test's own takes its place.
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let content =
        text("config/dbus-1/org.tandemd.Sync1.conf").replace("user=\"tandem\"", &format!("user=\"{uid}\""));
    kit::write_file(&policy, content.as_bytes());
    let bus = PrivateBus::start_with_policy(&[&policy]);
    let daemon = bus.connect().await;
    daemon.request_name(kit::BUS_NAME).await.unwrap();
    assert!(daemon.request_name("org.tandemd.Other").await.is_err());
    // With an object server it answers calls, if only with `Ping`.
    daemon.object_server();
    let client = bus.connect().await;
    let ping = client
        .call_method(Some(kit::BUS_NAME), kit::ROOT_PATH, Some("org.freedesktop.DBus.Peer"), "Ping", &())
        .await;
    ping.unwrap_or_else(|error| panic!("everyone may call the daemon: {error}\n{}", bus.stderr()));
    let stderr = bus.stderr();
    let complaints: Vec<_> = stderr.lines().filter(|line| !line.contains("Failed to set fd limit")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[tokio::test]
async fn the_policy_lets_the_daemon_call_service_providers_and_nobody_else() {
    if !is_root() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let call = async |user: &str, interface: &'static str, member: &'static str| {
        let policy = dir.path().join("policy.conf");
        let content = text("config/dbus-1/org.tandemd.Sync1.conf").replace("user=\"tandem\"", user);
        kit::write_file(&policy, content.as_bytes());
        let bus = PrivateBus::start_with_policy(&[&policy]);
        let provider = bus.connect().await;
        provider.object_server();
        let name = provider.unique_name().unwrap().to_string();
        let client = bus.connect().await;
        let answer = client.call_method(Some(name.as_str()), "/", Some(interface), member, &()).await;
        answer.err().is_some_and(|error| error.to_string().contains("AccessDenied"))
    };
    for interface in ["", ".Device", ".Storage", ".Object"] {
        let interface: &'static str = format!("org.tandemd.Provider1{interface}").leak();
        assert!(!call("user=\"0\"", interface, "Any").await, "{interface}");
        assert!(call("user=\"1\"", interface, "Any").await, "{interface}");
    }
    assert!(!call("user=\"0\"", "org.freedesktop.DBus.Introspectable", "Introspect").await);
    assert!(call("user=\"0\"", "org.freedesktop.DBus.Properties", "Set").await);
}

#[test]
fn the_activation_file_leads_to_the_unit() {
    let file = text("config/dbus-1/org.tandemd.Sync1.service");
    for line in ["Name=org.tandemd.Sync1", "User=tandem", "SystemdService=tandemd.service", "Exec=/bin/false"]
    {
        assert!(file.lines().any(|known| known == line), "{line}");
    }
    assert!(text("systemd/tandemd.service").contains("\nBusName=org.tandemd.Sync1\n"));
}

#[test]
fn actions_have_the_defaults_of_the_contract() {
    let file = text("config/polkit-1/org.tandemd.Sync1.policy");
    let mut actions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut action, mut element) = (String::new(), String::new());
    let mut reader = Reader::from_str(&file);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("not well-formed: {error}")) {
            Event::Start(start) => {
                element = start.name().as_ref().to_owned();
                if element == "action" {
                    let id = start.attributes().map(Result::unwrap).next().map(|id| id.value.into_owned());
                    action = id.unwrap_or_default();
                }
            }
            Event::Text(value) => {
                let value = value.trim().to_owned();
                if element.starts_with("allow_") || element == "annotate" {
                    actions.entry(action.clone()).or_default().push(format!("{element}={value}"));
                }
                element.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let expected = |active: &str| {
        let owner = "annotate=unix-user:tandem".to_owned();
        vec![
            "allow_any=auth_admin".into(),
            "allow_inactive=auth_admin".into(),
            format!("allow_active={active}"),
            owner,
        ]
    };
    let contract = BTreeMap::from([
        ("org.tandemd.Sync1.use-device".to_owned(), expected("yes")),
        ("org.tandemd.Sync1.manage-others".to_owned(), expected("auth_admin")),
        ("org.tandemd.Sync1.register-provider".to_owned(), expected("auth_admin")),
    ]);
    assert_eq!(actions, contract);
}

#[test]
fn udev_takes_the_rules() {
    let rule = |name: &str| tidy::root().join("config/udev").join(name).display().to_string();
    let rules = [rule("90-tandem.rules"), rule("tandem-players.rules")];
    let Some((sound, text)) = run("udevadm", &["verify", &rules[0], &rules[1]]) else { return };
    if text.contains("Unknown command") || text.contains("unknown command") {
        eprintln!("skipped: this udevadm is older than version 254 and can't verify rules");
        return;
    }
    assert!(sound, "{text}");
}
