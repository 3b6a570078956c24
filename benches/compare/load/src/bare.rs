//! What a broker's work costs at the least, by servers that know nothing of Kafka: one sends ranges
//! of files by `sendfile`, as many bytes at once as a reader of a broker asks for; one takes what
//! a busy producer sends, checks it and writes it.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use milena_protocol::records::crc32c;

use crate::Result;

/// As many bytes as [`crate::transactions::read`] asks for.
const ANSWER_BYTES: u64 = 1 << 20;
/// A batch of a busy producer, and how many it sends at once: one for each partition.
const BATCH_BYTES: usize = 64 << 10;
const BATCHES: usize = 12;
/// As many requests as a producer has under way.
const UNDER_WAY: usize = 5;
/// As long as the journal's ring becomes.
const RING_BYTES: u64 = 128 << 20;

/// Serves the files to one client after the other, for ever.
pub(crate) fn send(server: &str, paths: &[&str]) -> Result<()> {
    let files = paths.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
    let listener = TcpListener::bind(server)?;
    println!("ready");
    for stream in listener.incoming() {
        let mut stream = stream?;
        stream.set_nodelay(true)?;
        // Until the client has gone.
        while answer(&mut stream, &files).is_ok() {}
    }
    Ok(())
}

fn answer(stream: &mut TcpStream, files: &[File]) -> Result<()> {
    let mut asked = [0; 16];
    stream.read_exact(&mut asked)?;
    let [file, mut position] = [&asked[..8], &asked[8..]]
        .map(|bytes| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)));
    let file = files.get(file as usize).ok_or("no such file")?;
    let len = file.metadata()?.len().saturating_sub(position).min(ANSWER_BYTES);
    stream.write_all(&len.to_be_bytes())?;
    let end = position + len;
    while position < end {
        let left = (end - position) as usize;
        if rustix::fs::sendfile(&*stream, file, Some(&mut position), left)? == 0 {
            return Err("the file has become shorter".into());
        }
    }
    Ok(())
}

/// Reads all of so many files, so many times.
pub(crate) fn receive(server: &str, files: u64, times: usize) -> Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let began = Instant::now();
    let (mut bytes, mut answer) = (0, Vec::new());
    for _ in 0..times {
        for file in 0..files {
            let mut position = 0;
            loop {
                stream.write_all(&[file.to_be_bytes(), u64::to_be_bytes(position)].concat())?;
                let mut len = [0; 8];
                stream.read_exact(&mut len)?;
                answer.resize(u64::from_be_bytes(len) as usize, 0);
                stream.read_exact(&mut answer)?;
                if answer.is_empty() {
                    break;
                }
                position += answer.len() as u64;
            }
            bytes += position;
        }
    }
    println!("count {bytes} seconds {:.3}", began.elapsed().as_secs_f64());
    Ok(())
}

/// Receives requests from one client after the other, checks each batch and writes it to a file of
/// its own; `durably`, it is first written to a ring, with one sync, as the journal does it.
pub(crate) fn keep(server: &str, folder: &str, durably: bool) -> Result<()> {
    let folder = Path::new(folder);
    let named = |number| File::create(folder.join(format!("bare-{number}")));
    let files = (0..BATCHES).map(named).collect::<io::Result<Vec<_>>>()?;
    let ring = if durably { Some(File::create(folder.join("bare-ring"))?) } else { None };
    if let Some(ring) = &ring {
        let zeros = vec![0; 1 << 20];
        (0..RING_BYTES >> 20).try_for_each(|mib| ring.write_all_at(&zeros, mib << 20))?;
        ring.sync_data()?;
    }
    let listener = TcpListener::bind(server)?;
    println!("ready");
    let (mut request, mut requests) = (vec![0; BATCHES * BATCH_BYTES], 0);
    for stream in listener.incoming() {
        let mut stream = stream?;
        stream.set_nodelay(true)?;
        // Until the client has gone.
        while stream.read_exact(&mut request).is_ok() {
            let mut checksum = 0;
            for batch in request.chunks(BATCH_BYTES) {
                checksum ^= crc32c(batch);
            }
            if let Some(ring) = &ring {
                let len = request.len() as u64;
                ring.write_all_at(&request, requests % (RING_BYTES / len) * len)?;
                ring.sync_data()?;
            }
            for (file, batch) in files.iter().zip(request.chunks(BATCH_BYTES)) {
                file.write_all_at(batch, requests * BATCH_BYTES as u64)?;
            }
            requests += 1;
            stream.write_all(&checksum.to_be_bytes())?;
        }
    }
    Ok(())
}

/// Sends so many MiB, at so many a second.
pub(crate) fn give(server: &str, mib: usize, mib_per_second: f64) -> Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let request: Vec<u8> = (0..BATCHES * BATCH_BYTES).map(|at| (at * 7 % 251) as u8).collect();
    let requests = (mib << 20) / request.len();
    let began = Instant::now();
    let mut answer = [0; 4];
    for number in 0..requests + UNDER_WAY {
        if number < requests {
            let sent = (number * request.len()) as f64 / (1 << 20) as f64;
            let due = Duration::from_secs_f64(sent / mib_per_second);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            stream.write_all(&request)?;
        }
        if number >= UNDER_WAY {
            stream.read_exact(&mut answer)?;
        }
    }
    let kib = (requests * request.len()) >> 10;
    println!("kib {kib} seconds {:.3}", began.elapsed().as_secs_f64());
    Ok(())
}
