use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

/// A connection that is served as the small servers do it: heads end with a line break, answers are as long as asked for.
struct World {
    client: DuplexStream,
    server: tokio::task::JoinHandle<io::Error>,
    begun: Instant,
}

fn world(answer: usize, thinks: Duration) -> World {
    let (client, server) = duplex(64);
    let seat = Seat::new();
    let mut timed = Timed::new(server, seat.clone());
    let serve = async move {
        loop {
            while timed.read_u8().await? != b'\n' {}
            seat.answering();
            tokio::time::sleep(thinks).await;
            seat.answered();
            timed.write_all(&vec![b'x'; answer]).await?;
            timed.flush().await?;
        }
    };
    let serve = async move {
        let ended: io::Result<()> = serve.await;
        ended.unwrap_err()
    };
    World { client, server: tokio::spawn(serve), begun: Instant::now() }
}

impl World {
    async fn ended(self) -> (io::ErrorKind, Duration) {
        let error = self.server.await.unwrap();
        (error.kind(), self.begun.elapsed())
    }

    async fn ask(&mut self, answer: usize) {
        self.client.write_all(b"?\n").await.unwrap();
        self.client.read_exact(&mut vec![0; answer]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_ends_after_five_seconds() {
    assert_eq!(world(1, Duration::ZERO).ended().await, (io::ErrorKind::TimedOut, LONGEST_HEAD));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_ends_after_five_seconds_also_on_a_used_connection() {
    for asked in [0, 3] {
        let mut world = world(1, Duration::ZERO);
        for _ in 0..asked {
            world.ask(1).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        let begun = Instant::now();
        while world.client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(begun.elapsed() <= LONGEST_HEAD + Duration::from_millis(200), "{:?}", begun.elapsed());
        assert_eq!(world.ended().await.0, io::ErrorKind::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn between_two_scrapes_it_waits_for_forty_seconds() {
    let mut world = world(1, Duration::ZERO);
    for _ in 0..3 {
        world.ask(1).await;
        tokio::time::sleep(Duration::from_secs(39)).await;
    }
    world.ask(1).await;
    world.begun = Instant::now();
    // The writing end lives on.
    assert_eq!(world.ended().await, (io::ErrorKind::TimedOut, LONGEST_IDLE));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_ends_after_ten_seconds_and_one_that_is_being_made_does_not() {
    let mut world = world(1000, Duration::from_secs(60));
    world.client.write_all(b"?\n").await.unwrap();
    let (kind, after) = world.ended().await;
    assert_eq!((kind, after), (io::ErrorKind::TimedOut, Duration::from_secs(60) + LONGEST_ANSWER));
}

#[tokio::test(start_paused = true)]
async fn who_has_rested_longest_is_worth_least_and_who_is_served_most() {
    let second = || tokio::time::advance(Duration::from_secs(1));
    let [old, trickling, stuck, served] = [(); 4].map(|()| Seat::new());
    second().await;
    let new = Seat::new();
    stuck.answering();
    served.answering();
    second().await;
    trickling.began_to_read();
    stuck.answered();
    let mut order = [&served, &stuck, &new, &trickling, &old];
    order.sort_by_key(|seat| seat.worth());
    let worth = order.map(|seat| seat.worth());
    assert_eq!(worth, [&old, &trickling, &new, &stuck, &served].map(|seat| seat.worth()));
    assert!(worth[0] == worth[1] && worth[1..].is_sorted_by(|one, other| one < other));
}
