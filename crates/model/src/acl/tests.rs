//! Rights as they follow from policies, and what policies are refused for.

use drover_macros::proves;

use super::*;

fn access(policies: &[&str]) -> Access {
    let rules: Vec<_> = policies.iter().map(|text| rules::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))).collect();
    Access::of(&rules)
}

fn may(policy: &str) -> Vec<&'static str> {
    let access = access(&[policy]);
    Capability::ALL.iter().filter(|one| access.namespace("x", **one)).map(|one| one.text()).collect()
}

#[proves("ACL-002")]
#[test]
fn management_may_do_everything_and_no_policy_nothing() {
    let (all, nothing) = (Access::management(), Access::default());
    for capability in Capability::ALL.iter().filter(|one| **one != Capability::Deny) {
        assert!(all.namespace("anything", *capability) && !nothing.namespace("default", *capability));
    }
    assert!(all.node_write() && all.agent_write() && all.operator_write() && all.node_pool("p", NodePoolCapability::Delete));
    assert!(!nothing.node_read() && !nothing.agent_read() && !nothing.operator_read() && !nothing.some_node_pool());
    assert!(all.variable("n", "p", VariableCapability::Destroy) && !nothing.variable("n", "p", VariableCapability::List));
}

#[proves("ACL-011")]
#[test]
fn rules_are_about_known_things_once() {
    let known = "namespace \"x\" { policy = \"read\" }\nnode_pool \"p\" { policy = \"read\" }\nhost_volume \"v\" { policy = \"read\" }\n\
                 agent { policy = \"read\" }\nnode { policy = \"read\" }\noperator { policy = \"read\" }\nquota { policy = \"read\" }\n\
                 plugin { policy = \"list\" }\nsentinel { policy = \"read\" }\n";
    assert!(rules::parse(known).is_ok());
    for wrong in [
        "bogus \"x\" {}",
        "namespace \"x\" { bogus = 1 }",
        "node { policy = \"read\" }\nnode { policy = \"write\" }",
        "namespace \"x\" { policy = \"zz\" }",
        "namespace \"x\" { capabilities = [\"nope\"] }",
        "namespace \"x\" {",
        "plugin { policy = \"scale\" }",
    ] {
        assert!(rules::parse(wrong).is_err(), "{wrong}");
    }
}

#[proves("ACL-013", "ACL-014", "ACL-015", "ACL-016")]
#[test]
fn words_stand_for_capabilities() {
    let read = may("namespace \"x\" { policy = \"read\" }");
    for one in ["list-jobs", "parse-job", "read-job", "csi-list-volume", "csi-read-volume", "read-job-scaling", "host-volume-read"] {
        assert!(read.contains(&one), "{one}");
    }
    for one in ["submit-job", "read-logs", "read-fs", "alloc-exec", "scale-job", "dispatch-job"] {
        assert!(!read.contains(&one), "{one}");
    }
    let write = may("namespace \"x\" { policy = \"write\" }");
    for one in ["submit-job", "dispatch-job", "scale-job", "read-logs", "read-fs", "alloc-exec", "alloc-lifecycle", "csi-mount-volume"] {
        assert!(write.contains(&one), "{one}");
    }
    for one in ["csi-register-plugin", "alloc-node-exec", "sentinel-override", "host-volume-delete", "host-volume-register"] {
        assert!(!write.contains(&one), "{one}");
    }
    let scale = may("namespace \"x\" { policy = \"scale\" }");
    for one in ["list-scaling-policies", "read-scaling-policy", "scale-job", "read-job", "read-job-scaling"] {
        assert!(scale.contains(&one), "{one}");
    }
    assert!(!scale.contains(&"submit-job") && !scale.contains(&"list-jobs"));
    assert!(may("namespace \"x\" { policy = \"deny\" }").is_empty());
    let lists = access(&["plugin { policy = \"list\" }"]);
    assert!(lists.plugin_list() && !lists.plugin_read());
}

