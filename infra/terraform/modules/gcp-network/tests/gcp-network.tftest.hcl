mock_provider "google" {}

variables {
  name   = "muster"
  region = "europe-west4"
}

run "ranges_do_not_overlap_and_stay_where_they_are" {
  assert {
    condition     = [local.pods, local.nodes, local.services, local.google] == ["10.60.0.0/15", "10.62.0.0/18", "10.62.64.0/18", "10.62.128.0/18"]
    error_message = "ranges are not where they were: the cluster would be replaced"
  }

  assert {
    condition     = google_compute_global_address.google.address == "10.62.128.0" && google_compute_global_address.google.prefix_length == 18
    error_message = "Google's services must be within the range that the network policies know"
  }

  assert {
    condition     = google_compute_subnetwork.nodes.private_ip_google_access
    error_message = "nodes without public addresses must reach Google's APIs"
  }
}

run "a_name_with_a_space_is_refused" {
  command = plan

  variables {
    name = "Muster 1"
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

run "a_range_too_small_is_refused" {
  command = plan

  variables {
    cidr = "10.0.0.0/16"
  }

  expect_failures = [var.cidr]
}
