//! What clients write otherwise than servers.

use serde_json::Value;

/// A job's JSON as clients write it, where servers leave blocks for all groups out and tell empty plugins.
pub fn as_clients_write(mut job: Value) -> Value {
    for name in ["Migrate", "Reschedule"] {
        if let Some(fields) = job.as_object_mut() {
            fields.entry(name).or_insert(Value::Null);
        }
    }
    let tasks = job.get_mut("TaskGroups").and_then(Value::as_array_mut).into_iter().flatten();
    for task in tasks.filter_map(|group| group.get_mut("Tasks")?.as_array_mut()).flatten().filter_map(Value::as_object_mut) {
        if let Some(log) = task.get_mut("LogConfig").and_then(Value::as_object_mut) {
            log.entry("Enabled").or_insert(Value::Null);
        }
        if task.get("CSIPluginConfig").is_some_and(Value::is_null) {
            task.remove("CSIPluginConfig");
        }
    }
    job
}
