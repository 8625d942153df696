variable "name" {
  description = "Prefix of every name: 3 to 24 small letters, digits and hyphens, a letter first."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "cidr" {
  description = "IPv4 range of the VPC, a /16 to /20 within 10.0.0.0/8, which the network policies allow for databases."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("^10\\..*/(16|17|18|19|20)$", var.cidr))
    error_message = "cidr must be an IPv4 range of 10.0.0.0/8 with a prefix of 16 to 20 bits."
  }
}

variable "zones" {
  description = "Availability zones to use, two to four; EKS and a standby database need two."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 4 && length(distinct(var.zones)) == length(var.zones)
    error_message = "zones must be two to four different availability zones."
  }
}

variable "nat_per_zone" {
  description = "Whether each zone has a NAT gateway of its own; one for all is cheaper and ends with its zone."
  type        = bool
  default     = false
}

variable "flow_log_days" {
  description = "How long the log of connections is kept, in days, as CloudWatch allows."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 7, 14, 30, 60, 90, 180, 365, 731], var.flow_log_days)
    error_message = "flow_log_days must be 1, 7, 14, 30, 60, 90, 180, 365 or 731."
  }
}
