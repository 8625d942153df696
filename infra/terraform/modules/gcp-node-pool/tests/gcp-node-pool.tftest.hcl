mock_provider "google" {}

variables {
  name         = "gpu-spot"
  cluster_name = "muster"
  region       = "europe-west4"
  node_account = "nodes@example-project.iam.gserviceaccount.com"
  machine_type = "g2-standard-4"
  gpu          = "nvidia-l4"
  spot         = true
  nodes_max    = 8
}

run "gpu_nodes_have_drivers_and_may_be_none" {
  assert {
    condition     = one(google_container_node_pool.this.node_config[0].guest_accelerator).type == "nvidia-l4" && google_container_node_pool.this.node_config[0].spot
    error_message = "a GPU pool needs GPUs, a spot pool spot machines"
  }

  assert {
    condition     = google_container_node_pool.this.autoscaling[0].total_min_node_count == 0 && google_container_node_pool.this.autoscaling[0].total_max_node_count == 8
    error_message = "the pool must shrink to none and grow to its bound"
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].labels["muster.dev/pool"] == "gpu-spot" && google_container_node_pool.this.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA"
    error_message = "pods ask for the label, and must not get the node's credentials"
  }
}

run "other_nodes_boot_securely" {
  variables {
    name         = "cpu"
    machine_type = "n2-standard-8"
    gpu          = null
    spot         = false
    nodes_min    = 3
  }

  assert {
    condition     = google_container_node_pool.this.node_config[0].shielded_instance_config[0].enable_secure_boot && length(google_container_node_pool.this.node_config[0].guest_accelerator) == 0
    error_message = "processors' nodes have no GPUs and boot securely"
  }
}

run "a_bound_below_the_fewest_is_refused" {
  command = plan

  variables {
    nodes_min = 4
    nodes_max = 2
  }

  expect_failures = [var.nodes_max]
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "GPU"
  }

  expect_failures = [var.name]
}

run "what_is_no_region_is_refused" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "what_is_no_account_is_refused" {
  command = plan

  variables {
    node_account = "nodes"
  }

  expect_failures = [var.node_account]
}

run "what_is_no_machine_type_is_refused" {
  command = plan

  variables {
    machine_type = "large"
  }

  expect_failures = [var.machine_type]
}

run "what_is_no_accelerator_is_refused" {
  command = plan

  variables {
    gpu = "l4"
  }

  expect_failures = [var.gpu]
}

run "half_a_node_is_refused" {
  command = plan

  variables {
    nodes_min = 0.5
  }

  expect_failures = [var.nodes_min]
}

run "no_nodes_ever_are_refused" {
  command = plan

  variables {
    nodes_max = 0
  }

  expect_failures = [var.nodes_max]
}

run "a_disk_too_small_for_the_image_is_refused" {
  command = plan

  variables {
    disk_gib = 10
  }

  expect_failures = [var.disk_gib]
}
