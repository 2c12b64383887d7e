//! Bytes to and from files: `WriteOnClearChannel` and `ReadOnClearChannel`.

use super::session::pattern;
use super::{Check, Fault, Problem, Session, Verdict, check, ensure, refused};
use futures_util::future::join_all;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Where transfers are cut into pieces, and pipes end.
const SIZES: [usize; 10] = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1 << 20, (3 << 20) + 1];

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "files of every size come back as they were sent",
            "write all that the descriptor gives, also 0 bytes and what is larger than a pipe, and answer how much it was",
            sizes
        ),
        check!(
            "a second write replaces the first",
            "begin at the file's start, and cut off what was longer",
            replaced
        ),
        check!(
            "a source that ends early is refused",
            "fail with InvalidArgument when the descriptor gives fewer bytes than `size`",
            short_source
        ),
        check!(
            "a source that gives too much is refused",
            "fail with InvalidArgument when the descriptor gives more bytes than `size`, and write no more than that",
            long_source
        ),
        check!(
            "a file and a socket are sources too",
            "read the descriptor from where it stands to its end, without seeking or asking for its size",
            other_sources
        ),
        check!(
            "the provider answers while a transfer is under way",
            "transfer on a thread of its own; refuse a second transfer, Delete and Rename of the file with Busy meanwhile",
            meanwhile
        ),
        check!(
            "any part of a file can be read",
            "begin at `offset`, give at most `size` bytes, fewer only at the end, none after it",
            parts
        ),
        check!(
            "a sink that is closed fails the call alone",
            "fail with Failed when the descriptor takes no more, without ending the provider (SIGPIPE)",
            closed_sink
        ),
        check!("folders have no bytes", "fail with NotSupported for a transfer of a folder", folder),
        check!(
            "several transfers at once keep their bytes apart",
            "transfer each file by itself, or fail with Busy",
            at_once
        ),
    ]
}

async fn sizes(session: &mut Session) -> Verdict {
    for size in SIZES {
        let (name, bytes) = (session.name("size"), pattern(size));
        let folder = session.folder().await?;
        let path = session.create(&folder, "file", &name, size as u64).await?;
        let written = session.provider.write(&path, &bytes, size as u64).await?;
        ensure(written == size as u64, || format!("of {size} bytes it says that {written} are there"))?;
        let there = session.size(&path).await?;
        ensure(there == size as u64, || format!("`Size` is {there} after {size} bytes"))?;
        let (back, told) = session.provider.read(&path, 0, u64::MAX).await?;
        ensure(told == back.len() as u64, || format!("it says {told} and gave {} bytes", back.len()))?;
        ensure(back == bytes, || format!("{size} bytes were sent, others came back ({})", back.len()))?;
    }
    Ok(())
}

async fn new_file(session: &mut Session, bytes: &[u8]) -> Result<zbus::OwnedObjectPath, Fault> {
    let name = session.name("file");
    session.new_file(&session.folder, &name, bytes).await
}

async fn replaced(session: &mut Session) -> Verdict {
    let path = new_file(session, &pattern(70_000)).await?;
    session.provider.write(&path, b"short", 5).await?;
    let bytes = session.bytes(&path).await?;
    ensure(bytes == b"short", || format!("it has {} bytes in place of 5", bytes.len()))
}

async fn short_source(session: &mut Session) -> Verdict {
    for (given, said) in [(0, 1), (5, 6), (70_000, 70_001), (4096, 1 << 20)] {
        let name = session.name("short");
        let path = session.create(&session.folder().await?, "file", &name, said).await?;
        let answer = session.provider.write(&path, &pattern(given), said).await;
        refused(&format!("{given} of {said} bytes"), answer, &["InvalidArgument"])?;
        let there = session.size(&path).await?;
        ensure(there <= given as u64, || format!("{given} bytes were given, and it has {there}"))?;
        session.provider.ask(session.provider.object(&path).await?.delete(false)).await?;
    }
    Ok(())
}

async fn long_source(session: &mut Session) -> Verdict {
    for (given, said) in [(1, 0), (6, 5), (70_000, 4096)] {
        let name = session.name("long");
        let path = session.create(&session.folder().await?, "file", &name, said).await?;
        let answer = session.provider.write(&path, &pattern(given), said).await;
        refused(&format!("{given} bytes where {said} were said"), answer, &["InvalidArgument"])?;
        let there = session.size(&path).await?;
        ensure(there <= said, || format!("{said} bytes were said, and it has {there}"))?;
    }
    Ok(())
}

fn own(error: io::Error) -> Problem {
    Problem::Wrong(format!("the suite can't go on: {error}"))
}

async fn other_sources(session: &mut Session) -> Verdict {
    let bytes = pattern(10_000);
    let name = format!("tandemctl-provider-test-{}", std::process::id());
    let place = std::env::temp_dir().join(name);
    let mut file =
        std::fs::File::options().read(true).write(true).create_new(true).open(&place).map_err(own)?;
    std::fs::remove_file(&place).map_err(own)?;
    file.write_all(b"skipped").and_then(|()| file.write_all(&bytes)).map_err(own)?;
    file.seek(SeekFrom::Start(7)).map_err(own)?;
    let (mut near, far) = UnixStream::pair().map_err(own)?;
    near.write_all(&bytes).map_err(own)?;
    drop(near);
    for (what, source) in [("a file", OwnedFd::from(file)), ("a socket", OwnedFd::from(far))] {
        let path = new_file(session, b"").await?;
        session.provider.write_from(&path, source.as_fd(), 10_000).await?;
        let back = session.bytes(&path).await?;
        ensure(back == bytes, || format!("from {what} came {} other bytes", back.len()))?;
    }
    Ok(())
}

