variable "name" {
  description = "Name of the pool, and the value of its nodes' label muster.dev/pool: cpu, gpu or gpu-spot for Muster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "name must be 2 to 24 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "cluster_name" {
  description = "The GKE cluster that the nodes join."
  type        = string
}

variable "region" {
  description = "GCP region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a GCP region, such as europe-west4."
  }
}

variable "node_account" {
  description = "E-mail of the service account of nodes."
  type        = string

  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+$", var.node_account))
    error_message = "node_account must be the e-mail of a service account."
  }
}

variable "machine_type" {
  description = "Machine type, such as n2-standard-8 or g2-standard-4."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+-[a-z0-9-]+$", var.machine_type))
    error_message = "machine_type must be a machine type of Compute Engine, such as g2-standard-4."
  }
}

variable "spot" {
  description = "Whether to use spot machines, which may be taken away after half a minute's notice."
  type        = bool
  default     = false
}

variable "gpu" {
  description = "Type of the one GPU of each node, such as nvidia-l4; none without."
  type        = string
  default     = null

  validation {
    condition     = var.gpu == null || can(regex("^nvidia-", var.gpu))
    error_message = "gpu must be an accelerator type of NVIDIA's, such as nvidia-l4."
  }
}

variable "nodes_min" {
  description = "Fewest nodes in all zones together; 0 costs nothing while nobody needs them."
  type        = number
  default     = 0

  validation {
    condition     = var.nodes_min >= 0 && floor(var.nodes_min) == var.nodes_min
    error_message = "nodes_min must be a whole number of at least 0."
  }
}

variable "nodes_max" {
  description = "Most nodes in all zones together: the bound on what the pool can cost."
  type        = number

  validation {
    condition     = var.nodes_max >= 1 && var.nodes_max <= 1000 && floor(var.nodes_max) == var.nodes_max
    error_message = "nodes_max must be a whole number from 1 to 1000, GKE's own limit of a pool."
  }

  validation {
    condition     = var.nodes_max >= var.nodes_min
    error_message = "nodes_max must not be below nodes_min."
  }
}

variable "disk_gib" {
  description = "Size of each node's disk for images and scratch, in GiB."
  type        = number
  default     = 100

  validation {
    condition     = var.disk_gib >= 50 && var.disk_gib <= 2000
    error_message = "disk_gib must be from 50 (the CUDA image and scratch space) to 2000."
  }
}
