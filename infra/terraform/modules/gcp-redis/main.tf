resource "google_redis_instance" "this" {
  name                    = "${var.name}-ray"
  project                 = var.project
  region                  = var.region
  tier                    = "STANDARD_HA"
  memory_size_gb          = var.memory_gib
  redis_version           = "REDIS_7_2"
  authorized_network      = var.network_id
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"

  # Ray keeps what must not be forgotten.
  redis_configs = {
    maxmemory-policy = "noeviction"
  }
}
