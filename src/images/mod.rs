//! Which image a name means right now, asked of registries, cheaply and without ever changing what runs by itself.
//!
//! | file | what is in it |
//! |---|---|
//! | [`mod@reference`] | [`Repository`], [`Tag`], [`Digest`]: names that cannot be wrong |
//! | `pages` | web pages about images, which people paste where a name belongs |
//! | [`platform`] | [`Platform`]: for which machines an image was built |
//! | [`manifest`] | [`ImageDetails`]: what a manifest says, and whether two images are the same to these nodes |
//! | [`labels`] | [`Labels`]: what an image says of itself |
//! | [`mirrors`] | [`Mirrors`]: where a registry's API is served |
//! | [`credentials`] | [`Keychain`]: pull secrets and their matching; [`CredentialSource`]: where they come from |
//! | [`problem`] | [`Problem`]: why nothing newer is known, in words for a condition |
//! | `registry` | the client: HEAD, GET, mirrors and credentials in turn, nothing believed unverified |
//! | `contents` | what a digest holds: platforms and labels |
//! | `transport` | how a request leaves and an answer comes in: the token dance, holds, redirects, sizes |
//! | `auth` | challenges, and the cache of tokens |
//! | `answer` | what a registry's answer means: sizes, digests, statuses, `Retry-After` |
//! | `hosts` | what is remembered of a host: concurrency, its accounts, metrics |
//! | `limits` | what it says of its limits to an account: holds after 429, of which there are two kinds, remaining pulls |
//! | [`follow`] | [`Follow`] and [`Observation`]: what an owner wants, and what it is told |
//! | [`once`] | one question, for programs that follow nothing |
//! | [`poller`] | [`Images`]: one shared poll per reference, however many owners |
//! | `index` | the poller's memory: plain and synchronous, its clock passed in |
//! | `target` | one reference that is polled |
//! | `told` | what owners were told, and who is next |
//! | `heads`, `siblings` | what asks the same with the same credentials, in however many namespaces, is asked once |
//! | `turns` | who wants the same waits for it |
//! | `schedule` | when to poll next: intervals, jitter, back-off |
//! | `details` | what was fetched already: one GET per digest |
//! | `keychains` | the Secrets' content in use: read once, and again only when there is a reason |
//!
//! The rules that the rest of the product rests on:
//!
//! 1. A poll is a HEAD, which is no pull. A manifest and a configuration are fetched once per new digest.
//! 2. An observation's `latest` is the last **complete** answer. Failures stand beside it, in `problem`; they never
//!    replace it.
//! 3. At rest nothing but HEADs happens: Secrets are read again only when a registry refuses or a spec changes.

mod answer;
mod auth;
mod contents;
pub mod credentials;
mod details;
pub mod follow;
mod heads;
mod hosts;
mod index;
mod keychains;
pub mod labels;
mod limits;
pub mod manifest;
pub mod mirrors;
pub mod once;
mod pages;
pub mod platform;
pub mod poller;
pub mod problem;
pub mod reference;
mod registry;
mod schedule;
mod siblings;
mod target;
mod told;
mod transport;
mod turns;

#[cfg(test)]
#[path = "tests/fake.rs"]
mod fake;

pub use credentials::{CredentialError, CredentialRef, CredentialSource, Keychain};
pub use follow::{Follow, Observation, OwnerKey, Want};
pub use labels::Labels;
pub use manifest::ImageDetails;
pub use mirrors::{MirrorError, Mirrors};
pub use platform::{Platform, PlatformError};
pub use poller::{Config, Images, SetupError, metric_descriptions};
pub use problem::Problem;
pub use reference::{Digest, ReferenceError, Repository, Tag, digest_in_image};
