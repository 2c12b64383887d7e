//! Proves that whoever stops isn't kept waiting by a provider that hangs, and that what came of the call counts as unknown.

use super::*;
use crate::providers::fake::{description, device};
use crate::providers::link::{Limits, ProviderBus};
use crate::providers::opener::Opener;
use crate::providers::registry::Registry;
use std::time::Instant;
use tandem_model::presence::Providers;

/// How long stopping may take.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A device that is open through a provider which may take its time, and who tells when to stop.
struct Open {
    registry: Arc<Registry>,
    player: Arc<dyn Player>,
    transfer: Arc<Transfer>,
}

async fn open(bus: &PrivateBus, fake: &Fake) -> Open {
    let registry = Arc::new(Registry::new(Vec::new()));
    fake.register(&registry);
    let limits = Limits { quick: kit::LIMIT, slow: kit::LIMIT };
    let at = ProviderBus::At(bus.address().to_owned());
    let opener = Opener { bus: at, registry: Arc::clone(&registry), limits };
    let player = opener.open(&device(), description()).await.unwrap();
    let transfer = Arc::new(Transfer::default());
    player.heed(&transfer);
    Open { registry, player, transfer }
}

/// Stops what goes on, and waits for its end, which has to come soon, as of one whose outcome isn't known: one that counted as
/// stopped would count as undone.
async fn stop<T>(transfer: &Transfer, work: impl Future<Output = Result<T, PlayerError>>, what: &str) {
    transfer.cancel();
    let since = Instant::now();
    let error = timeout(kit::LIMIT, work).await.unwrap().err();
    assert!(since.elapsed() < AT_ONCE, "{what}: {:?}", since.elapsed());
    assert!(matches!(error, Some(PlayerError::TimedOut(_))), "{what}: {error:?}");
}

/// Hangs at one call of the whole work, and has it stopped then; whether there was such a call.
async fn stopped(bus: &PrivateBus, number: usize) -> bool {
    let shelf = fake_device();
    let fake = Fake::enter(bus, &shelf).await;
    let Open { registry, player, transfer } = open(bus, &fake).await;
    let number = {
        let mut shelf = shelf.lock().unwrap();
        let number = shelf.calls.len() + number;
        shelf.plan = Some((number, Harm::Hang));
        number
    };
    let worker = Arc::clone(&transfer);
    let mut working = Box::pin(async move { work_on(&*player, &worker).await });
    while shelf.lock().unwrap().calls.len() <= number {
        if let Ok(done) = timeout(Duration::from_millis(5), &mut working).await {
            done.unwrap();
            return false;
        }
    }
    let what = format!("a stop at call {number}, {}", shelf.lock().unwrap().calls[number]);
    stop(&transfer, working, &what).await;
    let looks_again = timeout(Duration::from_millis(10), registry.next_due()).await;
    assert!(looks_again.is_err(), "{what}: the provider counts as broken");
    check(&shelf.lock().unwrap(), &what);
    drop(fake);
    put_in_order(bus, &shelf, &what).await;
    true
}

#[tokio::test]
async fn a_stop_waits_for_no_call_that_hangs() {
    let bus = PrivateBus::start();
    let calls = calls_of_whole_work(&bus).await;
    let stopped: Vec<bool> =
        stream::iter(0..calls).map(|number| stopped(&bus, number)).buffer_unordered(16).collect().await;
    let count = stopped.into_iter().filter(|stopped| *stopped).count();
    assert!(count > 40, "{count} calls");
}

#[tokio::test]
async fn a_stop_waits_for_no_provider_that_takes_or_brings_no_bytes() {
    let bus = PrivateBus::start();
    for member in ["WriteOnClearChannel", "ReadOnClearChannel"] {
        let shelf = fake_device();
        shelf.lock().unwrap().ignores = Some(member);
        let fake = Fake::enter(&bus, &shelf).await;
        let Open { player, transfer, .. } = open(&bus, &fake).await;
        let (storage, object) = (player.storage(), player.storage().object(&path(OWN.0)));
        // more than can be on the way
        let large = vec![7; 8 << 20];
        let mut working = std::pin::pin!(async {
            match member {
                "ReadOnClearChannel" => object.hash(&transfer).await.map(drop),
                _ => {
                    let large = request("Music/A/large.mp3", &large, Expect::Nothing);
                    storage.write(large, &transfer).await.map(drop)
                }
            }
        });
        let called = async || {
            while !shelf.lock().unwrap().calls.iter().any(|call| call == member) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            done = &mut working => panic!("{done:?}"),
            () = called() => {}
        }
        stop(&transfer, working, member).await;
    }
}
