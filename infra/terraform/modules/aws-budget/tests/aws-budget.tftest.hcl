mock_provider "aws" {}

variables {
  name      = "muster"
  limit_usd = 1000
  emails    = ["platform@example.com"]
  tag       = { key = "project", value = "muster" }
}

run "somebody_is_told_before_the_money_is_gone" {
  assert {
    condition     = aws_budgets_budget.this.limit_amount == "1000.00" && length(aws_budgets_budget.this.notification) == 4
    error_message = "a thousand dollars, four alarms"
  }

  assert {
    condition     = contains([for alarm in aws_budgets_budget.this.notification : alarm.notification_type], "FORECASTED")
    error_message = "one alarm must come before it is too late"
  }

  assert {
    condition     = one(aws_budgets_budget.this.cost_filter).values == tolist(["user:project$muster"])
    error_message = "only what is tagged counts"
  }
}

run "a_name_with_a_space_is_refused" {
  command = plan

  variables {
    name = "my budget"
  }

  expect_failures = [var.name]
}

run "no_money_is_refused" {
  command = plan

  variables {
    limit_usd = 0
  }

  expect_failures = [var.limit_usd]
}

run "what_is_no_address_is_refused" {
  command = plan

  variables {
    emails = ["platform"]
  }

  expect_failures = [var.emails]
}
