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

  mock_resource "google_sql_database_instance" {
    defaults = {
      private_ip_address = "10.62.128.3"
      server_ca_cert     = [{ cert = "-----BEGIN CERTIFICATE-----", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" }]
    }
  }
}

mock_provider "helm" {}
mock_provider "random" {
  mock_resource "random_password" {
    defaults = { result = "a-long-enough-password" }
  }
}

variables {
  project             = "example-project"
  billing_account     = "012345-6789AB-CDEF01"
  bucket              = "example-muster-objects"
  public_access_cidrs = ["203.0.113.0/24"]
  emails              = ["platform@example.com"]
  image               = "registry.example/muster:0.1.0"
  cuda_image          = "registry.example/muster-cuda:0.1.0"
}

run "production_is_planned_as_a_whole" {
  override_resource {
    target = module.redis.google_redis_instance.this
    values = { host = "10.62.128.4", port = 6378 }
  }

  override_resource {
    target = module.cluster.google_service_account.nodes
    values = { email = "nodes@example-project.iam.gserviceaccount.com" }
  }

  assert {
    condition     = output.bucket == "example-muster-objects"
    error_message = "the bucket must be the given one"
  }
}

run "what_is_no_region_is_refused" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}
