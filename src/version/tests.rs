use std::cmp::Ordering;

use proptest::prelude::*;

use super::{Scheme, Version};

fn compare(scheme: Scheme, a: &str, b: &str) -> Option<Ordering> {
    scheme.compare(&Version::new(a), &Version::new(b))
}

/// Each version comes before all that follow it.
fn ascending(scheme: Scheme, versions: &[&str]) {
    for (at, earlier) in versions.iter().enumerate() {
        for later in versions.iter().skip(at + 1) {
            assert_eq!(compare(scheme, earlier, later), Some(Ordering::Less), "{earlier} < {later}");
            assert_eq!(compare(scheme, later, earlier), Some(Ordering::Greater), "{later} > {earlier}");
        }
    }
}

#[test]
fn ios_rebuilds_are_numbers_and_trains_have_no_order() {
    let ios = Scheme::CiscoIos;
    ascending(
        ios,
        &["15.2(2)E", "15.2(7)E", "15.2(7)E0a", "15.2(7)E3", "15.2(7)E3a", "15.2(7)E10", "15.2(8)E1"],
    );
    ascending(ios, &["12.3(6)", "12.3(6a)", "12.3(6f)", "12.3(26)"]);
    ascending(ios, &["12.2(18)SXF7", "12.2(18)SXF17a"]);
    ascending(ios, &["15.4(0.10)S", "15.4(1)S", "15.4(1.3)S", "15.4(2)S", "15.5(3)S4b"]);
    assert_eq!(compare(ios, "15.2(7)E3", "15.2(4)M8"), None);
    assert_eq!(compare(ios, "12.2(18)SXF7", "12.2(33)SXI4"), None);
    assert_eq!(compare(ios, "15.0(2)SE11", "15.0(20100325:222114)"), None);
}

#[test]
fn ios_xe_is_one_release_in_two_spellings() {
    let ios = Scheme::CiscoIos;
    assert_eq!(compare(ios, "17.09.04a", "17.9.4a"), Some(Ordering::Equal));
    ascending(ios, &["16.12.4", "17.3.1a", "17.9.4", "17.09.04a", "17.9.5", "17.12.1"]);
    // A release's first two numbers are where it begins: the bounds that people write.
    ascending(ios, &["17.12", "17.12.1", "17.12.5a", "17.13", "17.13.1a"]);
    ascending(ios, &["03.04.06.SG", "03.11.01.SG"]);
    assert_eq!(compare(ios, "03.06.06.E", "03.16.04b.S"), None);
    assert_eq!(compare(ios, "17.9.4a", "15.2(7)E3"), None);
    assert_eq!(compare(ios, "17.14.20230924:023456", "17.14.1"), None);
    ascending(ios, &["17.13.20230512:105008", "17.14.20230924:023456"]);
    assert_eq!(compare(ios, "BLD_POLARIS_DEV_LATEST_20230924_003642", "17.14.1"), None);
}

#[test]
fn nxos_knows_its_trains_and_markers() {
    let nxos = Scheme::CiscoNxos;
    ascending(nxos, &["10.3(99w)", "10.4", "10.4(1)", "10.4(2)(M)", "10.5"]);
    ascending(
        nxos,
        &[
            "6.2(14)",
            "7.0(3)I4(7)",
            "7.0(3)I7(8)",
            "7.0(3)I7(10)",
            "9.3(3)",
            "9.3(10)",
            "10.3(4)",
            "10.3(4a)",
        ],
    );
    assert_eq!(compare(nxos, "10.3(4a)", "10.3(4a)(M)"), Some(Ordering::Equal));
    assert_eq!(compare(nxos, "7.3(0)D1(1)", "7.3(0)N1(1)"), None);
    ascending(nxos, &["5.0(3)N2(4.04)", "5.0(3)N2(4.04i)"]);
}

#[test]
fn xr_puts_an_interim_build_before_its_release() {
    ascending(Scheme::CiscoXr, &["5.3.2", "6.1.4.10I", "6.1.4.23I", "6.1.4", "7.5.2", "7.10.1", "24.2.11"]);
}

#[test]
fn junos_kinds_service_releases_and_evolved() {
    let junos = Scheme::Junos;
    ascending(
        junos,
        &["20.4B1", "20.4R1", "21.4R3", "21.4R3.15", "21.4R3-S3.4", "21.4R3-S10.2", "22.1R1.10"],
    );
    ascending(junos, &["12.1X46-D9", "12.1X46-D40.2", "12.1X46-D40.5", "12.3X48-D10", "18.2R2-S1"]);
    assert_eq!(compare(junos, "12.1X46-D40", "12.1X47-D10"), None);
    assert_eq!(compare(junos, "22.4R2-S1.6-EVO", "22.4R2-S1.6"), None);
    ascending(junos, &["22.4R2-S1.6-EVO", "22.4R3-EVO", "23.2R1-EVO"]);
    assert_eq!(compare(junos, "23.2R1-EVO", "22.4R3"), None);
}

