//! Members of classic groups: how they join, beat, and settle again when one of them leaves.

use std::{
    thread,
    time::{Duration, Instant},
};

use milena_protocol::api::{
    ApiKey, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
    join_group::request::JoinGroupRequestProtocol, leave_group::request::MemberIdentity,
    sync_group::request::SyncGroupRequestAssignment,
};

use crate::{
    Result,
    client::{Client, name},
};

struct Member {
    client: Client,
    group: String,
    id: String,
    generation: i32,
    /// Of all members, where it leads.
    led: Vec<String>,
    /// Bytes that each member is assigned: as many as the partitions' numbers take.
    assignment_bytes: usize,
}

impl Member {
    fn ask_to_join(&mut self) -> Result<()> {
        let request = JoinGroupRequest {
            group_id: &self.group,
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            member_id: &self.id,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: &[0; 24] }],
            ..Default::default()
        };
        self.client.send(ApiKey::JoinGroup, 9, &request)
    }

    /// Whether it is in a generation; else it is to ask again.
    fn hear_of_joining(&mut self) -> Result<bool> {
        let answer: JoinGroupResponse<'_> = self.client.receive(ApiKey::JoinGroup, 9)?;
        let id = answer.member_id.to_owned();
        let generation = answer.generation_id;
        let led = answer.members.iter().map(|member| member.member_id.to_owned()).collect();
        match name(answer.error_code) {
            "NONE" => (self.id, self.generation, self.led) = (id, generation, led),
            "MEMBER_ID_REQUIRED" => {
                self.id = id;
                return Ok(false);
            }
            "COORDINATOR_LOAD_IN_PROGRESS" | "NOT_COORDINATOR" => return Ok(false),
            other => return Err(format!("joining: {other}").into()),
        }
        Ok(true)
    }

    fn ask_to_sync(&mut self) -> Result<()> {
        let assignment = vec![0; self.assignment_bytes];
        let assign = |member_id| SyncGroupRequestAssignment { member_id, assignment: &assignment };
        let request = SyncGroupRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: self.led.iter().map(|id| assign(id.as_str())).collect(),
            ..Default::default()
        };
        self.client.send(ApiKey::SyncGroup, 5, &request)
    }

    fn hear_of_syncing(&mut self) -> Result<bool> {
        let answer: SyncGroupResponse<'_> = self.client.receive(ApiKey::SyncGroup, 5)?;
        match name(answer.error_code) {
            "NONE" => Ok(true),
            "REBALANCE_IN_PROGRESS" => Ok(false),
            other => Err(format!("syncing: {other}").into()),
        }
    }

    fn beat(&mut self) -> Result<()> {
        let request = HeartbeatRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            ..Default::default()
        };
        self.client.send(ApiKey::Heartbeat, 4, &request)
    }

    /// Whether nothing has changed.
    fn hear_of_beating(&mut self) -> Result<bool> {
        let answer: HeartbeatResponse = self.client.receive(ApiKey::Heartbeat, 4)?;
        match name(answer.error_code) {
            "NONE" => Ok(true),
            "REBALANCE_IN_PROGRESS" => Ok(false),
            other => Err(format!("beating: {other}").into()),
        }
    }
}

/// Members of groups, all of them stable.
fn members(server: &str, groups: usize, each: usize, partitions: usize) -> Result<Vec<Member>> {
    Client::connect(server)?.topic("load", partitions)?;
    let mut members = Vec::new();
    for number in 0..groups * each {
        let group = format!("members-{}", number % groups);
        let mut client = Client::connect(server)?;
        if number < groups {
            client.find(&group)?;
        }
        let assignment_bytes = 20 + 4 * partitions / each;
        let (id, led) = (String::new(), Vec::new());
        members.push(Member { client, group, id, generation: -1, led, assignment_bytes });
    }
    settle(&mut members.iter_mut().collect::<Vec<_>>())?;
    Ok(members)
}

/// All of them join and sync until nobody has to again.
fn settle(members: &mut [&mut Member]) -> Result<()> {
    let mut away: Vec<usize> = (0..members.len()).collect();
    while !away.is_empty() {
        away.iter().try_for_each(|at| members[*at].ask_to_join())?;
        let mut joined = Vec::new();
        let mut again = Vec::new();
        for at in away {
            let is_in = members[at].hear_of_joining()?;
            if is_in { joined.push(at) } else { again.push(at) }
        }
        joined.iter().try_for_each(|at| members[*at].ask_to_sync())?;
        for at in joined {
            if !members[at].hear_of_syncing()? {
                again.push(at);
            }
        }
        away = again;
    }
    Ok(())
}

/// Heartbeats, as many as go.
pub(crate) fn beat(
    server: &str,
    time: Duration,
    groups: usize,
    each: usize,
    partitions: usize,
) -> Result<()> {
    const THREADS: usize = 4;
    let mut all = members(server, groups, each, partitions)?;
    let share = all.len().div_ceil(THREADS);
    let began = Instant::now();
    let mut count = 0;
    thread::scope(|scope| {
        let workers: Vec<_> = all
            .chunks_mut(share)
            .map(|share| {
                scope.spawn(move || -> Result<usize> {
                    let mut count = 0;
                    while began.elapsed() < time {
                        share.iter_mut().try_for_each(Member::beat)?;
                        for member in share.iter_mut() {
                            if !member.hear_of_beating()? {
                                return Err("a rebalance in between".into());
                            }
                        }
                        count += share.len();
                    }
                    Ok(count)
                })
            })
            .collect();
        for worker in workers {
            count += worker.join().map_err(|_| "a thread panicked")??;
        }
        Result::Ok(())
    })?;
    println!("count {count} per_second {:.0}", count as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

/// One of them leaves: how long until all others know what they have? The others ask every 20 ms
/// whether something has changed, as no client does, so that the coordinator's share shows.
pub(crate) fn rebalance(server: &str, each: usize, partitions: usize) -> Result<()> {
    const TIMES: usize = 5;
    let mut all = members(server, 1, each + TIMES, partitions)?;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let mut leaver = all.pop().ok_or("nobody is left")?;
        let who = MemberIdentity { member_id: &leaver.id, ..Default::default() };
        let request =
            LeaveGroupRequest { group_id: &leaver.group, members: vec![who], ..Default::default() };
        let began = Instant::now();
        let _: LeaveGroupResponse<'_> = leaver.client.call(ApiKey::LeaveGroup, 5, &request)?;
        loop {
            all.iter_mut().try_for_each(Member::beat)?;
            let mut is_over = true;
            for member in &mut all {
                is_over &= !member.hear_of_beating()?;
            }
            if is_over {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        settle(&mut all.iter_mut().collect::<Vec<_>>())?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    println!(
        "members {each} partitions {partitions} milliseconds {:.1}",
        took[TIMES / 2].as_secs_f64() * 1e3
    );
    Ok(())
}
