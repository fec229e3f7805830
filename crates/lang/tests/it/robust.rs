//! Any text is read without a panic and within its bounds.

use drover_lang::cron::{Cron, Zone};
use drover_lang::filter::{Filter, Shape};
use drover_lang::gotmpl::{Data, Options as TemplateOptions, Template};
use drover_lang::hcl::eval::{Budget, NoHost};
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::{Options, parse_job};
use drover_lang::{Problem, Source, config, diag};
use proptest::prelude::*;

use crate::golden::{cell, records, text};

struct Nothing;

impl Data for Nothing {
    fn environment(&self, _: &str) -> Option<String> {
        None
    }

    fn now(&self) -> i64 {
        0
    }
}

fn read_job(text: &str) {
    let source = Source::new("job.nomad.hcl", text);
    let host = NoHost::default();
    let budget = Budget { steps: 20_000, bytes: 1 << 20 };
    if let Err(problems) = parse_job(&source, &Options { inputs: Inputs::default(), host: &host, budget }) {
        assert!(!problems.is_empty());
        for problem in &problems {
            diag::render(problem, &[&source]);
        }
    }
}

fn read_config(text: &str) {
    for name in ["agent.hcl", "agent.json"] {
        if let Ok(parsed) = config::parse(&Source::new(name, text)) {
            let _ = parsed.partial.typed();
        }
    }
}

fn read_template(text: &str) {
    let options = TemplateOptions { max_steps: 20_000, max_bytes: 1 << 20, ..TemplateOptions::default() };
    if let Ok(template) = Template::parse(text, options, &Nothing) {
        let _ = template.render(&Nothing);
    }
}

/// Texts near those that people write: a record with one to three pieces cut out, doubled or replaced.
fn damaged(sources: Vec<String>) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(String::new()),
        "[ -~]{1,3}",
        prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        // A piece of the text itself, elsewhere.
        Just(AGAIN.to_owned()),
    ];
    let splice = (any::<prop::sample::Index>(), 0usize..6, piece);
    (prop::sample::select(sources), prop::collection::vec(splice, 1..4)).prop_map(|(source, splices)| {
        let mut text = source;
        for (at, length, piece) in splices {
            let near = |at: usize, text: &str| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let start = near(if text.is_empty() { 0 } else { at.index(text.len()) }, &text);
            let end = near((start + length).min(text.len()), &text);
            if piece == AGAIN {
                let (from, to) = (near(start / 2, &text), near((start / 2 + 12).min(text.len()), &text));
                let again = text[from..to].to_owned();
                text.insert_str(start, &again);
            } else {
                text.replace_range(start.min(end)..end, &piece);
            }
        }
        text
    })
}

const AGAIN: &str = "again";

const PIECES: [&str; 32] = [
    "\u{301}é🐑",
    "${",
    "%{",
    "~}",
    "{{",
    "}}",
    "}",
    "{",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "\\",
    "\n",
    "\r\n",
    "\t",
    "<<EOT\n",
    "<<-X\n",
    "EOT",
    "#",
    "/*",
    "*/",
    "//",
    "...",
    "[*]",
    "=>",
    "99999999999999999999",
    "1e400",
    "-",
    "\u{feff}",
    "null",
];

fn job_sources() -> Vec<String> {
    let mut all: Vec<String> = records("jobs")[1..].iter().map(|record| text(record, "source").to_owned()).collect();
    all.extend(real_files());
    all.extend(records("hcl-expressions").iter().map(|record| {
        format!("{}\njob \"a\" {{\n  name = \"${{jsonencode({})}}\"\n}}\n", cell(record, "header"), cell(record, "expression"))
    }));
    all
}

