mock_provider "aws" {}
mock_provider "random" {}

variables {
  name           = "muster"
  database_host  = "muster.example.com"
  redis_password = "hidden"
}

run "the_secret_holds_what_external_secrets_looks_for" {
  assert {
    condition     = toset(keys(jsondecode(aws_secretsmanager_secret_version.this.secret_string))) == toset(["database_host", "encryption_key", "lease_secret", "redis_password"])
    error_message = "infra/k8s/base/secrets.yaml names these keys"
  }

  assert {
    condition     = random_password.lease.length >= 32
    error_message = "a lease secret must not be guessed"
  }
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

run "days_that_aws_does_not_take_are_refused" {
  command = plan

  variables {
    recovery_days = 3
  }

  expect_failures = [var.recovery_days]
}
