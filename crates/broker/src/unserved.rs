//! Settings that ask for what is not served yet, and whose user would believe to have it: rules
//! that nobody asks, a cluster of several nodes, encryption, values that stand elsewhere. A start
//! is refused rather than begun without them. Settings that only make something slower or faster
//! are none of these.

use milena_config::{
    ServerConfig,
    server::{Listener, SecurityProtocol},
};

use crate::{error::StartError, log_directories::absolute};

const NO_POLICY: &str = "no policy is asked yet, so whoever may change topics may change them to \
                         anything; leave the key out where that is as it should be";

/// Whether all that is asked for is there; the first thing that is not.
pub(crate) fn refuse(config: &ServerConfig) -> Result<(), StartError> {
    let (node, quorum, logs) = (&config.node, &config.quorum, &config.logs);
    let is_encrypted = |it: &&Listener| it.protocol != SecurityProtocol::Plaintext;
    let encrypted = config.network.listeners.iter().find(is_encrypted);
    let lies = |directory: &String| absolute(directory).ok();
    let said = |key: &str| config.layers.fixed.get(key).map_or("", |value| value.trim());
    let refusals = [
        (
            encrypted.is_some(),
            "listeners",
            "encryption and logins are not served yet; let every listener be PLAINTEXT",
        ),
        (
            !node.authorizer.is_empty(),
            "authorizer.class.name",
            "no authorizer is asked yet, so everybody may do everything; leave the key out where \
             that is as it should be",
        ),
        (
            !(node.is_broker && node.is_controller),
            "process.roles",
            "a node is broker and controller in one so far; let it be broker,controller",
        ),
        (
            quorum.voters.len() > 1,
            "controller.quorum.voters",
            "a cluster is one node so far; leave the key out",
        ),
        (
            quorum.bootstrap_servers.len() > 1,
            "controller.quorum.bootstrap.servers",
            "a cluster is one node so far; leave the key out",
        ),
        (
            logs.directories.first().and_then(lies) != lies(&logs.metadata_directory),
            "metadata.log.dir",
            "the metadata lie in the first of log.dirs; name that directory first there",
        ),
        (
            !said("config.providers").is_empty(),
            "config.providers",
            "values are taken as they stand, with any ${...} in them; write them out, and leave \
             the key out",
        ),
        (
            !said("create.topic.policy.class.name").is_empty(),
            "create.topic.policy.class.name",
            NO_POLICY,
        ),
        (
            !said("alter.config.policy.class.name").is_empty(),
            "alter.config.policy.class.name",
            NO_POLICY,
        ),
        (
            said("remote.log.storage.system.enable").eq_ignore_ascii_case("true"),
            "remote.log.storage.system.enable",
            "tiered storage is not served yet: records that lie there would be missing; leave the \
             key out where there are none",
        ),
    ];
    match refusals.into_iter().find(|(is_asked, ..)| *is_asked) {
        Some((_, key, why)) => Err(StartError::NotServed { key, why }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod test {
    use milena_config::properties;

    use super::*;

    fn refused(text: &str) -> Option<String> {
        let entries = properties::parse(text.as_bytes()).unwrap();
        let (config, _) = ServerConfig::parse(&entries).unwrap();
        refuse(&config).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_not_served_is_refused_by_its_key_with_what_to_do() {
        for text in [
            "listeners=SSL://a:1",
            "listeners=SSL://a:1\ninter.broker.listener.name=SSL",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "process.roles=broker\ncontroller.quorum.bootstrap.servers=a:1",
            "process.roles=controller\nlisteners=CONTROLLER://:1\n\
             controller.listener.names=CONTROLLER",
            "controller.quorum.voters=1@a:1,2@b:1\ncontroller.listener.names=CONTROLLER",
            "controller.quorum.bootstrap.servers=a:1,b:1",
            "metadata.log.dir=/meta\nlog.dirs=/data",
            "config.providers=env\nlog.dirs=${env:DATA}",
            "create.topic.policy.class.name=org.example.Names",
            "alter.config.policy.class.name=org.example.Bounds",
            "remote.log.storage.system.enable=true",
        ] {
            let (key, _) = text.split_once('=').unwrap();
            let message = refused(text).unwrap();
            assert!(message.starts_with(&format!("{key}: ")), "{message}");
        }
    }

    #[test]
    fn one_node_is_served_whatever_it_is_called() {
        for text in [
            "",
            "controller.quorum.voters=1@localhost:9093",
            "controller.quorum.bootstrap.servers=localhost:9093",
            "metadata.log.dir=/data\nlog.dirs=/data,/more",
            "metadata.log.dir=data/\nlog.dirs=./data",
            "config.providers=\nremote.log.storage.system.enable=false",
        ] {
            assert_eq!(refused(text), None);
        }
    }
}
