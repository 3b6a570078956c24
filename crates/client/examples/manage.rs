//! Makes a topic, looks at it, changes it and takes it away again:
//! `cargo run -p milena-client --example manage localhost:9092`

use milena_client::{
    ClientConfig, Result,
    admin::{
        Admin, ConfigChange, ConfigOperation, ConfigResource, MorePartitions, NewTopic,
        ResourceKind,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let bootstrap = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".to_owned());
    run(&bootstrap, "managed").await
}

/// Every call gives a result for each thing that it was asked for.
pub async fn run(bootstrap: &str, topic: &str) -> Result<()> {
    let admin = Admin::connect(&ClientConfig::new(bootstrap))?;
    let cluster = admin.describe_cluster().await?;
    println!("cluster {} has {} brokers", cluster.id, cluster.brokers.len());

    let wanted = NewTopic::new(topic).partitions(1).config("retention.ms", "3600000");
    for (name, created) in admin.create_topics(&[wanted]).await? {
        println!("{name}: {} partitions", created?.partitions);
    }
    let more = MorePartitions { topic: topic.into(), total: 3, placed: None };
    for (_, added) in admin.create_partitions(&[more], false).await? {
        added?;
    }
    let longer = ConfigChange {
        name: "retention.ms".into(),
        operation: ConfigOperation::Set("7200000".into()),
    };
    let resource = ConfigResource::new(ResourceKind::Topic, topic);
    for (_, changed) in admin.alter_configs(&[(resource, vec![longer])], false).await? {
        changed?;
    }
    for (name, deleted) in admin.delete_topics(&[topic]).await? {
        deleted?;
        println!("{name} is gone");
    }
    Ok(())
}
