#!/usr/bin/env bash
# Tandem's main job, shown on real files: a library, a player, a partnership, a run, a change, and a run with nothing
# to do. Without arguments it makes a small library and a folder that stands for a player; MUSIC and PLAYER name the
# user's own. Everything of its own is below one temporary directory and goes away at the end.
set -euo pipefail

programs=${PROGRAMS:-target/release}
music=${MUSIC:-}
player=${PLAYER:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/tandem-demo.XXXXXX")
pids=()

finish() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
# Prints a command as a shell takes it, and runs it.
show() {
    local word line=
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./:=@%+,-]* | '') word="'${word//\'/\'\\\'\'}'" ;;
        esac
        line+=" $word"
        [ "$line" = ' tandemctl' ] && line+=' --session'
    done
    printf '\033[2m$%s\033[0m\n' "$line"
    "$@"
}
# A leading ~ that the shell did not expand: MUSIC='~/Music', or in a Makefile.
expanded() {
    case $1 in
    '~') printf '%s\n' "$HOME" ;;
    '~/'*) printf '%s\n' "$HOME/${1#'~/'}" ;;
    *) printf '%s\n' "$1" ;;
    esac
}
tandemctl() { "$programs/tandemctl" --session "$@"; }
digests() { (cd "$1" && find . -type f ! -name WMPInfo.xml -print0 | sort -z | xargs -0r sha256sum); }

track() { # file, title, artist, album, number, pitch, encoder options…
    local file=$1 title=$2 artist=$3 album=$4 number=$5 pitch=$6 seconds=30
    shift 6
    mkdir -p "$(dirname "$music/$file")"
    ffmpeg -nostdin -loglevel error -y -f lavfi -i "sine=frequency=$pitch:duration=$seconds" "$@" \
        -metadata title="$title" -metadata artist="$artist" -metadata album="$album" -metadata track="$number" \
        "$music/$file"
}

make_library() {
    local cover=$work/cover.jpg
    ffmpeg -nostdin -loglevel error -y -f lavfi -i "color=teal:size=300x300" -frames:v 1 "$cover"
    local with_cover=(-i "$cover" -map 0:a -map 1:v -disposition:v attached_pic)
    track 'Ada/First Light/01 Dawn.mp3' Dawn Ada 'First Light' 1 220 "${with_cover[@]}" -c:a libmp3lame -b:a 192k -c:v copy
    track 'Ada/First Light/02 What: Now?.mp3' 'What: Now?' Ada 'First Light' 2 247 "${with_cover[@]}" -c:a libmp3lame -b:a 192k -c:v copy
    track 'Ben/Low Tide/01 Ebb.flac' Ebb Ben 'Low Tide' 1 262 "${with_cover[@]}" -c:a flac -c:v copy
    track 'Ben/Low Tide/02 Flow.flac' Flow Ben 'Low Tide' 2 294 "${with_cover[@]}" -c:a flac -c:v copy
    track 'Cleo/Night Bus/01 Stop.ogg' Stop Cleo 'Night Bus' 1 330 -c:a libvorbis
    track 'Cleo/Night Bus/02 Go.opus' Go Cleo 'Night Bus' 2 349 -c:a libopus -b:a 96k
    track 'Dora/Été/01 Soleil.m4a' Soleil Dora 'Été' 1 392 "${with_cover[@]}" -c:a aac -b:a 160k -c:v copy
    printf '#EXTM3U\nBen/Low Tide/01 Ebb.flac\nCleo/Night Bus/02 Go.opus\n' >"$music/Evening.m3u8"
}

if [ -n "$music" ]; then
    music=$(realpath -m -- "$(expanded "$music")")
    [ -d "$music" ] || fail "MUSIC=$music is not a directory; name one that is there"
fi
if [ -n "$player" ]; then
    player=$(realpath -m -- "$(expanded "$player")")
    [ -d "$player" ] || fail "PLAYER=$player is not a directory; name one that is there"
fi

if [ -z "$music" ]; then
    step 'A small library: MP3, FLAC, Ogg Vorbis, Opus and M4A, with tags and covers'
    music=$work/Music
    make_library
    (cd "$music" && find . -type f | sort)
fi

if [ -z "$player" ]; then
    step "A folder that stands for a player, with a file of the user's own"
    player=$work/Player
    mkdir -p "$player/Recordings"
    ffmpeg -nostdin -loglevel error -f lavfi -i 'sine=frequency=150:duration=3' "$player/Recordings/lecture.wav"
    find "$player" -type f
