//! Heads under way: one for all who ask the same thing with the same credentials at the same time, whatever their namespaces.

use tokio::time::Instant;

use super::{
    credentials::Keychain,
    follow::Want,
    problem::{Failure, FailureKind, reason},
    reference::{Digest, Repository},
    registry::{Ask, Resolved},
    turns::Turns,
};

#[derive(Default)]
pub(super) struct Heads(Turns<(Repository, Want, Digest), Option<Said>>);

struct Said {
    asked: Instant,
    answer: Result<Resolved, Failure>,
}

/// Who asks, and since when.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub keychain: &'a Keychain,
    /// What of the keychain counts here; see [`Ask::identity`].
    pub identity: &'a Digest,
    pub since: Instant,
}

impl Heads {
    /// Which digest this is. An answer to somebody else is taken if it was asked for since.
    pub async fn resolve(
        &self,
        ask: &dyn Ask,
        repository: &Repository,
        want: &Want,
        asker: Asker<'_>,
    ) -> Result<Resolved, Failure> {
        let turn = self.0.of(&(repository.clone(), want.clone(), asker.identity.clone()));
        let mut said = turn.lock().await;
        if let Some(said) = said.as_ref().filter(|said| said.asked >= asker.since) {
            if said.answer.as_ref().err().is_none_or(concerns_all) {
                return said.answer.clone();
            }
        } else {
            let asked = Instant::now();
            let answer = ask.resolve(repository, want, asker.keychain).await;
            *said = Some(Said { asked, answer: answer.clone() });
            return answer;
        }
        // Not one after another: there may be many.
        drop(said);
        ask.resolve(repository, want, asker.keychain).await
    }
}

/// Whether its words hold for others, too: those of a refusal and of a limit name the Secrets of whoever asked.
fn concerns_all(failure: &Failure) -> bool {
    failure.kind == FailureKind::Unknown && failure.problem.reason != reason::REGISTRY_RATE_LIMITED
}