/// The job files of `testdata/jobs` and its folders.
fn real_files() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/jobs");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Inputs for each target; `docs/fuzzing.md` says how many more are run by hand.
fn cases() -> u32 {
    std::env::var("DROVER_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_laid_out_and_stay_so(text in damaged(job_sources())) {
        let once = drover_lang::hcl::format::format(&text);
        prop_assert_eq!(drover_lang::hcl::format::format(&once), once);
    }

    #[test]
    fn damaged_jobs_in_json_are_read_without_a_panic(
        text in damaged(records("jobs")[1..].iter().map(|record| record["out"].to_string()).take(60).collect())
    ) {
        let _ = drover_lang::jobspec::parse_api_job(&Source::new("job.json", text.as_str()));
    }

    #[test]
    fn damaged_specifications_are_read_without_a_panic(
        text in damaged(records("agent-config")[1..].iter().flat_map(|record| record["sources"].as_object().unwrap().values()).map(|source| source.as_str().unwrap().to_owned()).collect())
    ) {
        let kinds = drover_lang::specs::Specification::ALL;
        let kind = kinds[text.len() % kinds.len()];
        let source = Source::new(if text.starts_with('{') { "spec.json" } else { "spec.hcl" }, text.as_str());
        if let Err(problems) = drover_lang::specs::parse(kind, &source) {
            prop_assert!(!problems.is_empty());
            diag::render(&problems[0], &[&source]);
        }
    }

    #[test]
    fn damaged_durations_give_what_they_say(
        text in damaged(records("lang-durations").iter().map(|record| cell(record, "input")).collect())
    ) {
        if let Ok(nanoseconds) = drover_lang::duration::parse_duration(&text) {
            let shown = drover_lang::duration::format_duration(nanoseconds);
            prop_assert_eq!(drover_lang::duration::parse_duration(&shown), Ok(nanoseconds));
        }
    }

    #[test]
    fn damaged_versions_are_ordered(
        one in damaged(records("lang-versions").iter().map(|record| cell(record, "version")).collect()),
        other in damaged(records("lang-versions").iter().map(|record| cell(record, "version")).collect()),
    ) {
        use drover_lang::version::Version;
        if let (Ok(one), Ok(other)) = (Version::parse(&one), Version::parse(&other)) {
            prop_assert_eq!(one.compare(&other), other.compare(&one).reverse());
        }
    }

    #[test]
    fn damaged_job_files_are_read_without_a_panic(text in damaged(job_sources())) {
        read_job(&text);
    }

    #[test]
    fn damaged_configuration_is_read_without_a_panic(
        text in damaged(records("agent-config")[1..].iter().flat_map(|record| record["sources"].as_object().unwrap().values()).map(|source| source.as_str().unwrap().to_owned()).collect())
    ) {
        read_config(&text);
    }

    #[test]
    fn damaged_templates_are_read_without_a_panic(
        text in damaged(records("lang-go-templates").iter().map(|record| cell(record, "template")).collect())
    ) {
        read_template(&text);
    }

    #[test]
    fn damaged_filters_are_read_without_a_panic(
        text in damaged(records("lang-filters").iter().map(|record| cell(record, "filter")).collect())
    ) {
        static OBJECTS: std::sync::OnceLock<Vec<serde_json::Value>> = std::sync::OnceLock::new();
        let objects = OBJECTS.get_or_init(|| records("lang-filters-objects"));
        if let Ok(filter) = Filter::parse(&text) {
            let _ = filter.matches(&objects[0]["widget"]["Value"], Shape::api());
            let _ = filter.matches(&objects[0]["map"]["Value"], Shape::untyped());
        }
    }

    #[test]
    fn next_times_come_later_each_time(
        text in damaged(records("lang-cron").iter().map(|record| cell(record, "expression")).collect()),
        after in any::<i64>(),
        zone in prop::sample::select(vec!["", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]),
    ) {
        if let Ok(cron) = Cron::parse(&text) {
            let zone = Zone::named(zone).unwrap();
            let mut after = after;
            for _ in 0..3 {
                let Some(next) = cron.next_after(after, &zone) else { break };
                prop_assert!(next > after);
                after = next;
            }
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        read_job(&text);
        read_config(&text);
        read_template(&text);
        let _ = Filter::parse(&text);
        let _ = drover_lang::duration::parse_duration(&text);
        let _ = drover_lang::version::Version::parse(&text);
        let _ = drover_lang::bytesize::parse_byte_size(&text);
    }
}

/// Each value names the one before it ten times: short to write, and endless to look at.
#[test]
fn values_that_name_each_other_again_and_again_stop_at_their_budget() {
    let list = |from: usize| format!("[{}]", vec![format!("local.a{from}"); 10].join(", "));
    let chain = |first: &str, each: &dyn Fn(usize) -> String, use_of: &str| {
        let locals: String = (1..20).map(|at| format!("  a{at} = {}\n", each(at - 1))).collect();
        format!("locals {{\n  a0 = {first}\n{locals}}}\njob \"a\" {{\n  name = {use_of}\n}}\n")
    };
    let same = |from: usize| format!("{{ for k in range(10) : \"k${{k}}\" => local.a{from} }}");
    let joined = |from: usize| format!("concat(local.a{from}, local.a{from}, [local.a{from}])");
    for (first, each, use_of) in [
        ("[1]", &list as &dyn Fn(usize) -> String, "jsonencode(local.a19)"),
        ("[1]", &list, "local.a19 == local.a18 ? \"a\" : \"b\""),
        ("[1]", &list, "can(1 + local.a19) ? \"a\" : \"b\""),
        ("[1]", &list, "length(setproduct(local.a19, local.a19))"),
        ("{ a = 1 }", &same, "jsonencode(local.a19)"),
        ("[1]", &joined, "jsonencode(local.a19)"),
    ] {
        let found = problems_of(&chain(first, each, use_of));
        assert!(found.iter().any(|problem| problem.summary == "Evaluation too expensive"), "{use_of}: {found:?}");
    }
    let deep: String = (1..4_000).map(|at| format!("  a{at} = [local.a{}]\n", at - 1)).collect();
    let found = problems_of(&format!("locals {{\n  a0 = 1\n{deep}}}\njob \"a\" {{\n  name = jsonencode(local.a3999)\n}}\n"));
    assert!(found.iter().any(|problem| problem.summary == "Evaluation too expensive"), "{found:?}");
}

#[test]
fn lists_of_templates_that_hold_themselves_again_and_again_are_refused() {
    let lists = "{{ $a := sprig_list 1 1 }}".to_owned() + &"{{ $a = sprig_list $a $a $a $a $a $a $a $a $a $a }}".repeat(20);
    let maps = "{{ $a := sprig_dict \"a\" 1 }}".to_owned() + &"{{ $a = sprig_dict \"a\" $a \"b\" $a \"c\" $a }}".repeat(40);
    let deep = "{{ $a := sprig_list 1 }}{{ range loop 100000 }}{{ $a = sprig_list $a }}{{ end }}".to_owned();
    for text in [lists, maps, deep] {
        for end in ["{{ $a }}", "{{ toJSON $a }}", "{{ eq $a $a }}", "{{ sprig_deepEqual $a $a }}", "{{ printf \"%v\" $a }}"] {
            let template = Template::parse(&format!("{text}{end}"), TemplateOptions::default(), &Nothing).unwrap();
            let refused = template.render(&Nothing).unwrap_err().to_string();
            assert!(refused.contains("holds more than") || refused.contains("too many steps"), "{end}: {refused}");
        }
    }
}

#[test]
fn nested_dynamic_blocks_ranges_and_products_stop_at_their_budget() {
    let nested = "job \"a\" {\n  dynamic \"group\" {\n    for_each = range(1000)\n    labels = [group.key]\n    content {\n      dynamic \"task\" {\n        \
                  for_each = range(1000)\n        labels = [task.key]\n        content {\n          dynamic \"service\" {\n            for_each = range(1000)\n            \
                  content {\n              name = join(\",\", range(100))\n            }\n          }\n        }\n      }\n    }\n  }\n}\n";
    assert!(problems_of(nested).iter().any(|problem| problem.summary == "Evaluation too expensive"));
    for expression in [
        "length(range(1000000000))",
        "length(setproduct(range(1000), range(1000), range(1000), range(1000)))",
        "format(\"%999999999d\", 1)",
        "join(\"\", [for a in range(1000) : format(\"%10000d\", a)])",
        "regex_replace(format(\"%30000d\", 1), \" \", format(\"%30000d\", 1))",
        "jsonencode([for a in range(1000) : range(1000)])",
        "indent(100000000, \"a\\nb\")",
        "substr(strrev(format(\"%1000000d\", 1)), 0, 5)",
    ] {
        let text = format!("job \"a\" {{\n  name = {expression}\n}}\n");
        let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget { steps: 1_000_000, bytes: 4 << 20 } };
        // It ends, with a job or with an error.
        let _ = parse_job(&Source::new("job.nomad.hcl", text), &options);
    }
    let deep = format!("{{\"Job\":{{\"ID\":{}1{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(drover_lang::jobspec::parse_api_job(&Source::new("job.json", deep)).is_err());
}

#[test]
fn deep_and_long_texts_are_refused_in_bounded_time_and_stack() {
    let many = 100_000;
    for text in [
        format!("job \"a\" {{ name = {}", "[".repeat(many)),
        format!("job \"a\" {{ name = {}", "(".repeat(many)),
        format!("job \"a\" {{ name = {}", "{a=".repeat(many)),
        format!("job \"a\" {{ name = {}", "-".repeat(many)),
        format!("job \"a\" {{ name = {}1", "1+".repeat(many)),
        format!("job \"a\" {{ name = a{}", ".b".repeat(many)),
        format!("job \"a\" {{ name = \"{}\"", "${\"".repeat(many)),
        format!("job \"a\" {{ name = \"{}\"\n}}", "%{if true}".repeat(many)),
        "job \"a\" {\n".repeat(many),
        format!("{{\"job\": {}", "[".repeat(many)),
        format!("job \"a\" {{ name = \"x${{{}}}\"\n}}", "true ? 1 : ".repeat(many)),
    ] {
        let source = Source::new("job.nomad.hcl", text.as_str());
        let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget::default() };
        assert!(parse_job(&source, &options).is_err(), "{}", &text[..40]);
        read_config(&text);
    }
    read_template(&"{{ if true }}".repeat(many));
    read_template(&format!("{{{{ {} }}}}", "(".repeat(many)));
    read_template(&"{{ if true }}a{{ else }}".repeat(many));
    assert!(Filter::parse(&"(".repeat(20_000)).is_err());
    assert!(Filter::parse(&"not ".repeat(10_000)).is_err());
}

