//! Links: everything that has a socket. A link turns bytes into frames and frames into bytes; the router decides.

pub mod board;
pub mod clients;
pub mod door;
pub mod fed1;
pub mod fed2;
pub mod federate;
pub mod gauge;
pub mod gpsd;
pub mod grpc;
pub mod handshake;
pub mod hindrance;
pub mod http;
pub mod hub;
pub mod ingest;
pub mod keepalive;
pub mod login;
pub mod mesh;
pub mod meter;
pub mod narrow;
pub mod nat;
pub mod pairing;
pub mod refusals;
pub mod route_watch;
pub mod server;
pub mod socket;
pub mod tls;
