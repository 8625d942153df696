mock_provider "google" {
  mock_resource "google_container_cluster" {
    defaults = {
      endpoint = "203.0.113.7"
      master_auth = {
        cluster_ca_certificate = "Y2VydGlmaWNhdGU="
      }
    }
  }

  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  name          = "muster"
  project       = "example-project"
  region        = "europe-west4"
  zones         = ["europe-west4-a", "europe-west4-b"]
  network_id    = "network"
  subnetwork_id = "subnetwork"
}

run "the_api_is_private_unless_somebody_is_named" {
  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_endpoint && google_container_cluster.this.private_cluster_config[0].enable_private_nodes
    error_message = "neither API nor nodes may be public by default"
  }

  assert {
    condition     = google_container_cluster.this.database_encryption[0].state == "ENCRYPTED" && google_container_cluster.this.workload_identity_config[0].workload_pool == "example-project.svc.id.goog"
    error_message = "secrets must be encrypted, pods must have identities"
  }

  assert {
    condition     = google_container_cluster.this.deletion_protection && google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "a cluster is protected and enforces network policies"
  }

  assert {
    condition     = output.ca_certificate == "certificate"
    error_message = "the certificate must be decoded"
  }
}

run "ranges_open_the_api_to_them_alone" {
  variables {
    public_access_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = !google_container_cluster.this.private_cluster_config[0].enable_private_endpoint && one(google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks).cidr_block == "203.0.113.0/24"
    error_message = "the API must be open to the given range, and to no other"
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

run "a_region_as_a_zone_is_refused" {
  command = plan

  variables {
    zones = ["europe-west4"]
  }

  expect_failures = [var.zones]
}

run "a_range_of_the_wrong_size_is_refused" {
  command = plan

  variables {
    control_plane_cidr = "172.16.0.0/24"
  }

  expect_failures = [var.control_plane_cidr]
}

run "the_whole_internet_is_refused" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}
