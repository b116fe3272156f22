use serde_json::{Value, json};

use super::*;
use crate::controller::server::Server;

fn holder(server: &Server) -> Holder {
    let settings = LeaseSettings { namespace: "harbour".into(), name: "lease".into(), identity: "successor".into() };
    Holder::new(server.client(), settings, Guard::default())
}

/// Another's renewal, by a clock that is that much behind.
fn renewed(behind: i64, times: i64) -> Value {
    let time = |second: i64| Timestamp::from_second(second).unwrap().to_string().replace('Z', ".000000Z");
    let now = Timestamp::now().as_second();
    json!({
        "holderIdentity": "incumbent", "leaseDurationSeconds": 15, "leaseTransitions": 1,
        "acquireTime": time(now - behind - 1000), "renewTime": time(now - behind + times),
    })
}

#[tokio::test(start_paused = true)]
async fn writes_are_refused_once_the_deadline_has_passed() {
    let guard = Guard::default();
    assert!(guard.check().is_err(), "nothing is held at the start");
    guard.set(Some(Instant::now() + DEADLINE));
    assert!(guard.check().is_ok());
    tokio::time::advance(DEADLINE).await;
    assert!(matches!(guard.check(), Err(Error::LeaseLost)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_never_taken_however_far_behind_its_holders_clock_is() {
    for behind in [0, 26, 60, 86_400, -86_400] {
        let server = Server::default();
        server.set_lease(renewed(behind, 0));
        let successor = holder(&server);
        let waits = successor.acquire();
        let renewals = async {
            for times in 1..20 {
                tokio::time::sleep(RENEW_EVERY).await;
                server.set_lease(renewed(behind, times));
            }
        };
        tokio::select! {
            _ = waits => panic!("the lease of a live holder was taken, whose clock is {behind} s behind"),
            () = renewals => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_stands_still_is_taken_once_it_has_been_watched_for_its_duration() {
    for behind in [0, 26, 86_400, -86_400] {
        let server = Server::default();
        server.set_lease(renewed(behind, 0));
        let (successor, begun) = (holder(&server), Instant::now());
        let others = async {
            // What others write beside the record is no renewal.
            for _ in 0..100 {
                tokio::time::sleep(RETRY_EVERY).await;
                let record = server.lease();
                if record["holderIdentity"] == "incumbent" {
                    server.set_lease(record);
                }
            }
        };
        tokio::select! {
            taken = successor.acquire() => taken.unwrap(),
            () = others => panic!("it was not taken, and the clock is {behind} s behind"),
        }
        let waited = begun.elapsed();
        assert!((DURATION..DURATION + 3 * RETRY_EVERY).contains(&waited), "{behind}: {waited:?}");
        assert_eq!(
            (&server.lease()["holderIdentity"], &server.lease()["leaseTransitions"]),
            (&json!("successor"), &json!(2))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_given_back_or_is_our_own_is_taken_at_once() {
    for before in ["", "successor"] {
        let server = Server::default();
        let mut record = renewed(0, 0);
        record["holderIdentity"] = json!(before);
        server.set_lease(record);
        let begun = Instant::now();
        holder(&server).acquire().await.unwrap();
        assert!(begun.elapsed() < RETRY_EVERY, "{before}");
    }
}
