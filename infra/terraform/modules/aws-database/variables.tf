variable "name" {
  description = "Prefix of every name: 3 to 24 small letters, digits and hyphens, a letter first."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the database, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name at least two subnets, in different zones."
  }
}

variable "client_security_group_id" {
  description = "Security group of the nodes that may connect."
  type        = string
}

variable "instance_class" {
  description = "Size of the server, such as db.m7g.large."
  type        = string
  default     = "db.m7g.large"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class))
    error_message = "instance_class must be an RDS instance class, such as db.m7g.large."
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
  default     = 14

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be from 1 to 35."
  }
}

variable "destroyable" {
  description = "Whether destroying the module deletes the database without a last snapshot; for trials only."
  type        = bool
  default     = false
}
