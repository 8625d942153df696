resource "random_password" "this" {
  length  = 64
  special = false
}

resource "google_sql_database_instance" "this" {
  #checkov:skip=CKV_GCP_6:ENCRYPTED_ONLY refuses connections without TLS; client certificates are not used
  #checkov:skip=CKV_GCP_79:The same major version as on AWS; a newer one is an upgrade of its own
  #checkov:skip=CKV2_GCP_13:log_duration would log every statement; Query Insights has the slow ones, without values
  name                = var.name
  project             = var.project
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = !var.destroyable

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.tier
    availability_type           = var.standby ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.storage_gib
    disk_autoresize             = true
    disk_autoresize_limit       = 4 * var.storage_gib
    deletion_protection_enabled = !var.destroyable

    ip_configuration {
      ipv4_enabled                                  = false
      private_network                               = var.network_id
      enable_private_path_for_google_cloud_services = false
      ssl_mode                                      = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "01:30"
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = var.backup_days

      backup_retention_settings {
        retained_backups = 30
      }
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
    }

    # An acknowledged answer is on disk (docs/operations.md), and a client of a lost machine is noticed
    # before its work is started elsewhere.
    database_flags {
      name  = "synchronous_commit"
      value = "on"
    }

    database_flags {
      name  = "tcp_keepalives_idle"
      value = "15"
    }

    database_flags {
      name  = "tcp_keepalives_interval"
      value = "5"
    }

    database_flags {
      name  = "tcp_keepalives_count"
      value = "3"
    }

    # Enough for a hundred processes (docs/deploy.md).
    database_flags {
      name  = "max_connections"
      value = "1000"
    }

    # What an auditor and whoever looks for a slow statement will ask for.
    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }

    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }

    database_flags {
      name  = "log_connections"
      value = "on"
    }

    database_flags {
      name  = "log_disconnections"
      value = "on"
    }

    database_flags {
      name  = "log_duration"
      value = "off"
    }

    database_flags {
      name  = "log_hostname"
      value = "on"
    }

    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }

    database_flags {
      name  = "log_min_duration_statement"
      value = "-1"
    }

    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }

    database_flags {
      name  = "log_min_messages"
      value = "error"
    }

    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
  }
}

resource "google_sql_database" "this" {
  name     = "muster"
  project  = var.project
  instance = google_sql_database_instance.this.name
}

resource "google_sql_user" "this" {
  name     = "muster"
  project  = var.project
  instance = google_sql_database_instance.this.name
  password = random_password.this.result
}
