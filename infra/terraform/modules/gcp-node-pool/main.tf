resource "google_container_node_pool" "this" {
  #checkov:skip=CKV_GCP_68:Secure boot is on but where there are GPUs, whose drivers are not signed for it
  name     = var.name
  cluster  = var.cluster_name
  location = var.region

  autoscaling {
    total_min_node_count = var.nodes_min
    total_max_node_count = var.nodes_max
    location_policy      = var.spot ? "ANY" : "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type    = var.machine_type
    spot            = var.spot
    disk_type       = "pd-balanced"
    disk_size_gb    = var.disk_gib
    image_type      = "COS_CONTAINERD"
    service_account = var.node_account
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    labels          = { "muster.dev/pool" = var.name }
    metadata        = { disable-legacy-endpoints = "true" }

    shielded_instance_config {
      enable_secure_boot          = var.gpu == null # NVIDIA's drivers are not signed for it
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    # GKE adds the taint nvidia.com/gpu itself.
    dynamic "guest_accelerator" {
      for_each = var.gpu == null ? [] : [var.gpu]

      content {
        type  = guest_accelerator.value
        count = 1

        gpu_driver_installation_config {
          gpu_driver_version = "DEFAULT"
        }
      }
    }
  }
}