#[test]
fn eos_maintenance_follows_feature() {
    let eos = Scheme::AristaEos;
    ascending(eos, &["4.18.10M", "4.21.1F", "4.21.1.1F", "4.28.0F", "4.28.9M", "4.28.10M", "4.32.1F"]);
    assert_eq!(compare(eos, "4.32.1F", "4.32.1F-37265360.4321F"), None);
}

#[test]
fn dotted_follows_semver_and_debian() {
    let dotted = Scheme::Dotted;
    ascending(dotted, &["8.4", "8.4.4", "9.0-rc1", "9.0", "10.0.1"]);
    ascending(dotted, &["1.0~beta2", "1.0~rc1", "1.0", "1.0-1", "1.0-1.1", "1:0.1"]);
    ascending(dotted, &["6.1.0-18-amd64", "6.1.0-21-amd64"]);
    assert_eq!(compare(dotted, "22.04", "22.04.0"), Some(Ordering::Equal));
    assert_eq!(compare(dotted, "rolling", "sid"), None);
}

#[test]
fn other_vendors_number_as_they_mean_it() {
    let asa = Scheme::CiscoAsa;
    ascending(asa, &["8.4(1)", "9.8(3)", "9.8(3)21", "9.8(4)", "9.12(4)7", "9.12(4)67", "9.20(2)32"]);
    ascending(asa, &["2.3(1.8)", "2.12(1.29)", "2.12(1.167)", "4.3(1.2024)"]);
    ascending(Scheme::Fortios, &["6.4.9", "v7.0.0", "7.0.15", "7.2.10", "7.4.8"]);
    let builds = ["7.4.8 build2571", "v7.4.8,build2795,250523 (GA.M)"];
    ascending(Scheme::Fortios, &builds);
    assert_eq!(compare(Scheme::Fortios, "7.4.8", builds[0]), None);
    ascending(
        Scheme::Panos,
        &["9.1.2", "10.2.7", "10.2.7-h3", "10.2.7-h10", "10.2.10", "11.0.0-b12", "11.0.0"],
    );
    ascending(
        Scheme::Routeros,
        &["6.48.6", "6.49", "7.16beta3", "7.16beta10", "7.16rc1", "7.16", "7.16.1 (stable)"],
    );
    ascending(Scheme::Sros, &["TiMOS-C-14.0.R7", "B-22.7.R2", "22.10.R3", "22.10.R3-1", "C-22.10.R10"]);
    assert_eq!(compare(Scheme::Sros, "B-22.10.R3", "22.10.R3"), Some(Ordering::Equal));
    assert_eq!(compare(Scheme::Sros, "22.10.B1", "22.10.R1"), None);
    let vrp = Scheme::HuaweiVrp;
    ascending(
        vrp,
        &["V200R005C00", "V200R005C00SPC300", "V200R019C10SPC500", "V200R019C13SPC200", "V600R022C00"],
    );
    ascending(vrp, &["5.130", "5.170", "8.180"]);
    assert_eq!(compare(vrp, "MA5600V800R018C10", "V800R021C10"), None);
    let comware = Scheme::Comware;
    ascending(
        comware,
        &[
            "5.20.99, Release 2222P09",
            "7.1.070, Release 3507P8",
            "7.1.070, Release 3507P18",
            "7.1.070, Release 3508",
        ],
    );
    assert_eq!(compare(comware, "7.1.045, Feature 2432", "7.1.045, Release 2432P01"), None);
    ascending(
        Scheme::Dotted,
        &["30.7.1.1", "31.7.1.4", "31.7.1.4-patch1-9", "31.7.1.4-patch1-34", "32.1.1.6"],
    );
    ascending(Scheme::Dotted, &["6.0.1.2", "8.3.1.2", "8.10.0.0", "8.10.2.0"]);
}

