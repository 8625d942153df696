variable "name" {
  description = "Name of the IAM role: up to 64 letters, digits and hyphens."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{3,64}$", var.name))
    error_message = "name must be 3 to 64 letters, digits and hyphens."
  }
}

variable "cluster_name" {
  description = "The EKS cluster in which the service account lives."
  type        = string
}

variable "namespace" {
  description = "Kubernetes namespace of the service account."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be a Kubernetes name."
  }
}

variable "service_account" {
  description = "Kubernetes service account whose pods get the role."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.service_account))
    error_message = "service_account must be a Kubernetes name."
  }
}

variable "statements" {
  description = "What the pods may do: actions on resources, both without a lone wildcard."
  type = list(object({
    actions   = list(string)
    resources = list(string)
  }))

  validation {
    condition     = length(var.statements) > 0 && alltrue([for statement in var.statements : !contains(statement.actions, "*")])
    error_message = "statements must name their actions; \"*\" is none."
  }
}
