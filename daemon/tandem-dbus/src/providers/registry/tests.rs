//! Tests of the registry: who is asked, when a device is looked at again, and what is refused.

use super::*;

fn root() -> OwnedObjectPath {
    OwnedObjectPath::try_from("/p").unwrap()
}

fn bus(name: &str) -> OwnedBusName {
    OwnedBusName::try_from(name).unwrap()
}

async fn is_due(registry: &Registry) -> Option<String> {
    tokio::time::timeout(Duration::from_millis(1), registry.next_due()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_device_is_looked_at_again_when_its_provider_goes() {
    let registry = Registry::new(Vec::new());
    registry.refused("d");
    registry.register(":1.1", "One", root(), Parameters::default()).unwrap();
    assert_eq!(is_due(&registry).await, None, "the engine knows which ones nobody serves");
    registry.opened("d", &bus(":1.1"));
    registry.register(":1.2", "Two", root(), Parameters::default()).unwrap();
    assert_eq!(is_due(&registry).await, None, "it is served");
    registry.left(":1.2");
    assert_eq!(is_due(&registry).await, None, "by another one");
    assert!(registry.unregister(":1.1", "One"));
    assert_eq!(is_due(&registry).await, None, "it is open");
    registry.closed("d", false);
    assert_eq!(is_due(&registry).await.as_deref(), Some("d"));
    registry.departed("d");
    registry.files_changed();
    assert_eq!(is_due(&registry).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_opened_meanwhile_is_not_looked_at_again() {
    let registry = Registry::new(Vec::new());
    registry.opened("d", &bus("org.example.P"));
    registry.closed("d", true);
    let before = Instant::now();
    registry.opening("d").await;
    assert_eq!(before.elapsed().as_secs(), 1, "it has its pause");
    assert_eq!(is_due(&registry).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_provider_dies_is_looked_at_after_pauses_that_grow() {
    let registry = Registry::new(Vec::new());
    for seconds in [1, 2, 4, 8] {
        registry.opened("d", &bus("org.example.P"));
        registry.closed("d", true);
        let before = Instant::now();
        assert_eq!(registry.next_due().await, "d");
        assert_eq!(before.elapsed().as_secs(), seconds);
    }
    registry.opened("d", &bus("org.example.P"));
    registry.closed("d", false);
    registry.opened("d", &bus("org.example.P"));
    registry.closed("d", true);
    let before = Instant::now();
    registry.next_due().await;
    assert_eq!(before.elapsed().as_secs(), 1, "one that worked begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_started_anew_has_no_pause_once_a_minute() {
    let registry = Registry::new(Vec::new());
    let server = bus("org.example.P");
    let dies = || {
        for _ in 0..6 {
            registry.opened("d", &server);
            registry.closed("d", true);
        }
        registry.was_late("d", &server);
    };
    dies();
    registry.started_anew(&bus("org.example.Other"));
    assert_eq!(is_due(&registry).await, None, "another one is");
    registry.started_anew(&server);
    assert_eq!(is_due(&registry).await.as_deref(), Some("d"));
    assert!(registry.lock().devices["d"].late.is_empty());
    let begun = Instant::now();
    registry.opening("d").await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    dies();
    registry.started_anew(&server);
    assert_eq!(is_due(&registry).await, None, "it was let off just now");
    tokio::time::advance(LET_OFF).await;
    dies();
    // somebody wants to open it already
    let (begun, opening) = (Instant::now(), registry.opening("d"));
    tokio::join!(opening, async {
        tokio::task::yield_now().await;
        registry.started_anew(&server);
    });
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[test]
fn registrations_are_checked_and_limited() {
    let registry = Registry::new(Vec::new());
    let register = |owner: &str, name: &str| registry.register(owner, name, root(), Parameters::default());
    let refused = |result: Result<(), RequestError>| result.unwrap_err().to_string();
    assert!(refused(register(":1.1", " ")).contains("no name"));
    register(":1.1", "One").unwrap();
    assert!(refused(register(":1.1", "One")).contains("`One` is registered already"));
    register(":1.2", "One").unwrap();
    for number in 1..MOST_OF_ONE {
        register(":1.1", &format!("More {number}")).unwrap();
    }
    assert!(refused(register(":1.1", "Last")).contains("unregister one first"));
    assert!(!registry.unregister(":1.3", "One"));
    assert!(registry.unregister(":1.1", "One"));
    registry.left(":1.1");
    assert_eq!(registry.all().len(), 1);
}
