//! The side that dialled proves the shared secret, and has it proven, before any other call.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use crate::link::federate::node::PeerSettings;
use crate::link::federate::trouble::Trouble;
use crate::link::grpc::body::GrpcBody;
use crate::link::grpc::call::Messages;
use crate::link::grpc::frame::framed;
use crate::link::grpc::status::Code;

use super::calls::Caller;
use super::companion::{PATIENCE, SERVICE};
use super::secret::{METHOD, Vow};

/// What must be proven on a connection with this TLS session; none where no secret is set.
///
/// # Errors
/// When the session has nothing to bind it to.
pub fn vow<T>(
    peer: &PeerSettings,
    session: &rustls::ConnectionCommon<T>,
) -> Result<Option<Arc<Vow>>, Trouble> {
    let Some(secret) = &peer.secret else {
        return Ok(None);
    };
    let vow = Vow::new(secret, session).map_err(|error| Trouble::Lost(error.to_string()))?;
    Ok(Some(Arc::new(vow)))
}

/// Longest answer, bytes.
const ANSWER: usize = 256;

/// Does nothing where no secret is set.
///
/// # Errors
/// When the peer does not prove it, or does not take our proof.
pub(super) async fn prove(mut caller: Caller) -> Result<(), Trouble> {
    let companion = caller.companion().clone();
    let Some(vow) = companion.vow() else {
        return Ok(());
    };
    let path = format!("{SERVICE}{METHOD}");
    let answer = caller.open_path(&path, GrpcBody::request(framed(&vow.ours())));
    let read = async {
        let mut messages = Messages::<Bytes>::limited(answer.await?, ANSWER);
        messages.next().await.map_err(|ended| ended.status())
    };
    let read = timeout(PATIENCE, read)
        .await
        .map_err(|_| Trouble::TimedOut("waiting for the proof of the shared secret"))?;
    match read {
        Ok(answer) if vow.is_answered(&answer) => Ok(()),
        Ok(_) => Err(Trouble::Secret(
            "the peer's proof of the shared secret is wrong",
        )),
        Err(status) if status.code == Code::Unimplemented => Err(Trouble::Secret(
            "the peer cannot prove the shared secret: it is no box, or an older one; take `secret` out of its \
             [[peer]] if it is to be let in without",
        )),
        Err(status) => Err(Trouble::Call {
            method: "Secret",
            status,
        }),
    }
}