#[proves("ACL-017")]
#[test]
fn submitting_covers_its_parts_and_a_part_is_no_more_than_itself() {
    let submit = may("namespace \"x\" { capabilities = [\"submit-job\"] }");
    for part in ["register-job", "revert-job", "deregister-job", "purge-job", "evaluate-job", "plan-job", "tag-job-version", "stable-job"] {
        assert!(submit.contains(&part), "{part}");
        assert!(!may(&format!("namespace \"x\" {{ capabilities = [\"{part}\"] }}")).contains(&"submit-job"), "{part}");
    }
    for verb in ["fail", "pause", "promote", "unblock", "cancel", "set-alloc-health"] {
        let part = format!("{verb}-deployment");
        assert!(submit.contains(&part.as_str()), "{part}");
        assert_eq!(may(&format!("namespace \"x\" {{ capabilities = [\"{part}\"] }}")), [part]);
    }
}

#[proves("ACL-018")]
#[test]
fn capabilities_of_host_volumes_imply_lesser_ones() {
    let volumes = |given: &str| may(&format!("namespace \"x\" {{ capabilities = [\"host-volume-{given}\"] }}")).len();
    assert_eq!((volumes("write"), volumes("register"), volumes("create"), volumes("read"), volumes("delete")), (5, 3, 2, 1, 1));
}

#[proves("ACL-019")]
#[test]
fn operators_have_capabilities_by_level() {
    let of = |policy: &str| {
        let access = access(&[policy]);
        OperatorCapability::ALL.iter().filter(|one| access.operator(**one)).map(|one| one.text()).collect::<Vec<_>>()
    };
    assert_eq!(of("operator { policy = \"read\" }"), ["license-read", "keyring-read"]);
    assert_eq!(of("operator { policy = \"write\" }").len(), 5);
    assert_eq!(of("operator { capabilities = [\"snapshot-save\"] }"), ["snapshot-save"]);
    assert!(of("operator { policy = \"deny\" }").is_empty());
}

#[proves("ACL-020")]
#[test]
fn writing_a_node_pool_includes_reading_and_deleting_it() {
    let access = access(&["node_pool \"or*\" { policy = \"write\" }\nnode_pool \"all\" { policy = \"read\" }"]);
    for capability in [NodePoolCapability::Read, NodePoolCapability::Write, NodePoolCapability::Delete] {
        assert!(access.node_pool("orchard", capability) && !access.node_pool("default", capability));
    }
    assert!(access.node_pool("all", NodePoolCapability::Read) && !access.node_pool("all", NodePoolCapability::Write));
}

#[proves("ACL-021", "ACL-022")]
#[test]
fn policies_add_up_and_denial_wins() {
    let list = "namespace \"x\" { capabilities = [\"list-jobs\"] }\nnode { policy = \"read\" }";
    let read = "namespace \"x\" { capabilities = [\"read-job\"] }\nnode { policy = \"write\" }";
    let both = access(&[list, read]);
    assert!(both.namespace("x", Capability::ListJobs) && both.namespace("x", Capability::ReadJob) && both.node_write());
    let denied = access(&[list, read, "namespace \"x\" { policy = \"deny\" }\nnode { policy = \"deny\" }"]);
    assert!(!denied.namespace("x", Capability::ListJobs) && !denied.node_read() && !denied.any_in_namespace("x"));
    let part = access(&["namespace \"x\" { policy = \"write\"\n capabilities = [\"deny\"] }"]);
    assert!(!part.namespace("x", Capability::SubmitJob));
}

