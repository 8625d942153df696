mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/example" }
  }
}

variables {
  name            = "muster-service"
  cluster_name    = "muster"
  namespace       = "muster"
  service_account = "muster"
  statements      = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::example/*"] }]
}

run "the_account_gets_what_is_listed_and_no_more" {
  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement == [{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::example/*"] }]
    error_message = "the policy must hold the statements as they are"
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "pods.eks.amazonaws.com"
    error_message = "only pods may have the role"
  }
}

run "a_name_with_a_space_is_refused" {
  command = plan

  variables {
    name = "a role"
  }

  expect_failures = [var.name]
}

run "a_namespace_with_capitals_is_refused" {
  command = plan

  variables {
    namespace = "Muster"
  }

  expect_failures = [var.namespace]
}

run "an_account_with_an_underscore_is_refused" {
  command = plan

  variables {
    service_account = "muster_1"
  }

  expect_failures = [var.service_account]
}

run "everything_is_refused" {
  command = plan

  variables {
    statements = [{ actions = ["*"], resources = ["*"] }]
  }

  expect_failures = [var.statements]
}
