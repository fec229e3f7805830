// Calls a running agent through the public Go SDK: every area that Drover serves, each answer looked at. The address of an agent
// without access control is NOMAD_ADDR, that of one with it is ACL_ADDR.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/api/contexts"
)

var (
	client   *api.Client
	problems []string
	steps    int
)

// wrong notes a problem and goes on.
func wrong(format string, values ...any) {
	problems = append(problems, fmt.Sprintf(format, values...))
}

// good notes an error.
func good(what string, err error) bool {
	steps++
	if err != nil {
		wrong("%s: %v", what, err)
	}
	return err == nil
}

// is notes a value that is not as it should be.
func is[T comparable](what string, have, want T) {
	steps++
	if have != want {
		wrong("%s: have %v, want %v", what, have, want)
	}
}

// holds notes what should be true.
func holds(what string, fact bool) {
	steps++
	if !fact {
		wrong("%s: it is not so", what)
	}
}

// refused notes an error that did not come, or that says something else.
func refused(what string, err error, part string) {
	steps++
	if err == nil || !strings.Contains(err.Error(), part) {
		wrong("%s: have %v, want an error with %q", what, err, part)
	}
}

// until asks again and again until something is so.
func until(what string, look func() bool) bool {
	steps++
	for range 300 {
		if look() {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	wrong("%s: it never came to be so", what)
	return false
}

func ptr[T any](value T) *T { return &value }

// service is a job of one group that runs and writes, with an action and a port.
func service(id string, count int) *api.Job {
	job := api.NewServiceJob(id, id, "global", 50)
	job.Datacenters = []string{"dc1"}
	task := api.NewTask("main", "raw_exec")
	task.SetConfig("command", "/bin/sh")
	task.SetConfig("args", []string{"-c", "echo out; echo err >&2; echo file > local/file; trap 'echo caught' HUP; while true; do sleep 1; done"})
	task.Resources = &api.Resources{CPU: ptr(20), MemoryMB: ptr(16)}
	task.Actions = []*api.Action{{Name: "greet", Command: "/bin/echo", Args: []string{"hello"}}}
	group := api.NewTaskGroup("group", count)
	group.AddTask(task)
	group.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http"}}}}
	group.Services = []*api.Service{{Name: id + "-web", PortLabel: "http", Provider: "nomad", Tags: []string{"a"}}}
	group.Update = &api.UpdateStrategy{MinHealthyTime: ptr(time.Millisecond), HealthCheck: ptr("task_states")}
	group.Scaling = &api.ScalingPolicy{Min: ptr(int64(0)), Max: ptr(int64(5)), Enabled: ptr(true), Policy: map[string]any{"a": "b"}}
	job.AddTaskGroup(group)
	return job
}

// running waits for an allocation of a job to run.
func running(id string) *api.Allocation {
	var found *api.AllocationListStub
	until(id+" runs", func() bool {
		stubs, _, err := client.Jobs().Allocations(id, false, nil)
		if err != nil {
			return false
		}
		for _, stub := range stubs {
			if stub.ClientStatus == "running" && stub.DesiredStatus == "run" {
				found = stub
				return true
			}
		}
		return false
	})
	if found == nil {
		return &api.Allocation{}
	}
	alloc, _, err := client.Allocations().Info(found.ID, nil)
	if !good("read allocation", err) {
		return &api.Allocation{}
	}
	return alloc
}

func jobs() {
	all := client.Jobs()
	job := service("web", 1)
	checked, _, err := all.Validate(job, nil)
	if good("validate", err) {
		is("validated", len(checked.ValidationErrors), 0)
	}
	plan, _, err := all.PlanOpts(job, &api.PlanOptions{Diff: true}, nil)
	if good("plan", err) {
		is("planned diff", plan.Diff.Type, "Added")
		is("planned placements", plan.Annotations.DesiredTGUpdates["group"].Place, 1)
	}
	answer, meta, err := all.RegisterOpts(job, &api.RegisterOptions{
		EnforceIndex: true, ModifyIndex: 0,
		Submission: &api.JobSubmission{Source: "job \"web\" {}", Format: "hcl2", Variables: "a = 1"},
	}, nil)
	if good("register", err) {
		holds("an evaluation was made", len(answer.EvalID) == 36 && meta.LastIndex > 0)
	}
	_, _, err = all.EnforceRegister(job, 0, nil)
	refused("register over another", err, "Enforcing job modify index")
	alloc := running("web")
	is("the allocation's job", alloc.JobID, "web")
	read, _, err := all.Info("web", nil)
	if good("read job", err) {
		is("type", *read.Type, "service")
		is("group", *read.TaskGroups[0].Name, "group")
		is("action", read.TaskGroups[0].Tasks[0].Actions[0].Name, "greet")
	}
	_, _, err = all.Info("nope", nil)
	refused("read nothing", err, "job not found")
	if stubs, _, err := all.List(nil); good("list jobs", err) {
		is("jobs", len(stubs), 1)
		is("listed", stubs[0].ID, "web")
		is("summary", stubs[0].JobSummary.Summary["group"].Running, 1)
	}
	if stubs, _, err := all.ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, nil); good("list with meta", err) {
		is("jobs with meta", len(stubs), 1)
	}
	if stubs, _, err := all.PrefixList("we"); good("list by prefix", err) {
		is("by prefix", len(stubs), 1)
	}
	if summary, _, err := all.Summary("web", nil); good("summary", err) {
		is("running", summary.Summary["group"].Running, 1)
	}
	if evals, _, err := all.Evaluations("web", nil); good("evaluations", err) {
		holds("some evaluations", len(evals) > 0 && evals[0].JobID == "web")
	}
	if services, _, err := all.Services("web", nil); good("services of a job", err) {
		is("services", len(services), 1)
	}
	if submission, _, err := all.Submission("web", 0, nil); good("submission", err) {
		is("source", submission.Source, "job \"web\" {}")
		is("variables", submission.Variables, "a = 1")
	}
	until("the deployment ends", func() bool {
		latest, _, err := all.LatestDeployment("web", nil)
		return err == nil && latest != nil && latest.Status == "successful"
	})
	if found, _, err := all.Deployments("web", true, nil); good("deployments", err) {
		is("deployments", len(found), 1)
	}
	_, _, err = all.Stable("web", 0, true, nil)
	good("stable", err)
	// A second version, tagged, and back.
	job = service("web", 2)
	job.SetMeta("k", "v")
	_, _, err = all.Register(job, nil)
	good("register again", err)
	_, err = all.TagVersion("web", 0, "golden", "the first", nil)
	good("tag", err)
	if versions, diffs, _, err := all.VersionsOpts("web", &api.VersionsOptions{Diffs: true}, nil); good("versions", err) {
		is("versions", len(versions), 2)
		is("diffs", len(diffs), 1)
	}
	if versions, _, _, err := all.Versions("web", false, nil); good("plain versions", err) {
		is("newest", *versions[0].Version, uint64(1))
	}
	if tagged, _, err := all.VersionByTag("web", "golden", nil); good("by tag", err) {
		is("tagged", *tagged.Version, uint64(0))
		is("described", tagged.VersionTag.Description, "the first")
	}
	_, _, err = all.VersionByTag("web", "nope", nil)
	refused("no such tag", err, "tag nope not found")
	_, err = all.UntagVersion("web", "golden", nil)
	good("untag", err)
	_, _, err = all.Revert("web", 1, nil, nil, "", "")
	refused("revert to itself", err, "current version")
	_, _, err = all.Revert("web", 0, ptr(uint64(1)), nil, "", "")
	good("revert", err)
	until("the way back ends", func() bool {
		latest, _, err := all.LatestDeployment("web", nil)
		return err == nil && latest != nil && latest.Status == "successful" && latest.JobVersion == 2
	})
	// Scaling.
	if status, _, err := all.ScaleStatus("web", nil); good("scale status", err) {
		is("desired", status.TaskGroups["group"].Desired, 1)
	}
	_, _, err = all.Scale("web", "group", ptr(2), "more", false, map[string]any{"by": "test"}, nil)
	good("scale", err)
	_, _, err = all.Scale("web", "group", nil, "broken", true, nil, nil)
	good("scaling event", err)
	_, _, err = all.ScaleWithRequest("web", &api.ScalingRequest{Count: ptr(int64(9)), Target: map[string]string{"Group": "group"}}, nil)
	refused("scale too far", err, "greater than")
	if status, _, err := all.ScaleStatus("web", nil); good("scale status again", err) {
		is("desired again", status.TaskGroups["group"].Desired, 2)
		holds("events", len(status.TaskGroups["group"].Events) >= 2 && status.TaskGroups["group"].Events[0].Message == "broken")
	}
	if policies, _, err := client.Scaling().ListPolicies(nil); good("policies", err) && len(policies) == 1 {
		policy, _, err := client.Scaling().GetPolicy(policies[0].ID, nil)
		if good("policy", err) {
			is("max", *policy.Max, int64(5))
			is("target", policy.Target["Job"], "web")
		}
	} else {
		is("number of policies", len(policies), 1)
	}
	_, _, err = all.ForceEvaluate("web", nil)
	good("evaluate", err)
	_, _, err = all.EvaluateWithOpts("web", api.EvalOptions{ForceReschedule: true}, nil)
	good("evaluate with options", err)
	parsed, err := all.ParseHCL("job \"p\" {\n group \"g\" {\n task \"t\" {\n driver = \"raw_exec\"\n }\n }\n}", true)
	if good("parse", err) {
		is("parsed", *parsed.ID, "p")
		is("canonical", *parsed.Namespace, "default")
	}
	parsed, err = all.ParseHCLOpts(&api.JobsParseRequest{JobHCL: "variable \"n\" {}\njob \"p\" {\n meta {\n n = var.n\n }\n}", Variables: "n = \"x\""})
	if good("parse with variables", err) {
		is("variable", parsed.Meta["n"], "x")
	}
	_, err = all.ParseHCL("job \"p\" {", true)
	refused("parse nonsense", err, "400")
	// Dispatch and periodic jobs.
	batch := service("batch", 1)
	batch.Type = ptr("batch")
	batch.TaskGroups[0].Update, batch.TaskGroups[0].Scaling, batch.TaskGroups[0].Services = nil, nil, nil
	batch.TaskGroups[0].Tasks[0].SetConfig("args", []string{"-c", "cat local/given; echo $NOMAD_META_who"})
	batch.TaskGroups[0].Tasks[0].DispatchPayload = &api.DispatchPayloadConfig{File: "given"}
	batch.ParameterizedJob = &api.ParameterizedJobConfig{Payload: "optional", MetaRequired: []string{"who"}}
	_, _, err = all.Register(batch, nil)
	good("register parameterized", err)
	_, _, err = all.Dispatch("batch", nil, nil, "", nil)
	refused("dispatch without meta", err, "did not provide required meta keys")
	dispatched, _, err := all.Dispatch("batch", map[string]string{"who": "me"}, []byte("payload"), "", nil)
	if good("dispatch", err) {
		holds("dispatched", strings.HasPrefix(dispatched.DispatchedJobID, "batch/dispatch-"))
		until("the dispatched job ends", func() bool {
			child, _, err := all.Info(dispatched.DispatchedJobID, nil)
			return err == nil && *child.Status == "dead"
		})
		if stubs, _, err := all.Allocations(dispatched.DispatchedJobID, true, nil); good("its allocations", err) && len(stubs) == 1 {
			text, err := readLogs(&api.Allocation{ID: stubs[0].ID, NodeID: stubs[0].NodeID}, "stdout")
			if good("its output", err) {
				is("output", text, "payloadme\n")
			}
		}
	}
	if again, _, err := all.DispatchOpts(&api.DispatchOptions{JobID: "batch", Meta: map[string]string{"who": "x"}, IdPrefixTemplate: "mine", Priority: 60}, nil); good("dispatch with options", err) {
		holds("prefix", strings.HasPrefix(again.DispatchedJobID, "batch/dispatch-mine-"))
	}
	periodic := service("hourly", 1)
	periodic.Type = ptr("batch")
	periodic.TaskGroups[0].Update, periodic.TaskGroups[0].Scaling, periodic.TaskGroups[0].Services = nil, nil, nil
	periodic.Periodic = &api.PeriodicConfig{Enabled: ptr(true), Spec: ptr("0 0 1 1 *"), SpecType: ptr("cron")}
	registered, _, err := all.Register(periodic, nil)
	if good("register periodic", err) {
		is("a periodic job has no evaluation", registered.EvalID, "")
	}
	if eval, _, err := all.PeriodicForce("hourly", nil); good("force", err) {
		is("forced", len(eval), 36)
	}
	_, _, err = all.Deregister("hourly", true, nil)
	good("purge", err)
	if eval, _, err := all.DeregisterOpts("batch", &api.DeregisterOptions{Purge: true, EvalPriority: 70}, nil); good("purge with options", err) {
		is("purged", len(eval), 0)
	}
	_, _, err = all.Deregister("nope", false, nil)
	good("stop nothing", err)
	var statuses []map[string]any
	if _, err := client.Raw().Query("/v1/jobs/statuses", &statuses, nil); good("statuses", err) {
		holds("some statuses", len(statuses) > 0)
	}
}

func readLogs(alloc *api.Allocation, kind string) (string, error) {
	cancel := make(chan struct{})
	defer close(cancel)
	frames, errs := client.AllocFS().Logs(alloc, false, "main", kind, "start", 0, cancel, nil)
	var text bytes.Buffer
	for {
		select {
		case frame, more := <-frames:
			if !more {
				return text.String(), nil
			}
			text.Write(frame.Data)
		case err := <-errs:
			if err != nil && !errors.Is(err, io.EOF) {
				return text.String(), err
			}
		case <-time.After(10 * time.Second):
			return text.String(), errors.New("nothing for ten seconds")
		}
	}
}

func allocations() {
	all := client.Allocations()
	alloc := running("web")
	if stubs, _, err := all.List(&api.QueryOptions{Filter: `JobID == "web"`, Params: map[string]string{"resources": "true"}}); good("list allocations", err) {
		holds("with resources", len(stubs) > 0 && stubs[0].AllocatedResources != nil)
	}
	if stubs, _, err := all.PrefixList(alloc.ID[:4]); good("list by prefix", err) {
		holds("by prefix", len(stubs) >= 1)
	}
	_, _, err := all.Info("00000000-0000-0000-0000-000000000000", nil)
	refused("read nothing", err, "alloc not found")
	if stats, err := all.Stats(alloc, nil); good("stats", err) {
		holds("memory and processor", stats.ResourceUsage != nil && stats.Tasks["main"] != nil)
	}
	_, err = all.Checks(alloc.ID, nil)
	good("checks", err)
	if services, _, err := all.Services(alloc.ID, nil); good("services", err) {
		is("services", len(services), 1)
	}
	var out, problem bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sizes := make(chan api.TerminalSize, 1)
	code, err := all.Exec(ctx, alloc, "main", false, []string{"/bin/sh", "-c", "cat; echo bad >&2; exit 3"}, strings.NewReader("given"), &out, &problem, sizes, nil)
	if good("exec", err) {
		is("exit code", code, 3)
		is("output", out.String(), "given")
		is("errors", problem.String(), "bad\n")
	}
	out.Reset()
	sizes <- api.TerminalSize{Height: 30, Width: 100}
	code, err = all.Exec(ctx, alloc, "main", true, []string{"/bin/sh", "-c", "sleep 0.3; stty size"}, strings.NewReader(""), &out, &problem, sizes, nil)
	if good("exec in a terminal", err) {
		is("exit code in a terminal", code, 0)
		is("size", strings.TrimSpace(out.String()), "30 100")
	}
	_, err = all.Exec(ctx, alloc, "nope", false, []string{"/bin/true"}, strings.NewReader(""), &out, &problem, sizes, nil)
	holds("exec in no task", err != nil)
	out.Reset()
	code, err = client.Jobs().ActionExec(ctx, alloc, "web", "main", false, nil, "greet", strings.NewReader(""), &out, &problem, sizes, nil)
	if good("action", err) {
		is("exit code of an action", code, 0)
		is("output of an action", out.String(), "hello\n")
	}
	good("signal", all.Signal(alloc, nil, "main", "SIGHUP"))
	until("the signal arrives", func() bool {
		text, err := readLogs(alloc, "stdout")
		return err == nil && strings.Contains(text, "caught")
	})
	good("restart", all.Restart(alloc, "main", nil))
	until("the task restarts", func() bool {
		now, _, err := all.Info(alloc.ID, nil)
		return err == nil && now.TaskStates["main"].Restarts == 1 && now.TaskStates["main"].State == "running"
	})
	good("restart all", all.RestartAllTasks(alloc, nil))
	until("all tasks restart", func() bool {
		now, _, err := all.Info(alloc.ID, nil)
		return err == nil && now.TaskStates["main"].Restarts == 2 && now.TaskStates["main"].State == "running"
	})
	_, _, err = all.GetPauseState(alloc, nil, "main")
	holds("pausing is not free", err != nil)
	files(alloc)
	if answer, err := all.Stop(alloc, nil); good("stop", err) {
		is("evaluation of a stop", len(answer.EvalID), 36)
	}
	until("it stops", func() bool {
		now, _, err := all.Info(alloc.ID, nil)
		return err == nil && now.ClientStatus == "complete"
	})
	// The SDK expects an object where the API answers nothing.
	refused("collect it", all.GC(alloc, nil), "EOF")
}

func files(alloc *api.Allocation) {
	fs := client.AllocFS()
	if list, _, err := fs.List(alloc, "/", nil); good("list files", err) {
		names := []string{}
		for _, file := range list {
			names = append(names, file.Name)
		}
		is("files", strings.Join(names, " "), "alloc main")
	}
	until("the file is there", func() bool {
		file, _, err := fs.Stat(alloc, "main/local/file", nil)
		return err == nil && file.Size == 5
	})
	if file, _, err := fs.Stat(alloc, "main/local/file", nil); good("stat", err) {
		is("size", file.Size, int64(5))
		is("directory", file.IsDir, false)
	}
	read := func(body io.ReadCloser, err error) string {
		if err != nil {
			return err.Error()
		}
		defer body.Close()
		text, _ := io.ReadAll(body)
		return string(text)
	}
	is("cat", read(fs.Cat(alloc, "main/local/file", nil)), "file\n")
	is("part", read(fs.ReadAt(alloc, "main/local/file", 1, 2, nil)), "il")
	_, _, err := fs.Stat(alloc, "../../../etc/passwd", nil)
	refused("outside", err, "escapes")
	text, err := readLogs(alloc, "stderr")
	if good("logs", err) {
		holds("log", strings.HasPrefix(text, "err\n"))
	}
	cancel := make(chan struct{})
	frames, errs := fs.Stream(alloc, "main/local/file", "start", 0, cancel, nil)
	select {
	case frame := <-frames:
		is("streamed", string(frame.Data), "file\n")
	case err := <-errs:
		wrong("stream: %v", err)
	case <-time.After(10 * time.Second):
		wrong("stream: nothing comes")
	}
	close(cancel)
}

func evaluations() {
	all := client.Evaluations()
	found, _, err := all.List(nil)
	if !good("list evaluations", err) || len(found) == 0 {
		return
	}
	one := found[0]
	if eval, _, err := all.Info(one.ID, nil); good("read evaluation", err) {
		is("evaluation", eval.ID, one.ID)
	}
	if related, _, err := all.Info(one.ID, &api.QueryOptions{Params: map[string]string{"related": "true"}}); good("related", err) {
		is("the same evaluation", related.ID, one.ID)
	}
	_, _, err = all.Info("00000000-0000-0000-0000-000000000000", nil)
	refused("no evaluation", err, "eval not found")
	_, _, err = all.Allocations(one.ID, nil)
	good("its allocations", err)
	if some, _, err := all.PrefixList(one.ID[:4]); good("by prefix", err) {
		holds("found by prefix", len(some) >= 1)
	}
	if count, _, err := all.Count(nil); good("count", err) {
		is("count", count.Count, len(found))
	}
	if page, meta, err := all.List(&api.QueryOptions{PerPage: 2}); good("page", err) {
		is("page", len(page), 2)
		holds("another page", meta.NextToken != "")
		next, _, err := all.List(&api.QueryOptions{PerPage: 2, NextToken: meta.NextToken})
		if err != nil || len(next) != 2 || !strings.HasSuffix(meta.NextToken, "."+next[0].ID) && !strings.HasSuffix(meta.NextToken, "."+next[1].ID) {
			wrong("next page: %v, %d, token %q", err, len(next), meta.NextToken)
		}
	}
	_, err = all.Delete([]string{one.ID}, nil)
	refused("delete while scheduling", err, "paused")
	settings, _, err := client.Operator().SchedulerGetConfiguration(nil)
	if !good("scheduler", err) {
		return
	}
	settings.SchedulerConfig.PauseEvalBroker = true
	_, _, err = client.Operator().SchedulerSetConfiguration(settings.SchedulerConfig, nil)
	good("pause the broker", err)
	if answer, _, err := all.DeleteOpts(&api.EvalDeleteRequest{Filter: `JobID == "hourly"`}, nil); good("delete by filter", err) {
		holds("deleted", answer.Count >= 0)
	}
	settings.SchedulerConfig.PauseEvalBroker = false
	_, _, err = client.Operator().SchedulerSetConfiguration(settings.SchedulerConfig, nil)
	good("go on", err)
}

func deployments() {
	all := client.Deployments()
	job := service("canary", 1)
	_, _, err := client.Jobs().Register(job, nil)
	good("register", err)
	running("canary")
	until("the first deployment", func() bool {
		latest, _, err := client.Jobs().LatestDeployment("canary", nil)
		return err == nil && latest.Status == "successful"
	})
	last := ""
	next := func(meta string) string {
		job := service("canary", 1)
		job.SetMeta("version", meta)
		job.TaskGroups[0].Update.Canary = ptr(1)
		job.TaskGroups[0].Update.HealthCheck = ptr("manual")
		_, _, err := client.Jobs().Register(job, nil)
		good("register a canary", err)
		id := ""
		until("a deployment with a canary", func() bool {
			latest, _, err := client.Jobs().LatestDeployment("canary", nil)
			if err != nil || latest.ID == last || latest.Status != "running" || len(latest.TaskGroups["group"].PlacedCanaries) == 0 {
				return false
			}
			id, last = latest.ID, latest.ID
			return true
		})
		return id
	}
	id := next("1")
	if one, _, err := all.Info(id, nil); good("read", err) {
		is("job", one.JobID, "canary")
		is("canaries", one.TaskGroups["group"].DesiredCanaries, 1)
	}
	if found, _, err := all.List(nil); good("list", err) {
		holds("listed", len(found) >= 3)
	}
	if found, _, err := all.PrefixList(id[:4]); good("prefix", err) {
		holds("found", len(found) >= 1)
	}
	allocs, _, err := all.Allocations(id, nil)
	if good("allocations", err) {
		is("allocations", len(allocs), 1)
	}
	_, _, err = all.Pause(id, true, nil)
	good("pause", err)
	if one, _, err := all.Info(id, nil); good("read", err) {
		is("paused", one.Status, "paused")
	}
	_, _, err = all.Pause(id, false, nil)
	good("go on", err)
	_, _, err = all.PromoteAll(id, nil)
	refused("promote too early", err, "has 0/1 healthy allocations")
	_, _, err = all.SetAllocHealth(id, []string{allocs[0].ID}, nil, nil)
	good("set health", err)
	_, _, err = all.PromoteGroups(id, []string{"group"}, nil)
	good("promote", err)
	id = next("2")
	if answer, _, err := all.Fail(id, nil); good("fail", err) {
		holds("failed", answer.DeploymentModifyIndex > 0)
	}
	_, _, err = all.Fail(id, nil)
	refused("fail twice", err, "can't fail terminal deployment")
	_, _, err = all.Unblock(id, nil)
	holds("unblock", err != nil)
	_, _, err = all.Info("00000000-0000-0000-0000-000000000000", nil)
	refused("none", err, "404")
	_, _, err = client.Jobs().Deregister("canary", true, nil)
	good("purge", err)
}

func nodes() {
	all := client.Nodes()
	found, _, err := all.List(&api.QueryOptions{Params: map[string]string{"resources": "true", "os": "true"}})
	if !good("list", err) || len(found) != 1 {
		return
	}
	id := found[0].ID
	holds("with resources", found[0].NodeResources != nil)
	if node, _, err := all.Info(id, nil); good("read", err) {
		is("status", node.Status, "ready")
		is("raw_exec", node.Drivers["raw_exec"].Healthy, true)
	}
	if some, _, err := all.PrefixList(id[:4]); good("prefix", err) {
		is("found", len(some), 1)
	}
	if allocs, _, err := all.Allocations(id, nil); good("allocations", err) {
		holds("allocations", len(allocs) > 0)
	}
	if stats, err := all.Stats(id, nil); good("stats", err) {
		holds("memory", stats.Memory.Total > 0 && len(stats.CPU) > 0)
	}
	if meta, err := all.Meta().Apply(&api.NodeMetaApplyRequest{NodeID: id, Meta: map[string]*string{"rack": ptr("r1")}}, nil); good("apply meta", err) {
		is("applied", meta.Meta["rack"], "r1")
	}
	if meta, err := all.Meta().Read(id, nil); good("read meta", err) {
		is("dynamic", *meta.Dynamic["rack"], "r1")
	}
	if identity, err := all.Identity().Get(&api.NodeIdentityGetRequest{NodeID: id}, nil); good("identity", err) {
		is("claims", len(identity.Claims), 9)
	}
	_, err = all.Identity().Renew(&api.NodeIdentityRenewRequest{NodeID: id}, nil)
	good("renew identity", err)
	if client, err := client.GetNodeClient(id, nil); good("a client of the node", err) {
		_, err := client.Agent().Self()
		good("the node itself", err)
	}
	_, _, err = all.ForceEvaluate(id, nil)
	good("evaluate", err)
	refused("collect", all.GC(id, nil), "EOF")
	_, err = all.ToggleEligibility(id, false, nil)
	good("close", err)
	if node, _, err := all.Info(id, nil); good("read", err) {
		is("eligibility", node.SchedulingEligibility, "ineligible")
	}
	_, err = all.ToggleEligibility(id, true, nil)
	good("open", err)
	drained, err := all.UpdateDrainOpts(id, &api.DrainOptions{DrainSpec: &api.DrainSpec{Deadline: 10 * time.Second}, Meta: map[string]string{"why": "test"}}, nil)
	if good("drain", err) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		said := []string{}
		for message := range all.MonitorDrain(ctx, id, drained.EvalCreateIndex, false) {
			said = append(said, message.Message)
		}
		cancel()
		holds("the drain is told: "+strings.Join(said, "; "), strings.Contains(strings.Join(said, ";"), "have stopped"))
	}
	_, err = all.UpdateDrain(id, nil, true, nil)
	good("end the drain", err)
	until("it is open again", func() bool {
		node, _, err := all.Info(id, nil)
		return err == nil && node.SchedulingEligibility == "eligible" && !node.Drain && node.LastDrain != nil && node.LastDrain.Meta["why"] == "test"
	})
	volumes, err := all.CSIVolumes(id, nil)
	holds("no volumes", err == nil && len(volumes) == 0)
	pools := client.NodePools()
	_, err = pools.Register(&api.NodePool{Name: "pool", Description: "d", Meta: map[string]string{"a": "b"}}, nil)
	good("pool", err)
	if pool, _, err := pools.Info("pool", nil); good("read pool", err) {
		is("described", pool.Description, "d")
	}
	if list, _, err := pools.List(nil); good("pools", err) {
		is("pools", len(list), 3)
	}
	if list, _, err := pools.PrefixList("po", nil); good("pools by prefix", err) {
		is("pools by prefix", len(list), 1)
	}
	if list, _, err := pools.ListNodes("default", nil); good("nodes of a pool", err) {
		is("nodes of a pool", len(list), 1)
	}
	if list, _, err := pools.ListJobs("default", nil); good("jobs of a pool", err) {
		holds("jobs of a pool", len(list) > 0)
	}
	_, err = pools.Delete("pool", nil)
	good("delete pool", err)
	_, _, err = pools.Info("a/b", nil)
	refused("no pool", err, "not found")
}

