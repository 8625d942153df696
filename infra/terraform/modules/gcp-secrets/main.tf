# Signs lease tokens. A new one makes leases that are out void, and no answer.
resource "random_password" "lease" {
  length  = 64
  special = false
}

# Seals the secrets of webhooks in the database. Lost with them, they have to be made anew.
resource "random_password" "encryption" {
  length  = 64
  special = false
}

locals {
  ids = { service = var.name, database = "${var.name}-database" }
  values = {
    service = jsonencode({
      database_host  = var.database_host
      encryption_key = random_password.encryption.result
      lease_secret   = random_password.lease.result
      redis_password = var.redis_password
    })
    database = jsonencode(var.database_credentials)
  }
}

resource "google_secret_manager_secret" "this" {
  for_each = local.ids

  project   = var.project
  secret_id = each.value

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_version" "this" {
  for_each = local.ids

  secret      = google_secret_manager_secret.this[each.key].id
  secret_data = local.values[each.key]
}