#[test]
fn evaluation_stops_when_its_budget_is_spent() {
    let text = "job \"a\" {\n  name = join(\"\", [for a in range(1000) : join(\"\", [for b in range(1000) : join(\"\", [for c in range(1000) : \"x\"])])])\n}\n";
    let source = Source::new("job.nomad.hcl", text);
    let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget::default() };
    let problems = parse_job(&source, &options).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].summary, "Evaluation too expensive");
    let data = Nothing;
    let endless = "{{ define \"r\" }}{{ range loop 1000000 }}{{ range loop 1000000 }}x{{ end }}{{ end }}{{ end }}{{ template \"r\" }}";
    assert!(Template::parse(endless, TemplateOptions::default(), &data).unwrap().render(&data).is_err());
}

#[test]
fn all_problems_of_a_job_file_come_out_at_once() {
    let text = "job \"a\" {\n  datacentres = [\"dc1\"]\n  priority = \"high\"\n  group \"g\" {\n    cout = 3\n    task \"t\" {\n      driver = uper(\"x\")\n      kill_timeout = \"5\"\n    }\n  }\n}\n";
    let source = Source::new("job.nomad.hcl", text);
    let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget::default() };
    let problems = parse_job(&source, &options).unwrap_err();
    let lines: Vec<u32> = problems.iter().map(|problem| problem.place.as_ref().unwrap().line).collect();
    assert_eq!(lines, [2, 3, 5, 7, 8]);
    assert_eq!(problems[0].hint.as_deref(), Some("Did you mean \"datacenters\"?"));
    assert_eq!(problems[2].hint.as_deref(), Some("Did you mean \"count\"?"));
    assert_eq!(problems[3].hint.as_deref(), Some("Did you mean \"upper\"?"));
}