func rest() {
	spaces := client.Namespaces()
	_, err := spaces.Register(&api.Namespace{Name: "team", Description: "t", Meta: map[string]string{"a": "b"}}, nil)
	good("namespace", err)
	if space, _, err := spaces.Info("team", nil); good("read namespace", err) {
		is("described", space.Description, "t")
	}
	if list, _, err := spaces.List(nil); good("namespaces", err) {
		is("namespaces", len(list), 2)
	}
	if list, _, err := spaces.PrefixList("te", nil); good("by prefix", err) {
		is("by prefix", len(list), 1)
	}
	_, err = spaces.Delete("team", nil)
	good("delete namespace", err)
	running("web")
	services := client.Services()
	until("a service", func() bool {
		found, _, err := services.Get("web-web", nil)
		return err == nil && len(found) > 0 && found[0].JobID == "web" && found[0].Port > 0
	})
	if list, _, err := services.List(nil); good("services", err) {
		holds("services", len(list) == 1 && list[0].Services[0].ServiceName == "web-web")
	}
	if found, _, err := services.Get("web-web", nil); good("service", err) && len(found) > 0 {
		_, err := services.Delete("web-web", found[0].ID, nil)
		good("delete service", err)
	}
	if answer, _, err := client.Search().PrefixSearch("we", contexts.All, nil); good("search", err) {
		is("found", answer.Matches[contexts.Jobs][0], "web")
	}
	if answer, _, err := client.Search().FuzzySearch("we", contexts.Jobs, nil); good("fuzzy", err) {
		is("found", answer.Matches[contexts.Jobs][0].ID, "web")
	}
	if leader, err := client.Status().Leader(); good("leader", err) {
		holds("leader", strings.Contains(leader, ":"))
	}
	_, err = client.Status().RegionLeader("global")
	good("leader of the region", err)
	if peers, err := client.Status().Peers(); good("peers", err) {
		is("peers", len(peers), 1)
	}
	if regions, err := client.Regions().List(); good("regions", err) {
		is("regions", strings.Join(regions, ","), "global")
	}
	good("summaries", client.System().ReconcileSummaries())
	good("garbage", client.System().GarbageCollect())
	agent()
	operator()
	variables()
}

