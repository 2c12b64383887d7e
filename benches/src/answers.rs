//! How soon the daemon answers on the bus while sixteen players are filled at once, against the bus's own answers.

use crate::figures::{Table, shown};
use crate::stage::{Stage, tagged_files};
use dbus_interfaces::names;
use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};
use zbus::OwnedVariant;
use zbus::fdo::{DBusProxy, PropertiesProxy};
use zbus::names::InterfaceName;

const PLAYERS: usize = 16;
const FILES: usize = 200;
const SIZE: u64 = 2 << 20;
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);
const AIM: &str = "≤ 50 ms";

/// Fills sixteen folders, and asks for all attributes of one device after the other meanwhile.
pub(crate) async fn measure(table: &mut Table) {
    println!("making {FILES} files of {} MiB", SIZE >> 20);
    let music = tagged_files(FILES, SIZE);
    let stage = Stage::start_with(&music, PLAYERS, "").await;
    let devices = stage.partner_all_with_everything(&music).await;
    // the questions have a connection of their own: nothing else is waited for on it
    let client = stage.daemon.connect().await;
    let bus = DBusProxy::new(&client).await.expect("a bus has a proxy");
    let mut attributes = Vec::new();
    for device in &devices {
        let path = device.inner().path().to_owned();
        let built = PropertiesProxy::builder(&client).destination(names::BUS_NAME).path(path).build().await;
        attributes.push(built.expect("an object has properties"));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let interface = InterfaceName::from_static_str(names::DEVICE).expect("the contract's names are legal");
    let asking = async {
        for device in attributes.iter().cycle() {
            let answer: HashMap<String, OwnedVariant> =
                timed(&mut ours, device.get_all(interface.clone())).await.expect("the daemon answers");
            assert!(answer.contains_key("SyncState"), "all attributes are told");
            timed(&mut theirs, bus.get_id()).await.expect("the bus answers");
            tokio::time::sleep(PAUSE).await;
        }
    };
    let took = tokio::select! {
        took = stage.timed_runs(&devices) => took,
        () = asking => unreachable!("questions have no end"),
    };
    let what =
        format!("99 of 100 of {} answers while {PLAYERS} players are filled, {}", ours.len(), shown(took));
    let figure = format!("{}, the bus's own {}", shown(percentile_99(ours)), shown(percentile_99(theirs)));
    table.alone(&what, &figure, AIM);
}

async fn timed<T>(times: &mut Vec<Duration>, question: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let answer = question.await;
    times.push(begun.elapsed());
    answer
}

/// What all but one of a hundred are at most.
fn percentile_99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}
