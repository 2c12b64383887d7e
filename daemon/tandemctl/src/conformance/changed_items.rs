//! What the device tells of its changes: control code `WMP1`. It is optional.

use super::session::pattern;
use super::{Check, Problem, Session, Verdict, check, ensure, offered, words};
use dbus_interfaces::changed_items::{ChangedItems, Question};
use dbus_interfaces::provider::CONTROL_CHANGED_ITEMS;

/// Answers to one question at most.
const MOST_ANSWERS: usize = 1000;

pub(super) fn checks() -> Vec<Check> {
    vec![check!(
        "what is changed and deleted is told since a transaction",
        "let WMP1 name each item that was made, written, renamed, moved or deleted since the transaction that is asked by, the caller's own too, by its path below the root storage, and have a larger transaction after each change; or don't know the code",
        told_since
    )]
}

/// All that has changed since a transaction, asked for from each index on.
async fn told(session: &Session, since: u32) -> Result<ChangedItems, Problem> {
    let device = session.device().await?;
    let mut all: Option<ChangedItems> = None;
    for _ in 0..MOST_ANSWERS {
        let first = all.as_ref().map_or(0, |all| all.changed.len() + all.deleted.len());
        let question = Question { since, first: u32::try_from(first).unwrap_or(u32::MAX) }.to_bytes();
        let answer = session.provider.ask(device.device_io_control(CONTROL_CHANGED_ITEMS, &question)).await;
        let answer = ChangedItems::parse(&offered("WMP1", answer)?).map_err(Problem::Wrong)?;
        let count = answer.changed.len() + answer.deleted.len();
        let left = answer.left;
        let all = all.get_or_insert_with(|| ChangedItems { left: 0, ..answer.clone() });
        if first > 0 {
            all.changed.extend(answer.changed);
            all.deleted.extend(answer.deleted);
        }
        if since == 0 || left == 0 {
            return Ok(std::mem::take(all));
        }
        ensure(count > 0, || format!("no item is told, and {left} are left"))?;
    }
    Err(Problem::Wrong(format!("{MOST_ANSWERS} answers don't tell all that has changed")))
}

/// Whether since a transaction just that has changed, as far as the suite did it; tells the transaction now.
async fn changed(
    session: &Session,
    since: u32,
    what: &str,
    (changed, deleted): (&[&str], &[&str]),
) -> Result<u32, Problem> {
    let now = told(session, since).await?;
    let has = |told: &[String], path: &str| told.iter().any(|one| one == path);
    for (word, paths, told) in [("changed", changed, &now.changed), ("deleted", deleted, &now.deleted)] {
        let missing = paths.iter().find(|path| !has(told, path));
        ensure(missing.is_none(), || {
            let (missing, told) = (missing.unwrap_or(&""), words::list(told));
            format!("{what}, and `{missing}` isn't told as {word}, which are {told}")
        })?;
    }
    ensure(now.flags == 0, || format!("{what}, and the flags are {}", now.flags))?;
    ensure(now.transaction > since, || format!("{what}, and the transaction is still {since}"))?;
    Ok(now.transaction)
}

async fn told_since(session: &mut Session) -> Verdict {
    let begin = told(session, 0).await?.transaction;
    if begin == 0 {
        return Err(Problem::NotOffered("the transaction is 0: no record is kept".to_owned()));
    }
    let (name, renamed) = (session.name("told"), session.name("told anew"));
    let at = |name: &str| format!("{}/{name}", session.folder_name);
    let (old, new) = (at(&name), at(&renamed));
    let path = session.new_file(&session.folder, &name, &pattern(500)).await?;
    let made = changed(session, begin, "a file was made", (&[&old], &[])).await?;
    session.provider.write(&path, &pattern(700), 700).await?;
    let written = changed(session, made, "a file was written", (&[&old], &[])).await?;
    let object = session.provider.object(&path).await?;
    let mut last = written;
    let there = match session.provider.ask(object.rename(&renamed)).await {
        Err(fault) if fault.word == "NotSupported" => old,
        answer => {
            answer?;
            last = changed(session, written, "a file was renamed", (&[&new], &[&old])).await?;
            new
        }
    };
    session.provider.ask(object.delete(false)).await?;
    let gone = changed(session, last, "a file was deleted", (&[], &[&there])).await?;
    session.reopen().await?;
    let none = told(session, gone).await?;
    let is_ours = |path: &&String| path.starts_with(&format!("{}/", session.folder_name));
    let odd = none.changed.iter().chain(&none.deleted).find(is_ours);
    ensure(odd.is_none(), || format!("nothing was done, and `{}` is told", odd.map_or("", String::as_str)))?;
    changed(session, begin, "all that was asked for again", (&[], &[&there])).await.map(drop)
}
