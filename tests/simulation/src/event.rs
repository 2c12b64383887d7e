//! What can happen in a history, as values that can be written down, read again, and left out one by one. Things are
//! named by numbers that are taken modulo what there is, so that what is left of a history still means something.

#![allow(missing_docs, reason = "what a variant's fields are is told with the variant")]

use crate::random::Random;
use serde::{Deserialize, Serialize};

/// What kind of player it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flavour {
    /// A file system with exact times that tells upper from lower case.
    Exact,
    /// A file system with two-second local times that takes both cases for one name.
    Fat,
    /// An object store that can rename.
    Mtp,
    /// An object store that can't rename and gives files a time of its own.
    MtpInPlace,
}

impl Flavour {
    /// Whether it takes tags apart from bytes.
    #[must_use]
    pub fn takes_tags(self) -> bool {
        self == Self::Mtp
    }

    /// Whether its files have lasting ids that aren't their paths.
    #[must_use]
    pub fn has_ids(self) -> bool {
        !self.is_atomic()
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Fat, Self::Mtp, Self::MtpInPlace];

    /// Whether a file gets its final name in one step.
    #[must_use]
    pub fn is_atomic(self) -> bool {
        matches!(self, Self::Exact | Self::Fat)
    }
}

/// A change in the owner's library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LibraryEdit {
    /// A new file, put into that playlist.
    Add { playlist: u8, size: u16 },
    /// A file is gone.
    Delete(u8),
    /// A file has another name.
    Rename(u8),
    /// All files of this one's album lie elsewhere, and are told to be of another album.
    MoveAlbum(u8),
    /// A file's tags are others: its bytes and perhaps its size differ.
    Retag { track: u8, longer: bool },
    /// A file holds other music.
    Reencode(u8),
    /// The library lies on a new disk: every file has another place and another time, and the same bytes.
    NewDisk,
    /// Only the file's time is another.
    Touch(u8),
    /// All files' times are others.
    TouchAll,
    /// One of the two folders can't be read: its tracks are missing, and the library says so.
    Unmount(bool),
    /// All folders are there again.
    Mount,
    /// The track is put into that playlist, or taken out.
    Toggle { playlist: u8, track: u8 },
    /// A playlist has another name.
    RenamePlaylist(u8),
    /// A file can't be opened from now on, or can again.
    Lock(u8),
    /// A file is moved over another one, which is gone with that: its name means the first from now on.
    MoveOver { track: u8, over: u8 },
    /// Two files exchange their places.
    Exchange { one: u8, other: u8 },
}

/// What somebody does on the player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserEdit {
    /// A new file of his, often under a name that we may want.
    Add { place: u8, size: u16 },
    /// A copy of a library's file with its time, in the place where we would put it.
    Copy(u8),
    /// One of our files gets other bytes.
    Change(u8),
    /// One of our files gets other bytes of the same length, and a time that is off by an hour.
    ChangeAlike(u8),
    /// One of our files gets another time.
    Touch(u8),
    /// One of our files is moved to a folder of his.
    Move(u8),
    /// One of our files is deleted.
    Delete(u8),
    /// A folder with all that is in it is deleted.
    DeleteFolder(u8),
    /// One of his own files is deleted.
    DeleteOwn(u8),
    /// Everything is gone, the mark too.
    Format,
    /// All that is there is kept elsewhere.
    Backup,
    /// What was kept takes the place of what is there.
    Restore,
    /// All times are shifted by an hour, where times are local.
    Summer(bool),
}

/// Where in an operation something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// Nothing of it was done.
    Before,
    /// A part of it was done.
    Within,
    /// All of it was done; the answer may not have come.
    After,
}

/// What a power cut makes of the bytes of a file that has its name and was not kept yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unkept {
    /// They are all there.
    Whole,
    /// The size is right, and the bytes are zeros.
    Zeros,
    /// The end is missing.
    Part,
    /// There is none.
    Empty,
}

/// What happens at an operation of a run, on the device or in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Harm {
    /// It fails, with nothing done.
    Error,
    /// There is no space.
    Full,
    /// It may only be read.
    ReadOnly,
    /// It fails after a part was done, and cleans up as far as it can.
    Short,
    /// It doesn't come back in time; a part of it was done.
    Hang,
    /// The cable is pulled.
    Unplug(When),
    /// The daemon is killed.
    Kill(When),
    /// The power is cut right after it: names are there, and bytes that weren't kept yet are so.
    PowerCut(Unkept),
    /// What is written is kept as something else of the same size, on a player that is read back.
    Lie,
    /// The user stops the run.
    Stop,
    /// The library changes just then.
    Library(LibraryEdit),
    /// Somebody changes something on the player just then.
    User(UserEdit),
}

/// A harm and the number of the operation since the player was plugged in, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which operation.
    pub at: u16,
    /// What happens there.
    pub harm: Harm,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// In the library.
    Library(LibraryEdit),
    /// On the player.
    User(UserEdit),
    /// A playlist gets this priority; 0: it isn't assigned any more.
    Assign { playlist: u8, priority: u8 },
    /// So many percent are reserved.
    Reserve(u8),
    /// What is copied is read back, or not.
    Verify(bool),
    /// Skipped files are copied again with the next run.
    IncludeSkipped,
    /// Another computer has the player from now on.
    Host(bool),
    /// The partnership is made if there is none.
    Partner,
    /// The partnership is ended, and its content removed or left.
    Part { remove: bool },
    /// The computer's record of what is on the player is lost.
    LoseManifest,
    /// The daemon is ended in order and will be started again.
    Restart,
    /// The player is plugged in, what then happens goes on until nothing does, and it is pulled out.
    Run(Vec<Fault>),
    /// The same, and what follows happens while it stays connected until the next `Run`.
    Stay(Vec<Fault>),
}