#[proves("ACL-023")]
#[test]
fn an_exact_name_decides_and_then_the_closest_pattern() {
    let access = access(&["namespace \"*\" { policy = \"deny\" }\nnamespace \"prod-*\" { policy = \"read\" }\n\
                           namespace \"prod-web-*\" { policy = \"write\" }\nnamespace \"prod-web-1\" { policy = \"read\" }\n\
                           host_volume \"hay*\" { policy = \"read\" }\nhost_volume \"hayloft\" { policy = \"write\" }"]);
    let submits = |name: &str| access.namespace(name, Capability::SubmitJob);
    let reads = |name: &str| access.namespace(name, Capability::ReadJob);
    assert!(submits("prod-web-2") && !submits("prod-web-1") && reads("prod-web-1"));
    assert!(reads("prod-db") && !submits("prod-db") && !reads("test"));
    assert!(access.host_volume("hayloft", HostVolumeCapability::MountReadwrite));
    assert!(!access.host_volume("hayrack", HostVolumeCapability::MountReadwrite));
    assert!(access.host_volume("hayrack", HostVolumeCapability::MountReadonly));
}

#[proves("ACL-025", "VAR-009")]
#[test]
fn variables_have_rules_by_path() {
    let access = access(&["namespace \"farm-*\" { variables {\n path \"*\" { capabilities = [\"list\"] }\n\
                           path \"shed/*\" { capabilities = [\"read\", \"write\"] }\n path \"shed/secret\" { capabilities = [\"deny\"] } } }"]);
    let may = |path: &str, capability| access.variable("farm-a", path, capability);
    assert!(may("barn", VariableCapability::List) && !may("barn", VariableCapability::Read));
    assert!(may("shed/x", VariableCapability::Read) && may("shed/x", VariableCapability::List) && may("shed/x", VariableCapability::Write));
    assert!(!may("shed/x", VariableCapability::Destroy) && !may("shed/secret", VariableCapability::List));
    assert!(!access.variable("other", "shed/x", VariableCapability::Read));
    assert!(access.some_variable("farm-a") && !access.some_variable("other") && access.some_variable("*"));
    assert!(!access.namespace("farm-a", Capability::ListJobs));
}

proptest::proptest! {
    /// INV-60: a policy without denial never takes a right away.
    #[test]
    fn another_policy_takes_no_right_away(
        first in 1usize..45, second in 1usize..45, patterns in proptest::sample::subsequence(vec!["x", "x*", "*", "y"], 2),
    ) {
        let rule = |pattern: &str, number: usize| format!("namespace \"{pattern}\" {{ capabilities = [\"{}\"] }}", Capability::ALL[number].text());
        let (one, two) = (rule(patterns[0], first), rule(patterns[0], second));
        let before = access(&[&one]);
        let after = access(&[&one, &two]);
        for capability in Capability::ALL {
            proptest::prop_assert!(!before.namespace("x", *capability) || after.namespace("x", *capability));
        }
    }
}

/// The recorded questions to policies; those of kind `variable_claim` are asked by a task with its own identity.
const RECORDS: &str = include_str!("../../../../testdata/golden/lang-globs.jsonl");

/// Records that say something else on purpose: rules without a name, paths without a word or without capabilities are read
/// elsewhere in one place and refused in another; here the one reader of policies says what it says of rules that are written.
/// Whether jobs may be purged is asked here together with whether they may be submitted.
const DIFFERENT: [&str; 6] = ["namespace { policy", "path \"\" {", "variables {\n }", "path \"a\" { policy", "path \"a\" { }", "purge-job"];

