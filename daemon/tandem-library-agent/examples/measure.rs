#[path = "../src/samples.rs"]
mod samples;
use std::fs;
use std::io::Write;
use std::path::*;
use std::sync::Arc;
use std::time::*;
use tandem_library::*;
use tandem_model::library::*;
fn rss(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM") || l.starts_with("RssAnon"))
        .collect::<Vec<_>>()
        .join(" ")
}
fn pids() -> Vec<u32> {
    let me = std::process::id();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|p| {
            fs::read_to_string(format!("/proc/{p}/stat")).ok().and_then(|s| {
                s.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse::<u32>().ok()
            }) == Some(me)
        })
        .collect()
}
#[tokio::main]
async fn main() {
    let dir = PathBuf::from("/tmp/p3bench");
    drop(fs::remove_dir_all(&dir));
    let music = dir.join("music");
    let pad = vec![0u8; 20_000];
    for n in 0..10_000 {
        let d = music.join(format!("artist {:03}/album {}", n / 50, n / 10 % 5));
        fs::create_dir_all(&d).unwrap();
        let (name, data) = if n % 2 == 0 {
            (
                format!("{n:05} a title.flac"),
                samples::flac(&[
                    &format!("TITLE=Title number {n}"),
                    &format!("ARTIST=Artist {}", n / 50),
                    &format!("ALBUM=Album {}", n / 10),
                    "DATE=1999",
                    "GENRE=Jazz",
                    "TRACKNUMBER=3",
                ]),
            )
        } else {
            (
                format!("{n:05} a title.mp3"),
                samples::mp3(&format!("Title number {n}"), &format!("Artist {}", n / 50)),
            )
        };
        let mut f = fs::File::create(d.join(name)).unwrap();
        f.write_all(&data).unwrap();
        if n % 2 == 0 {
            f.write_all(&pad).unwrap();
        }
    }
    let mut files = vec![];
    let mut st = vec![music.clone()];
    while let Some(d) = st.pop() {
        for e in fs::read_dir(d).unwrap() {
            let e = e.unwrap();
            if e.file_type().unwrap().is_dir() { st.push(e.path()) } else { files.push(e.path()) }
        }
    }
    for round in 0..3 {
        let t = Instant::now();
        let mut n = 0;
        for f in &files {
            if lofty::probe::Probe::open(f)
                .unwrap()
                .options(lofty::config::ParseOptions::new().read_cover_art(false))
                .read()
                .is_ok()
            {
                n += 1
            }
        }
        println!("lofty alone {round}: {n} {:?}", t.elapsed());
    }
    for round in 0..3 {
        let t = Instant::now();
        let mut st = vec![music.clone()];
        let mut n = 0;
        while let Some(d) = st.pop() {
            for e in fs::read_dir(d).unwrap() {
                let e = e.unwrap();
                if e.metadata().unwrap().is_dir() { st.push(e.path()) } else { n += 1 }
            }
        }
        println!("stat alone {round}: {n} {:?}", t.elapsed());
    }
    let uid = rustix::process::geteuid().as_raw();
    for round in 0..3 {
        if round < 2 {
            drop(fs::remove_dir_all(dir.join("state")));
        }
        let exe =
            std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("tandem-library-agent");
        let libs = AgentLibraries::new(
            Arc::new(ChildLauncher {
                program: exe,
                state_dir: dir.join("state"),
                default_folders: vec![music.clone()],
            }),
            Duration::from_secs(60),
        );
        let t = Instant::now();
        let lib = libs.open(uid).await.unwrap();
        println!("open {:?}", t.elapsed());
        lib.state().wait_for(|s| !s.scanning && s.last_scan_time > 0).await.unwrap();
        println!(
            "run {round}: started to scanned {:?} tracks {}",
            t.elapsed(),
            lib.state().borrow().track_count
        );
        let pid = pids()[0];
        println!("rss after scan {}", rss(pid));
        for _ in 0..3 {
            let mut s = lib.state();
            let t = Instant::now();
            lib.scan().await.unwrap();
            s.wait_for(|s| s.scanning).await.ok();
            s.wait_for(|s| !s.scanning).await.unwrap();
            println!("rescan {:?}", t.elapsed());
        }
        let id = lib.default_playlists().await.unwrap();
        for _ in 0..4 {
            let t = Instant::now();
            let r = lib.resolve(vec![id.last().unwrap().clone()]).await.unwrap();
            println!("resolve {} {:?}", r.tracks.len(), t.elapsed());
        }
        let t = Instant::now();
        let r = lib.resolve(id.clone()).await.unwrap();
        println!("resolve all default {} {:?}", r.tracks.len(), t.elapsed());
        let t = Instant::now();
        let r = lib.playlists().await.unwrap();
        println!("playlists {} {:?}", r.len(), t.elapsed());
        println!("rss at end {}", rss(pid));
        libs.shut_down().await;
    }
}
