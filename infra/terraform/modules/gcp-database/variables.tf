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

variable "tier" {
  description = "Size of the server: db-custom-CPUS-MEGABYTES or db-perf-optimized-N-CPUS."
  type        = string
  default     = "db-custom-4-16384"

  validation {
    condition     = can(regex("^db-(custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)$", var.tier))
    error_message = "tier must be a tier of Cloud SQL, such as db-custom-4-16384."
  }
}

variable "storage_gib" {
  description = "Storage to begin with, in GiB; it grows to four times as much by itself."
  type        = number
  default     = 100

  validation {
    condition     = var.storage_gib >= 20 && var.storage_gib <= 16384
    error_message = "storage_gib must be from 20 to 16384."
  }
}

variable "standby" {
  description = "Whether a second server in another zone takes over where the first fails."
  type        = bool
  default     = true
}

variable "backup_days" {
  description = "How far back the database can be restored to any second, in days."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 7
    error_message = "backup_days must be from 1 to 7."
  }
}

variable "destroyable" {
  description = "Whether the database may be destroyed; for trials only."
  type        = bool
  default     = false
}