/// Versions in the shape of every scheme, and noise.
fn any_version() -> impl Strategy<Value = Version> {
    prop_oneof![
        r"1[0-9]\.[0-3]\([0-3](\.[0-2])?[ab]?\)(S|E|SXF|M|)[0-2]?[ab]?",
        r"1[67]\.0?[0-3]\.0?[0-3][ab]?(\.E)?",
        r"[7-9]\.[0-1]\([0-2]a?\)((I|D)[0-2]\([0-2]\))?(\(M\))?",
        r"[67]\.[0-2](\.[0-2]){0,2}I?",
        r"2[0-2]\.[1-2](R|B|F|I)[1-2](\.[0-2])?(-S[0-2](\.[0-2])?)?(-EVO)?",
        r"1[25]\.1X4[67]-D[0-2](\.[0-2])?",
        r"4\.[0-2]\.[0-2](\.[0-2])?[FM](-[0-2]{1,2}\.[0-2]F)?",
        r"([0-2]:)?[0-2](\.[0-2]){0,2}(-rc[0-2]|~rc[0-2]|~|-[0-2]|a|\+deb[0-2])?",
        r"9\.[0-1]\([0-2](\.[0-2])?\)[0-2]?",
        r"v?7\.[0-1](\.[0-1])?(,build[0-2],1|-h[0-2]|-b[0-2]|beta[0-2]|rc[0-2])?",
        r"(B-|C-)?2[0-1]\.1\.(R|B)[0-2](-[0-1])?",
        r"(MA)?V[1-2]R[0-1]C[0-1](SPC[0-2])?(B[0-1])?",
        r"7\.1\.0?[0-1](, (Release|Feature) [0-2]{1,2}(P[0-2])?)?",
        r"[0-9a-zA-Z().:~+-]{0,12}",
    ]
    .prop_map(Version::new)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_scheme_is_a_partial_order(a in any_version(), b in any_version(), c in any_version()) {
        for scheme in Scheme::ALL {
            prop_assert_eq!(scheme.compare(&a, &a), Some(Ordering::Equal));
            prop_assert_eq!(scheme.compare(&a, &b), scheme.compare(&b, &a).map(Ordering::reverse));
            let steps = scheme.compare(&a, &b).zip(scheme.compare(&b, &c));
            if let Some((ab, bc)) = steps.filter(|(ab, bc)| ab.is_le() && bc.is_le()) {
                let expected = if ab.is_eq() { bc } else { ab };
                prop_assert_eq!(scheme.compare(&a, &c), Some(expected), "{} {} {}", a, b, c);
            }
        }
    }
}

/// What a scheme orders: patterns of versions of which any two can be ordered.
const ORDERED: [(Scheme, &str); 16] = [
    (Scheme::CiscoIos, r"15\.[0-9]{1,2}\([0-9]{1,2}\)E([0-9]{1,2}[a-c]?)?"),
    (Scheme::CiscoIos, r"12\.4\([0-9]{1,2}[a-f]?\)"),
    (Scheme::CiscoIos, r"1[67]\.0?[0-9]{1,2}\.0?[0-9]{1,2}[a-d]?"),
    (Scheme::CiscoNxos, r"(9\.[23]|10\.[1-5])\([0-9]{1,2}[a-c]?\)(\(M\)|\(F\))?"),
    (Scheme::CiscoNxos, r"7\.0\(3\)I[4-7]\([0-9]{1,2}\)"),
    (Scheme::CiscoXr, r"([67]|2[0-9])\.[0-9]{1,2}\.[0-9]{1,2}(\.[0-9]{1,2}I)?"),
    (Scheme::Junos, r"2[0-4]\.[1-4](R|B)[1-9](-S[0-9]{1,2})?(\.[0-9]{1,2})?"),
    (Scheme::AristaEos, r"4\.[0-9]{1,2}\.[0-9]{1,2}(\.[0-9])?[FM]"),
    (Scheme::CiscoAsa, r"9\.[0-9]{1,2}\([0-9]{1,2}(\.[0-9]{1,3})?\)([1-9][0-9]?)?"),
    (Scheme::Fortios, r"v?[67]\.[0-9]\.[0-9]{1,2}"),
    (Scheme::Panos, r"1[01]\.[0-2]\.[0-9]{1,2}(-h[0-9]{1,2}|-b[0-9]{1,2})?"),
    (Scheme::Routeros, r"[67]\.[0-9]{1,2}(\.[0-9]|beta[0-9]{1,2}|rc[0-9]{1,2})?( \(stable\))?"),
    (Scheme::Sros, r"(TiMOS-)?(B-|C-)?2[0-4]\.[0-9]{1,2}\.R[0-9]{1,2}(-[0-9])?"),
    (Scheme::HuaweiVrp, r"V[1-9]00R0[0-9]{2}C[0-9]{2}(SPC[1-9]00)?(B[0-9]{3})?"),
    (Scheme::Comware, r"7\.1\.0[0-9]{2}, Release [0-9]{4}(P[0-9]{1,2})?"),
    (Scheme::Dotted, r"[0-9]{1,2}(\.[0-9]{1,2}){0,3}(-rc[0-9]|~beta[0-9]|-[0-9]|[a-c])?"),
];

