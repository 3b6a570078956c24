//! Commands of the binary, run one after the other against a broker, as a transcript that is
//! compared with the one that was reviewed (`tests/snapshots`).
//!
//! `MILENA_SNAPSHOTS=write` writes them anew. With `MILENA_TEST_BOOTSTRAP` the commands go to that
//! cluster, an Apache Kafka say, whose words differ: then commands and exit codes are compared.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use milena_broker::{Embedded, embedded};

/// How long to wait for what comes sooner or later.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command in the background.
pub(crate) struct Background(Child);

impl Background {
    /// Interrupts it, as a person at the terminal does, and gives the code that it ends with.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Session {
    broker: Option<Embedded>,
    has_stopped: bool,
    /// Numbers are different every time, and only which there are is compared.
    numbers_vary: bool,
    bootstrap: String,
    folder: PathBuf,
    transcript: String,
    /// What is different every time, and what is written for it.
    names: Vec<(String, String)>,
}

impl Session {
    pub(crate) fn start(name: &str) -> Self {
        let folder = folder(name);
        let elsewhere = std::env::var("MILENA_TEST_BOOTSTRAP").ok();
        let broker = elsewhere.is_none().then(|| embedded().start().unwrap());
        Self::with(broker, elsewhere, folder)
    }

    /// A session with a broker whose data are there when it has stopped.
    pub(crate) fn kept(name: &str) -> Self {
        let folder = folder(name);
        let broker = embedded().directory(folder.join("data")).start().unwrap();
        Self::with(Some(broker), None, folder)
    }

    fn with(broker: Option<Embedded>, elsewhere: Option<String>, folder: PathBuf) -> Self {
        let bootstrap = elsewhere.or_else(|| Some(broker.as_ref()?.bootstrap())).unwrap();
        let mut names = vec![(bootstrap.clone(), "BROKER".to_owned())];
        if let Some(broker) = &broker {
            names.push((broker.directory().display().to_string(), "DATA".to_owned()));
        }
        names.push((folder.display().to_string(), "FOLDER".to_owned()));
        let (has_stopped, numbers_vary) = (false, false);
        Self {
            broker,
            has_stopped,
            numbers_vary,
            bootstrap,
            folder,
            transcript: String::new(),
            names,
        }
    }

    /// A folder of this session's own.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// From here on only which numbers there are is compared.
    pub(crate) fn numbers_vary(&mut self) {
        self.numbers_vary = true;
    }

    /// Stops the broker.
    pub(crate) fn stop(&mut self) {
        self.broker.take().unwrap().stop().unwrap();
        self.has_stopped = true;
    }

    /// Runs a command, and notes all that it says.
    pub(crate) fn run(&mut self, line: &str) -> String {
        self.run_with(line, b"")
    }

