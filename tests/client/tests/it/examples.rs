//! The examples of the client do what they say.

use milena_client_tests::Cluster;

#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
#[path = "../../../../crates/client/examples/manage.rs"]
mod manage;
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
#[path = "../../../../crates/client/examples/quick_start.rs"]
mod quick_start;

#[tokio::test]
async fn the_example_manage_makes_and_takes_away() {
    let cluster = Cluster::start().unwrap();
    manage::run(cluster.bootstrap(), &cluster.name("managed")).await.unwrap();
}

#[tokio::test]
async fn the_example_quick_start_reads_what_it_sends() {
    let cluster = Cluster::start().unwrap();
    let seen = quick_start::run(cluster.bootstrap(), &cluster.name("quick-start")).await;
    assert_eq!(seen.unwrap(), 3);
}
