mock_provider "google" {
  mock_resource "google_sql_database_instance" {
    defaults = {
      private_ip_address = "10.62.128.3"
      server_ca_cert     = [{ cert = "-----BEGIN CERTIFICATE-----", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" }]
    }
  }
}

mock_provider "random" {}

variables {
  name       = "muster"
  project    = "example-project"
  region     = "europe-west4"
  network_id = "network"
}

run "answers_are_safe_by_default" {
  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "REGIONAL" && google_sql_database_instance.this.deletion_protection && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    error_message = "a standby, backups and protection are the default"
  }

  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    error_message = "the database must be private, and reached by TLS"
  }

  assert {
    condition     = contains([for flag in google_sql_database_instance.this.settings[0].database_flags : "${flag.name}=${flag.value}"], "synchronous_commit=on")
    error_message = "commits must be synced"
  }

  assert {
    condition     = output.host == "10.62.128.3" && output.ca_pem == "-----BEGIN CERTIFICATE-----"
    error_message = "clients must know where it is and how to tell it"
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

run "a_tier_of_mysql_is_refused" {
  command = plan

  variables {
    tier = "db-n1-standard-4"
  }

  expect_failures = [var.tier]
}

run "too_little_storage_is_refused" {
  command = plan

  variables {
    storage_gib = 5
  }

  expect_failures = [var.storage_gib]
}

run "more_days_than_cloud_sql_keeps_are_refused" {
  command = plan

  variables {
    backup_days = 8
  }

  expect_failures = [var.backup_days]
}