fi
digests "$player" >"$work/before"

step 'A private bus and the daemon'
printf '%s\n' "below, tandemctl is $programs/tandemctl, and the daemon is one of the demonstration's own"
export XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config XDG_MUSIC_DIR=$music
mkdir -p "$XDG_STATE_HOME" "$XDG_CONFIG_HOME"
printf 'XDG_MUSIC_DIR="%s"\n' "$music" >"$XDG_CONFIG_HOME/user-dirs.dirs"
exec {bus}< <(exec dbus-daemon --session --nofork --print-address=1 2>"$work/bus.log")
pids+=($!)
read -r -u "$bus" DBUS_SESSION_BUS_ADDRESS || fail "the private bus did not start: $(cat "$work/bus.log")"
export DBUS_SESSION_BUS_ADDRESS
printf '[engine]\nsettle-seconds = 600\n' >"$work/tandemd.toml"
"$programs/tandemd" --session --config "$work/tandemd.toml" --folder "$player" 2>"$work/daemon.log" &
daemon=$!
pids=("$daemon" "${pids[@]}")
for _ in $(seq 200); do
    tandemctl --quiet status >/dev/null 2>&1 && break
    kill -0 "$daemon" 2>/dev/null || fail "the daemon ended: $(cat "$work/daemon.log")"
    sleep 0.05
done
show tandemctl folders "$music"
show tandemctl scan --wait
show tandemctl list
device=$(tandemctl --json list | grep -o '"id": *"folder-[^"]*"' | head -n 1 | cut -d'"' -f4)
[ -n "$device" ] || fail "the player was not found"

step 'Partner it, and synchronise'
if [ -d "$work/Music" ]; then
    show tandemctl playlist create Morning "$music/Ada/First Light/01 Dawn.mp3" "$music/Ada/First Light/02 What: Now?.mp3" \
        "$music/Dora/Été/01 Soleil.m4a"
    show tandemctl partner "$device" --playlist Morning --playlist Evening
else
    show tandemctl partner "$device"
fi
show tandemctl sync "$device"

step 'What is on the player now'
(cd "$player" && find . -type f | sort)

if [ -d "$work/Music" ]; then
    step 'A playlist changes: one track goes, another comes'
    show tandemctl playlist remove Morning "$music/Ada/First Light/01 Dawn.mp3"
    show tandemctl playlist add Morning "$music/Ben/Low Tide/02 Flow.flac"
    show tandemctl preview "$device"
    show tandemctl sync "$device"
    (cd "$player" && find . -type f | sort)
    printf '\nPlaylists/Morning.m3u8:\n'
    cat "$player/Playlists/Morning.m3u8"
fi

step 'Once more'
show tandemctl sync "$device"

step 'Proof'
[ ! -s "$work/before" ] || (cd "$player" && sha256sum --quiet --check "$work/before") || fail "a file of the user's own has changed"
own=$(wc -l <"$work/before")
[ "$own" = 1 ] && own="1 file" || own="$own files"
printf "%s of the user's own on the player: as before\n" "$own"
find "$music" -type f -exec sha256sum {} + | cut -c1-64 >"$work/library"
copied=0
while IFS= read -r -d '' file; do
    if grep -qxF "$(sha256sum <"$file" | cut -c1-64)" "$work/library"; then
        copied=$((copied + 1))
    elif ! grep -qF "  ./${file#"$player"/}" "$work/before"; then
        fail "$file is not identical to any file of the library"
    fi
done < <(find "$player/Music" -type f -print0 2>/dev/null)
printf '%s tracks on the player, each identical to one of the library\n' "$copied"
shopt -s nullglob
for list in "$player"/Playlists/*.m3u8; do
    grep -qF "  ./Playlists/${list##*/}" "$work/before" && continue
    while IFS= read -r entry; do
        case $entry in '#'* | '') continue ;; esac
        [ -f "$player/Playlists/$entry" ] || fail "$list names $entry, which is not on the player"
    done <"$list"
done
printf 'every playlist on the player resolves there\n'
if [ "$player" != "$work/Player" ]; then
    printf '%s\n' "what was copied stays on the player; the demonstration's record of it goes away, so it counts as yours from now on"
fi
