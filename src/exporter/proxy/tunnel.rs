//! What follows a 101: bytes in both directions, which nobody reads here.

use std::{pin::pin, task::Poll};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::patience::{Stage, Watch};
use crate::life::InFlight;

/// The two ends, once each side has read the 101.
pub struct Tunnel {
    pub client: OnUpgrade,
    pub model: OnUpgrade,
    /// The drain waits for it.
    pub under_way: InFlight,
}

impl Tunnel {
    /// Until both sides have ended, or one broke off, or nothing passed for too long, or the drain is over.
    pub async fn pass(self, watch: &Watch) {
        let mut passing = pin!(async {
            let (client, model) = (self.client.await?, self.model.await?);
            // How it ends is nobody's business but theirs.
            let _ = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(model)).await;
            Ok::<_, hyper::Error>(())
        });
        std::future::poll_fn(|context| {
            watch.wake_by(context);
            if watch.expired() || watch.stage() == Stage::Closing {
                return Poll::Ready(());
            }
            passing.as_mut().poll(context).map(drop)
        })
        .await;
        drop(self.under_way);
    }
}
