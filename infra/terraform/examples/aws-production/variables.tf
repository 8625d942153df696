variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "muster"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region, such as eu-central-1."
  }
}

variable "bucket" {
  description = "Name of the bucket of objects, unique among all of AWS."
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

variable "database_ca_pem" {
  description = "The region's bundle of RDS certificate authorities, PEM: file(\"global-bundle.pem\")."
  type        = string
}

variable "admin_role_arns" {
  description = "IAM roles that administer the cluster besides whoever applies this."
  type        = set(string)
  default     = []
}

variable "allowed_roots" {
  description = "Buckets that jobs may read from, such as s3://incoming."
  type        = list(string)
  default     = []
}

variable "budget_usd" {
  description = "What a month may cost, in US dollars."
  type        = number
  default     = 10000
}
