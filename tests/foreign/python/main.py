"""Calls a running agent through python-nomad: every area that Drover serves, each answer looked at.

The address of an agent without access control is in NOMAD_ADDR, that of one with it (which has no token yet) in ACL_ADDR.
"""

import os
import sys
import time
from urllib.parse import urlsplit

import nomad
from nomad.api.exceptions import BaseNomadException, URLNotFoundNomadException

problems = []
steps = 0


def check(what, have, want=True):
    global steps
    steps += 1
    if have != want:
        problems.append(f"{what}: have {have!r}, want {want!r}")


def until(what, look):
    global steps
    steps += 1
    for _ in range(300):
        try:
            found = look()
            if found:
                return found
        except BaseNomadException:
            pass
        time.sleep(0.05)
    problems.append(f"{what}: it never came to be so")
    return None


def refused(what, call, kind=BaseNomadException):
    global steps
    steps += 1
    try:
        answer = call()
    except kind:
        return
    problems.append(f"{what}: no refusal, but {answer!r}")


def client(address, token=None):
    parts = urlsplit(address)
    return nomad.Nomad(host=parts.hostname, port=parts.port, token=token, timeout=20)


def service(name, count=1, canary=0, health="task_states", version="1"):
    task = {
        "Name": "main",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sh", "args": ["-c", "echo out; echo file > local/file; while true; do sleep 1; done"]},
        "Resources": {"CPU": 20, "MemoryMB": 16},
    }
    update = {"MaxParallel": 1, "MinHealthyTime": 1_000_000, "HealthCheck": health, "Canary": canary, "HealthyDeadline": 60_000_000_000, "ProgressDeadline": 120_000_000_000}
    scaling = {"Min": 0, "Max": 5, "Enabled": True, "Policy": {}}
    group = {"Name": "group", "Count": count, "Tasks": [task], "Update": update, "Scaling": scaling}
    return {"Job": {"ID": name, "Name": name, "Type": "service", "Datacenters": ["dc1"], "TaskGroups": [group], "Meta": {"version": version}}}


def running(api, job):
    fits = lambda alloc: alloc["ClientStatus"] == "running" and alloc["DesiredStatus"] == "run"
    found = until(f"{job} runs", lambda: [alloc for alloc in api.job.get_allocations(job) if fits(alloc)])
    return found[0] if found else {"ID": "", "NodeID": ""}


def settled(api, job, status="successful"):
    return until(f"the deployment of {job} is {status}", lambda: (api.job.get_deployment(job) or {}).get("Status") == status)


def jobs(api):
    check("validate", api.validate.validate_job(service("snake")).json()["ValidationErrors"], None)
    check("plan", api.job.plan_job("snake", service("snake"), diff=True)["Diff"]["Type"], "Added")
    check("register", len(api.jobs.register_job(service("snake"))["EvalID"]), 36)
    running(api, "snake")
    settled(api, "snake")
    check("in", "snake" in api.jobs, True)
    check("not in", "nope" in api.jobs, False)
    check("length", len(api.jobs) >= 1)
    check("names", "snake" in [job["ID"] for job in api.jobs])
    check("by key", api.jobs["snake"]["ID"], "snake")
    check("attribute", api.job.get_job("snake")["Type"], "service")
    refused("no job", lambda: api.job.get_job("nope"), URLNotFoundNomadException)
    check("list", "snake" in [job["ID"] for job in api.jobs.get_jobs(prefix="sn")])
    check("filter", len(api.jobs.get_jobs(filter_='ID == "snake"')), 1)
    check("summary", api.job.get_summary("snake")["Summary"]["group"]["Running"], 1)
    check("evaluations", len(api.job.get_evaluations("snake")) >= 1)
    check("deployments", len(api.job.get_deployments("snake")), 1)
    api.job.stable_job("snake", 0, True)
    api.job.register_job("snake", service("snake", version="2"))
    until("two versions", lambda: len(api.job.get_versions("snake")["Versions"]) == 2)
    settled(api, "snake")
    check("revert", "EvalID" in api.job.revert_job("snake", 0, 1))
    check("evaluate", "EvalID" in api.job.evaluate_job("snake"))
    parsed = api.jobs.parse('job "p" {\n group "g" {\n task "t" {\n driver = "raw_exec"\n }\n }\n}', canonicalize=True)
    check("parse", parsed["ID"], "p")
    settled(api, "snake")
    batch = service("hatch")["Job"]
    batch["Type"], batch["ParameterizedJob"] = "batch", {"MetaOptional": ["who"]}
    for name in ("Update", "Scaling"):
        batch["TaskGroups"][0].pop(name)
    batch["TaskGroups"][0]["Tasks"][0]["Config"]["args"] = ["-c", "exit 0"]
    api.jobs.register_job({"Job": batch})
    child = api.job.dispatch_job("hatch", meta={"who": "me"})["DispatchedJobID"]
    check("dispatched", child.startswith("hatch/dispatch-"))
    until("the dispatched job ends", lambda: api.job.get_job(child)["Status"] == "dead")
    periodic = dict(batch, ID="tick", Name="tick", Periodic={"Enabled": True, "Spec": "0 0 1 1 *", "SpecType": "cron"})
    periodic.pop("ParameterizedJob")
    api.jobs.register_job({"Job": periodic})
    check("force", len(api.job.periodic_job("tick")["EvalID"]), 36)
    for name in ("tick", "hatch"):
        api.job.deregister_job(name, purge=True)


