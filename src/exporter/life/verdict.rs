//! When a model is dead, and when it can take requests. Pure: decides on what is known, the time included.
//!
//! A sign of life is any answer: of the health path, whatever it says, or to a request. A worker that serves one
//! request after the other answers nothing else meanwhile, and may work on for a client that has left; its silence
//! proves nothing until it has lasted longer than such work can. So:
//!
//! * **Dead** is a model that was up and now refuses connections, or whose last sign of life is too long ago. That is
//!   `N` periods when nobody waits for an answer, counted from the moment at which the last request that got none
//!   must be over (its timeout after it was last seen). While requests wait it is [`PATIENCE`] timeouts, and that
//!   bound holds however requests come and go: a model that hangs is restarted under traffic too. A model that was
//!   never up is not dead; its start-up probe judges it.
//! * **Ready** is a model that was up, does not refuse connections, and whose health path or any answer was good within
//!   the last two periods (one, and the time that the next check takes). While requests wait the last verdict stands,
//!   for at most [`KEEPS_READY`] timeouts. A health path that answers with an error counts at once, unless requests are
//!   answered all the same.

use std::{fmt, time::Duration};

/// Request timeouts that a model may be silent while requests wait for it. Judgement: with a full queue even the health
/// check waits for its turn, so this is longer than a queue that is worth waiting in.
pub const PATIENCE: u32 = 5;
/// Request timeouts for which a model that was ready stays so in silence while requests wait for it. Shorter than
/// [`PATIENCE`]: sending requests elsewhere does less harm than a restart.
pub const KEEPS_READY: u32 = 3;

/// What verdicts are measured by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Between health checks.
    pub period: Duration,
    /// Periods without a sign of life after which an idle model is dead.
    pub silent_periods: u32,
    /// How long the server may take for one request.
    pub timeout: Duration,
}

/// What is known: each moment is the last of its kind, `None` means never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub now: Duration,
    /// Requests wait for an answer.
    pub in_flight: bool,
    /// The health path answered with success, or the port opened when there is no such path.
    pub healthy: Option<Duration>,
    /// The health path answered with anything else.
    pub unhealthy: Option<Duration>,
    /// A request was answered.
    pub answered: Option<Duration>,
    /// A connection was refused.
    pub refused: Option<Duration>,
    /// Requests waited for an answer.
    pub busy: Option<Duration>,
}

/// Why a verdict is no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    NeverUp,
    Refused,
    Unhealthy,
    Silent(Duration),
}

impl fmt::Display for Why {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverUp => write!(to, "the model has not been up yet: see the log of its container"),
            Self::Refused => write!(to, "the model refuses connections: see the log of its container, and server.port"),
            Self::Unhealthy => {
                write!(to, "the model's health path answers with an error: see the log of its container")
            }
            Self::Silent(long) => write!(to, "the model has not answered anything for {} s", long.as_secs()),
        }
    }
}

impl Evidence {
    /// Whether the model need not be restarted.
    ///
    /// # Errors
    /// Why it must.
    pub fn live(&self, rules: &Rules) -> Result<(), Why> {
        let Some(sign) = self.up().and(self.sign_of_life()) else { return Ok(()) };
        if self.refuses() {
            return Err(Why::Refused);
        }
        let idle = rules.period * rules.silent_periods;
        let longest = sign + idle.max(rules.timeout * PATIENCE);
        let over = self.busy.map_or(sign, |busy| sign.max(busy + rules.timeout));
        let until = if self.in_flight { longest } else { longest.min(over + idle) };
        if self.now > until { Err(Why::Silent(self.now.saturating_sub(sign))) } else { Ok(()) }
    }

    /// Whether the model can take requests.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn ready(&self, rules: &Rules) -> Result<(), Why> {
        let Some(good) = self.up() else { return Err(Why::NeverUp) };
        if self.refuses() {
            return Err(Why::Refused);
        }
        let fresh = |moment: Option<Duration>| moment.is_some_and(|moment| self.now <= moment + rules.period * 2);
        if fresh(self.answered) {
            return Ok(());
        }
        if self.unhealthy > Some(good) {
            return Err(Why::Unhealthy);
        }
        let waiting = self.in_flight || fresh(self.busy);
        if fresh(Some(good)) || waiting && self.now <= good + rules.timeout * KEEPS_READY {
            return Ok(());
        }
        Err(Why::Silent(self.now.saturating_sub(good)))
    }

    /// The last moment at which the model served.
    fn up(&self) -> Option<Duration> {
        self.healthy.max(self.answered)
    }

    fn sign_of_life(&self) -> Option<Duration> {
        self.up().max(self.unhealthy)
    }

    fn refuses(&self) -> bool {
        self.refused.is_some() && self.refused >= self.sign_of_life()
    }
}

#[cfg(test)]
#[path = "tests/verdict.rs"]
mod tests;