/// A player, a seed for what chance decides on the way, and what happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What player.
    pub flavour: Flavour,
    /// Its size in clusters.
    pub clusters: u16,
    /// Decides what a cut leaves.
    pub seed: u64,
    /// What happens, in this order. At the end there is always a run without any harm.
    pub events: Vec<Event>,
}

impl History {
    /// A history that this seed decides.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let flavour = Flavour::ALL[usize::try_from(random.below(4)).unwrap_or(0)];
        let clusters = if random.once_in(3) { 40 + random.below(60) } else { 200 + random.below(100) };
        let mut events = Vec::new();
        let first = if random.once_in(12) { 40 } else { random.below(10) };
        for _ in 0..first {
            events.push(Event::Library(add(&mut random)));
        }
        for _ in 0..2 + random.below(12) {
            events.push(event(&mut random));
        }
        Self { flavour, clusters: u16::try_from(clusters).unwrap_or(200), seed: random.word(), events }
    }
}

fn add(random: &mut Random) -> LibraryEdit {
    let size = if random.once_in(8) { random.below(9000) } else { random.below(1500) };
    LibraryEdit::Add { playlist: random.byte(), size: u16::try_from(size).unwrap_or(0) }
}

fn event(random: &mut Random) -> Event {
    match random.below(42) {
        40..=41 => Event::Verify(true),
        0..=7 => Event::Library(library_edit(random)),
        8..=14 => Event::User(user_edit(random)),
        15..=16 => Event::Assign { playlist: random.byte(), priority: random.byte() % 4 },
        17 => Event::Reserve([0, 10, 50, 90][usize::from(random.byte() % 4)]),
        18 => Event::IncludeSkipped,
        19 => Event::Host(random.once_in(2)),
        20..=21 => Event::Partner,
        22 => Event::Part { remove: random.once_in(2) },
        23 => Event::LoseManifest,
        24 => Event::Restart,
        25..=27 => Event::Stay(faults(random)),
        _ => Event::Run(faults(random)),
    }
}

/// One of all changes of the library.
pub(crate) fn library_edit(random: &mut Random) -> LibraryEdit {
    let (one, two) = (random.byte(), random.byte());
    match random.below(25) {
        23 => LibraryEdit::MoveOver { track: one, over: two },
        24 => LibraryEdit::Exchange { one, other: two },
        20..=21 => LibraryEdit::Reencode(one),
        22 => LibraryEdit::NewDisk,
        0..=3 => add(random),
        4..=5 => LibraryEdit::Delete(one),
        6..=7 => LibraryEdit::Rename(one),
        8 => LibraryEdit::MoveAlbum(one),
        9..=11 => LibraryEdit::Retag { track: one, longer: random.once_in(2) },
        12 => LibraryEdit::Touch(one),
        13 => LibraryEdit::TouchAll,
        14 => LibraryEdit::Unmount(random.once_in(2)),
        15 => LibraryEdit::Mount,
        16..=17 => LibraryEdit::Toggle { playlist: one, track: two },
        18 => LibraryEdit::RenamePlaylist(one),
        _ => LibraryEdit::Lock(one),
    }
}

/// One of all that somebody does on the player.
pub(crate) fn user_edit(random: &mut Random) -> UserEdit {
    let one = random.byte();
    match random.below(22) {
        0..=3 => {
            let size = if random.once_in(5) { random.below(40_000) } else { random.below(900) };
            UserEdit::Add { place: one, size: u16::try_from(size).unwrap_or(0) }
        }
        4..=5 => UserEdit::Copy(one),
        6..=7 => UserEdit::Change(one),
        8..=9 => UserEdit::ChangeAlike(one),
        10 => UserEdit::Touch(one),
        11..=12 => UserEdit::Move(one),
        13..=14 => UserEdit::Delete(one),
        15 => UserEdit::DeleteFolder(one),
        16 => UserEdit::DeleteOwn(one),
        17 => UserEdit::Format,
        18 => UserEdit::Backup,
        19 => UserEdit::Restore,
        _ => UserEdit::Summer(random.once_in(2)),
    }
}

fn faults(random: &mut Random) -> Vec<Fault> {
    let count = [0, 0, 1, 1, 1, 2, 3][usize::try_from(random.below(7)).unwrap_or(0)];
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| {
            let end = if random.once_in(3) { 160 } else { 45 };
            Fault { at: u16::try_from(random.below(end)).unwrap_or(0), harm: harm(random) }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// One of what can become of bytes.
pub(crate) fn unkept(random: &mut Random) -> Unkept {
    let all = [Unkept::Whole, Unkept::Zeros, Unkept::Part, Unkept::Empty];
    all[usize::try_from(random.below(4)).unwrap_or(0)]
}

fn harm(random: &mut Random) -> Harm {
    let when = [When::Before, When::Within, When::After][usize::try_from(random.below(3)).unwrap_or(0)];
    match random.below(26) {
        20..=23 => Harm::Lie,
        24..=25 => Harm::PowerCut(unkept(random)),
        0..=1 => Harm::Error,
        2 => Harm::Full,
        3 => Harm::ReadOnly,
        4 => Harm::Short,
        5 => Harm::Hang,
        6..=10 => Harm::Unplug(when),
        11..=15 => Harm::Kill(when),
        16 => Harm::Stop,
        17..=18 => Harm::Library(library_edit(random)),
        _ => Harm::User(user_edit(random)),
    }
}
