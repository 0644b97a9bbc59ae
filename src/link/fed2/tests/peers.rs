//! Against a federate on another gRPC stack, where one is at hand: Python with grpcio, named by the environment
//! variable `TOMBOLO_PEER_PYTHON`.
