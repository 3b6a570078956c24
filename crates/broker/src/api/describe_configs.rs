//! DescribeConfigs: what topics, brokers, groups and subscriptions are set to, and by whom.

use std::collections::BTreeSet;

use milena_config::describe::{self, Described};
use milena_metadata::{
    controller::validate_topic_name,
    image::{ConfigResource, MetadataImage, ResourceType},
};
use milena_protocol::{
    ErrorCode,
    api::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs::{
            request::DescribeConfigsResource,
            response::{
                DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
            },
        },
    },
};

use super::{Call, Outcome, configs::may_describe};
use crate::{broker::Broker, log_config::entries};

/// Why a resource is not described.
struct Refusal {
    code: ErrorCode,
    message: Option<String>,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::InvalidRequest, message: Some(message.into()) }
    }
}

pub(super) async fn handle(call: &Call<'_>, request: DescribeConfigsRequest<'_>) -> Outcome {
    let image = call.broker().image();
    let unknown =
        request.resources.iter().find(|it| ResourceType::from_number(it.resource_type).is_none());
    let described: Vec<_> = request
        .resources
        .iter()
        .map(|resource| match unknown {
            // One of a kind that nobody knows spoils them all.
            Some(it) => Err(Refusal::invalid(format!(
                "Unexpected resource type UNKNOWN for resource {}",
                it.resource_name
            ))),
            None => describe(call, &image, resource),
        })
        .collect();
    let results = request.resources.iter().zip(&described).map(|(resource, described)| {
        let refusal = described.as_ref().err();
        DescribeConfigsResult {
            error_code: refusal.map_or(ErrorCode::None, |refusal| refusal.code) as i16,
            // Kafka's answer is never without a text.
            error_message: refusal.and_then(|refusal| refusal.message.as_deref()).or(Some("")),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs: configs(&request, resource, described.as_deref().unwrap_or_default()),
        }
    });
    call.answer(&DescribeConfigsResponse { results: results.collect(), ..Default::default() })
}

fn describe(
    call: &Call<'_>,
    image: &MetadataImage,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Described>, Refusal> {
    let name = resource.resource_name;
    let Some(kind) = ResourceType::from_number(resource.resource_type) else {
        return Err(Refusal::invalid("Unexpected resource type"));
    };
    if let Err(code) = may_describe(call, kind, name) {
        return Err(Refusal { code, message: Some(code.message().to_owned()) });
    }
    let broker = call.broker();
    let config = broker.config();
    let own = || entries(image.configs.of(&ConfigResource::new(kind, name)));
    match kind {
        ResourceType::Topic => {
            if let Err(error) = validate_topic_name(name) {
                let message = Some(error.message.into_owned());
                return Err(Refusal { code: error.code, message });
            }
            if image.topics.by_name(name).is_none() {
                return Err(Refusal { code: ErrorCode::UnknownTopicOrPartition, message: None });
            }
            Ok(describe::topic(&own(), &config))
        }
        ResourceType::Broker if name.is_empty() => Ok(describe::all_brokers(&own())),
        ResourceType::Broker => {
            is_this_broker(broker, name, " or empty string,")?;
            Ok(describe::broker(&config))
        }
        ResourceType::BrokerLogger if name.is_empty() => {
            Err(Refusal::invalid("Broker id must not be empty"))
        }
        ResourceType::BrokerLogger => {
            // Levels are set where the process is started, and not by clients.
            is_this_broker(broker, name, "")?;
            Ok(Vec::new())
        }
        ResourceType::ClientMetrics if name.is_empty() => {
            Err(Refusal::invalid("Client metrics subscription name must not be empty"))
        }
        ResourceType::ClientMetrics => Ok(describe::client_metrics(&own())),
        ResourceType::Group if name.is_empty() => {
            Err(Refusal::invalid("Group name must not be empty"))
        }
        ResourceType::Group => Ok(describe::group(&own(), &config)),
    }
}

fn is_this_broker(broker: &Broker, name: &str, or: &str) -> Result<(), Refusal> {
    let Ok(id) = name.parse::<i32>() else {
        return Err(Refusal::invalid(format!("Broker id must be an integer, but it is: {name}")));
    };
    if id == broker.node_id {
        return Ok(());
    }
    let expected = broker.node_id;
    Err(Refusal::invalid(format!(
        "Unexpected broker id, expected {expected}{or} but received {name}"
    )))
}

/// Those that are asked for, as much of them as is asked for.
fn configs<'a>(
    request: &DescribeConfigsRequest<'_>,
    resource: &DescribeConfigsResource<'_>,
    described: &'a [Described],
) -> Vec<DescribeConfigsResourceResult<'a>> {
    // To name no key is to ask for all.
    let wanted = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
    let wanted = wanted.map(|keys| keys.iter().copied().collect::<BTreeSet<&str>>());
    let is_wanted =
        |key: &&Described| wanted.as_ref().is_none_or(|wanted| wanted.contains(key.name.as_str()));
    let result = |key: &'a Described| DescribeConfigsResourceResult {
        name: &key.name,
        value: key.value.as_deref(),
        read_only: key.is_read_only,
        config_source: key.source as i8,
        is_sensitive: key.is_sensitive,
        synonyms: if request.include_synonyms { synonyms(key) } else { Vec::new() },
        config_type: key.kind_number(),
        documentation: key.documentation.filter(|_| request.include_documentation),
    };
    described.iter().filter(is_wanted).map(result).collect()
}

fn synonyms(key: &Described) -> Vec<DescribeConfigsSynonym<'_>> {
    let told = key.synonyms.iter().map(|synonym| DescribeConfigsSynonym {
        name: &synonym.name,
        value: synonym.value.as_deref(),
        source: synonym.source as i8,
    });
    told.collect()
}
