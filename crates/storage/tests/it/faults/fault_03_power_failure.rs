//! Power failure of one node and of all at once (faults 3 and 4) as a log directory sees them: what
//! was durable is there, at its offset, with its bytes; what was not is whole or gone.

use super::{
    check, for_each_seed,
    history::{History, World},
    machine::Machine,
    workload::Mix,
};

const MIX: Mix = Mix {
    topics: &["orders", "payments", "shipments"],
    steps: 60,
    cuts: true,
    deletes_topics: true,
};

/// One life of the directory: work, a power failure somewhere in it, recovery.
fn live_and_crash(machine: &mut Machine, world: World) -> World {
    let seed = machine.seed;
    let mut history = History::starting_with(world);
    let directory = machine.recover();
    check::whole(seed, &directory, history.now());
    let count = machine.random.below(150);
    machine.disk.crash_after(count);
    let goes_on = machine.work(&directory, &mut history, MIX);
    if goes_on && machine.random.chance(1, 2) && directory.close(1).is_ok() {
        history.all_durable();
    }
    history.observe(|topic| Some(directory.log(&crate::rig::partition(topic))?.durable_end().0));
    history.tell();
    drop(directory);
    // Now and then only the process dies, and the power fails later.
    if machine.random.chance(1, 5) {
        machine.kill();
    } else {
        machine.crash();
    }
    let directory = machine.recover();
    check::survivor(seed, &directory, &history)
}

#[test]
fn fault_03_power_failure_loses_nothing_durable_and_tears_nothing() {
    // The last one empties a log whose epochs are still in their file.
    for_each_seed((0..500).chain([2918]), |seed| {
        let mut machine = Machine::new(seed);
        let mut world = World::new();
        for _ in 0..2 {
            world = live_and_crash(&mut machine, world);
            machine.crash();
        }
        // Life goes on, and a clean stop changes nothing.
        let mut history = History::starting_with(world);
        let directory = machine.recover();
        machine.work(&directory, &mut history, MIX);
        directory.close(2).unwrap_or_else(|error| panic!("seed {seed}: clean stop: {error}"));
        drop(directory);
        history.tell();
        machine.crash();
        let directory = machine.open().unwrap();
        check::whole(seed, &directory, history.now());
    });
}