func agent() {
	all := client.Agent()
	if self, err := all.Self(); good("self", err) {
		is("region", self.Config["Region"], any("global"))
		holds("stats", len(self.Stats) > 0)
	}
	if name, err := all.NodeName(); good("name", err) {
		holds("name", name != "")
	}
	if region, err := all.Region(); good("region", err) {
		is("region", region, "global")
	}
	if dc, err := all.Datacenter(); good("datacenter", err) {
		is("datacenter", dc, "dc1")
	}
	if health, err := all.Health(); good("health", err) {
		holds("well", health.Client.Ok && health.Server.Ok)
	}
	if members, err := all.Members(); good("members", err) {
		is("members", len(members.Members), 1)
		is("alive", members.Members[0].Status, "alive")
	}
	if servers, err := all.Servers(); good("servers", err) {
		is("servers", len(servers), 1)
		good("set servers", all.SetServers(servers))
	}
	_, err := all.Host("", "", nil)
	refused("host without debugging", err, "Permission denied")
	if info, err := all.GetSchedulerWorkersInfo(nil); good("workers", err) {
		holds("workers", len(info.Schedulers) > 0)
	}
	if settings, err := all.GetSchedulerWorkerConfig(nil); good("worker settings", err) {
		holds("worker settings", settings.NumSchedulers > 0)
		_, err := all.SetSchedulerWorkerConfig(*settings, nil)
		good("set workers", err)
	}
	good("leave", all.ForceLeave("nope"))
	good("reload", all.Reload(&api.AgentReloadOpts{}, nil))
	stop := make(chan struct{})
	frames, errs := all.Monitor(stop, &api.QueryOptions{Params: map[string]string{"log_level": "debug"}})
	go func() { _, _ = all.Region() }()
	select {
	case frame := <-frames:
		holds("a line of the log", len(frame.Data) > 0)
	case err := <-errs:
		wrong("monitor: %v", err)
	case <-time.After(5 * time.Second):
		wrong("monitor: nothing comes")
	}
	close(stop)
}

