//! What a broker's answers cost at the least: a server that sends ranges of files by `sendfile`, as
//! many bytes at once as a reader of a broker asks for, and knows nothing of Kafka.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::Result;

/// As many bytes as [`crate::transactions::read`] asks for.
const ANSWER_BYTES: u64 = 1 << 20;

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
