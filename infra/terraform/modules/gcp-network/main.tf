locals {
  # Pods take half of the range; nodes, services and the services of Google a 16th each.
  pods     = cidrsubnet(var.cidr, 1, 0)
  nodes    = cidrsubnet(var.cidr, 4, 8)
  services = cidrsubnet(var.cidr, 4, 9)
  google   = cidrsubnet(var.cidr, 4, 10)
}

resource "google_compute_network" "this" {
  #checkov:skip=CKV2_GCP_18:GKE makes the rules that its nodes need; a network refuses all else by itself
  name                    = var.name
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"
}

resource "google_compute_subnetwork" "nodes" {
  name                     = "${var.name}-nodes"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = local.nodes
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = local.pods
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = local.services
  }

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_router" "this" {
  name    = var.name
  network = google_compute_network.this.id
  region  = var.region
}

resource "google_compute_router_nat" "this" {
  name                               = var.name
  router                             = google_compute_router.this.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# Cloud SQL and Memorystore live in a network of Google's, joined to this one.
resource "google_compute_global_address" "google" {
  name          = "${var.name}-google"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  network       = google_compute_network.this.id
  address       = cidrhost(local.google, 0)
  prefix_length = 18
}

resource "google_service_networking_connection" "google" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.google.name]
}
