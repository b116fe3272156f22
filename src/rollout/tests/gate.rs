use proptest::prelude::*;

use super::*;

fn metrics(figures: &[(&str, f64)]) -> Metrics {
    figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn f1() -> Requirement {
    Requirement { metric: "f1_score".into(), min: Some(0.8), not_below_stable_by: Some(0.01), ..Requirement::default() }
}

fn loss() -> Requirement {
    Requirement { metric: "loss".into(), max: Some(0.5), not_above_stable_by: Some(0.1), ..Requirement::default() }
}

fn judged(require: &[Requirement], candidate: &[(&str, f64)], stable: Option<&[(&str, f64)]>) -> Verdict {
    let known = Known::Metrics { metrics: metrics(candidate), of: "run r1".into() };
    judge(require, "1234567890ab", &known, stable.map(metrics).as_ref().map_or(Beside::Nothing, Beside::Metrics))
}

#[test]
fn each_verdict_names_metric_figure_and_bound() {
    for (require, candidate, stable, passed, words) in [
        (
            f1(),
            &[("f1_score", 0.9)][..],
            Some(&[("f1_score", 0.85)][..]),
            true,
            "f1_score is 0.9, where users get 0.85",
        ),
        (f1(), &[("f1_score", 0.8)], None, true, "of the version that users get it is not known"),
        (f1(), &[("f1_score", 0.9)], Some(&[("auc", 0.9)]), true, "of the version that users get it is not known"),
        (f1(), &[("f1_score", 0.7)], None, false, "f1_score is 0.7, less than the 0.8 of min"),
        (f1(), &[("f1_score", 0.84)], Some(&[("f1_score", 0.85)]), true, "f1_score is 0.84"),
        (f1(), &[("f1_score", 0.83)], Some(&[("f1_score", 0.85)]), false, "more than 0.01 below the 0.85"),
        (loss(), &[("loss", 0.6)], None, false, "loss is 0.6, more than the 0.5 of max"),
        (loss(), &[("loss", 0.4)], Some(&[("loss", 0.3)]), true, "loss is 0.4, where users get 0.3"),
        (loss(), &[("loss", 0.41)], Some(&[("loss", 0.3)]), false, "more than 0.1 above the 0.3"),
        (f1(), &[("accuracy", 0.9), ("auc", 0.8)], None, false, "f1_score is missing (there are accuracy, auc)"),
        (f1(), &[], None, false, "f1_score is missing, and there is no other metric"),
    ] {
        let verdict = judged(&[require], candidate, stable);
        assert_eq!(verdict.passed(), passed, "{verdict:?}");
        let (Verdict::Passed(said) | Verdict::Refused(said) | Verdict::Waiting(said)) = verdict;
        assert!(said.contains(words) && said.contains("1234567890ab (run r1)"), "{said}");
        assert_eq!(said.contains("spec.image.pin"), !passed, "{said}");
    }
}

#[test]
fn everything_that_is_missed_is_told_at_once() {
    let Verdict::Refused(said) = judged(&[f1(), loss()], &[("f1_score", 0.7)], None) else { panic!("it passed") };
    assert!(said.contains("f1_score is 0.7") && said.contains("loss is missing"), "{said}");
}

#[test]
fn what_is_not_known_yet_waits_and_what_never_will_be_is_refused() {
    let waits = judge(&[f1()], "1234567890ab", &Known::Awaited("MLflow is away".into()), Beside::Nothing);
    assert_eq!(waits, Verdict::Waiting("1234567890ab waits for its metrics (f1_score): MLflow is away".into()));
    let refused = judge(&[f1()], "1234567890ab", &Known::Never("the run failed".into()), Beside::Nothing);
    assert!(
        matches!(&refused, Verdict::Refused(said) if said.ends_with("cannot be known: the run failed")),
        "{refused:?}"
    );
    let nothing = judge(&[], "1234567890ab", &Known::Never("the run failed".into()), Beside::Nothing);
    assert!(nothing.passed(), "nothing is required");
}

#[test]
fn a_long_list_of_other_metrics_is_cut() {
    let many: Vec<String> = (0..40).map(|number| format!("metric_{number:02}")).collect();
    let many: Vec<(&str, f64)> = many.iter().map(|name| (name.as_str(), 1.0)).collect();
    let Verdict::Refused(said) = judged(&[f1()], &many, None) else { panic!("it passed") };
    assert!(said.contains("metric_09, …") && !said.contains("metric_10"), "{said}");
}

#[test]
fn a_version_that_users_had_before_need_be_no_progress_and_still_reach_what_is_fixed() {
    for (require, candidate, passed, words) in [
        (f1(), ("f1_score", 0.82), true, "f1_score is 0.82, and users have had this version before"),
        (f1(), ("f1_score", 0.79), false, "f1_score is 0.79, less than the 0.8 of min"),
        (loss(), ("loss", 0.5), true, "loss is 0.5, and users have had this version before"),
        (loss(), ("loss", 0.51), false, "loss is 0.51, more than the 0.5 of max"),
    ] {
        let known = Known::Metrics { metrics: metrics(&[candidate]), of: "run r1".into() };
        let verdict = judge(&[require], "1234567890ab", &known, Beside::Return);
        let (Verdict::Passed(said) | Verdict::Refused(said) | Verdict::Waiting(said)) = &verdict;
        assert!(verdict.passed() == passed && said.contains(words), "{said}");
    }
}

proptest! {
    /// In hundredths, as people write them: no rounding of binary numbers decides.
    #[test]
    fn a_version_passes_exactly_when_no_bound_is_missed(
        value in 70_i32..100, stable in proptest::option::of(70_i32..100), min in proptest::option::of(0_i32..80),
        max in proptest::option::of(90_i32..200), below in proptest::option::of(0_i32..10),
        above in proptest::option::of(0_i32..10),
    ) {
        let parts = |hundredths: i32| f64::from(hundredths) / 100.0;
        let requirement = Requirement {
            metric: "f1_score".into(), min: min.map(parts), max: max.map(parts),
            not_below_stable_by: below.map(parts), not_above_stable_by: above.map(parts),
        };
        let figures = stable.map(|stable| [("f1_score", parts(stable))]);
        let verdict = judged(&[requirement], &[("f1_score", parts(value))], figures.as_ref().map(|figures| &figures[..]));
        let far = |margin: Option<i32>, by: i32| margin.is_some_and(|margin| by > margin);
        let missed = min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max)
            || stable.is_some_and(|stable| far(below, stable - value) || far(above, value - stable));
        prop_assert_eq!(verdict.passed(), !missed, "{:?}", verdict);
    }
}