def allocations(api):
    alloc = running(api, "snake")
    identity = alloc["ID"]
    check("read", api.allocation.get_allocation(identity)["JobID"], "snake")
    check("in", identity in api.allocation)
    check("prefix", len(api.allocations.get_allocations(prefix=identity[:4])) >= 1)
    check("filter", len(api.allocations.get_allocations(filter_=f'ID == "{identity}"', resources=True)), 1)
    refused("none", lambda: api.allocation.get_allocation("00000000-0000-0000-0000-000000000000"), URLNotFoundNomadException)
    files = api.client
    check("files", sorted(file["Name"] for file in files.ls.list_files(identity)), ["alloc", "main"])
    until("the file is there", lambda: files.stat.stat_file(identity, "main/local/file")["Size"] == 5)
    check("cat", files.cat.read_file(identity, "main/local/file"), "file\n")
    check("part", files.read_at.read_file_offset(identity, 1, 2, "main/local/file"), "il")
    check("logs", files.stream_logs.stream(identity, "main", "stdout", plain=True).startswith("out"))
    check("usage", "ResourceUsage" in files.allocation.read_allocation_stats(identity))
    check("host", files.stats.read_stats()["Memory"]["Total"] > 0)
    files.allocation.signal_allocation(identity, "SIGCONT", "main")
    files.allocation.restart_allocation(identity)
    until("the restart", lambda: api.allocation.get_allocation(identity)["TaskStates"]["main"]["Restarts"] == 1)
    running(api, "snake")
    check("stop", len(api.allocation.stop_allocation(identity)["EvalID"]), 36)
    until("it stops", lambda: api.allocation.get_allocation(identity)["ClientStatus"] == "complete")
    files.gc_allocation.garbage_collect(identity)
    files.gc_all_allocations.garbage_collect()


def deployments(api):
    def canary(version):
        api.jobs.register_job(service("heron", canary=1 if version != "1" else 0, health="manual" if version != "1" else "task_states", version=version))

    canary("1")
    running(api, "heron")
    settled(api, "heron")
    canary("2")
    placed = lambda: (api.job.get_deployment("heron") or {}).get("TaskGroups", {}).get("group", {}).get("PlacedCanaries")
    until("a canary", placed)
    identity = api.job.get_deployment("heron")["ID"]
    check("read", api.deployment.get_deployment(identity)["JobID"], "heron")
    check("list", identity in [one["ID"] for one in api.deployments.get_deployments(identity[:2])])
    check("in", identity in api.deployments)
    allocs = api.deployment.get_deployment_allocations(identity)
    check("allocations", len(allocs), 1)
    api.deployment.pause_deployment(identity, True)
    check("paused", api.deployment.get_deployment(identity)["Status"], "paused")
    api.deployment.pause_deployment(identity, False)
    api.deployment.deployment_allocation_health(identity, healthy_allocations=[allocs[0]["ID"]])
    api.deployment.promote_deployment_all(identity)
    canary("3")
    until("the next canary", lambda: api.job.get_deployment("heron")["ID"] != identity and placed())
    api.deployment.fail_deployment(api.job.get_deployment("heron")["ID"])
    settled(api, "heron", "failed")
    api.job.deregister_job("heron", purge=True)


def nodes(api):
    node = api.nodes.get_nodes()[0]["ID"]
    check("length", len(api.nodes), 1)
    check("read", api.node.get_node(node)["Status"], "ready")
    check("in", node in api.nodes)
    check("allocations", isinstance(api.node.get_allocations(node), list))
    api.node.evaluate_node(node)
    api.node.eligible_node(node, ineligible=True)
    check("closed", api.node.get_node(node)["SchedulingEligibility"], "ineligible")
    api.node.eligible_node(node, eligible=True)
    api.node.drain_node_with_spec(node, drain_spec={"Deadline": 10_000_000_000, "IgnoreSystemJobs": False})
    until("the drain", lambda: not api.node.get_node(node)["Drain"])
    api.node.drain_node_with_spec(node, drain_spec=None, mark_eligible=True)
    until("it is open", lambda: api.node.get_node(node)["SchedulingEligibility"] == "eligible")


