mock_provider "google" {}

variables {
  name            = "muster"
  project         = "example-project"
  project_number  = "123456789012"
  billing_account = "012345-6789AB-CDEF01"
  limit_usd       = 1000
  emails          = ["platform@example.com"]
}

run "somebody_is_told_before_the_money_is_gone" {
  assert {
    condition     = google_billing_budget.this.amount[0].specified_amount[0].units == "1000" && length(google_billing_budget.this.threshold_rules) == 4
    error_message = "a thousand dollars, four alarms"
  }

  assert {
    condition     = contains([for rule in google_billing_budget.this.threshold_rules : rule.spend_basis], "FORECASTED_SPEND")
    error_message = "one alarm must come before it is too late"
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

run "a_projects_id_as_its_number_is_refused" {
  command = plan

  variables {
    project_number = "example-project"
  }

  expect_failures = [var.project_number]
}

run "what_is_no_billing_account_is_refused" {
  command = plan

  variables {
    billing_account = "mine"
  }

  expect_failures = [var.billing_account]
}

run "no_money_is_refused" {
  command = plan

  variables {
    limit_usd = 0
  }

  expect_failures = [var.limit_usd]
}

run "nobody_to_tell_is_refused" {
  command = plan

  variables {
    emails = []
  }

  expect_failures = [var.emails]
}
