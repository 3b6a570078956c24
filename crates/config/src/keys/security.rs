//! Keys of TLS, logins and authorization.

use crate::definition::{
    Check, Definition, boolean, class, double, int, list, long, password, short, string,
};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    string("authorizer.class.name").or("").low()
        .says("Who decides what a principal may do; nobody where empty."),
    long("connections.max.reauth.ms").or("0")
        .says("Not served yet: a login lasts so long at most; 0 for no limit."),
    long("delegation.token.expiry.check.interval.ms").or("3600000").at_least(1.0).low()
        .says("Not served yet: how often is looked for expired delegation tokens."),
    long("delegation.token.expiry.time.ms").or("86400000").at_least(1.0)
        .says("Not served yet: how long a delegation token is valid without renewal."),
    long("delegation.token.max.lifetime.ms").or("604800000").at_least(1.0)
        .says("Not served yet: how long a delegation token can be renewed."),
    password("delegation.token.secret.key")
        .says("Not served yet: secret by which delegation tokens are made, the same on all nodes."),
    class("principal.builder.class")
        .or("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder")
        .per_broker()
        .says("A Java class; accepted and ignored."),
    class("sasl.client.callback.handler.class")
        .says("A Java class; accepted and ignored."),
    list("sasl.enabled.mechanisms").or("GSSAPI").per_broker()
        .says("Not served yet: ways to log in that a SASL listener offers."),
    password("sasl.jaas.config").per_broker()
        .says("Not served yet: login data of a listener, in JAAS syntax."),
    string("sasl.kerberos.kinit.cmd").or("/usr/bin/kinit").per_broker()
        .says("Belongs to Kerberos, which is not served; accepted and ignored."),
    long("sasl.kerberos.min.time.before.relogin").or("60000").per_broker()
        .says("Belongs to Kerberos, which is not served; accepted and ignored."),
    list("sasl.kerberos.principal.to.local.rules").or("DEFAULT").per_broker()
        .says("Belongs to Kerberos, which is not served; accepted and ignored."),
    string("sasl.kerberos.service.name").per_broker()
        .says("Belongs to Kerberos, which is not served; accepted and ignored."),
    double("sasl.kerberos.ticket.renew.jitter").or("0.05").per_broker()
        .says("Belongs to Kerberos, which is not served; accepted and ignored."),
    double("sasl.kerberos.ticket.renew.window.factor").or("0.8").per_broker()
        .says("Belongs to Kerberos, which is not served; accepted and ignored."),
    class("sasl.login.callback.handler.class")
        .says("A Java class; accepted and ignored."),
    class("sasl.login.class")
        .says("A Java class; accepted and ignored."),
    int("sasl.login.connect.timeout.ms").low()
        .says("Not served yet: how long a connection to the provider of tokens may take."),
    int("sasl.login.read.timeout.ms").low()
        .says("Not served yet: how long an answer of the provider of tokens may take."),
    short("sasl.login.refresh.buffer.seconds").or("300").per_broker()
        .says("Not served yet: how long before its end a token is renewed at the latest."),
    short("sasl.login.refresh.min.period.seconds").or("60").per_broker()
        .says("Not served yet: how long a token is used before it is renewed."),
    double("sasl.login.refresh.window.factor").or("0.8").per_broker()
        .says("Not served yet: share of its life after which a token is renewed."),
    double("sasl.login.refresh.window.jitter").or("0.05").per_broker()
        .says("Not served yet: random share that is added to it."),
    long("sasl.login.retry.backoff.max.ms").or("10000").low()
        .says("Not served yet: longest pause before a failed request for a token is tried again."),
    long("sasl.login.retry.backoff.ms").or("100").low()
        .says("Not served yet: first pause before a failed request for a token is tried again."),
    string("sasl.mechanism.controller.protocol").or("GSSAPI").high()
        .says("Not served yet: how brokers log in at the controller."),
    string("sasl.mechanism.inter.broker.protocol").or("GSSAPI").per_broker()
        .says("Not served yet: how brokers log in at each other."),
    string("sasl.oauthbearer.assertion.algorithm").or("RS256")
        .check(Check::OneOfIgnoringCase(&["ES256", "RS256"]))
        .says("Not served yet: algorithm by which the broker signs its own assertion."),
    string("sasl.oauthbearer.assertion.claim.aud")
        .says("Not served yet: audience that this assertion names."),
    int("sasl.oauthbearer.assertion.claim.exp.seconds").or("300").between(0.0, 86400.0).low()
        .says("Not served yet: how long this assertion is valid."),
    string("sasl.oauthbearer.assertion.claim.iss")
        .says("Not served yet: issuer that this assertion names."),
    boolean("sasl.oauthbearer.assertion.claim.jti.include").or("false")
        .says("Not served yet: whether this assertion gets an id of its own."),
    int("sasl.oauthbearer.assertion.claim.nbf.seconds").or("60").between(0.0, 3600.0).low()
        .says("Not served yet: how long before now this assertion becomes valid."),
    string("sasl.oauthbearer.assertion.claim.sub")
        .says("Not served yet: subject that this assertion names."),
    string("sasl.oauthbearer.assertion.file")
        .says("Not served yet: file that holds a ready-made assertion."),
    string("sasl.oauthbearer.assertion.private.key.file")
        .says("Not served yet: file of the key that signs the assertion."),
    password("sasl.oauthbearer.assertion.private.key.passphrase")
        .says("Not served yet: what opens that file."),
    string("sasl.oauthbearer.assertion.template.file")
        .says("Not served yet: file of further claims for the assertion."),
    string("sasl.oauthbearer.client.credentials.client.id")
        .says("Not served yet: name by which the broker asks for a token."),
    password("sasl.oauthbearer.client.credentials.client.secret")
        .says("Not served yet: secret by which the broker asks for a token."),
    int("sasl.oauthbearer.clock.skew.seconds").or("30").low()
        .says("Not served yet: how far the clocks of broker and provider may differ."),
    list("sasl.oauthbearer.expected.audience").or("").high()
        .says("Not served yet: audiences of which a token must name one."),
    string("sasl.oauthbearer.expected.issuer").high()
        .says("Not served yet: issuer that a token must name."),
    long("sasl.oauthbearer.jwks.endpoint.refresh.ms").or("3600000").low()
        .says("Not served yet: how often the provider's keys are read anew."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms").or("10000").low()
        .says("Not served yet: longest pause before reading those keys is tried again."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms").or("100").low()
        .says("Not served yet: first pause before reading those keys is tried again."),
    string("sasl.oauthbearer.jwks.endpoint.url")
        .says("Not served yet: where the provider's keys are read."),
    class("sasl.oauthbearer.jwt.retriever.class")
        .or("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever")
        .says("A Java class; accepted and ignored."),
    class("sasl.oauthbearer.jwt.validator.class")
        .or("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator")
        .says("A Java class; accepted and ignored."),
    string("sasl.oauthbearer.scope")
        .says("Not served yet: scope that the broker asks for."),
    string("sasl.oauthbearer.scope.claim.name").or("scope").low()
        .says("Not served yet: claim that holds a token's scope."),
    string("sasl.oauthbearer.sub.claim.name").or("sub").low()
        .says("Not served yet: claim that holds a token's subject."),
    string("sasl.oauthbearer.token.endpoint.url")
        .says("Not served yet: where the broker asks for a token."),
    class("sasl.server.callback.handler.class")
        .says("A Java class; accepted and ignored."),
    int("sasl.server.max.receive.size").or("524288")
        .says("Not served yet: longest request that is read before a login."),
    string("security.inter.broker.protocol").or("PLAINTEXT")
        .one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
        .says("Not served yet: security protocol between brokers, where no listener is named for \
               it."),
    string("security.providers").low()
        .says("Java classes; accepted and ignored."),
    boolean("ssl.allow.dn.changes").or("false").low()
        .says("Not served yet: whether a new certificate may bear another name."),
    boolean("ssl.allow.san.changes").or("false").low()
        .says("Not served yet: whether a new certificate may bear other alternative names."),
    list("ssl.cipher.suites").or("").per_broker()
        .says("Not served yet: cipher suites that may be used; all good ones where empty."),
    string("ssl.client.auth").or("none").one_of(&["required", "requested", "none"]).per_broker()
        .says("Not served yet: whether clients must, may or need not show a certificate."),
    list("ssl.enabled.protocols").or("TLSv1.2,TLSv1.3").per_broker()
        .says("Not served yet: versions of TLS that may be used."),
    string("ssl.endpoint.identification.algorithm").or("https").low().per_broker()
        .says("Not served yet: how a server's name is compared with its certificate; not at all \
               where empty."),
    class("ssl.engine.factory.class").low().per_broker()
        .says("A Java class; accepted and ignored."),
    password("ssl.key.password").per_broker()
        .says("Not served yet: what opens the private key."),
    string("ssl.keymanager.algorithm").or("SunX509").per_broker()
        .says("Belongs to the JVM; accepted and ignored."),
    password("ssl.keystore.certificate.chain").per_broker()
        .says("Not served yet: the broker's certificates, in PEM."),
    password("ssl.keystore.key").per_broker()
        .says("Not served yet: the broker's private key, in PEM."),
    string("ssl.keystore.location").per_broker()
        .says("Not served yet: file of the broker's key and certificates."),
    password("ssl.keystore.password").per_broker()
        .says("Not served yet: what opens that key file."),
    string("ssl.keystore.type").or("JKS").per_broker()
        .says("Not served yet: format of the key file."),
    string("ssl.principal.mapping.rules").or("DEFAULT").low()
        .says("Not served yet: how a certificate's name becomes a principal."),
    string("ssl.protocol").or("TLSv1.3").per_broker()
        .says("Not served yet: the version of TLS to begin with."),
    string("ssl.provider").per_broker()
        .says("Belongs to the JVM; accepted and ignored."),
    string("ssl.secure.random.implementation").low().per_broker()
        .says("Belongs to the JVM; accepted and ignored."),
    string("ssl.trustmanager.algorithm").or("PKIX").per_broker()
        .says("Belongs to the JVM; accepted and ignored."),
    password("ssl.truststore.certificates").per_broker()
        .says("Not served yet: certificates that are trusted, in PEM."),
    string("ssl.truststore.location").per_broker()
        .says("Not served yet: file of the certificates that are trusted."),
    password("ssl.truststore.password").per_broker()
        .says("Not served yet: what opens that file of trusted certificates."),
    string("ssl.truststore.type").or("JKS").per_broker()
        .says("Not served yet: format of the file of trusted certificates."),
    boolean("allow.everyone.if.no.acl.found").or("false").hidden()
        .says("Not served yet: whether the authorizer allows what no rule speaks of."),
    string("super.users").or("").hidden()
        .says("Not served yet: principals that may do everything, as User:name with semicolons \
               between them."),
];