func operator() {
	all := client.Operator()
	if raft, err := all.RaftGetConfiguration(nil); good("raft", err) {
		holds("raft", len(raft.Servers) == 1 && raft.Servers[0].Leader)
	}
	refused("remove nobody", all.RaftRemovePeerByID("nope", nil), "not found")
	if settings, _, err := all.AutopilotGetConfiguration(nil); good("autopilot", err) {
		ok, _, err := all.AutopilotCASConfiguration(settings, nil)
		holds("autopilot as it was", err == nil && ok)
		_, err = all.AutopilotSetConfiguration(settings, nil)
		good("set autopilot", err)
	}
	if health, _, err := all.AutopilotServerHealth(nil); good("health", err) {
		holds("healthy", health.Healthy && len(health.Servers) == 1)
	}
	if settings, _, err := all.SchedulerGetConfiguration(nil); good("scheduler", err) {
		answer, _, err := all.SchedulerCASConfiguration(settings.SchedulerConfig, nil)
		holds("scheduler as it was", err == nil && answer.Updated)
	}
	if body, err := all.Snapshot(nil); good("snapshot", err) {
		var kept bytes.Buffer
		_, err := io.Copy(&kept, body)
		body.Close()
		holds("whole", err == nil && kept.Len() > 0)
		_, err = all.SnapshotRestore(&kept, nil)
		good("restore", err)
	}
	if text, err := all.Metrics(&api.QueryOptions{Params: map[string]string{"format": "prometheus"}}); good("metrics", err) {
		holds("some metrics", len(text) > 0)
	}
	if metrics, _, err := all.MetricsSummary(nil); good("metrics as JSON", err) {
		holds("gauges", len(metrics.Gauges) > 0)
	}
	_, _, err := all.LicenseGet(nil)
	holds("no licence", err != nil)
	_, _, err = all.UpgradeCheckVaultWorkloadIdentity(nil)
	good("upgrade check", err)
}

