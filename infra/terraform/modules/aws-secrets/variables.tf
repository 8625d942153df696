variable "name" {
  description = "Name of the secret in Secrets Manager."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9/_+=.@-]{1,200}$", var.name))
    error_message = "name must be 1 to 200 letters, digits and /_+=.@-."
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

variable "redis_password" {
  description = "Password of the Redis of Ray's head; empty where there is none."
  type        = string
  sensitive   = true
  default     = ""
}

variable "recovery_days" {
  description = "How long a deleted secret can be brought back, in days; 0 deletes at once."
  type        = number
  default     = 7

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "recovery_days must be 0, or from 7 to 30."
  }
}
