use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::*;

/// Questions by name; the ones that are asked of `panics` break off.
struct Fake {
    due: Mutex<Vec<&'static str>>,
    wake: Notify,
}

impl Asks for Fake {
    type Job = &'static str;
    type Answer = Result<(), ()>;
    const AT_ONCE: usize = 1;

    fn wake(&self) -> &Notify {
        &self.wake
    }

    fn take_due(&self, _: Instant, most: usize) -> (Vec<Self::Job>, Option<Instant>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let most = most.min(due.len());
        (due.drain(..most).collect(), None)
    }

    async fn ask(&self, job: &Self::Job) -> Self::Answer {
        assert_ne!(*job, "panics");
        Ok(())
    }

    fn broken(&self, _: &Self::Job) -> Self::Answer {
        Err(())
    }

    fn finish(&self, job: &Self::Job, answer: Self::Answer, _: Instant) -> Option<Key> {
        Some((format!("{answer:?}"), (*job).to_owned()))
    }
}

#[tokio::test]
async fn a_question_that_breaks_off_inside_the_operator_is_answered_all_the_same() {
    let asks = Arc::new(Fake { due: Mutex::new(vec!["panics", "answers"]), wake: Notify::new() });
    let (news, mut told) = mpsc::channel(2);
    let asking = tokio::spawn(run(asks, news));
    for expected in [("Err(())", "panics"), ("Ok(())", "answers")] {
        let model = tokio::time::timeout(Duration::from_secs(10), told.recv()).await.expect("in time").expect("news");
        assert_eq!((model.namespace.as_deref().unwrap(), &*model.name), expected);
    }
    asking.abort();
}

#[test]
fn of_what_is_due_the_longest_waiting_are_first() {
    let now = Instant::now();
    let at = |seconds| Some(now + Duration::from_secs(seconds));
    let all = [(at(3), "c"), (None, "asked"), (at(1), "a"), (at(9), "later"), (at(2), "b")];
    let taken = |most| longest_waiting(all.into_iter(), now + Duration::from_secs(5), most).collect::<Vec<_>>();
    assert_eq!((taken(2), taken(9)), (vec!["a", "b"], vec!["a", "b", "c"]));
}
