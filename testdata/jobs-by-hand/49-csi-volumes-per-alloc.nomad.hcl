#> .TaskGroups[0].Volumes.data {"Name": "data", "Type": "csi", "Source": "pg", "ReadOnly": false, "Sticky": false, "AccessMode": "single-node-writer", "AttachmentMode": "file-system", "MountOptions": {"FSType": "ext4", "MountFlags": ["noatime", "nodev"]}, "PerAlloc": true}
#> .TaskGroups[0].Volumes.backup.Source "pg-backup-2"
#> .TaskGroups[0].Tasks[0].VolumeMounts [{"Volume": "backup", "Destination": "/mnt/backup", "ReadOnly": true, "PropagationMode": null, "SELinuxLabel": null}, {"Volume": "data", "Destination": "/mnt/data", "ReadOnly": false, "PropagationMode": null, "SELinuxLabel": null}]
#> .TaskGroups[0].Tasks[0].Env {"PGDATA": "/mnt/data/pg", "SHARDS": "2"}
locals {
  volumes = {
    data   = { source = "pg", per_alloc = true, read_only = false }
    backup = { source = "pg-backup-${local.shards}", per_alloc = false, read_only = true }
  }
  shards = 1 + 1
}
job "pg" {
  group "db" {
    dynamic "volume" {
      for_each = local.volumes
      labels   = [volume.key]
      content {
        type            = "csi"
        source          = volume.value.source
        per_alloc       = volume.value.per_alloc
        read_only       = volume.value.read_only
        access_mode     = volume.value.read_only ? "multi-node-reader-only" : "single-node-writer"
        attachment_mode = "file-system"
        mount_options {
          fs_type     = "ext4"
          mount_flags = ["noatime", "nodev"]
        }
      }
    }
    task "postgres" {
      driver = "docker"
      config { image = "postgres:16" }
      env {
        PGDATA = "/mnt/data/pg"
        SHARDS = local.shards
      }
      dynamic "volume_mount" {
        for_each = local.volumes
        iterator = v
        content {
          volume      = v.key
          destination = format("/mnt/%s", v.key)
          read_only   = v.value.read_only
        }
      }
    }
  }
}
