//! What help text and man pages say besides the options: names, exit codes, JSON, files, examples. Texts only.

/// How devices, playlists and media are named.
pub(crate) const NAMES: &str = "\
Devices are named by id, by name, or by an unambiguous beginning of either; playlists by name, by an unambiguous \
beginning of it, by id, or by object path. Names are compared without regard to case where that is unambiguous; where \
several have a name, the message lists their ids. Media are named by path or by file:// URI.";

/// Exit codes and what they mean.
pub(crate) const EXIT_STATUS: [(u8, &str); 9] = [
    (0, "done"),
    (1, "failed"),
    (2, "the command line, or a value on it, can't be, or what it names can't be changed"),
    (3, "no such device, playlist or media, or more than one"),
    (4, "not authorised"),
    (5, "done but for some items, which failed or did not fit"),
    (6, "the device is absent, being set up, synchronising, or held by another program"),
    (7, "the daemon can't be reached, or does not answer"),
    (8, "interrupted while waiting, or the run was stopped"),
];

/// The JSON that all commands have in common.
pub(crate) const JSON: &str = "\
every command prints one document with --json; sync and monitor print one document on each line; completions and \
help rules print their text all the same. Sizes are in \
bytes, rates in bytes a second, times in seconds since 1970 with 0 for never, media as URIs. Fields are only ever \
added. A device is an object with: id, path, name, friendly_name, kind, manufacturer, model, serial_number, firmware, \
connected, status, manual_reason (what a manual-device lacks), partnership_index and partnership_owner (null without a \
partnership), sync_state, progress, current_item, bytes_done, bytes_total, rate, expected_end_time, safe_to_remove, total_space, free_space, battery_level (percent, null \
where it isn't known), \
percent_space_reserved, sync_on_connect, last_sync_time, last_sync_error_count, last_sync_no_fit_count, \
last_sync_change_count, sync_item_count, has_skipped_files, supports_audio, supports_video, supports_photo, formats. A \
playlist is an object with: path, id, name, kind, rule, count, sync_priorities (an object: partnership index to priority), sync_only. Where a \
command refers to a device or playlist that it changed, it gives its id or its name. Messages go to standard error as \
text.";

/// Environment variables and what they do.
pub(crate) const ENVIRONMENT: [(&str, &str); 4] = [
    ("TANDEM_BUS", "system or session: the bus, where the command line names none."),
    ("DBUS_SESSION_BUS_ADDRESS, DBUS_SYSTEM_BUS_ADDRESS", "Where the buses are."),
    ("NO_COLOR", "If set and not empty, no colours are used unless --color asks for them."),
    ("TZ", "The time zone in which times are shown."),
];

/// Files that matter to the user of the command line.
pub(crate) const FILES: [(&str, &str); 2] = [
    ("/etc/tandem/tandemd.toml", "The daemon's configuration; see tandemd.toml(5)."),
    (
        "$XDG_MUSIC_DIR",
        "The library's folder, ~/Music as a rule, until `tandemctl folders` says otherwise; see user-dirs.dirs(5).",
    ),
];

/// What a command line is for.
type Example = (&'static str, &'static str);

/// Command lines with what they are for; `command` is the name behind `tandemctl`, such as `playlist create`.
pub(crate) fn examples(command: &str) -> &'static [Example] {
    match command {
        "" => &[
            ("tandemctl list", "Which players there are."),
            ("tandemctl partner walkman --playlist Running", "Partner one, with a playlist."),
            ("tandemctl sync walkman", "Bring it in step now, and wait."),
            ("tandemctl --json status | jq '.[].progress'", "Read the progress in a script."),
        ],
        "partner" => &[(
            "tandemctl partner walkman -p Running -p Evening",
            "Partner with two playlists; Running goes first where not everything fits.",
        )],
        "unpartner" => &[(
            "tandemctl unpartner walkman --remove-content",
            "End the partnership, and delete what Tandem put on the player.",
        )],
        "sync" => &[
            ("tandemctl sync --all", "Bring all players in step."),
            ("tandemctl sync walkman --no-wait", "Start a run, and let it go on."),
        ],
        "estimate" => &[(
            "tandemctl estimate walkman --with Evening",
            "What the player would hold with a further playlist.",
        )],
        "transfer" => {
            &[("tandemctl transfer walkman ~/Music/Ada/*.mp3", "Put an artist's files on the player.")]
        }
        "assign" => &[(
            "tandemctl assign Evening walkman --priority 1",
            "Have a playlist on the player, before others.",
        )],
        "set" => &[
            ("tandemctl set walkman PercentSpaceReserved 20", "Leave a fifth of the player to others."),
            ("tandemctl set walkman IncludeSkippedFiles ''", "Copy again what was deleted on the player."),
        ],
        "get" => &[("tandemctl get walkman", "All attributes of a player.")],
        "search" => &[(
            "tandemctl search '((stars >= 4) AND (added-since 30d)) sort -added'",
            "New music with four stars and more, newest first.",
        )],
        "annotate" => &[("tandemctl annotate --stars 5 ~/Music/Ada/Dawn.mp3", "Give a file five stars.")],
        "folders" => &[("tandemctl folders --add /srv/music", "Have a second folder in the library.")],
        "playlist create" => &[
            ("tandemctl playlist create Running ~/Music/fast/*.mp3", "A playlist of files."),
            (
                "tandemctl playlist create New --rule '(added-since 30d) sort -added limit 2 GB'",
                "A playlist that follows a rule.",
            ),
        ],
        "playlist move" => &[("tandemctl playlist move Running 5 1", "Put the fifth item first.")],
        "playlist import" => &[("tandemctl playlist import ~/party.m3u8", "A playlist of a playlist file.")],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory, Parser};

    /// The words of a command line, with single quotes; up to a pipe.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars().take_while(|c| *c != '|') {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                other => words.last_mut().unwrap().push(other),
            }
        }
        let empty_value = line.contains("''");
        words.retain(|word| !word.is_empty());
        words.extend(empty_value.then(String::new));
        words
    }

    #[test]
    fn every_example_is_a_command_line_of_its_command() {
        let program = Cli::command();
        let mut names = vec![String::new()];
        for command in program.get_subcommands() {
            names.push(command.get_name().to_owned());
            names.extend(
                command.get_subcommands().map(|sub| format!("{} {}", command.get_name(), sub.get_name())),
            );
        }
        let mut seen = 0;
        for name in &names {
            for (line, purpose) in examples(name) {
                seen += 1;
                assert!(line.starts_with(format!("tandemctl {name}").trim_end()), "{line}");
                assert!(purpose.ends_with('.'), "{purpose}");
                if let Err(error) = Cli::try_parse_from(words(line)) {
                    panic!("{line}: {error}");
                }
            }
        }
        assert!(seen > 15, "{seen}");
    }
}