func variables() {
	all := client.Variables()
	items := api.VariableItems{"user": "u", "password": "p"}
	made, meta, err := all.Create(&api.Variable{Path: "app/db", Items: items}, nil)
	if good("create", err) {
		holds("created", made.CreateIndex > 0 && meta.LastIndex > 0)
	}
	_, _, err = all.CheckedCreate(&api.Variable{Path: "app/db", Items: items}, nil)
	var conflict api.ErrCASConflict
	holds("created once", errors.As(err, &conflict) && conflict.Conflict.Items["user"] == "u")
	if read, _, err := all.Read("app/db", nil); good("read", err) {
		is("password", read.Items["password"], "p")
		read.Items["password"] = "q"
		changed, _, err := all.CheckedUpdate(read, nil)
		holds("changed", err == nil && changed.ModifyIndex > read.ModifyIndex)
	}
	peeked, _, err := all.Peek("nope", nil)
	holds("nothing", err == nil && peeked == nil)
	_, _, err = all.Read("nope", nil)
	refused("read nothing", err, "variable not found")
	if items, _, err := all.GetVariableItems("app/db", nil); good("items", err) {
		is("item", items["password"], "q")
	}
	if list, _, err := all.List(nil); good("list", err) {
		is("list", len(list), 1)
	}
	if list, _, err := all.PrefixList("app", nil); good("prefix", err) {
		is("prefix", list[0].Path, "app/db")
	}
	_, err = all.CheckedDelete("app/db", 1, nil)
	holds("not deleted", errors.As(err, &conflict))
	_, err = all.Delete("app/db", nil)
	good("delete", err)
	// Locks.
	held, _, err := all.AcquireLock(&api.Variable{Path: "lock", Items: items, Lock: &api.VariableLock{TTL: "10s", LockDelay: "1s"}}, nil)
	if good("acquire", err) {
		_, _, err := all.AcquireLock(&api.Variable{Path: "lock", Lock: &api.VariableLock{TTL: "10s", LockDelay: "1s"}}, nil)
		holds("held by one", err != nil)
		_, _, err = all.RenewLock(held, nil)
		good("renew", err)
		held.Items = nil
		_, _, err = all.ReleaseLock(held, nil)
		good("release", err)
	}
	lock, err := client.Locks(api.WriteOptions{}, api.Variable{Path: "leased", Lock: &api.VariableLock{TTL: "10s", LockDelay: "1s"}})
	if good("lock", err) {
		ran := false
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err := client.NewLockLeaser(lock).Start(ctx, func(context.Context) error { ran = true; return nil })
		holds("a leased function runs", err == nil && ran)
	}
}

