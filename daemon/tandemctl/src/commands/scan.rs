//! `tandemctl scan`: has the library's folders read again.

use super::Context;
use crate::bus::Library;
use crate::error::{Error, Exit};
use crate::events::{Events, Notice};
use crate::interrupt::Interrupt;
use crate::output::{complain, units};
use dbus_interfaces::names::LIBRARY;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a scan may take to be announced; one that found nothing to do may never be.
const BEGINNING: Duration = Duration::from_secs(1);
/// How long to wait for the next notice before the library is looked at all the same.
const LOOK: Duration = Duration::from_secs(2);

/// Read the folders of your library again
///
/// Changes on disk are noticed without it. With --wait it exits with 5 where the library looks wrong.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {scanning, track_count, playlist_count, last_scan_time, trouble: why the library looks wrong, else empty}."
)]
pub(crate) struct Args {
    /// Wait until the scan has ended
    #[arg(long, short)]
    wait: bool,
}

struct State {
    scanning: bool,
    tracks: u32,
    playlists: u32,
    time: u64,
    trouble: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let library = context.client.library().await?;
    let state = if args.wait {
        scan_and_wait(context, &library).await?
    } else {
        library.proxy.scan().await?;
        read(context, &library).await?
    };
    let line = if state.scanning {
        "Scanning.".to_owned()
    } else {
        let tracks = usize::try_from(state.tracks).unwrap_or(usize::MAX);
        let playlists = usize::try_from(state.playlists).unwrap_or(usize::MAX);
        format!("{}, {}.", units::count(tracks, "track"), units::count(playlists, "playlist"))
    };
    let value = json!({
        "scanning": state.scanning,
        "track_count": state.tracks,
        "playlist_count": state.playlists,
        "last_scan_time": state.time,
        "trouble": state.trouble,
    });
    if !state.trouble.is_empty() && !state.scanning && !context.output.json {
        complain(&state.trouble);
    }
    context.output.done(&value, &line)?;
    // part of what was to be read could not be
    Ok(if args.wait && !state.trouble.is_empty() { Exit::Partial } else { Exit::Ok })
}

async fn read(context: &Context, library: &Library) -> Result<State, Error> {
    let properties = context.client.properties(&library.path, LIBRARY).await?;
    Ok(State {
        scanning: properties.flag("Scanning")?,
        tracks: properties.small("TrackCount")?,
        playlists: properties.small("PlaylistCount")?,
        time: properties.large("LastScanTime")?,
        trouble: properties.text("Trouble")?,
    })
}

async fn scan_and_wait(context: &Context, library: &Library) -> Result<State, Error> {
    let mut interrupt = Interrupt::listen()?;
    let mut events = Events::subscribe(&context.client).await?;
    let before = events.during(read(context, library)).await?;
    events.during(library.proxy.scan()).await?;
    let deadline = Instant::now() + BEGINNING;
    let mut seen = false;
    loop {
        // a change is announced after it is so: what is read is at least as new as any notice taken before
        let state = events.during(read(context, library)).await?;
        seen |= state.scanning || state.time != before.time;
        if seen && !state.scanning {
            return Ok(state);
        }
        loop {
            tokio::select! {
                notice = events.next() => if let Notice::Changed(change) = notice? && change.path == library.path {
                    seen |= change.values.get("Scanning").is_some_and(|value| value.downcast_ref::<bool>() == Ok(true));
                    break;
                },
                () = interrupt.next() => return Err(Error::Interrupted("interrupted; the scan goes on".to_owned())),
                () = sleep_until(Instant::now() + LOOK), if seen => break,
                () = sleep_until(deadline), if !seen => {
                    seen = true;
                    break;
                }
            }
        }
    }
}