fn problems_of(text: &str) -> Vec<Problem> {
    let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget::default() };
    parse_job(&Source::new("job.nomad.hcl", text), &options).unwrap_err()
}

#[test]
fn a_value_that_does_not_fit_is_shown_where_it_comes_from() {
    let text = "variable \"sizes\" {\n  default = [1, \"many\"]\n}\nlocals {\n  ports = {\n    admin = 1\n    web   = \"eighty\"\n  }\n}\njob \"a\" {\n  \
                group \"g\" {\n    count = var.sizes[1]\n    network {\n      dynamic \"port\" {\n        for_each = local.ports\n        labels = [port.key]\n        \
                content {\n          to = port.value\n        }\n      }\n    }\n  }\n}\n";
    let problems = problems_of(text);
    let lines = |problem: &Problem| (problem.place.as_ref().unwrap().line, problem.cause.as_ref().unwrap().place.as_ref().unwrap().line);
    assert_eq!(problems.iter().map(lines).collect::<Vec<_>>(), [(12, 2), (18, 7)]);
    let source = Source::new("job.nomad.hcl", text);
    let shown = diag::render(&problems[1], &[&source]);
    assert!(shown.contains("  18 |           to = port.value\n     |                ^^^^^^^^^^\n"), "{shown}");
    assert!(
        shown.contains("The value comes from line 7, column 13:\n  7 |     web   = \"eighty\"\n    |             ^^^^^^^^\n"),
        "{shown}"
    );
    assert_eq!(diag::json(&problems)["Diagnostics"][1]["Cause"]["Place"]["Line"], 7);
    // A value from outside has no place; it is named.
    let inputs = Inputs { arguments: vec!["n=x".to_owned()], ..Inputs::default() };
    let options = Options { inputs, host: &NoHost::default(), budget: Budget::default() };
    let given = "variable \"n\" {\n  type = string\n}\njob \"a\" {\n  priority = var.n\n}\n";
    let problems = parse_job(&Source::new("job.nomad.hcl", given), &options).unwrap_err();
    assert!(problems[0].to_string().ends_with("It is the value given to var.n by the command line."), "{}", problems[0]);
}