func events() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := client.EventStream().Stream(ctx, map[api.Topic][]string{api.TopicJob: {"news"}, api.TopicNode: {"*"}, api.TopicDeployment: {"*"}, api.TopicAllocation: {"*"}, api.TopicEvaluation: {"*"}}, 0, nil)
	if !good("stream", err) {
		return
	}
	_, _, err = client.Jobs().Register(service("news", 1), nil)
	good("register", err)
	seen := map[string]bool{}
	for len(seen) < 4 {
		select {
		case batch := <-stream:
			if batch.Err != nil {
				wrong("stream: %v", batch.Err)
				return
			}
			for _, event := range batch.Events {
				job, _ := event.Job()
				alloc, _ := event.Allocation()
				eval, _ := event.Evaluation()
				deployment, _ := event.Deployment()
				if job != nil && *job.ID == "news" || alloc != nil && alloc.JobID == "news" || eval != nil && eval.JobID == "news" || deployment != nil && deployment.JobID == "news" {
					seen[string(event.Topic)] = true
				}
			}
		case <-ctx.Done():
			wrong("stream: only %v", seen)
			return
		}
	}
	steps++
	_, _, err = client.Jobs().Deregister("news", true, nil)
	good("purge", err)
}

func access(address string) {
	config := api.DefaultConfig()
	config.Address = address
	guarded, err := api.NewClient(config)
	if !good("client", err) {
		return
	}
	_, _, err = guarded.Jobs().List(nil)
	holds("nobody sees nothing", err == nil || strings.Contains(err.Error(), "Permission denied"))
	root, _, err := guarded.ACLTokens().Bootstrap(nil)
	if !good("bootstrap", err) {
		return
	}
	_, _, err = guarded.ACLTokens().Bootstrap(nil)
	refused("bootstrap twice", err, "ACL bootstrap already done")
	guarded.SetSecretID(root.SecretID)
	policies := guarded.ACLPolicies()
	_, err = policies.Upsert(&api.ACLPolicy{Name: "reader", Description: "d", Rules: `namespace "default" { policy = "read" }`}, nil)
	good("policy", err)
	_, err = policies.Upsert(&api.ACLPolicy{Name: "bad", Rules: `namespace "default" { policy = "nonsense" }`}, nil)
	refused("bad policy", err, "400")
	if list, _, err := policies.List(nil); good("policies", err) {
		is("policies", len(list), 1)
	}
	if policy, _, err := policies.Info("reader", nil); good("read policy", err) {
		is("described", policy.Description, "d")
	}
	roles := guarded.ACLRoles()
	role, _, err := roles.Create(&api.ACLRole{Name: "readers", Policies: []*api.ACLRolePolicyLink{{Name: "reader"}}}, nil)
	if !good("role", err) {
		return
	}
	role.Description = "r"
	_, _, err = roles.Update(role, nil)
	good("update role", err)
	if found, _, err := roles.GetByName("readers", nil); good("role by name", err) {
		is("described", found.Description, "r")
	}
	if found, _, err := roles.Get(role.ID, nil); good("role by id", err) {
		is("name", found.Name, "readers")
	}
	if list, _, err := roles.List(nil); good("roles", err) {
		is("roles", len(list), 1)
	}
	tokens := guarded.ACLTokens()
	token, _, err := tokens.Create(&api.ACLToken{Name: "t", Type: "client", Roles: []*api.ACLTokenRoleLink{{Name: "readers"}}, ExpirationTTL: time.Hour}, nil)
	if !good("token", err) {
		return
	}
	holds("expires", token.ExpirationTime != nil && token.ExpirationTTL == time.Hour)
	token.Name = "u"
	if changed, _, err := tokens.Update(token, nil); good("update token", err) {
		is("renamed", changed.Name, "u")
	}
	if found, _, err := tokens.Info(token.AccessorID, nil); good("read token", err) {
		is("named", found.Name, "u")
	}
	if list, _, err := tokens.List(nil); good("tokens", err) {
		is("tokens", len(list), 2)
	}
	reader, err := api.NewClient(&api.Config{Address: address, SecretID: token.SecretID})
	if good("reader", err) {
		if self, _, err := reader.ACLTokens().Self(nil); good("self", err) {
			is("self", self.AccessorID, token.AccessorID)
		}
		if mine, _, err := reader.ACLPolicies().Self(nil); good("own policies", err) {
			is("own policies", len(mine), 1)
		}
		_, _, err := reader.Jobs().List(nil)
		good("reader lists", err)
		_, _, err = reader.Jobs().Register(service("no", 1), nil)
		refused("reader writes", err, "Permission denied")
		once, _, err := reader.ACLTokens().UpsertOneTimeToken(nil)
		if good("one-time token", err) {
			anyone, _ := api.NewClient(&api.Config{Address: address})
			if got, _, err := anyone.ACLTokens().ExchangeOneTimeToken(once.OneTimeSecretID, nil); good("exchange", err) {
				is("exchanged", got.AccessorID, token.AccessorID)
			}
			_, _, err := anyone.ACLTokens().ExchangeOneTimeToken(once.OneTimeSecretID, nil)
			holds("exchanged once", err != nil)
		}
	}
	methods := guarded.ACLAuthMethods()
	method := &api.ACLAuthMethod{Name: "sso", Type: "OIDC", TokenLocality: "local", MaxTokenTTL: 15 * time.Minute, Default: true,
		Config: &api.ACLAuthMethodConfig{OIDCDiscoveryURL: "https://example.com", OIDCClientID: "id", OIDCClientSecret: "hush", BoundAudiences: []string{"a"}}}
	_, _, err = methods.Create(method, nil)
	good("auth method", err)
	if found, _, err := methods.Get("sso", nil); good("read method", err) {
		is("ttl", found.MaxTokenTTL, 15*time.Minute)
		holds("the secret is not told", found.Config.OIDCClientSecret != "hush")
	}
	if list, _, err := methods.List(nil); good("methods", err) {
		is("methods", len(list), 1)
	}
	rules := guarded.ACLBindingRules()
	rule, _, err := rules.Create(&api.ACLBindingRule{AuthMethod: "sso", BindType: "role", BindName: "readers", Selector: "value.x == y"}, nil)
	if good("binding rule", err) {
		rule.Description = "d"
		_, _, err := rules.Update(rule, nil)
		good("update rule", err)
		if found, _, err := rules.Get(rule.ID, nil); good("read rule", err) {
			is("described", found.Description, "d")
		}
		if list, _, err := rules.List(nil); good("rules", err) {
			is("rules", len(list), 1)
		}
		_, err = rules.Delete(rule.ID, nil)
		good("delete rule", err)
	}
	_, err = methods.Delete("sso", nil)
	good("delete method", err)
	if intro, _, err := guarded.ACLIdentity().CreateClientIntroductionToken(&api.ACLIdentityClientIntroductionTokenRequest{NodeName: "n", TTL: time.Minute}, nil); good("introduction", err) {
		is("a token", strings.Count(intro.JWT, "."), 2)
	}
	_, err = tokens.Delete(token.AccessorID, nil)
	good("delete token", err)
	_, err = roles.Delete(role.ID, nil)
	good("delete role", err)
	_, err = policies.Delete("reader", nil)
	good("delete policy", err)
}

func main() {
	var err error
	client, err = api.NewClient(api.DefaultConfig())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	areas := []struct {
		name string
		run  func()
	}{
		{"jobs", jobs}, {"allocations", allocations}, {"evaluations", evaluations}, {"deployments", deployments},
		{"nodes", nodes}, {"rest", rest}, {"events", events}, {"access", func() { access(os.Getenv("ACL_ADDR")) }},
	}
	for _, area := range areas {
		before, began := len(problems), time.Now()
		func() {
			defer func() {
				if trouble := recover(); trouble != nil {
					wrong("panic: %v", trouble)
				}
			}()
			area.run()
		}()
		for at := before; at < len(problems); at++ {
			problems[at] = area.name + ": " + problems[at]
		}
		fmt.Printf("%-12s %d problems, %s\n", area.name, len(problems)-before, time.Since(began).Round(time.Millisecond))
	}
	text, _ := json.MarshalIndent(problems, "", "  ")
	fmt.Printf("%d checks\n", steps)
	if len(problems) > 0 {
		fmt.Println(string(text))
		os.Exit(1)
	}
}
