//! `tandemctl provider`: for authors of service providers. It talks to the provider and not to the daemon.

use super::Context;
use crate::conformance::{self, Check, Fault, Problem, Provider, Session, Target, Verdict};
use crate::error::{Error, Exit};
use crate::interrupt::Interrupt;
use crate::output::{complain, text, units};
use serde::Serialize;
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use zbus::names::WellKnownName;
use zbus::{ObjectPath, OwnedVariant, Variant};

/// For authors of service providers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(TestArgs),
}

/// Hold a service provider against the contract, check by check
///
/// Opens a device through the provider as tandemd would, tries each member of org.tandemd.Provider1, and prints a line
/// for each check. It writes to the device: into a folder of its own at the root of the first storage, which is deleted
/// at the end, and the partnership's mark, which is put back. Other files are not touched. Don't run it on a device that
/// is being synchronised.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Exit codes: 0 when no check failed, 1 when one did or the device could not be cleaned up, 2 when the \
                             device is not named or writing not allowed, 6 when another caller has it open, 7 when there is no such \
                             provider.\n\nJSON: {provider, device: canonical name, checks: an array of {name; result: `pass`, `fail` or \
                             `not-offered`; why and remedy, null where it passed}, passed, failed, not_offered, cleaned_up}."
)]
struct TestArgs {
    /// The provider's bus name, such as org.example.Players
    bus_name: String,
    /// The path of its root object; without this, the bus name's parts as a path
    #[arg(long, value_name = "PATH")]
    object: Option<String>,
    /// The device's canonical name; without this, the one device that the provider announces
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// The node of a USB device below /dev/bus/usb, opened and handed over to the provider
    #[arg(long, value_name = "NODE")]
    usb: Option<PathBuf>,
    /// Write to the device without asking
    #[arg(long, short)]
    yes: bool,
}

/// What became of a check, for programs.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    result: &'static str,
    why: Option<String>,
    remedy: Option<&'static str>,
}

#[derive(Serialize)]
struct Report {
    provider: String,
    device: String,
    checks: Vec<Line>,
    passed: usize,
    failed: usize,
    not_offered: usize,
    cleaned_up: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    match &args.command {
        Command::Test(args) => Box::pin(test(context, args)).await,
    }
}

async fn test(context: &Context, args: &TestArgs) -> Result<Exit, Error> {
    let provider = provider(context, args).await?;
    let (name, target) = target(&provider, args).await?;
    let mut interrupt = Interrupt::listen()?;
    allow(&name, args)?;
    let (bus_name, is_session) = (provider.bus_name.clone(), provider.session);
    let started = Session::start(provider, target).await;
    let mut session = started.map_err(|fault| failed(&bus_name, is_session, fault))?;
    warn(&session, &name).await;
    let mut lines = Vec::new();
    let mut stopped = false;
    for check in conformance::checks() {
        let verdict = tokio::select! {
            verdict = check.run(&mut session) => verdict,
            () = interrupt.next() => {
                stopped = true;
                break;
            }
        };
        let line = line(&check, verdict);
        if !context.output.json {
            context.output.lines([shown(&line)])?;
        }
        lines.push(line);
    }
    let cleaned = session.end().await;
    if let Err(fault) = &cleaned {
        let folder = &session.folder_name;
        complain(&format!(
            "the device was not put back as it was: {fault}; delete the folder `{folder}` there"
        ));
    }
    if stopped {
        return Err(Error::Interrupted("interrupted; what was made was deleted".to_owned()));
    }
    conclude(context, bus_name, name, lines, cleaned.is_ok())
}

fn conclude(
    context: &Context,
    provider: String,
    device: String,
    checks: Vec<Line>,
    cleaned_up: bool,
) -> Result<Exit, Error> {
    let count = |result| checks.iter().filter(|line| line.result == result).count();
    let (passed, failed, not_offered) = (count("pass"), count("fail"), count("not-offered"));
    let summary = format!("{passed} passed, {failed} failed, {not_offered} not offered.");
    let report = Report { provider, device, checks, passed, failed, not_offered, cleaned_up };
    context.output.done(&report, &summary)?;
    Ok(if failed == 0 && cleaned_up { Exit::Ok } else { Exit::Failed })
}

async fn provider(context: &Context, args: &TestArgs) -> Result<Provider, Error> {
    let name = &args.bus_name;
    WellKnownName::try_from(name.as_str())
        .map_err(|_| Error::Usage(format!("`{name}` is no bus name; it is like org.example.Players")))?;
    let path = args.object.clone().unwrap_or_else(|| format!("/{}", name.replace('.', "/")));
    let root = ObjectPath::try_from(path.as_str())
        .map_err(|_| Error::Usage(format!("`{path}` is no object path; say it with --object")))?;
    // transfers may take longer than calls to the daemon
    let client = context.client.with_limit(Provider::TRANSFER).await?;
    Ok(Provider {
        connection: client.connection,
        bus_name: name.clone(),
        root: root.to_owned().into(),
        session: context.client.is_session(),
    })
}

