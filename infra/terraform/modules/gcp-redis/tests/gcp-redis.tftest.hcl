mock_provider "google" {
  mock_resource "google_redis_instance" {
    defaults = { host = "10.62.128.4", port = 6378 }
  }
}

variables {
  name       = "muster"
  project    = "example-project"
  region     = "europe-west4"
  network_id = "network"
}

run "the_heads_state_is_encrypted_and_survives_a_zone" {
  assert {
    condition     = google_redis_instance.this.tier == "STANDARD_HA" && google_redis_instance.this.transit_encryption_mode == "SERVER_AUTHENTICATION" && google_redis_instance.this.auth_enabled
    error_message = "a second server, TLS and a password"
  }

  assert {
    condition     = output.address == "rediss://10.62.128.4:6378" && google_redis_instance.this.redis_configs["maxmemory-policy"] == "noeviction"
    error_message = "Ray must find it by TLS, and nothing may be forgotten"
  }
}

run "a_name_with_a_space_is_refused" {
  command = plan

  variables {
    name = "Muster 1"
  }

  expect_failures = [var.name]
}

run "what_is_no_project_is_refused" {
  command = plan

  variables {
    project = "1"
  }

  expect_failures = [var.project]
}

run "what_is_no_region_is_refused" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "no_memory_is_refused" {
  command = plan

  variables {
    memory_gib = 0
  }

  expect_failures = [var.memory_gib]
}
