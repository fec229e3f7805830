node_pool "example" {
  description = "Example node pool"

  # Information about the pool, for people and programs.
  meta {
    environment = "prod"
    owner       = "sre"
  }

  # Settings of the scheduler for the nodes of this pool.
  #   scheduler_config {
  #     scheduler_algorithm             = "spread"
  #     memory_oversubscription_enabled = true
  #   }
}