    /// The same with something on its standard input.
    pub(crate) fn run_with(&mut self, line: &str, input: &[u8]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
        command.env("MILENA_BOOTSTRAP", &self.bootstrap).env("COLUMNS", "100");
        let words = line.split(' ').filter(|word| !word.is_empty());
        command.args(words.map(|word| word.replace('␣', " ")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end before it has read all, or any of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().unwrap();
        self.transcript.push_str(&format!("$ milena {line}\n{out}{said}"));
        if !self.transcript.ends_with('\n') {
            self.transcript.push('\n');
        }
        if code != 0 {
            self.transcript.push_str(&format!("[exit {code}]\n"));
        }
        self.transcript.push('\n');
        out
    }

    /// Starts a command that goes on in the background; its output goes nowhere.
    pub(crate) fn begin(&mut self, line: &str) -> Background {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
        command.env("MILENA_BOOTSTRAP", &self.bootstrap).args(line.split(' '));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.transcript.push_str(&format!("$ milena {line} &\n\n"));
        Background(command.spawn().unwrap())
    }

    /// Runs a command again and again, without a trace, until what it says is what was waited for.
    pub(crate) fn until(&mut self, line: &str, is_it: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !is_it(&self.quietly(line)) {
            assert!(began.elapsed() < PATIENCE, "{line}: {}", self.quietly(line));
        }
    }

    /// Runs a command that shall not be in the transcript.
    pub(crate) fn quietly(&mut self, line: &str) -> String {
        let before = self.transcript.len();
        let out = self.run(line);
        self.transcript.truncate(before);
        out
    }

    /// What a command said, with other words for what is different every time. Those are not as
    /// long, so columns do not stand under each other any more.
    fn renamed(&self, said: &str) -> String {
        let (line, out) = said.split_once('\n').unwrap_or((said, ""));
        let rename = |text: &str| {
            let names = self.names.iter();
            names.fold(text.to_owned(), |text, (what, name)| text.replace(what, name))
        };
        let mut renamed = rename(out);
        if self.numbers_vary {
            let digits = |c: char| c.is_ascii_digit() || c == '.';
            let (said, exit) = renamed.split_at(renamed.rfind("[exit").unwrap_or(renamed.len()));
            let words = said.split_inclusive(|c: char| !digits(c)).map(|word| {
                match word.starts_with(|c: char| c.is_ascii_digit()) {
                    true => "N".to_owned() + word.trim_start_matches(digits),
                    false => word.to_owned(),
                }
            });
            renamed = words.collect::<String>() + exit;
        }
        if renamed != out && !out.starts_with(['{', '[']) {
            while renamed.contains("   ") {
                renamed = renamed.replace("   ", "  ");
            }
        }
        rename(line) + "\n" + &renamed
    }

    /// Compares the transcript with the reviewed one.
    pub(crate) fn check(self, snapshot: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/snapshots")
            .join(format!("{snapshot}.txt"));
        let commands = self.transcript.split_inclusive("\n\n$ ");
        let commands = commands.map(|command| self.renamed(command));
        let text = normalised(&commands.collect::<String>());
        if std::env::var("MILENA_SNAPSHOTS").as_deref() == Ok("write") {
            fs::write(&path, &text).unwrap();
        }
        let reviewed = fs::read_to_string(&path).unwrap_or_default();
        if self.broker.is_some() || self.has_stopped {
            assert!(text == reviewed, "{}", difference(&reviewed, &text));
        } else {
            let outcome = |text: &str| -> Vec<String> {
                let told =
                    text.lines().filter(|it| it.starts_with("$ ") || it.starts_with("[exit"));
                told.map(str::to_owned).collect()
            };
            assert_eq!(outcome(&text), outcome(&reviewed), "{text}");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder for a session.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("session-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The first line that differs, and what surrounds it.
fn difference(reviewed: &str, text: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (reviewed.lines().collect(), text.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    format!(
        "line {} differs:\n reviewed: {:?}\n now:      {:?}\n\nall of it now:\n{text}\n\
         MILENA_SNAPSHOTS=write keeps it",
        same + 1,
        old.get(same),
        new.get(same),
    )
}

/// Ids and times are different every time, but as long.
fn normalised(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || "-_.:".contains(c) {
            word.push(c);
            continue;
        }
        out.push_str(&masked(&word));
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

fn masked(word: &str) -> String {
    if let Some(rest) = word.strip_prefix(':') {
        return ":".to_owned() + &masked(rest);
    }
    let is_time = word.len() == 24
        && word.ends_with('Z')
        && word.get(10..11) == Some("T")
        && word.bytes().filter(u8::is_ascii_digit).count() == 17;
    let is_stamp = word.len() == 13
        && word.starts_with("17") | word.starts_with("18")
        && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = word.len() == 22
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_uppercase())
        && word.bytes().any(|byte| byte.is_ascii_lowercase());
    // A member's id.
    let is_member = word.len() > 36
        && word
            .get(word.len() - 36..)
            .is_some_and(|uuid| uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
    // A free byte count, or another large number of the machine.
    let is_large = word.len() >= 10 && word.bytes().all(|byte| byte.is_ascii_digit());
    if is_time {
        "TIME".to_owned() + &" ".repeat(20)
    } else if is_stamp {
        "STAMP........".to_owned()
    } else if is_member {
        word.get(..word.len() - 36).unwrap_or_default().to_owned() + &"#".repeat(36)
    } else if is_id {
        "ID....................".to_owned()
    } else if is_large {
        "####".to_owned()
    } else {
        word.to_owned()
    }
}