def rest(api):
    evaluation = api.evaluations.get_evaluations()[0]["ID"]
    check("evaluation", api.evaluation.get_evaluation(evaluation)["ID"], evaluation)
    api.evaluation.get_allocations(evaluation)
    check("agent", api.agent.get_agent()["config"]["Region"], "global")
    check("members", len(api.agent.get_members()["Members"]), 1)
    check("servers", len(api.agent.get_servers()), 1)
    api.agent.force_leave("nope")
    check("leader", ":" in api.status.leader.get_leader())
    check("peers", len(api.status.peers.get_peers()), 1)
    check("regions", api.regions.get_regions(), ["global"])
    check("raft", len(api.operator.get_configuration()["Servers"]), 1)
    check("metrics", "Gauges" in api.metrics.get_metrics())
    api.namespace.create_namespace({"Name": "team", "Description": "t"})
    check("namespace", api.namespace.get_namespace("team")["Description"], "t")
    api.namespace.update_namespace("team", {"Name": "team", "Description": "u"})
    check("namespaces", len(api.namespaces.get_namespaces("te")), 1)
    api.namespace.delete_namespace("team")
    running(api, "snake")
    check("policies", len(api.scaling.get_scaling_policies()), 1)
    policy = api.scaling.get_scaling_policies(job="snake")[0]["ID"]
    check("policy", api.scaling.get_scaling_policy(policy)["Max"], 5)
    check("search", "snake" in api.search.search("sn", "jobs")["Matches"]["jobs"])
    check("fuzzy", api.search.fuzzy_search("nak", "jobs")["Matches"]["jobs"][0]["ID"], "snake")
    api.variable.create_variable("a/b", {"Items": {"k": "v"}})
    check("variable", api.variable.get_variable("a/b")["Items"], {"k": "v"})
    check("variables", [one["Path"] for one in api.variables.get_variables("a")], ["a/b"])
    refused("not written", lambda: api.variable.create_variable("a/b", {"Items": {"k": "w"}}, cas=0))
    api.variable.delete_variable("a/b")
    refused("no variable", lambda: api.variable.get_variable("a/b"))
    api.system.reconcile_summaries()
    api.system.initiate_garbage_collection()
    stream, stop, events = api.event.stream.get_stream(0, {"Job": "*"}, timeout=1.5)
    stream.start()
    api.jobs.register_job(service("snake", version="9"))
    seen = events.get(timeout=20)
    check("events", seen["Events"][0]["Topic"], "Job")
    stop.set()
    stream.join()
    api.job.deregister_job("snake", purge=True)


def access(address):
    anyone = client(address)
    refused("nobody", lambda: anyone.jobs.register_job(service("no")))
    root = anyone.acl.generate_bootstrap()
    api = client(address, root["SecretID"])
    api.acl.create_policy("reader", {"Name": "reader", "Rules": 'namespace "default" { policy = "read" }'})
    check("policy", "read" in api.acl.get_policy("reader")["Rules"])
    api.acl.update_policy("reader", {"Name": "reader", "Description": "d", "Rules": 'namespace "default" { policy = "read" }'})
    check("policies", len(api.acl.get_policies()), 1)
    token = api.acl.create_token({"Name": "t", "Type": "client", "Policies": ["reader"], "Global": False})
    check("token", api.acl.get_token(token["AccessorID"])["Name"], "t")
    changed = {"AccessorID": token["AccessorID"], "Name": "u", "Type": "client", "Policies": ["reader"]}
    check("changed", api.acl.update_token(token["AccessorID"], changed)["Name"], "u")
    check("tokens", len(api.acl.get_tokens()), 2)
    reader = client(address, token["SecretID"])
    check("self", reader.acl.get_self_token()["AccessorID"], token["AccessorID"])
    check("reads", reader.jobs.get_jobs(), [])
    refused("writes", lambda: reader.jobs.register_job(service("no")))
    api.acl.delete_token(token["AccessorID"])
    api.acl.delete_policy("reader")


def main():
    # The library heeds the variable before its arguments.
    api = client(os.environ.pop("NOMAD_ADDR"))
    areas = [jobs, allocations, deployments, nodes, rest]
    for area in areas:
        before, began = len(problems), time.monotonic()
        try:
            area(api)
        except Exception as error:  # pylint: disable=broad-except
            problems.append(f"{type(error).__name__}: {error}")
        problems[before:] = [f"{area.__name__}: {problem}" for problem in problems[before:]]
        print(f"{area.__name__:12} {len(problems) - before} problems, {time.monotonic() - began:.1f} s")
    try:
        access(os.environ["ACL_ADDR"])
    except Exception as error:  # pylint: disable=broad-except
        problems.append(f"access: {type(error).__name__}: {error}")
    print(f"{steps} checks")
    for problem in problems:
        print(f"  {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
