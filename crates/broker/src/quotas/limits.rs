//! Which of the limits that were set holds for a client: the most particular one.

use std::net::IpAddr;

use milena_metadata::image::{ClientQuotas, QuotaEntity};

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Produce,
    Fetch,
    Request,
    /// Partitions that are created and deleted.
    Mutation,
}

impl Kind {
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
            Self::Mutation => "controller_mutation_rate",
        }
    }
}

/// Who shares one limit: a limit for users counts all their clients together, one for clients all
/// users of that name together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Party {
    pub(super) kind: Kind,
    pub(super) user: Option<Box<str>>,
    pub(super) client: Option<Box<str>>,
}

/// The limit, and who shares it.
pub(super) fn find(
    quotas: &ClientQuotas,
    kind: Kind,
    user: &str,
    client: &str,
) -> Option<(Party, f64)> {
    // By name, the default for those without a limit of their own, and not at all.
    let choices = |name: &str| [Some(Some(name.into())), Some(None), None];
    for of_user in choices(user) {
        for of_client in choices(client) {
            let parts = [(USER, &of_user), (CLIENT_ID, &of_client)];
            let named = parts.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?)));
            let entity: QuotaEntity =
                named.map(|(kind, name)| (kind.into(), name.clone())).collect();
            let limit = quotas.of(&entity).and_then(|limits| limits.get(kind.key()));
            if let Some(limit) = limit {
                let party = Party {
                    kind,
                    user: of_user.is_some().then(|| user.into()),
                    client: of_client.is_some().then(|| client.into()),
                };
                return Some((party, *limit));
            }
        }
    }
    None
}

/// How many connections an address may make a second.
pub(crate) fn of_ip(quotas: &ClientQuotas, ip: IpAddr) -> Option<f64> {
    quotas.iter().next()?;
    let limit = |name: Option<Box<str>>| {
        let entity = QuotaEntity::from([(IP.into(), name)]);
        quotas.of(&entity)?.get("connection_creation_rate").copied()
    };
    limit(Some(ip.to_string().into())).or_else(|| limit(None))
}

#[cfg(test)]
mod test {
    use milena_metadata::image::Replay;
    use milena_protocol::metadata::{ClientQuotaRecord, Value, client_quota::value::EntityData};

    use super::*;

    type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

    fn quotas(set: &[(Entity<'_>, f64)]) -> ClientQuotas {
        quotas_of("producer_byte_rate", set)
    }

    fn quotas_of(key: &str, set: &[(Entity<'_>, f64)]) -> ClientQuotas {
        let mut replay = Replay::new(Default::default());
        for (entity, value) in set {
            let entity = entity
                .iter()
                .map(|(kind, name)| EntityData { entity_type: kind, entity_name: *name })
                .collect();
            let record = ClientQuotaRecord { entity, key, value: *value, remove: false };
            replay.apply(&Value::ClientQuotaRecord(record)).unwrap();
        }
        replay.image.client_quotas
    }

    #[test]
    fn the_most_particular_limit_holds() {
        let (user, client) = ("user", "client-id");
        // From the weakest to the strongest.
        let all: [Entity<'_>; 8] = [
            &[(client, None)],
            &[(client, Some("c"))],
            &[(user, None)],
            &[(user, None), (client, None)],
            &[(user, None), (client, Some("c"))],
            &[(user, Some("u"))],
            &[(user, Some("u")), (client, None)],
            &[(user, Some("u")), (client, Some("c"))],
        ];
        for set in 1..=all.len() {
            let numbered: Vec<_> = all.iter().copied().zip((1..).map(f64::from)).collect();
            let quotas = quotas(&numbered[..set]);
            let (party, limit) = find(&quotas, Kind::Produce, "u", "c").unwrap();
            assert_eq!(limit, set as f64);
            let entity = all[set - 1];
            let has = |kind| entity.iter().any(|(it, _)| *it == kind);
            assert_eq!((party.user.is_some(), party.client.is_some()), (has(user), has(client)));
            assert_eq!(find(&quotas, Kind::Fetch, "u", "c"), None);
        }
        assert_eq!(find(&ClientQuotas::default(), Kind::Produce, "u", "c"), None);
    }

    #[test]
    fn an_address_has_a_limit_of_its_own_or_that_of_all() {
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let key = "connection_creation_rate";
        let quotas = quotas_of(key, &[(&[("ip", Some("10.0.0.1"))], 3.0), (&[("ip", None)], 9.0)]);
        assert_eq!((of_ip(&quotas, one), of_ip(&quotas, other)), (Some(3.0), Some(9.0)));
        assert_eq!(of_ip(&ClientQuotas::default(), one), None);
    }
}
