//! How `milena serve` begins and ends, as a person sees it: one line when it is ready; where it
//! cannot start one line that says what to do, and nothing is changed.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use milena_protocol::api::ApiKey;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    client::{Client, batch, fetch_request},
    process::Folder,
};

fn serve(folder: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
    command.current_dir(folder).arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped());
    for setting in ["listeners=PLAINTEXT://127.0.0.1:0"].iter().chain(settings) {
        command.args(["--override", setting]);
    }
    command
}

/// The same broker under a program that says what SIGHUP is to it.
fn serve_under(program: &[&str], folder: &Path) -> Command {
    let broker = serve(folder, &[]);
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(broker.get_program()).args(broker.get_args());
    command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether a signal is among those of the kernel's line: `SigCgt` are caught, `SigIgn` ignored.
fn has_signal(child: &Child, line: &str, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let set = status.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':')).unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap() & (1 << (signal.as_raw() - 1)) != 0
}

/// Starts a broker; gives back its one line.
fn ready(command: &mut Command) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    (child, out, line)
}

/// Stops it; gives back its exit code, what more it said, and its log.
fn stop(mut child: Child, mut out: impl Read, signal: Signal) -> (Option<i32>, String, String) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut more = String::new();
    out.read_to_string(&mut more).unwrap();
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    (child.wait().unwrap().code(), more, log)
}

/// The line of a broker that does not start; the code has to be 1, and it must say nothing else.
fn refused(folder: &Path, settings: &[&str]) -> String {
    let ended = serve(folder, settings).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.stdout), (Some(1), Vec::new()), "{said}");
    assert!(said.starts_with("milena: ") && said.lines().count() == 1, "{said}");
    said
}

/// Every file and folder, and what is in it.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(content(&path));
            all.insert(path, Vec::new());
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn it_says_one_line_when_it_is_ready_and_ends_by_either_signal() {
    let folder = Folder::new("start-ready");
    for signal in [Signal::TERM, Signal::INT] {
        let (child, out, line) = ready(&mut serve(folder.path(), &[]));
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["ready", address, "node", "1", "cluster", id, "data", data, "in", time, "ms"] =
            words[..]
        else {
            panic!("{line}");
        };
        assert!(address.starts_with("127.0.0.1:") && time.parse::<u32>().is_ok(), "{line}");
        assert_eq!((id.len(), data), (22, "./milena-data"));
        let (code, more, log) = stop(child, out, signal);
        assert_eq!((code, &*more), (Some(0), ""), "{log}");
        assert!(log.ends_with("stopped\n"), "{log}");
        assert!(folder.path().join("milena-data/.kafka_cleanshutdown").exists());
    }
}

#[test]
fn a_closed_terminal_ends_it_in_order_unless_it_is_to_outlive_that() {
    let folder = Folder::new("start-hangup");
    let is_clean = || folder.path().join("milena-data/.kafka_cleanshutdown").exists();
    // Whoever runs this test may ignore the signal.
    let usual = ["env", "--default-signal=HUP"];
    let (child, out, _) = ready(&mut serve_under(&usual, folder.path()));
    let (code, _, log) = stop(child, out, Signal::HUP);
    assert!(code == Some(0) && log.ends_with("stopped\n") && is_clean(), "{code:?} {log}");
    // What was told to the terminal goes nowhere then.
    let (mut child, _, _) = ready(&mut serve_under(&usual, folder.path()));
    drop(child.stderr.take());
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert_eq!((child.wait().unwrap().code(), is_clean()), (Some(0), true));
    let (child, out, line) = ready(&mut serve_under(&["nohup"], folder.path()));
    assert!(has_signal(&child, "SigIgn", Signal::HUP));
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let address = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    Client::connect(address).unwrap().create_topic("t", 1, &[]);
    let (code, _, log) = stop(child, out, Signal::TERM);
    assert!(code == Some(0) && log.ends_with("stopped\n"), "{code:?} {log}");
}

#[test]
fn its_log_is_for_people_or_for_programs() {
    let folder = Folder::new("start-log");
    let unknown = "num.partition=3";
    let (child, out, _) = ready(&mut serve(folder.path(), &[unknown]));
    let (.., log) = stop(child, out, Signal::TERM);
    let warning = "override 2: num.partition is unknown and has no effect; did you mean \
                   num.partitions?";
    assert!(log.lines().next().unwrap().ends_with(&format!("WARN {warning}")), "{log}");
    let by_setting = serve(folder.path(), &[unknown, "milena.log.format=json"]);
    let mut by_option = serve(folder.path(), &[unknown]);
    by_option.arg("--json");
    for mut asked in [by_setting, by_option] {
        let (child, out, _) = ready(&mut asked);
        let (.., log) = stop(child, out, Signal::TERM);
        let lines: Vec<serde_json::Value> =
            log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["level"], &lines[0]["message"]), (&"WARN".into(), &warning.into()));
        assert_eq!(lines.last().unwrap()["message"], "stopped");
    }
}

