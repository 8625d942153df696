variable "name" {
  description = "Prefix of every name: 3 to 24 small letters, digits and hyphens, a letter first."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and hyphens, and begin with a letter."
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

variable "cidr" {
  description = "IPv4 range of everything, a /14 within 10.0.0.0/8, which the network policies allow for databases."
  type        = string
  default     = "10.60.0.0/14"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("^10\\..*/14$", var.cidr))
    error_message = "cidr must be an IPv4 range of 10.0.0.0/8 with a prefix of 14 bits."
  }
}