#[test]
fn policies_allow_what_the_records_say() {
    let (mut count, mut wrong) = (0, Vec::new());
    for line in RECORDS.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| record[key].as_str().unwrap().to_owned();
        let cell = |key: &str| serde_json::from_str::<String>(&text(key)).unwrap();
        let kind = text("kind");
        if !matches!(kind.as_str(), "any" | "namespace" | "variable" | "variable_claim" | "node_pool" | "host_volume") {
            continue;
        }
        count += 1;
        let (policies, name, operation) = (cell("pattern_or_policies"), cell("name"), text("operation"));
        // Nobody asks whether something is denied.
        if operation == "deny" || DIFFERENT.iter().any(|part| policies.contains(part) || operation == *part) {
            continue;
        }
        let texts: Vec<&str> = policies.split("\n---\n").collect();
        if texts.iter().any(|policy| rules::parse(policy).is_err()) {
            if !text("result").starts_with("error") {
                wrong.push(format!("{policies:?} is refused, but: {}", text("result")));
            }
            continue;
        }
        let access = access(&texts);
        let found = match kind.as_str() {
            "any" => access.any_in_namespace(&name),
            "namespace" => Capability::ALL.iter().any(|one| one.text() == operation && access.namespace(&name, *one)),
            "node_pool" => NodePoolCapability::ALL.iter().any(|one| one.text() == operation && access.node_pool(&name, *one)),
            "host_volume" => HostVolumeCapability::ALL.iter().any(|one| one.text() == operation && access.host_volume(&name, *one)),
            "variable_claim" => {
                let access = access.of_workload(workload("default", "web", "front", "nginx"));
                let (namespace, path) = name.split_once(':').unwrap();
                VariableCapability::ALL.iter().any(|one| one.text() == operation && access.variable(namespace, path, *one))
            }
            _ => {
                let (namespace, path) = name.split_once(':').unwrap();
                VariableCapability::ALL.iter().any(|one| one.text() == operation && access.variable(namespace, path, *one))
            }
        };
        if found.to_string() != text("result") {
            wrong.push(format!("{kind} {policies:?} {name} {operation}: wanted {}, found {found}", text("result")));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{count} records of policies agree");
}

#[proves("ACL-012")]
#[test]
fn what_another_version_stored_is_read_as_far_as_it_is_known() {
    let text = "namespace \"x\" {\n policy = \"read\"\n capabilities = [\"alloc-exec\", \"teleport\"]\n colour = \"red\"\n}\n\
                galaxy \"y\" { policy = \"write\" }\nnode { policy = \"read\" }\nagent { policy = \"levitate\" }\n";
    assert!(rules::parse(text).is_err(), "nobody writes it anew");
    let row = PolicyRow::new(AclPolicy { name: "old".to_owned(), rules: text.to_owned(), ..AclPolicy::default() });
    let access = Access::of([&row.rules]);
    assert!(access.namespace("x", Capability::ReadJob) && access.namespace("x", Capability::AllocExec) && access.node_read());
    assert!(!access.namespace("x", Capability::SubmitJob) && !access.node_write() && !access.agent_read());
    let broken = PolicyRow::new(AclPolicy { name: "broken".to_owned(), rules: "namespace {{{".to_owned(), ..AclPolicy::default() });
    assert!(!Access::of([&broken.rules]).node_read());
}

fn workload(namespace: &str, job: &str, group: &str, task: &str) -> Workload {
    let [namespace, job, group, task] = [namespace, job, group, task].map(str::to_owned);
    Workload { namespace, job, group, task }
}

#[proves("ACL-037")]
#[test]
fn a_policy_is_attached_to_the_tasks_it_is_written_for() {
    let own = workload("default", "web", "front", "nginx");
    let target = |namespace: &str, job: &str, group: &str, task: &str| {
        let [namespace, job, group, task] = [namespace, job, group, task].map(str::to_owned);
        PolicyTarget { namespace, job, group, task }
    };
    for wide in [("", "", ""), ("web", "", ""), ("web", "front", ""), ("web", "front", "nginx")] {
        assert!(own.has(&target("default", wide.0, wide.1, wide.2)), "{wide:?}");
        assert!(!own.has(&target("other", wide.0, wide.1, wide.2)), "{wide:?}");
    }
    for other in
        [("db", "", ""), ("web", "back", ""), ("web", "front", "redis"), ("", "front", ""), ("web", "", "nginx"), ("", "", "nginx")]
    {
        assert!(!own.has(&target("default", other.0, other.1, other.2)), "{other:?}");
    }
    assert!(!own.has(&PolicyTarget::default()), "a policy that names no namespace is attached to nothing");
}
