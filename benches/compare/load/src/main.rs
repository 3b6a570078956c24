//! Load on a broker, mostly on its coordinators, spoken in Kafka's protocol over blocking sockets,
//! so that the load itself costs little. Prints one line of figures.
//!
//!     milena-load SERVER commits SECONDS CONNECTIONS
//!     milena-load SERVER heartbeats SECONDS GROUPS MEMBERS_EACH PARTITIONS
//!     milena-load SERVER rebalance MEMBERS PARTITIONS
//!     milena-load SERVER fill GROUPS PARTITIONS_EACH
//!     milena-load SERVER loaded GROUP
//!     milena-load SERVER first
//!     milena-load SERVER transactions SECONDS CONNECTIONS RECORDS_EACH
//!     milena-load SERVER read all|committed TIMES [TOPIC]
//!     milena-load SERVER ids COUNT
//!     milena-load SERVER ids-loaded COUNT
//!     milena-load ADDRESS send FILE...
//!     milena-load ADDRESS receive FILES TIMES
//!     milena-load ADDRESS keep FOLDER lazily|durably
//!     milena-load ADDRESS give MIB MIB_PER_SECOND

#![allow(clippy::disallowed_methods, reason = "no broker: its clock and sockets are the machine's")]

mod bare;
mod client;
mod commits;
mod first;
mod latencies;
mod members;
mod transactions;

use std::{env, error::Error, time::Duration};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>();
    let seconds = |text: &str| text.parse().map(Duration::from_secs_f64);
    match *words {
        [server, "commits", time, connections] => {
            commits::commit(server, seconds(time)?, number(connections)?)
        }
        [server, "heartbeats", time, groups, members, partitions] => members::beat(
            server,
            seconds(time)?,
            number(groups)?,
            number(members)?,
            number(partitions)?,
        ),
        [server, "rebalance", members, partitions] => {
            members::rebalance(server, number(members)?, number(partitions)?)
        }
        [server, "fill", groups, partitions] => {
            commits::fill(server, number(groups)?, number(partitions)?)
        }
        [server, "loaded", group] => commits::wait_until_loaded(server, group),
        [server, "transactions", time, connections, records] => {
            transactions::commit(server, seconds(time)?, number(connections)?, number(records)?)
        }
        [server, "read", what, times] => {
            transactions::read(server, transactions::TOPIC, what == "committed", number(times)?)
        }
        [server, "read", what, times, topic] => {
            transactions::read(server, topic, what == "committed", number(times)?)
        }
        [address, "send", ref files @ ..] => bare::send(address, files),
        [address, "receive", files, times] => {
            bare::receive(address, files.parse()?, number(times)?)
        }
        [address, "keep", folder, how] => bare::keep(address, folder, how == "durably"),
        [address, "give", mib, rate] => bare::give(address, number(mib)?, rate.parse()?),
        [server, "ids", count] => transactions::ids(server, number(count)?),
        [server, "ids-loaded", count] => transactions::wait_until_loaded(server, number(count)?),
        [server, "first"] => first::first(server),
        _ => Err("see the head of src/main.rs for what can be asked".into()),
    }
}
