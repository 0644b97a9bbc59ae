//! The methods of `com.atakmap.FederatedChannel`, and the messages with which we introduce ourselves.

use http::HeaderName;
use ring::rand::{SecureRandom, SystemRandom};

use crate::wire::cold::{
    ConnectionType, FederateGroups, FederateHops, FederateProvenance, Health, Identity,
    ServerHealth, Subscription, TakServerVersion,
};

use crate::link::federate::node::Node;

/// Path prefix of every method.
pub const SERVICE: &str = "/com.atakmap.FederatedChannel/";

/// Metadata of a box's health checks: when to expect the next ([`crate::link::keepalive::Announcement`]).
pub const KEEPALIVE: HeaderName = HeaderName::from_static("tombolo-keepalive");

/// The local default group (protocol reference 1.5).
pub const DEFAULT_GROUP: &str = "__ANON__";

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $path:literal,)*) => {
        /// The methods we know. Mind the capitals: one begins with a small letter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum MethodName { $($(#[$doc])* $name,)* }

        impl MethodName {
            /// The name as it stands in the path.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// The method of a request path.
            pub fn of_path(path: &str) -> Option<Self> {
                match path.strip_prefix(SERVICE)? {
                    $($path => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

methods! {
    /// One event, client to server.
    SendOneEvent = "SendOneEvent",
    /// Blobs, client to server.
    BinaryMessageStream = "BinaryMessageStream",
    /// One blob, client to server.
    SendOneBlob = "SendOneBlob",
    /// Who the server is.
    GetIdentity = "getIdentity",
    /// Events, server to client.
    ClientEventStream = "ClientEventStream",
    /// Events, client to server.
    ServerEventStream = "ServerEventStream",
    /// Both are well.
    HealthCheck = "HealthCheck",
    /// Resources, server to client.
    ClientRolStream = "ClientROLStream",
    /// Resources, client to server.
    ServerRolStream = "ServerROLStream",
    /// The server's groups; the gate that opens ServerEventStream.
    ServerFederateGroupsStream = "ServerFederateGroupsStream",
    /// The client's groups.
    ClientFederateGroupsStream = "ClientFederateGroupsStream",
}

impl MethodName {
    /// The whole request path.
    pub fn path(self) -> String {
        format!("{SERVICE}{}", self.name())
    }
}

/// How we introduce ourselves on one connection.
#[derive(Debug, Clone)]
pub struct Introduction {
    name: String,
    federate_id: String,
    /// New for each connection, as TAK's own clients do.
    uid: String,
}

impl Introduction {
    /// For a new connection.
    pub fn new(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            federate_id: node.federate_id.clone(),
            uid: random_id(),
        }
    }

    /// As the side that dials. Name and id are the same in every call, or a hub sees several federates (pitfall 21);
    /// the version makes the peer's health checks end (pitfall 8).
    pub fn dialling(&self) -> Subscription {
        Subscription {
            version: Some(TakServerVersion {
                major: 5,
                minor: 7,
                patch: 0,
                branch: "tombolo".into(),
                variant: String::new(),
            }),
            ..self.subscription(ConnectionType::FederationTakClient)
        }
    }

    /// As the side that was dialled.
    pub fn accepting(&self) -> Subscription {
        self.subscription(ConnectionType::FederationTakServer)
    }

    /// Our groups, where nothing else is configured. `serving` opens the peer's ServerEventStream and may be said once
    /// only (pitfall 11).
    pub fn groups(&self, serving: bool) -> FederateGroups {
        FederateGroups {
            stream_update: serving.then(|| ServerHealth {
                status: Health::Serving.into(),
            }),
            federate_groups: vec![DEFAULT_GROUP.into()],
            federate_provenance: vec![FederateProvenance {
                federation_server_id: self.federate_id.clone(),
                federation_server_name: self.name.clone(),
            }],
            // -1 = without limit; 0 would make a hub drop it (pitfall 24).
            federate_hops: Some(FederateHops {
                max_hops: -1,
                current_hops: 1,
            }),
            nested_groups: Vec::new(),
            federate_group_hop_limits: None,
        }
    }

    fn subscription(&self, kind: ConnectionType) -> Subscription {
        Subscription {
            identity: Some(Identity {
                name: self.name.clone(),
                uid: self.uid.clone(),
                description: String::new(),
                r#type: kind.into(),
                server_id: self.federate_id.clone(),
            }),
            filter: String::new(),
            version: None,
        }
    }
}

/// 32 random hex digits.
fn random_id() -> String {
    let mut bytes = [0; 16];
    // A box whose kernel has no randomness cannot do TLS either and never gets here; zeroes would still be a valid
    // uid, which nobody compares.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_back_to_their_methods() {
        assert_eq!(
            MethodName::of_path("/com.atakmap.FederatedChannel/getIdentity"),
            Some(MethodName::GetIdentity)
        );
        assert_eq!(
            MethodName::of_path(&MethodName::ClientRolStream.path()),
            Some(MethodName::ClientRolStream)
        );
        for path in [
            "",
            "/com.atakmap.FederatedChannel/GetIdentity",
            "/x/HealthCheck",
            "HealthCheck",
        ] {
            assert_eq!(MethodName::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn ids_are_new_each_time() {
        assert_eq!(random_id().len(), 32);
        assert_ne!(random_id(), random_id());
    }
}
