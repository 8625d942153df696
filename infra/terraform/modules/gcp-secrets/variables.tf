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

variable "name" {
  description = "Name of the secret in Secret Manager, and prefix of the database's."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,200}$", var.name))
    error_message = "name must be 1 to 200 letters, digits, hyphens and underscores."
  }
}

variable "database_host" {
  description = "Name of the database server."
  type        = string

  validation {
    condition     = length(var.database_host) > 0 && !strcontains(var.database_host, "/") && !strcontains(var.database_host, ":")
    error_message = "database_host must be a host alone, without scheme or port."
  }
}

variable "database_credentials" {
  description = "User and password of the database."
  type = object({
    username = string
    password = string
  })
  sensitive = true

  validation {
    condition     = length(var.database_credentials.password) >= 16
    error_message = "database_credentials must have a password of at least 16 characters."
  }
}

variable "redis_password" {
  description = "Password of the Redis of Ray's head; empty where there is none."
  type        = string
  sensitive   = true
  default     = ""
}
