//! A provider that takes no bytes, and deletes nothing, keeps unfinished files. They keep nobody from synchronising, and are
//! gone after the first run in which it deletes again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use players::shelf::Pool;
use providers::{Example, Harm, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_files_that_were_not_deleted_go_with_the_next_run_that_can() {
    let pool = Pool::new(4);
    let plan = Some((0, Harm::Without(&["WriteOnClearChannel", "Delete"])));
    let mut stage = Stage::start(Example::DIRECTORY_PLAYER, &pool, &[0, 1, 2], plan).await;
    assert!(stage.plug().await);
    stage.begin().await.unwrap();
    assert!(stage.settled(0).await.is_err(), "nothing could be written");
    let left = stage.unfinished();
    assert!(left >= 3, "{left} unfinished files");
    // another run comes to its end, though it can't delete them either
    stage.begin().await.unwrap();
    assert!(stage.settled(0).await.is_err(), "nothing could be written");
    let of_the_run = stage.failures().iter().filter(|failure| failure.starts_with(": ")).count();
    assert!(
        stage.unfinished() > left,
        "it has tried, and failed as a whole {of_the_run} times: {:?}",
        stage.failures()
    );
    stage.recover().await.unwrap();
    assert_eq!(stage.unfinished(), 0);
    stage.end().await.unwrap();
}