/// A provider that can't be begun with.
fn failed(bus_name: &str, is_session: bool, fault: Fault) -> Error {
    match fault.word.as_str() {
        "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
            let (bus, other) = if is_session { ("session", "--bus system") } else { ("system", "--session") };
            Error::Unreachable(format!(
                "`{bus_name}` isn't on the {bus} bus and can't be started by it; start the provider, or try the other \
                 bus, with {other}"
            ))
        }
        "nothing" => Error::Unreachable(format!("`{bus_name}`: {}", fault.message)),
        "InterfaceDead" => Error::Usage(format!(
            "`{bus_name}` has no provider there: {}; say where its root object is with --object",
            fault.message
        )),
        "Busy" => Error::Refused { word: fault.word, message: format!("`{bus_name}`: {}", fault.message) },
        _ => Error::Failed(format!("`{bus_name}` can't be tested: {fault}")),
    }
}

/// The device that is meant, and how it is opened.
async fn target(provider: &Provider, args: &TestArgs) -> Result<(String, Target), Error> {
    let usb = match &args.usb {
        None => None,
        Some(node) => {
            let open = std::fs::File::options().read(true).write(true).open(node);
            Some(open.map_err(|error| Error::Usage(format!("{}: {error}", node.display())))?)
        }
    };
    if let Some(name) = &args.device {
        let value = OwnedVariant::try_from(Variant::from(name.as_str()))?;
        let identity = HashMap::from([("canonical-name".to_owned(), value)]);
        return Ok((name.clone(), Target { identity, usb }));
    }
    let mut announced = announced(provider).await?;
    if announced.len() == 1
        && let Some((name, identity)) = announced.pop()
    {
        return Ok((name, Target { identity, usb }));
    }
    let names: Vec<_> = announced.iter().map(|(name, _)| format!("`{name}`")).collect();
    Err(Error::Usage(match names.len() {
        0 => {
            "the provider announces no device; say which with --device NAME, and --usb NODE for a USB device"
                .to_owned()
        }
        count => {
            format!("the provider announces {count} devices: {}; say which with --device", names.join(", "))
        }
    }))
}

type Announced = Vec<(String, HashMap<String, OwnedVariant>)>;

async fn announced(provider: &Provider) -> Result<Announced, Error> {
    let refused = |fault| failed(&provider.bus_name, provider.session, fault);
    let root = provider.provider(&provider.root).await.map_err(refused)?;
    let identities = match provider.ask(root.enum_devices()).await {
        Err(fault) if fault.word == "NotSupported" => Vec::new(),
        identities => identities.map_err(refused)?,
    };
    let named = |identity: HashMap<String, OwnedVariant>| {
        let name = identity.get("canonical-name").and_then(|name| <&str>::try_from(&**name).ok());
        name.map(str::to_owned).map(|name| (name, identity))
    };
    Ok(identities.into_iter().filter_map(named).collect())
}

/// Asks whether the device may be written to.
fn allow(device: &str, args: &TestArgs) -> Result<(), Error> {
    if args.yes {
        return Ok(());
    }
    let device = text::safe(device);
    if !std::io::stdin().is_terminal() {
        return Err(Error::Usage(format!("the test writes to `{device}`; say --yes if it may")));
    }
    let mut answer = String::new();
    let asked = write!(std::io::stderr(), "The test writes to `{device}`. Go on? [y/N] ");
    asked.and_then(|()| std::io::stdin().read_line(&mut answer))?;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Error::Usage("nothing was written".to_owned()))
}

/// Tells where is written.
async fn warn(session: &Session, name: &str) {
    let free = match session.root_storage().await {
        Ok(root) => session.provider.ask(root.total_free()).await.map_or(0, |free| free),
        Err(_) => 0,
    };
    let folder = &session.folder_name;
    complain(&format!(
        "writing to `{name}` ({} free), into its folder `{folder}`, which is deleted at the end",
        units::size(free)
    ));
}

fn line(check: &Check, verdict: Verdict) -> Line {
    let (result, why) = match verdict {
        Ok(()) => ("pass", None),
        Err(Problem::Wrong(why)) => ("fail", Some(why)),
        Err(Problem::NotOffered(why)) => ("not-offered", Some(why)),
    };
    Line { name: check.name, result, why, remedy: (result == "fail").then_some(check.remedy) }
}

fn shown(line: &Line) -> String {
    let result = line.result.replace('-', " ");
    let mut shown = format!("{result}: {}", line.name);
    if let Some(why) = &line.why {
        shown += &format!("\n    {}", text::safe(why));
    }
    if let Some(remedy) = line.remedy {
        shown += &format!("\n    remedy: {remedy}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_says_what_to_do() {
        let checks = conformance::checks();
        assert!(checks.len() > 50, "{}", checks.len());
        for check in &checks {
            assert!(check.remedy.len() > 20, "{}", check.name);
        }
        let names: std::collections::BTreeSet<_> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), checks.len(), "two checks have one name");
    }

    #[test]
    fn a_failed_check_is_shown_with_its_reason_and_remedy() {
        let line = Line {
            name: "names are kept",
            result: "fail",
            why: Some("a\x1bb".to_owned()),
            remedy: Some("keep"),
        };
        assert_eq!(shown(&line), "fail: names are kept\n    a\\u{1b}b\n    remedy: keep");
    }
}
