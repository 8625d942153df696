mock_provider "google" {}
mock_provider "random" {}

variables {
  project              = "example-project"
  region               = "europe-west4"
  name                 = "muster"
  database_host        = "10.62.128.3"
  database_credentials = { username = "muster", password = "a-long-enough-password" }
  redis_password       = "hidden"
}

run "the_secrets_hold_what_external_secrets_looks_for" {
  assert {
    condition     = toset(keys(jsondecode(google_secret_manager_secret_version.this["service"].secret_data))) == toset(["database_host", "encryption_key", "lease_secret", "redis_password"])
    error_message = "infra/k8s/base/secrets.yaml names these keys"
  }

  assert {
    condition     = toset(keys(jsondecode(google_secret_manager_secret_version.this["database"].secret_data))) == toset(["username", "password"])
    error_message = "infra/k8s/base/secrets.yaml names these keys"
  }

  assert {
    condition     = output.ids == { service = "projects/example-project/secrets/muster", database = "projects/example-project/secrets/muster-database" }
    error_message = "whoever reads them needs their ids"
  }
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

run "a_name_with_a_space_is_refused" {
  command = plan

  variables {
    name = "a secret"
  }

  expect_failures = [var.name]
}

run "an_address_with_a_scheme_is_refused" {
  command = plan

  variables {
    database_host = "postgresql://host"
  }

  expect_failures = [var.database_host]
}

run "a_short_password_is_refused" {
  command = plan

  variables {
    database_credentials = { username = "muster", password = "short" }
  }

  expect_failures = [var.database_credentials]
}
