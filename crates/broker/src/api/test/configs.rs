//! Settings: seen, changed, in force, and seen again.

use milena_protocol::api::{
    AlterConfigsRequest, ApiKey, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest,
    alter_configs::request as old,
    describe_configs::request::DescribeConfigsResource,
    incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig},
};
use serde_json::{Value, json};

use super::Rig;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn describe(rig: &mut Rig, kind: i8, name: &str, keys: &[&'static str]) -> Value {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name,
        configuration_keys: Some(keys.to_vec()),
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    rig.ask(ApiKey::DescribeConfigs, &request)["results"][0].clone()
}

fn set(rig: &mut Rig, kind: i8, name: &str, key: &str, value: Option<&str>) -> Value {
    let config = AlterableConfig { name: key, config_operation: i8::from(value.is_none()), value };
    let resource =
        AlterConfigsResource { resource_type: kind, resource_name: name, configs: vec![config] };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    rig.ask(ApiKey::IncrementalAlterConfigs, &request)["responses"][0].clone()
}

#[test]
fn a_topics_setting_is_seen_with_where_it_comes_from() {
    let mut rig = Rig::start("log.retention.ms=5000");
    rig.create_topic("t");
    let inherited = describe(&mut rig, TOPIC, "t", &["retention.ms"]);
    let config = &inherited["configs"][0];
    assert_eq!((&config["value"], &config["configSource"]), (&json!("5000"), &json!(4)));
    assert_eq!(set(&mut rig, TOPIC, "t", "retention.ms", Some("7000"))["errorCode"], 0);
    let own = describe(&mut rig, TOPIC, "t", &["retention.ms"]);
    let config = &own["configs"][0];
    assert_eq!((&config["value"], &config["configSource"]), (&json!("7000"), &json!(1)));
    assert_eq!(config["synonyms"][1]["value"], "5000");
    assert_eq!(own["configs"].as_array().unwrap().len(), 1);
    let bad = set(&mut rig, TOPIC, "t", "retention.ms", Some("soon"));
    assert_eq!(bad["errorCode"], 40, "{bad}");
}

#[test]
fn a_change_for_all_brokers_is_in_force_at_once() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    let changed = set(&mut rig, BROKER, "", "message.max.bytes", Some("4321"));
    assert_eq!(changed["errorCode"], 0, "{changed}");
    let broker = rig.server.as_ref().unwrap().broker();
    assert_eq!(broker.config().topic_defaults.max_message_bytes, 4321);
    let max_bytes = || {
        let topic = broker.partitions.by_name("t").unwrap();
        topic.partition(0).unwrap().log.config().max_message_bytes
    };
    assert_eq!(max_bytes(), 4321);
    let of_topic = describe(&mut rig, TOPIC, "t", &["max.message.bytes"]);
    assert_eq!(of_topic["configs"][0]["value"], "4321");
    assert_eq!(of_topic["configs"][0]["configSource"], 3);
    let own = set(&mut rig, BROKER, "1", "message.max.bytes", Some("8765"));
    assert_eq!(own["errorCode"], 0, "{own}");
    assert_eq!(
        rig.server.as_ref().unwrap().broker().config().topic_defaults.max_message_bytes,
        8765
    );
    set(&mut rig, BROKER, "1", "message.max.bytes", None);
    assert_eq!(
        rig.server.as_ref().unwrap().broker().config().topic_defaults.max_message_bytes,
        4321
    );
    let fewer = set(&mut rig, BROKER, "1", "max.connections.per.ip", Some("1"));
    assert_eq!(fewer["errorCode"], 0, "{fewer}");
    let address = rig.server.as_ref().unwrap().addresses()[0];
    let mut second = std::net::TcpStream::connect_timeout(&address, super::PATIENCE).unwrap();
    second.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let closed = std::io::Read::read(&mut second, &mut [0]);
    let is_patience = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!closed.as_ref().is_err_and(is_patience), "one is all that an address may have");
    let read_only = set(&mut rig, BROKER, "1", "node.id", Some("8"));
    assert_eq!(read_only["errorCode"], 42, "{read_only}");
}

#[test]
fn what_is_wrong_with_a_resource_is_said_in_kafkas_words() {
    let mut rig = Rig::start("");
    for (kind, name, code, message) in [
        (TOPIC, "absent", 3, json!("")),
        (TOPIC, "", 17, json!("Topic name is invalid: the empty string is not allowed")),
        (BROKER, "abc", 42, json!("Broker id must be an integer, but it is: abc")),
        (
            BROKER,
            "7",
            42,
            json!("Unexpected broker id, expected 1 or empty string, but received 7"),
        ),
        (8, "", 42, json!("Broker id must not be empty")),
        (8, "7", 42, json!("Unexpected broker id, expected 1 but received 7")),
        (16, "", 42, json!("Client metrics subscription name must not be empty")),
        (32, "", 42, json!("Group name must not be empty")),
    ] {
        let answer = describe(&mut rig, kind, name, &[]);
        assert_eq!((&answer["errorCode"], &answer["errorMessage"]), (&json!(code), &message));
    }
}

#[test]
fn the_old_way_replaces_everything_and_all_that_is_set_is_listed() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    set(&mut rig, TOPIC, "t", "retention.ms", Some("7000"));
    let config = old::AlterableConfig { name: "segment.ms", value: Some("9000") };
    let resource = old::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "t",
        configs: vec![config],
    };
    let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(rig.ask(ApiKey::AlterConfigs, &request)["responses"][0]["errorCode"], 0);
    let now = describe(&mut rig, TOPIC, "t", &["retention.ms", "segment.ms"]);
    let sources: Vec<_> = now["configs"].as_array().unwrap().iter().collect();
    let source_of = |name: &str| {
        sources.iter().find(|config| config["name"] == name).unwrap()["configSource"].clone()
    };
    assert_eq!((source_of("retention.ms"), source_of("segment.ms")), (json!(5), json!(1)));
    let set = set(&mut rig, 16, "subscription", "interval.ms", Some("1000"));
    assert_eq!(set["errorCode"], 0, "{set}");
    let of_clients = ListConfigResourcesRequest::default();
    let listed = rig.ask_in(ApiKey::ListConfigResources, 0, &of_clients).unwrap();
    assert_eq!(listed["configResources"], json!([{"resourceName": "subscription"}]));
    let all = rig.ask(ApiKey::ListConfigResources, &ListConfigResourcesRequest::default());
    assert_eq!(
        all["configResources"],
        json!([
            {"resourceName": "t", "resourceType": 2},
            {"resourceName": "1", "resourceType": 4},
            {"resourceName": "1", "resourceType": 8},
            {"resourceName": "subscription", "resourceType": 16},
        ])
    );
}

#[test]
fn more_threads_serve_what_connects_from_now_on() {
    let mut rig = Rig::start("");
    let threads = |rig: &Rig| rig.server.as_ref().unwrap().io_threads();
    assert_eq!(threads(&rig), 1);
    let answer = set(&mut rig, BROKER, "1", "num.network.threads", Some("2"));
    assert_eq!(answer["errorCode"], 0, "{answer}");
    for wanted in ["2", "1"] {
        set(&mut rig, BROKER, "1", "num.network.threads", Some(wanted));
        for _ in 0..3 {
            rig.stream = rig.connect();
            let told = describe(&mut rig, BROKER, "1", &["num.network.threads"]);
            assert_eq!(told["configs"][0]["value"], wanted);
        }
        assert_eq!(threads(&rig), 2, "who has too many gives them nothing more to do");
    }
}
