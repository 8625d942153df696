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
  description = "The network, joined to that of Google's services."
  type        = string
}

variable "memory_gib" {
  description = "Memory, in GiB; what Ray's head keeps takes little of it."
  type        = number
  default     = 1

  validation {
    condition     = var.memory_gib >= 1 && var.memory_gib <= 300
    error_message = "memory_gib must be from 1 to 300."
  }
}
