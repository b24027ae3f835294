use super::*;

fn parse(yaml: &str) -> Result<TimeInterval, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

fn holds_at(yaml: &str, time: &str) -> bool {
    let interval = parse(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    let at: Timestamp = time.parse().unwrap_or_else(|error| panic!("{time}: {error}"));
    interval.contains(at.as_millisecond(), &TimeZone::UTC)
}

#[test]
fn fields_hold_together_and_ranges_each_for_itself() {
    let office = "{times: [{start_time: '09:00', end_time: '17:00'}], weekdays: ['monday:friday']}";
    let cases = [
        // 2020-07-08 was a Wednesday.
        ("{}", "2020-07-08T12:00:00Z", true),
        (office, "2020-07-08T09:00:00Z", true),
        (office, "2020-07-08T16:59:59Z", true),
        (office, "2020-07-08T17:00:00Z", false),
        (office, "2020-07-11T12:00:00Z", false),
        ("{times: [{start_time: '22:00', end_time: '24:00'}]}", "2020-07-08T23:59:59Z", true),
        ("{weekdays: ['Monday', 'saturday:saturday']}", "2020-07-11T12:00:00Z", true),
        ("{months: ['1:3', 'may:august', 'december']}", "2020-07-08T12:00:00Z", true),
        ("{months: ['1:3', 'may:june']}", "2020-07-08T12:00:00Z", false),
        ("{years: ['2019:2021', '2030']}", "2020-07-08T12:00:00Z", true),
        ("{years: [2021]}", "2020-07-08T12:00:00Z", false),
        ("{days_of_month: ['1:5', '-3:-1']}", "2020-02-27T00:00:00Z", true),
        ("{days_of_month: ['1:5', '-3:-1']}", "2020-02-26T23:59:59Z", false),
        ("{days_of_month: ['-1']}", "2021-02-28T12:00:00Z", true),
        ("{days_of_month: ['30:31']}", "2021-02-28T12:00:00Z", false),
        ("{days_of_month: ['27:31']}", "2021-02-28T12:00:00Z", true),
        ("{days_of_month: ['-31:-30']}", "2021-02-01T12:00:00Z", false),
        ("{times: []}", "2020-07-08T12:00:00Z", false),
        // Zones: 09:30 in Sydney is the evening before in UTC.
        (
            "{times: [{start_time: '09:00', end_time: '17:00'}], location: 'Australia/Sydney'}",
            "2020-07-07T23:30:00Z",
            true,
        ),
        ("{weekdays: ['wednesday'], location: 'Australia/Sydney'}", "2020-07-07T23:30:00Z", true),
        // Summer time: 08:30 UTC is 09:30 in Berlin in winter and 10:30 in summer.
        (
            "{times: [{start_time: '09:00', end_time: '10:00'}], location: 'Europe/Berlin'}",
            "2020-01-08T08:30:00Z",
            true,
        ),
        (
            "{times: [{start_time: '09:00', end_time: '10:00'}], location: 'Europe/Berlin'}",
            "2020-07-08T08:30:00Z",
            false,
        ),
    ];
    for (yaml, time, want) in cases {
        assert_eq!(holds_at(yaml, time), want, "{yaml} at {time}");
    }
}

#[test]
fn local_is_the_hosts_zone() {
    let interval = parse("{times: [{start_time: '09:00', end_time: '10:00'}], location: Local}").expect("well formed");
    let at = "2020-01-08T08:30:00Z".parse::<Timestamp>().expect("a time").as_millisecond();
    assert!(interval.contains(at, &TimeZone::get("Europe/Berlin").expect("a zone")));
    assert!(!interval.contains(at, &TimeZone::UTC));
}

#[test]
fn refusals() {
    let cases = [
        ("{times: [{start_time: '17:00', end_time: '09:00'}]}", "start time cannot be equal or greater than end time"),
        ("{times: [{start_time: '9:00', end_time: '17:00'}]}", "couldn't parse timestamp 9:00, invalid format"),
        ("{times: [{start_time: '09:00', end_time: '24:01'}]}", "couldn't parse timestamp 24:01, invalid format"),
        ("{times: [{start_time: '09:00'}]}", "both start and end times must be provided"),
        ("{weekdays: ['friday:monday']}", "start day cannot be before end day"),
        ("{weekdays: ['someday']}", "someday is not a valid weekday"),
        ("{days_of_month: ['0']}", "0 is not a valid day of the month: out of range"),
        ("{days_of_month: ['1:32']}", "32 is not a valid day of the month: out of range"),
        ("{days_of_month: ['-5:5']}", "end day must be negative if start day is negative"),
        ("{days_of_month: ['10:5']}", "end day 5 is always before start day 10"),
        ("{days_of_month: ['-1:-5']}", "end day -5 is always before start day -1"),
        ("{months: ['march:may', 'may:march']}", "end month march is before start month may"),
        ("{months: ['smarch']}", "smarch is not a valid month"),
        ("{years: ['2021:2020']}", "end year 2020 is before start year 2021"),
        ("{weekdays: ['monday:tuesday:friday']}", "couldn't parse range monday:tuesday:friday, invalid format"),
        ("{location: 'Mars/Olympus'}", "unknown time zone Mars/Olympus"),
        ("{weekday: ['monday']}", "unknown field `weekday`"),
    ];
    for (yaml, want) in cases {
        let error = parse(yaml).expect_err(yaml);
        assert!(error.contains(want), "{yaml}: {error}");
    }
}

#[test]
fn prints_as_it_reads() {
    let yaml = "{times: [{start_time: '09:00', end_time: '24:00'}], weekdays: ['monday:friday', sunday], \
                days_of_month: ['1:5', '-3:-1'], months: ['may:august', '12'], years: ['2020:2022'], location: UTC}";
    let interval = parse(yaml).expect("well formed");
    let json = serde_json::to_string(&interval).expect("intervals are always JSON");
    assert_eq!(
        json,
        concat!(
            r#"{"times":[{"start_time":"09:00","end_time":"24:00"}],"weekdays":["monday:friday","sunday"],"#,
            r#""days_of_month":["1:5","-3:-1"],"months":["5:8","12"],"years":["2020:2022"],"location":"UTC"}"#
        )
    );
    assert_eq!(serde_json::from_str::<TimeInterval>(&json).ok(), Some(interval));
}
