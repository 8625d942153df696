variable "chart_versions" {
  description = "Versions of the charts; those tested together are the default."
  type = object({
    kuberay_operator      = optional(string, "1.7.0")
    kueue                 = optional(string, "0.16.2")
    external_secrets      = optional(string, "2.4.1")
    envoy_gateway         = optional(string, "v1.6.0")
    kube_prometheus_stack = optional(string, "81.6.2")
    cluster_autoscaler    = optional(string, "9.50.1")
  })
  default = {}

  validation {
    condition     = alltrue([for version in values(var.chart_versions) : can(regex("^v?[0-9]+\\.[0-9]+\\.[0-9]+$", version))])
    error_message = "chart_versions must be exact versions, such as 1.7.0."
  }

  validation {
    condition     = can(regex("^1\\.([7-9]|[1-9][0-9])\\.", var.chart_versions.kuberay_operator))
    error_message = "chart_versions.kuberay_operator must be 1.7 or later: the RayService uses its incremental upgrade."
  }
}

variable "cluster_autoscaler" {
  description = "The EKS cluster whose node groups are to be scaled, and its region; none on GKE, which does so itself."
  type = object({
    cluster_name = string
    region       = string
  })
  default = null

  validation {
    condition     = try(var.cluster_autoscaler.region, null) == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.cluster_autoscaler.region))
    error_message = "cluster_autoscaler.region must be an AWS region, such as eu-central-1."
  }
}

variable "load_balancer_annotations" {
  description = "Annotations that keep the gateway's load balancer within the network, in the cloud's own words."
  type        = map(string)

  validation {
    condition     = length(var.load_balancer_annotations) > 0
    error_message = "load_balancer_annotations must say that the load balancer is internal: Muster's API is plain HTTP there."
  }
}

variable "metrics_days" {
  description = "How long Prometheus keeps metrics, in days."
  type        = number
  default     = 15

  validation {
    condition     = var.metrics_days >= 1 && var.metrics_days <= 90
    error_message = "metrics_days must be from 1 to 90."
  }
}

variable "metrics_gib" {
  description = "Disk of Prometheus, in GiB."
  type        = number
  default     = 50

  validation {
    condition     = var.metrics_gib >= 10 && var.metrics_gib <= 1000
    error_message = "metrics_gib must be from 10 to 1000."
  }
}
