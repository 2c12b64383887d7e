//! Names that are awkward, names that can't be, and sizes that don't fit.

use super::{Check, Session, Verdict, check, ensure, names_in, refused, words};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "names are kept exactly or refused",
            "give a storage the name that was asked for, byte by byte, or fail with InvalidArgument; never another one",
            awkward
        ),
        check!(
            "plain names are taken",
            "take names of letters, digits, spaces, dots, commas, brackets and hyphens, up to 60 bytes",
            plain
        ),
        check!(
            "names that can't be are refused",
            "fail with InvalidArgument for a name that is empty, `.` or `..`, has `/` or more than 255 bytes, and make nothing",
            illegal
        ),
        check!(
            "a name that is taken is refused",
            "fail with Exists, and leave what has the name as it is",
            taken
        ),
        check!(
            "names that differ in case alone are two or one",
            "keep both, or fail with Exists for the second; never put one in the place of the other",
            case
        ),
        check!(
            "what doesn't fit is refused before it is made",
            "fail with NoSpace when the size is more than is free, and make nothing",
            too_large
        ),
        check!(
            "a file of 4 GiB is taken or has no space",
            "make the empty file, or fail with NoSpace where no file can be so large",
            four_gib
        ),
    ]
}

async fn awkward(session: &mut Session) -> Verdict {
    let path = session.new_folder("awkward").await?;
    let folder = session.provider.storage(&path).await?;
    let long = "n".repeat(255);
    let names = [
        "Bj\u{f6}rk",
        "Bjo\u{308}rk",
        "\u{5927}\u{4e08}\u{592b}",
        "\u{1f3b5}",
        ".hidden",
        "dot.",
        " space ",
        "a\u{200b}b",
        "a:b",
        "a\\b",
        "a*?\"<>|b",
        "new\nline",
        "CON",
        "%2F",
        &long,
    ];
    let mut kept = Vec::new();
    for name in names {
        match session.create(&folder, "file", name, 0).await {
            Ok(made) => {
                let found = session.provider.ask(session.provider.storage(&made).await?.name()).await?;
                ensure(found == name, || format!("`{}` is called `{found}`", name.escape_default()))?;
                kept.push(name.to_owned());
            }
            // one of the two ways to write an ö may be the other one to the device
            Err(fault) if fault.word == "InvalidArgument" || fault.word == "Exists" => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    let mut listed = names_in(&folder, &session.provider).await?;
    listed.sort();
    kept.sort();
    ensure(listed == kept, || {
        format!("made were {}, listed are {}", words::list(&kept), words::list(&listed))
    })
}

async fn plain(session: &mut Session) -> Verdict {
    let path = session.new_folder("plain").await?;
    let folder = session.provider.storage(&path).await?;
    let long = "n".repeat(60);
    for name in ["a", "07 - Song (live), part 2 [1999].mp3", "two  spaces", &long] {
        session.create(&folder, "file", name, 0).await?;
    }
    let listed = names_in(&folder, &session.provider).await?;
    ensure(listed.len() == 4, || format!("4 were made, listed are {}", words::list(&listed)))
}

async fn illegal(session: &mut Session) -> Verdict {
    let path = session.new_folder("illegal").await?;
    let folder = session.provider.storage(&path).await?;
    let long = "n".repeat(256);
    for name in ["", ".", "..", "a/b", "/", "../escape", &long] {
        for kind in ["folder", "file"] {
            let answer = session.create(&folder, kind, name, 0).await;
            refused(&format!("making a {kind} `{name}`"), answer, &["InvalidArgument"])?;
        }
    }
    let listed = names_in(&folder, &session.provider).await?;
    ensure(listed.is_empty(), || format!("{} were made all the same", words::list(&listed)))
}

async fn taken(session: &mut Session) -> Verdict {
    let path = session.new_folder("taken").await?;
    let folder = session.provider.storage(&path).await?;
    let first = session.new_file(&path, "name", b"first").await?;
    for kind in ["file", "folder"] {
        refused(&format!("making a {kind}"), session.create(&folder, kind, "name", 1).await, &["Exists"])?;
    }
    let bytes = session.bytes(&first).await?;
    ensure(bytes == b"first", || format!("the file that had the name has {} bytes now", bytes.len()))
}

async fn case(session: &mut Session) -> Verdict {
    let path = session.new_folder("case").await?;
    let folder = session.provider.storage(&path).await?;
    let first = session.new_file(&path, "Song.mp3", b"first").await?;
    match session.create(&folder, "file", "song.MP3", 6).await {
        Ok(second) => {
            session.provider.write(&second, b"second", 6).await?;
        }
        Err(fault) if fault.word == "Exists" => {}
        Err(fault) => return Err(fault.into()),
    }
    let bytes = session.bytes(&first).await?;
    ensure(bytes == b"first", || "the second took the place of the first".to_owned())
}

async fn too_large(session: &mut Session) -> Verdict {
    let path = session.new_folder("large").await?;
    let folder = session.provider.storage(&path).await?;
    let total = session.provider.ask(session.root_storage().await?.total_size()).await?;
    for size in [total.saturating_add(1), u64::MAX / 2, u64::MAX] {
        let answer = session.create(&folder, "file", "large", size).await;
        refused(&format!("a file of {size} bytes on {total}"), answer, &["NoSpace"])?;
    }
    let listed = names_in(&folder, &session.provider).await?;
    ensure(listed.is_empty(), || format!("{} were made all the same", words::list(&listed)))
}

async fn four_gib(session: &mut Session) -> Verdict {
    let path = session.new_folder("large").await?;
    let folder = session.provider.storage(&path).await?;
    match session.create(&folder, "file", "large", 1 << 32).await {
        Err(fault) if fault.word == "NoSpace" => Ok(()),
        made => {
            let size = session.size(&made?).await?;
            ensure(size == 0, || format!("it has {size} bytes before any were written"))
        }
    }
}
