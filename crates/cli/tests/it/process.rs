//! A broker's process, and the folder that it keeps its data in.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::client::Client;

/// A folder of a test; it goes with the test, unless that fails.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    /// What it says itself about how long the start took.
    pub(crate) start_ms: u64,
}

impl Process {
    /// Starts a broker on what the folder holds, and waits until it is ready.
    pub(crate) fn start(folder: &Folder, settings: &[&str]) -> Self {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(folder.path().join("stderr"))
            .unwrap();
        let data = format!("log.dirs={}", folder.path().join("data").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
        command.arg("serve");
        let usual = [data.as_str(), "listeners=PLAINTEXT://127.0.0.1:0"];
        for setting in usual.iter().chain(settings) {
            command.args(["--override", setting]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["ready", address, .., start_ms, "ms"] = words[..] else {
            let log = fs::read_to_string(folder.path().join("stderr")).unwrap();
            panic!("not ready but {line:?}: {log}");
        };
        Self { child, address: address.parse().unwrap(), start_ms: start_ms.parse().unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL, after a while; nobody waits for it.
    pub(crate) fn kill_after(&self, while_: std::time::Duration) {
        let pid = rustix::process::Pid::from_child(&self.child);
        std::thread::spawn(move || {
            std::thread::sleep(while_);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        });
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGTERM, and how the process ends.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    /// The most memory, in KiB, that was resident since the peak was last forgotten.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What was resident before counts no more.
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