#[test]
fn what_keeps_it_from_starting_is_one_line_that_says_what_to_do_and_nothing_is_changed() {
    let folder = Folder::new("start-refused");
    let here = folder.path();
    for data in ["ours", "theirs"] {
        let (child, out, _) = ready(&mut serve(here, &[&format!("log.dirs={data}")]));
        assert_eq!(stop(child, out, Signal::TERM).0, Some(0));
    }
    fs::create_dir_all(here.join("home/photos-2019")).unwrap();
    fs::create_dir_all(here.join("broken")).unwrap();
    fs::write(here.join("broken/meta.properties"), "version=1\n").unwrap();
    fs::write(here.join("file"), "").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listeners=PLAINTEXT://{}", port.local_addr().unwrap());
    let collected = format!("milena.metrics.listener={}", port.local_addr().unwrap());
    let before = content(here);
    for (settings, why, what_to_do) in [
        (&["log.dirs"][..], "must be key=value", "as in log.dirs=/data"),
        (&["num.network.threads=0"], "must be at least 1", "Allowed is a whole number from 1 up"),
        (&["milena.jurnal.bytes=1"], "there is no key", "the nearest is milena.journal.bytes"),
        (&["authorizer.class.name=Rules"], "no authorizer is asked yet", "leave the key out"),
        (&["log.dirs=ours", &taken], "cannot listen on", "choose another port"),
        (&["log.dirs=ours", &collected], "milena.metrics.listener=", "choose another port"),
        (&["milena.metrics.listener=9404"], "must be HOST:PORT", "as in 127.0.0.1:9404"),
        (&["log.dirs=ours", "node.id=2"], "belongs to node 1", "choose another log.dirs"),
        (&["log.dirs=new,ours"], "ours holds the cluster's metadata", "name it first"),
        (&["log.dirs=ours,theirs"], "theirs belongs to cluster", "choose another log.dirs"),
        (&["log.dirs=new,./new/"], "new twice", "name it once"),
        (&["listeners=SSL://127.0.0.1:0"], "encryption and logins are not", "let every listener"),
        (&["log.dirs=home"], "holds photos-2019 but no meta", "choose another log.dirs"),
        (&["log.dirs=ours,home"], "holds photos-2019 but no meta", "choose another log.dirs"),
        (&["log.dirs=broken"], "node's id is missing", "put a good copy in its place"),
        (&["log.dirs=file"], "file", "choose a log.dirs that is a folder"),
    ] {
        let said = refused(here, settings);
        assert!(said.contains(why) && said.contains(what_to_do), "{said}");
    }
    let (child, out, _) = ready(&mut serve(here, &["log.dirs=running"]));
    let with_it = content(here);
    for directories in ["log.dirs=running", "log.dirs=new,running"] {
        let said = refused(here, &[directories]);
        assert!(said.contains("in use by another process; stop it"), "{said}");
        assert!(content(here) == with_it);
    }
    assert_eq!(stop(child, out, Signal::TERM).0, Some(0));
    fs::remove_dir_all(here.join("running")).unwrap();
    assert_eq!(content(here).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(content(here) == before);
}

#[test]
fn a_start_that_hangs_ends_by_a_signal_in_time() {
    let folder = Folder::new("start-hangs");
    fs::create_dir(folder.path().join("stuck")).unwrap();
    // Whoever opens this to read waits until somebody writes, as for a disk that does not answer.
    let fifo = folder.path().join("stuck/meta.properties");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let settings = ["log.dirs=stuck", "milena.shutdown.timeout.ms=200"];
    // Where nobody reads what it says, it ends all the same.
    for is_heard in [true, false] {
        let mut child = serve(folder.path(), &settings).spawn().unwrap();
        let said = child.stderr.take().filter(|_| is_heard);
        let mut patience = (0..200).map(|_| std::thread::sleep(Duration::from_millis(50)));
        let begun = patience.by_ref().any(|()| has_signal(&child, "SigCgt", Signal::TERM));
        assert!(begun, "SIGTERM is never caught");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let ended = patience.find_map(|()| child.try_wait().unwrap());
        let _ = child.kill();
        assert_eq!(ended.expect("it goes on").code(), Some(1));
        let mut log = String::new();
        said.map(|mut said| said.read_to_string(&mut log).unwrap());
        let line = "milena: start and stop were not finished within milena.shut";
        assert_eq!(log.contains(line), is_heard, "{log}");
    }
}

#[test]
fn more_threads_than_the_machine_gives_are_told_by_their_key() {
    let folder = Folder::new("start-threads");
    let ended = Command::new("sh")
        .args(["-c", "ulimit -n 100; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_milena"), "serve"])
        .args(["--override", "listeners=PLAINTEXT://127.0.0.1:0"])
        .args(["--override", "num.network.threads=1000"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("1000 network threads") && said.contains("lower num.network"), "{said}");
}

#[test]
fn what_a_start_that_fails_had_opened_is_closed_again() {
    let folder = Folder::new("start-half");
    let here = folder.path();
    let both = "log.dirs=sound,damaged";
    let (child, out, _) = ready(&mut serve(here, &[both]));
    assert_eq!(stop(child, out, Signal::TERM).0, Some(0));
    fs::write(here.join("damaged/log-start-offset-checkpoint"), "bits").unwrap();
    let said = refused(here, &[both]);
    assert!(said.contains("log-start-offset-checkpoint is corrupt"), "{said}");
    assert!(said.contains("put a good copy in its place"), "{said}");
    let left = content(&here.join("sound"));
    assert!(left.keys().any(|path| path.ends_with(".kafka_cleanshutdown")));
    let is_journal = |path: &PathBuf| path.to_str().unwrap().contains("milena-journal");
    assert!(!left.keys().any(is_journal), "{:?}", left.keys());
}

#[test]
fn partitions_whose_metadata_are_lost_are_not_set_aside() {
    let folder = Folder::new("start-lost");
    let data = folder.path().join("milena-data");
    let (child, out, line) = ready(&mut serve(folder.path(), &[]));
    let address = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut client = Client::connect(address).unwrap();
    client.create_topic("t", 1, &[]);
    client.produce("t", 0, &batch(&["one"]));
    assert_eq!(stop(child, out, Signal::TERM).0, Some(0));
    fs::rename(data.join("__cluster_metadata-0"), folder.path().join("elsewhere")).unwrap();
    let said = refused(folder.path(), &[]);
    assert!(said.contains("holds t-0 but no metadata"), "{said}");
    assert!(said.contains("put __cluster_metadata-0 back"), "{said}");
    fs::rename(folder.path().join("elsewhere"), data.join("__cluster_metadata-0")).unwrap();
    let (child, out, line) = ready(&mut serve(folder.path(), &[]));
    let address = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let read = Client::connect(address).unwrap().read_all("t", 0, 0).unwrap();
    assert_eq!(read, [(0, b"one".to_vec())]);
    assert_eq!(stop(child, out, Signal::TERM).0, Some(0));
    fs::write(data.join("__cluster_metadata-0/quorum-state"), "bits").unwrap();
    let said = refused(folder.path(), &[]);
    assert!(said.contains("put a good copy of __cluster_metadata-0 in its place"), "{said}");
}

/// Every command that the README shows, as it stands there, in the folder of the broker.
#[test]
fn the_commands_of_the_readme_work() {
    let folder = Folder::new("start-readme");
    let (child, out, line) = ready(&mut serve(folder.path(), &[]));
    let address = line.split_whitespace().nth(1).unwrap();
    let readme = include_str!("../../../../README.md");
    let (_, block) = readme.split_once("cargo install --path crates/cli").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let commands: Vec<&str> = block.lines().skip(1).collect();
    assert!(commands.len() > 5);
    let binaries = Path::new(env!("CARGO_BIN_EXE_milena")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    for command in commands {
        let ended = Command::new("sh")
            .args(["-c", command])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("MILENA_BOOTSTRAP", address)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && !ended.stdout.is_empty(), "{command}: {said}");
    }
    assert_eq!(stop(child, out, Signal::TERM).0, Some(0));
}

#[test]
fn a_client_that_does_not_read_its_answer_keeps_no_log_from_being_closed() {
    let folder = Folder::new("start-deaf");
    let timeout = "milena.shutdown.timeout.ms=3000";
    let (child, out, line) = ready(&mut serve(folder.path(), &[timeout]));
    let address = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut client = Client::connect(address).unwrap();
    client.create_topic("t", 1, &[]);
    let large = batch(&[vec![7; 900_000]]);
    for _ in 0..30 {
        client.produce("t", 0, &large);
    }
    let mut fetch = fetch_request("t", 0, 0);
    (fetch.max_bytes, fetch.topics[0].partitions[0].partition_max_bytes) = (50 << 20, 50 << 20);
    client.send(ApiKey::Fetch, 12, &fetch).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (code, _, log) = stop(child, out, Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
    assert!(folder.path().join("milena-data/.kafka_cleanshutdown").exists());
}
