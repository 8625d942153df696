variable "project" {
  description = "GCP project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a GCP project."
  }
}

variable "project_number" {
  description = "Number of the project, by which identities of pods are named."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be the project's number, not its id."
  }
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
  description = "Kubernetes service account whose pods get the roles."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.service_account))
    error_message = "service_account must be a Kubernetes name."
  }
}

variable "buckets" {
  description = "Roles on buckets, by the bucket's name: roles/storage.objectUser to read and write."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for role in values(var.buckets) : startswith(role, "roles/storage.")])
    error_message = "buckets must have roles of Cloud Storage."
  }
}

variable "secrets" {
  description = "Secrets of Secret Manager that the pods may read, by a name of your choice."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for id in values(var.secrets) : can(regex("^projects/[^/]+/secrets/[^/]+$", id))])
    error_message = "secrets must be ids such as projects/example/secrets/muster."
  }
}
