variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "muster"
}

variable "project" {
  description = "GCP project."
  type        = string
}

variable "billing_account" {
  description = "The billing account that pays, such as 012345-6789AB-CDEF01."
  type        = string
}

variable "region" {
  description = "GCP region."
  type        = string
  default     = "europe-west4"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a GCP region, such as europe-west4."
  }
}

variable "zones" {
  description = "Zones of nodes; those with the GPUs that are wanted."
  type        = list(string)
  default     = ["europe-west4-a", "europe-west4-b", "europe-west4-c"]
}

variable "bucket" {
  description = "Name of the bucket of objects, unique among all of GCP."
  type        = string
}

variable "public_access_cidrs" {
  description = "Ranges from which the Kubernetes API may be called, such as your office's."
  type        = list(string)
}

variable "emails" {
  description = "Who is told of what it costs."
  type        = list(string)
}

variable "image" {
  description = "Muster's image for nodes without GPUs."
  type        = string
}

variable "cuda_image" {
  description = "Muster's image for nodes with GPUs."
  type        = string
}

variable "budget_usd" {
  description = "What a month may cost, in US dollars."
  type        = number
  default     = 10000
}