/// Two trains, kinds or products that have no order, whatever their numbers.
const APART: [(Scheme, &str, &str); 13] = [
    (Scheme::CiscoIos, r"15\.2\([0-9]\)E[0-9]{0,2}", r"15\.2\([0-9]\)M[0-9]{0,2}"),
    (Scheme::CiscoIos, r"15\.2\([0-9]\)E[0-9]{0,2}", r"17\.[0-9]\.[0-9]a?"),
    (Scheme::CiscoNxos, r"7\.3\(0\)D1\([0-9]{1,2}\)", r"7\.3\(0\)N1\([0-9]{1,2}\)"),
    (Scheme::CiscoXr, r"7\.[0-9]\.[0-9]", r"[a-z]{1,4}"),
    (Scheme::Junos, r"2[0-4]\.[1-4]R[1-9]", r"2[0-4]\.[1-4]R[1-9](-S[1-9])?-EVO"),
    (Scheme::Junos, r"12\.1X46-D[0-9]{1,2}", r"12\.1X47-D[0-9]{1,2}"),
    (Scheme::AristaEos, r"4\.32\.1F", r"4\.32\.1F-[0-9]{8}\.4321F"),
    (Scheme::Fortios, r"7\.4\.8", r"7\.4\.8,build[0-9]{4}"),
    (Scheme::Routeros, r"7\.[0-9]{1,2}", r"7\.[0-9]{1,2}test[0-9]"),
    (Scheme::Sros, r"22\.10\.R[0-9]{1,2}", r"22\.10\.(B|A|I)[0-9]{1,2}"),
    (Scheme::HuaweiVrp, r"V800R0[0-9]{2}C10", r"MA5600V800R0[0-9]{2}C10"),
    (Scheme::Comware, r"7\.1\.070, Release [0-9]{4}", r"7\.1\.070, Feature [0-9]{4}"),
    (Scheme::Dotted, r"[0-9]\.[0-9]", r"[a-z]{1,6}"),
];

/// Draws from patterns and checks each draw.
fn for_all(patterns: [&str; 3], check: impl Fn([Version; 3])) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let [a, b, c] = patterns.map(|pattern| proptest::string::string_regex(pattern).unwrap());
    let draws = (a, b, c).prop_map(|(a, b, c)| [a, b, c].map(Version::new));
    runner
        .run(&draws, |drawn| {
            check(drawn);
            Ok(())
        })
        .unwrap();
}

#[test]
fn within_what_it_orders_a_scheme_is_a_total_order() {
    for (scheme, pattern) in ORDERED {
        for_all([pattern; 3], |[a, b, c]| {
            let order = |a: &Version, b: &Version| {
                scheme.compare(a, b).unwrap_or_else(|| panic!("{scheme:?}: {a} and {b} have no order"))
            };
            assert_eq!(order(&a, &b), order(&b, &a).reverse(), "{scheme:?}: {a} {b}");
            let mut sorted = [&a, &b, &c];
            sorted.sort_by(|a, b| order(a, b));
            assert!(order(sorted[0], sorted[2]).is_le(), "{scheme:?}: {sorted:?}");
        });
    }
    let covered = |scheme: &Scheme| ORDERED.iter().any(|(ordered, _)| ordered == scheme);
    assert!(Scheme::ALL.iter().all(covered));
}

#[test]
fn unequal_trains_have_no_order_whatever_their_numbers() {
    for (scheme, one, other) in APART {
        for_all([one, other, one], |[a, b, _]| {
            assert_eq!((scheme.compare(&a, &b), scheme.compare(&b, &a)), (None, None), "{scheme:?}: {a} {b}");
        });
    }
}

#[test]
fn the_orders_that_vendors_mean() {
    ascending(Scheme::CiscoIos, &["15.2(7)E3", "15.2(7)E10"]);
    assert_eq!(compare(Scheme::CiscoIos, "17.09.04a", "17.9.4a"), Some(Ordering::Equal));
    ascending(Scheme::CiscoIos, &["17.9.4", "17.9.4a"]);
    ascending(Scheme::Junos, &["21.4R3", "21.4R3-S3", "21.4R3-S10"]);
    ascending(Scheme::Junos, &["15.1X53-D20", "15.1X53-D590"]);
    ascending(Scheme::Panos, &["10.2.9", "10.2.9-h1", "10.2.10"]);
    ascending(Scheme::Routeros, &["7.16beta2", "7.16rc4", "7.16"]);
    ascending(Scheme::Fortios, &["5.0,build0310", "5.0,build0318", "5.2.1"]);
}
