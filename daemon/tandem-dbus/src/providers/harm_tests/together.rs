//! Proves that files which are sent together cost few calls, on devices that can less too.

use super::*;

#[tokio::test]
async fn a_device_that_takes_one_file_at_a_time_gets_them_so() {
    let bus = PrivateBus::start();
    // two folders, six files, and the one that was refused
    for (takes_together, made, inserted) in [(false, 9, 0), (true, 7, 2)] {
        let device = fake_device();
        {
            let mut device = device.lock().unwrap();
            (device.alone, device.takes_together) = (Some("1123"), takes_together);
        }
        let fake = Fake::enter(&bus, &device).await;
        work(&fake, &bus).await.unwrap();
        let device = device.lock().unwrap();
        let count = |member: &str| device.calls.iter().filter(|call| *call == member).count();
        let counted = (count("CreateStorageWithMetadata"), count("Insert"));
        assert_eq!(counted, (made, inserted), "{:?}", device.calls);
        let files = device.files();
        assert_eq!((files[AHEAD[0].0].as_slice(), files[AHEAD[1].0].as_slice()), (AHEAD[0].2, AHEAD[1].2));
    }
}

#[tokio::test]
async fn files_that_are_sent_together_cost_one_call_each() {
    let bus = PrivateBus::start();
    let device = fake_device();
    let fake = Fake::enter(&bus, &device).await;
    let player = fake.open(&bus).await.unwrap();
    write(&*player, request("Music/A/a.mp3", b"first", Expect::Nothing)).await.unwrap();
    device.lock().unwrap().calls.clear();
    send_together(&*player, &Arc::default()).await.unwrap();
    assert_eq!(device.lock().unwrap().calls, ["Insert", "Insert", "Flush", "RenameAll"]);
}

#[tokio::test]
async fn more_files_than_may_be_unanswered_are_sent_together() {
    let bus = PrivateBus::start();
    let device = fake_device();
    let fake = Fake::enter(&bus, &device).await;
    let player = fake.open(&bus).await.unwrap();
    write(&*player, request("Music/A/first.mp3", b"first", Expect::Nothing)).await.unwrap();
    let (storage, transfer, mut sent) = (player.storage(), Arc::new(Transfer::default()), Vec::new());
    for number in 0..150 {
        let temporary = path(&format!(".tandem/{number:032x}.part"));
        let request = request(&format!("Music/A/{number}.mp3"), b"bytes", Expect::Nothing);
        sent.push(storage.send(WriteRequest { temporary, ..request }, &transfer).await.unwrap());
    }
    let finished = storage.finish(sent).await.unwrap();
    assert!(finished.iter().all(Result::is_ok));
    let files = device.lock().unwrap().files();
    assert!((0..150).all(|number| files[&format!("Music/A/{number}.mp3")] == b"bytes"));
    let renamed = device.lock().unwrap().calls.iter().filter(|call| *call == "RenameAll").count();
    assert_eq!(renamed, 2, "128 at a time");
}

#[tokio::test]
async fn calls_that_are_told_and_not_there_are_done_without() {
    let bus = PrivateBus::start();
    for member in ["Insert", "RenameAll"] {
        let device = fake_device();
        device.lock().unwrap().refuses = Some(member);
        let fake = Fake::enter(&bus, &device).await;
        work(&fake, &bus).await.unwrap();
        let calls = device.lock().unwrap().calls.iter().filter(|call| *call == member).count();
        assert!((1..=2).contains(&calls), "{calls} calls of {member}");
    }
}
