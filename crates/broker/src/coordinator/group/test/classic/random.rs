//! Members that do whatever they like: join, assign anything, freeze, die, come back under their
//! name, change their minds; and a coordinator that starts anew now and then.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_env::Random;

use super::{
    Answer, GroupError, Groups, HeartbeatRequest, JoinAnswer, JoinRequest, Joined, Leaving, Rig,
    SyncAnswer, SyncRequest, T, U, consumer, seconds, synced,
};
use crate::coordinator::test::replayed;

const SEEDS: u64 = 300;
const STEPS: usize = 250;
const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(30);

/// A client, as long as its user wants it.
#[derive(Default)]
struct Client {
    instance_id: Option<String>,
    is_old: bool,
    is_frozen: bool,
    member_id: String,
    /// Where it believes to be, once it has joined.
    joined: Option<Joined>,
    assignment: Option<Vec<u8>>,
    waits: Waits,
    since: Duration,
    flavour: u64,
}

#[derive(Default)]
enum Waits {
    #[default]
    No,
    ToJoin(Answer<JoinAnswer>),
    ToSync(Answer<SyncAnswer>),
    /// The answer is there, and the client has not looked at it yet.
    Joined(JoinAnswer),
    Synced(SyncAnswer),
}

impl Waits {
    fn is_open(&self) -> bool {
        match self {
            Self::No | Self::Joined(_) | Self::Synced(_) => false,
            Self::ToJoin(answer) => answer.is_open(),
            Self::ToSync(answer) => answer.is_open(),
        }
    }
}

struct World {
    rig: Rig,
    random: Random,
    clients: Vec<Client>,
    /// To whom an id was given.
    owners: BTreeMap<String, usize>,
    /// Who leads a generation since the coordinator began.
    leaders: BTreeMap<i32, usize>,
    /// By which word of a leader a generation lives.
    words: BTreeMap<i32, Vec<u8>>,
    last_word: u64,
}

