variable "name" {
  description = "Prefix of every name: 3 to 24 small letters, digits and hyphens, a letter first."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "project" {
  description = "GCP project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a GCP project."
  }
}

variable "region" {
  description = "GCP region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a GCP region, such as europe-west4."
  }
}

variable "network_id" {
  description = "The network."
  type        = string
}

variable "subnetwork_id" {
  description = "The subnetwork of nodes, with ranges called pods and services."
  type        = string
}

variable "zones" {
  description = "Zones of nodes; those with the GPUs that are wanted."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 1 && alltrue([for zone in var.zones : can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", zone))])
    error_message = "zones must be GCP zones, such as europe-west4-a."
  }
}

variable "control_plane_cidr" {
  description = "IPv4 range of the control plane, a /28 outside of the network's own."
  type        = string
  default     = "172.16.0.0/28"

  validation {
    condition     = can(cidrhost(var.control_plane_cidr, 0)) && endswith(var.control_plane_cidr, "/28")
    error_message = "control_plane_cidr must be an IPv4 range with a prefix of 28 bits."
  }
}

variable "public_access_cidrs" {
  description = "Ranges from which the API may be called over the internet; none keeps it within the network."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.public_access_cidrs : can(cidrhost(range, 0)) && range != "0.0.0.0/0"])
    error_message = "public_access_cidrs must be IPv4 ranges, and not the whole internet."
  }
}

variable "destroyable" {
  description = "Whether the cluster may be destroyed; for trials only."
  type        = bool
  default     = false
}
