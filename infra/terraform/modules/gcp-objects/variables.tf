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

variable "bucket" {
  description = "Name of the bucket, unique among all of GCP: 3 to 63 small letters, digits and hyphens."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket)) && !startswith(var.bucket, "goog")
    error_message = "bucket must be 3 to 63 small letters, digits and hyphens, and not begin with goog."
  }
}

variable "deleted_kept_days" {
  description = "How long what was deleted or replaced can be brought back, in days."
  type        = number
  default     = 14

  validation {
    condition     = var.deleted_kept_days >= 1 && var.deleted_kept_days <= 365
    error_message = "deleted_kept_days must be from 1 to 365."
  }
}

variable "destroyable" {
  description = "Whether destroying the module deletes the bucket with all that is in it; for trials only."
  type        = bool
  default     = false
}