#[test]
fn problems_come_with_a_way_out() {
    for (text, wanted) in [
        ("job \"a\" {\n  count = 3\n}\n", "\"count\" belongs in a block \"group\"."),
        (
            "job \"a\" {\n  group \"g\" {\n    shutdown_delay = \"5 seconds\"\n  }\n}\n",
            "Units are ns, us, ms, s, m and h, as in \"1h30m\".",
        ),
        (
            "job \"a\" {\n  group \"g\" {\n    task \"t\" {\n      resources {\n        cpu = \"500MHz\"\n      }\n    }\n  }\n}\n",
            "It is a plain number of MHz, as in cpu = 500.",
        ),
        ("job \"a\" {\n  type: \"batch\"\n}\n", "Use \"=\" to give an argument its value."),
        ("job \"a\" {\n  group \"g\" {\n    network = {}\n  }\n}\n", "\"network\" is a block: remove the equals sign."),
    ] {
        assert_eq!(problems_of(text)[0].hint.as_deref(), Some(wanted), "{text}");
    }
    // What swallows the rest of a file is told, not what follows from it.
    assert_eq!(problems_of("job \"a\" {\n  /* never closed\n").len(), 1);
}

#[test]
fn formatting_twice_is_formatting_once_and_changes_no_meaning() {
    let records = records("jobs");
    for record in &records[1..] {
        let (name, text) = (text(record, "name"), text(record, "source"));
        if !name.ends_with(".hcl") {
            continue;
        }
        let once = drover_lang::hcl::format::format(text);
        assert_eq!(drover_lang::hcl::format::format(&once), once, "{name}");
        // Tokens are the same, so is the meaning: what is not white space is unchanged, but for a byte order mark.
        let bare = |text: &str| text.chars().filter(|letter| !letter.is_whitespace() && *letter != '\u{feff}').collect::<String>();
        assert_eq!(bare(text), bare(&once), "{name}");
        let parsed = |text: &str| drover_lang::hcl::parse::parse_file(&Source::new(name, text)).1.len();
        assert_eq!(parsed(text), parsed(&once), "{name}");
    }
}