#[test]
fn whatever_members_do_a_generation_is_one_and_the_group_settles() {
    for seed in 0..SEEDS {
        let story = std::panic::catch_unwind(|| World::new(seed).live());
        assert!(story.is_ok(), "seed {seed}");
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        let client = |place: u64| Client {
            instance_id: (place % 3 == 1).then(|| format!("i{place}")),
            is_old: place % 4 == 3,
            ..Default::default()
        };
        Self {
            rig: Rig::new(&[]),
            clients: (0..1 + random.below(6)).map(client).collect(),
            random,
            owners: BTreeMap::new(),
            leaders: BTreeMap::new(),
            words: BTreeMap::new(),
            last_word: 0,
        }
    }

    fn live(mut self) {
        for _ in 0..STEPS {
            let who = self.random.below(self.clients.len() as u64) as usize;
            match self.random.below(40) {
                0 => self.reload(),
                1 => self.clients[who].is_frozen ^= true,
                2 => self.restart(who),
                3 => self.leave(who),
                4 => self.clients[who].flavour = self.random.below(4),
                5 => self.clients[who].joined = None,
                // Its connection breaks.
                6 => self.clients[who].waits = Waits::No,
                7..20 => {
                    let time = Duration::from_millis(self.random.below(4_000));
                    self.pass(time);
                }
                _ => self.act(who),
            }
            self.check();
        }
        self.settle();
        self.end();
    }

    fn pass(&mut self, time: Duration) {
        self.rig.passes(time);
        self.hear();
        if self.rig.core.get("g").is_none() {
            self.leaders.clear();
            self.words.clear();
        }
    }

    fn reload(&mut self) {
        // What was not answered never will be.
        for client in &mut self.clients {
            if client.waits.is_open() {
                client.waits = Waits::No;
            }
        }
        self.rig.reload();
        self.leaders.clear();
    }

    fn restart(&mut self, who: usize) {
        let Client { instance_id, is_old, flavour, .. } = std::mem::take(&mut self.clients[who]);
        self.clients[who] = Client { instance_id, is_old, flavour, ..Default::default() };
    }

    fn leave(&mut self, who: usize) {
        let client = &self.clients[who];
        let instance_id = client.instance_id.as_deref();
        let leaving = [Leaving { member_id: &client.member_id, instance_id, reason: "" }];
        self.rig.happens(|groups, scene| groups.leave("g", &leaving, scene)).unwrap();
        self.restart(who);
    }

    /// The client does what clients do next.
    fn act(&mut self, who: usize) {
        if self.clients[who].is_frozen {
            return;
        }
        match std::mem::take(&mut self.clients[who].waits) {
            Waits::No => self.ask(who),
            Waits::Joined(Ok(joined)) => {
                let client = &mut self.clients[who];
                client.member_id = joined.member_id.to_string();
                client.joined = Some(joined);
            }
            Waits::Synced(Ok(synced)) => {
                self.clients[who].assignment = Some(synced.assignment.to_vec());
            }
            Waits::Joined(Err(refused)) => {
                self.was_refused(who, &refused.member_id, &refused.error);
            }
            Waits::Synced(Err(error)) => {
                let member_id = self.clients[who].member_id.clone();
                self.was_refused(who, &member_id, &error);
            }
            waits => self.clients[who].waits = waits,
        }
    }

    /// Answers are judged when they are given, not when somebody looks at them.
    fn hear(&mut self) {
        for who in 0..self.clients.len() {
            match &mut self.clients[who].waits {
                Waits::ToJoin(answer) => {
                    if let Some(told) = answer.take() {
                        if let Ok(joined) = &told {
                            self.has_joined(who, joined);
                        }
                        self.clients[who].waits = Waits::Joined(told);
                    }
                }
                Waits::ToSync(answer) => {
                    if let Some(told) = answer.take() {
                        if let Ok(synced) = &told {
                            self.has_synced(who, &synced.assignment);
                        }
                        self.clients[who].waits = Waits::Synced(told);
                    }
                }
                _ => {}
            }
        }
    }

    fn ask(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.since = self.rig.now.elapsed;
        let instance_id = client.instance_id.as_deref();
        let Some(joined) = &client.joined else {
            let metadata = if client.flavour % 2 == 0 { T } else { U };
            let one = [("range", metadata), ("sticky", metadata)];
            let other = [("sticky", metadata), ("range", metadata), ("own", metadata)];
            let request = JoinRequest {
                member_id: &client.member_id,
                instance_id,
                session_timeout_ms: SESSION.as_millis() as i32,
                rebalance_timeout_ms: REBALANCE.as_millis() as i32,
                protocols: if client.flavour < 2 { one.to_vec() } else { other.to_vec() },
                requires_member_id: !client.is_old,
                supports_skip_assignment: !client.is_old,
                ..consumer()
            };
            client.assignment = None;
            client.waits = Waits::ToJoin(self.rig.join(&request));
            return;
        };
        if client.assignment.is_none() {
            let mut request = SyncRequest {
                instance_id,
                protocol: joined.protocol.as_deref(),
                ..synced(&client.member_id, joined.generation)
            };
            self.last_word += 1;
            let word = self.last_word.to_string().into_bytes();
            if !joined.members.is_empty() && !joined.skip_assignment {
                request.assignments = joined.members.iter().map(|it| (&*it.id, &*word)).collect();
            }
            client.waits = Waits::ToSync(self.rig.sync(&request));
            return;
        }
        let request = HeartbeatRequest {
            group: "g",
            member_id: &client.member_id,
            instance_id,
            generation: joined.generation,
        };
        let told = self.rig.happens(|groups, scene| groups.heartbeat(&request, scene));
        if let Err(error) = told {
            let member_id = client.member_id.clone();
            self.was_refused(who, &member_id, &error);
        }
    }

    fn has_joined(&mut self, who: usize, joined: &Joined) {
        let generation = joined.generation;
        self.owners.insert(joined.member_id.to_string(), who);
        let last = self.words.keys().next_back().copied().unwrap_or_default();
        assert!(generation >= last, "generation {generation} after {last}");
        // Who cannot be told not to assign is given the name of the leader that it was before.
        let leader = joined.leader.as_deref().unwrap();
        if let Some(leader) = self.owners.get(leader) {
            assert_eq!(self.leaders.entry(generation).or_insert(*leader), leader);
        }
    }

    fn has_synced(&mut self, who: usize, assignment: &[u8]) {
        let generation = self.clients[who].joined.as_ref().unwrap().generation;
        let last = self.words.last_entry().map_or(0, |word| *word.key());
        assert!(generation >= last, "generation {generation} lives after {last}");
        // A member of which the leader did not know yet gets nothing.
        if !assignment.is_empty() {
            let word = self.words.entry(generation).or_insert_with(|| assignment.to_vec());
            assert_eq!(*word, assignment, "two leaders spoke in generation {generation}");
        }
    }

    fn was_refused(&mut self, who: usize, member_id: &str, error: &GroupError) {
        let client = &mut self.clients[who];
        client.joined = None;
        match error {
            GroupError::MemberIdRequired(given) => {
                assert_eq!(given, member_id);
                self.owners.insert(given.clone(), who);
                client.member_id = given.clone();
            }
            GroupError::UnknownMemberId(_) | GroupError::FencedInstanceId(_) => {
                client.member_id.clear();
            }
            GroupError::RebalanceInProgress | GroupError::IllegalGeneration => {}
            error => panic!("{error}"),
        }
    }

    /// What holds at any time.
    fn check(&mut self) {
        self.hear();
        let now = self.rig.now.elapsed;
        for client in &self.clients {
            let is_late = now - client.since > SESSION + REBALANCE;
            assert!(!is_late || !client.waits.is_open(), "somebody waits for ever");
        }
        // What the log says of a stable group is what the group is.
        if self.rig.state() == "Stable" {
            let last = self.rig.log.last().unwrap();
            let replayed: Groups = replayed(std::slice::from_ref(last)).unwrap();
            let replayed = replayed.get("g").unwrap().classic().unwrap().describe();
            assert_eq!(replayed, self.rig.described());
        }
    }

    /// All is calm: nobody freezes, nobody goes.
    fn settle(&mut self) {
        for client in &mut self.clients {
            client.is_frozen = false;
        }
        for _ in 0..200 {
            for who in 0..self.clients.len() {
                self.act(who);
            }
            self.check();
            self.pass(Duration::from_millis(500));
        }
        assert_eq!(self.rig.state(), "Stable");
        let described = self.rig.described();
        let mut ids: Vec<Arc<str>> =
            described.members.iter().map(|it| Arc::from(&*it.id)).collect();
        ids.sort();
        let mut own: Vec<Arc<str>> =
            self.clients.iter().map(|it| Arc::from(it.member_id.as_str())).collect();
        own.sort();
        assert_eq!(ids, own);
        self.rig.reload();
        for client in &self.clients {
            let generation = client.joined.as_ref().unwrap().generation;
            assert_eq!(client.assignment.as_ref(), self.words.get(&generation));
            self.rig.beat(&client.member_id, generation).unwrap();
        }
    }

    /// All die, and nothing is left of them.
    fn end(&mut self) {
        self.clients.clear();
        self.rig.passes(seconds(60));
        assert_eq!(self.rig.state(), "Empty");
        self.rig.passes(seconds(1_200));
        assert_eq!(self.rig.core.iter().count(), 0);
        self.rig.reload();
        assert_eq!(self.rig.core.iter().count(), 0);
    }
}