async fn meanwhile(session: &mut Session) -> Verdict {
    let (path, elsewhere) = (new_file(session, b"").await?, new_file(session, b"here").await?);
    let (reader, mut writer) = io::pipe().map_err(own)?;
    let (bytes, size) = (pattern(150_000), 150_004);
    let (provider, target) = (session.provider.clone(), path.clone());
    let transfer = tokio::spawn(async move {
        let answer = provider.write_from(&target, reader.as_fd(), size).await;
        drop(reader);
        answer
    });
    // more than a pipe holds: when it is written, the provider has begun to read
    let first = bytes.clone();
    let begun = tokio::task::spawn_blocking(move || writer.write_all(&first).map(|()| writer));
    let begun = tokio::time::timeout(Duration::from_secs(30), begun).await;
    let begun =
        begun.map_err(|_| Problem::Wrong("30 seconds pass, and it doesn't read the source".to_owned()))?;
    let during = busy(session, &path, &elsewhere).await;
    let ended = match begun {
        Ok(Ok(mut writer)) => writer.write_all(b"last"),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(io::Error::other(error)),
    };
    let answer = transfer.await.map_err(|error| Problem::Wrong(error.to_string()))?;
    answer?;
    during?;
    ended.map_err(own)?;
    let back = session.bytes(&path).await?;
    let same = back.len() == 150_004 && back.starts_with(&bytes) && back.ends_with(b"last");
    ensure(same, || format!("the slow transfer left {} other bytes", back.len()))
}

/// What is asked while one file is being written.
async fn busy(session: &Session, path: &zbus::OwnedObjectPath, elsewhere: &zbus::OwnedObjectPath) -> Verdict {
    let (provider, object) = (&session.provider, session.provider.object(path).await?);
    provider.ask(session.device().await?.name()).await?;
    let listed = provider.ask(session.folder().await?.enum_storage(0, 0)).await?;
    ensure(listed.contains(path), || "the file isn't listed while it is written".to_owned())?;
    match provider.read(elsewhere, 0, 4).await {
        Ok((bytes, _)) => ensure(bytes == b"here", || "another file has other bytes meanwhile".to_owned())?,
        Err(fault) if fault.word == "Busy" => {}
        Err(fault) => return Err(fault.into()),
    }
    refused("a second transfer of the file", provider.write(path, b"other", 5).await, &["Busy"])?;
    // a device that can't rename needn't look whether it could
    let renamed = provider.ask(object.rename("other name")).await;
    refused("Rename during a transfer", renamed, &["Busy", "NotSupported"])?;
    refused("Delete during a transfer", provider.ask(object.delete(false)).await, &["Busy"])
}

async fn parts(session: &mut Session) -> Verdict {
    let all = pattern(70_000);
    let path = new_file(session, &all).await?;
    let end = all.len() as u64;
    let asked = [
        (0, 0),
        (0, 1),
        (1, 10),
        (4095, 2),
        (65_535, 2),
        (end - 1, 1),
        (end - 1, 10),
        (end, 1),
        (end + 5, 1),
        (u64::MAX, u64::MAX),
        (5, u64::MAX),
    ];
    for (offset, size) in asked {
        let (bytes, told) = session.provider.read(&path, offset, size).await?;
        let from = usize::try_from(offset.min(end)).unwrap_or(all.len());
        let to = usize::try_from(offset.saturating_add(size).min(end)).unwrap_or(all.len());
        ensure(bytes == all[from..to] && told == bytes.len() as u64, || {
            format!("{size} bytes from {offset} on came as {} bytes, told as {told}", bytes.len())
        })?;
    }
    Ok(())
}

async fn closed_sink(session: &mut Session) -> Verdict {
    let path = new_file(session, &pattern(300_000)).await?;
    refused("reading into a closed pipe", session.provider.read_into_closed(&path).await, &["Failed"])?;
    let bytes = session.bytes(&path).await?;
    ensure(bytes.len() == 300_000, || format!("after that the file has {} bytes", bytes.len()))
}

async fn folder(session: &mut Session) -> Verdict {
    let path = session.new_folder("no bytes").await?;
    refused("writing to a folder", session.provider.write(&path, b"x", 1).await, &["NotSupported"])?;
    refused("reading a folder", session.provider.read(&path, 0, 1).await, &["NotSupported"])
}

async fn at_once(session: &mut Session) -> Verdict {
    let mut files = Vec::new();
    for number in 0..8_usize {
        let bytes: Vec<u8> = pattern(100_000 + number).into_iter().map(|byte| byte ^ number as u8).collect();
        files.push((new_file(session, b"").await?, bytes));
    }
    let provider = &session.provider;
    let writes = files.iter().map(|(path, bytes)| provider.write(path, bytes, bytes.len() as u64));
    let answers = join_all(writes).await;
    let mut done = 0;
    for ((path, bytes), answer) in files.iter().zip(answers) {
        match answer {
            Err(fault) if fault.word == "Busy" => continue,
            answer => answer?,
        };
        done += 1;
        let back = session.bytes(path).await?;
        ensure(back == *bytes, || format!("a file has {} other bytes", back.len()))?;
    }
    ensure(done > 0, || "none of eight transfers was taken".to_owned())
}
