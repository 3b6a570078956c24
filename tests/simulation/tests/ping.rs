//! Two hosts talk through the facade, over a network that delays and once parts them. It proves
//! that what the broker is written against runs in the simulation, and the same way each time.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use milena_env::{
    Clock, Disk, SimulatedClock, SimulatedDisk,
    disk::Open,
    net::{TcpStream, accept, connect, listen},
    timer::{sleep, timeout},
};
use milena_simulation::{EPOCH, world};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PINGS: u8 = 20;

/// When each ping came back, on the client's clock, or that it did not in time.
type Trace = Vec<(u8, Duration, bool)>;

/// Writes down each ping, durably, before it answers.
async fn serve(disk: Arc<dyn Disk>) -> io::Result<()> {
    let listener = listen("0.0.0.0:9092").await?;
    loop {
        let (mut stream, _) = accept(&listener).await?;
        let file = disk.open(Path::new("/pings"), Open::Create)?;
        tokio::task::spawn_local(async move {
            let mut ping = [0];
            while stream.read_exact(&mut ping).await.is_ok() {
                file.write_all_at(&[IoSlice::new(&ping)], file.size()?)?;
                file.sync_data()?;
                stream.write_all(&ping).await?;
            }
            io::Result::Ok(())
        });
    }
}

async fn ping(stream: &mut TcpStream, number: u8) -> io::Result<()> {
    stream.write_all(&[number]).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, [number]);
    Ok(())
}

async fn ask(trace: &RefCell<Trace>) -> io::Result<()> {
    let mut stream = connect("server:9092").await?;
    for number in 0..PINGS {
        if number == PINGS / 2 {
            turmoil::partition("client", "server");
        }
        let mut answer = timeout(Duration::from_secs(1), ping(&mut stream, number)).await;
        let answered_at_once = answer.is_some();
        if answer.is_none() {
            turmoil::repair("client", "server");
            stream = connect("server:9092").await?;
            answer = Some(ping(&mut stream, number).await);
        }
        answer.unwrap()?;
        trace.borrow_mut().push((number, SimulatedClock.monotonic(), answered_at_once));
        sleep(Duration::from_millis(10)).await;
    }
    let wall = Duration::from_millis(SimulatedClock.now_ms().try_into().unwrap());
    assert!(wall > EPOCH && wall < EPOCH + Duration::from_secs(60));
    Ok(())
}

/// Runs the story once: when the pings came back, what was written down, and the disk's trace.
fn run(seed: u64) -> (Trace, Vec<u8>, u64) {
    let disk = SimulatedDisk::new(seed);
    let trace = Rc::new(RefCell::new(Trace::new()));
    let mut world = world(seed).build();
    world.host("server", {
        let disk = Arc::clone(&disk);
        move || {
            let disk: Arc<dyn Disk> = disk.clone();
            async { Ok(serve(disk).await?) }
        }
    });
    world.client("client", {
        let trace = Rc::clone(&trace);
        async move { Ok(ask(&trace).await?) }
    });
    world.run().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let after: Arc<dyn Disk> = disk.crash();
    (trace.take(), after.read(Path::new("/pings")).unwrap(), disk.trace())
}

#[test]
fn pings_come_back_and_each_that_did_was_written_down() {
    for seed in 0..20 {
        let (trace, written, _) = run(seed);
        assert_eq!(trace.len(), usize::from(PINGS), "seed {seed}");
        assert!((0..PINGS).all(|number| written.contains(&number)), "seed {seed}: {written:?}");
        let late: Vec<u8> = trace.iter().filter(|(_, _, at_once)| !at_once).map(|t| t.0).collect();
        assert_eq!(late, [PINGS / 2], "seed {seed}: only the partition holds one up");
    }
}

#[test]
fn the_same_seed_runs_the_same_way() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
}
