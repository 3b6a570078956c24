//! The task that asks for metadata. It lives as long as somebody uses the cluster.

use std::sync::{Arc, Weak};

use milena_env::timer;
use milena_protocol::api::{MetadataRequest, metadata::request::MetadataRequestTopic};
use tokio::sync::Notify;

use super::{Cluster, Inner};
use crate::{
    error::{Error, Result},
    network::Metadata,
};

pub(super) async fn learn_on(inner: Weak<Inner>, asked: Arc<Notify>) {
    let mut failures = 0;
    loop {
        let Some(age) = inner.upgrade().map(|inner| inner.config.metadata_max_age) else { return };
        if failures == 0 {
            // Too old, or somebody asks.
            timer::timeout(age, asked.notified()).await;
        }
        let Some(inner) = inner.upgrade() else { return };
        let cluster = Cluster { inner };
        let learned = learn(&cluster, failures).await;
        let pause = match learned {
            Ok(()) => {
                failures = 0;
                // Whoever asks again at once asks for what cannot be there yet.
                cluster.inner.retry.pause(0)
            }
            Err(error) => {
                tracing::debug!(%error, "nothing learned of the cluster");
                let pause = cluster.inner.retry.pause(failures as u32);
                *cluster.inner.ignorance() = Some(error);
                failures += 1;
                pause
            }
        };
        drop(cluster);
        timer::sleep(pause).await;
    }
}

async fn learn(cluster: &Cluster, attempt: usize) -> Result<()> {
    let inner = &cluster.inner;
    let (names, all, allow_auto_topic_creation) = {
        let mut wanted = inner.wanted();
        let idle = inner.config.metadata_max_idle;
        wanted.forget_before(inner.clock.monotonic().saturating_sub(idle));
        (wanted.names(), wanted.all(), wanted.may_create())
    };
    let topic = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
    let request = MetadataRequest {
        topics: (!all).then(|| names.iter().map(|name| topic(&**name)).collect()),
        allow_auto_topic_creation,
        ..Default::default()
    };
    let answer = cluster.any(attempt).call::<Metadata>(&request).await?;
    let message = answer.message()?;
    Error::check("learn of the cluster", message.error_code, None)?;
    if message.brokers.is_empty() {
        let problem = "it knows no broker, not even itself".into();
        return Err(Error::Connection { address: "the cluster".into(), problem });
    }
    // Before anybody sees the view, who may find something else to complain of.
    *inner.ignorance() = None;
    inner.view.send_modify(|view| {
        let wanted = inner.wanted();
        *view = Arc::new(view.updated(&message, |topic| wanted.contains(topic)));
    });
    let view = cluster.view();
    let mut nodes = inner.nodes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    nodes.retain(|(id, _), _| view.brokers.contains_key(id));
    Ok(())
}
