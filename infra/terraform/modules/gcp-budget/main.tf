locals {
  alarms = {
    half     = { part = 0.5, basis = "CURRENT_SPEND" }
    most     = { part = 0.8, basis = "CURRENT_SPEND" }
    all      = { part = 1.0, basis = "CURRENT_SPEND" }
    foretold = { part = 1.0, basis = "FORECASTED_SPEND" }
  }
}

resource "google_monitoring_notification_channel" "emails" {
  for_each = toset(var.emails)

  project      = var.project
  display_name = "${var.name}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
}

resource "google_billing_budget" "this" {
  billing_account = var.billing_account
  display_name    = "${var.name} monthly"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      currency_code = "USD"
      units         = tostring(var.limit_usd)
    }
  }

  dynamic "threshold_rules" {
    for_each = local.alarms

    content {
      threshold_percent = threshold_rules.value.part
      spend_basis       = threshold_rules.value.basis
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [for channel in google_monitoring_notification_channel.emails : channel.id]
  }
}
